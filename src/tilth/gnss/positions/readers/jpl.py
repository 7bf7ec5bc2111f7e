"""Positions as the Jet Propulsion Laboratory writes them: .series."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.gnss.positions.readers.columns import lines_of, numbers, words_of
from tilth.gnss.positions.series import position_series

_J2000 = np.datetime64("2000-01-01T12:00:00", "ns")


def read_jpl(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read positions in the layout JPL .series.

    Parameters
    ----------
    path : path
        File of 17 columns without a header; may be gzipped.

    Returns
    -------
    xarray.Dataset
        As of `tilth.gnss.positions.position_series`. Epochs are the middles of the
        observations, not noon; the file does not name its station or frame: the
        station is taken from the file's name.

    Raises
    ------
    InputError
        If the file is damaged.

    References
    ----------
    Heflin et al. (2020), Earth and Space Science 7, e2019EA000644.
    """
    table = numbers(words_of(lines_of(path), path, 17, "JPL .series"), path)
    seconds = np.rint(table[:, 10] * 1e3).astype("timedelta64[ms]")
    return position_series(
        _J2000 + seconds,
        table[:, 1:4],
        table[:, 4:7],
        correlation=table[:, 7:10],
        attrs={"station": Path(path).name.split(".")[0], "layout": "JPL"},
    )
