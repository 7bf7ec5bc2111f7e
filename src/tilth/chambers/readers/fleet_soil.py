"""The fleet's published soil CO2 of 2023: daily means per pot."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.readers.fleet_columns import numbers
from tilth.chambers.readers.textfile import recognise
from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import stamp
from tilth.core.optional import load

#: Raised per daily value (``soil_co2_flag``).
SOIL_CO2_FLAGS = FlagTable(
    {
        "missing": "no value was published for this day",
        "bad_value": "a cell could not be read as a number",
        "negative": "below zero: no concentration",
        "zero": "exactly zero: a sensor that does not answer",
        "below_outdoor_air": "above zero but below 300 ppm: less than the air above",
        "at_sensor_limit": "at 40,000 ppm or above, where the sensor rails",
        "repeated_day": "another row has the same pot and day",
    }
)

#: Upper end of the soil sensors' range, ppm: 464 values of the published file sit
#: on it exactly.
_SENSOR_LIMIT = 40_000.0

#: Outdoor air has 420 ppm, and soil air more; 300 leaves room for the sensor, ppm.
_LEAST = 300.0

#: A pot's label: table.variant.replica and what was spread on it ("5.10.A.Steel.40").
_LABEL = re.compile(
    r"^(?P<variant>(?P<table>\d+)\.\d+)\.(?P<replica>[A-Z])(?:\.(?P<treatment>.*))?$"
)


def read_soil_pco2(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the fleet's daily soil CO2 per replica.

    Takes the CSV (one row per pot and day; the pot's label in the column ``column``)
    or the published workbook (one column per pot). Identifiers are taken from the
    label as text: ``5.10`` stays ``5.10``.

    Parameters
    ----------
    path : path
        ``.csv``, ``.csv.gz`` or ``.xlsx``.

    Returns
    -------
    xarray.Dataset
        Dimension ``row``. Coordinates: ``time`` (the day), ``published_time`` (13:00 in
        winter and 14:00 in summer: noon UTC by a local clock), ``table``,
        ``variant``, ``pot`` ("5.10.A"), ``replica``, ``treatment``. Variables:
        ``soil_co2`` (umol mol-1, as published, nothing removed) and
        ``soil_co2_flag``.

    Raises
    ------
    InputError
        If it is another kind of file or a label is no pot.

    References
    ----------
    Paessler et al., Zenodo, doi:10.5281/zenodo.18360183 (MIT licence).
    """
    clock, label, cells = _long_table(path)
    parts = pd.Series(label, dtype="str").str.strip().str.extract(_LABEL)
    if parts["variant"].isna().any():
        wrong = label[int(np.flatnonzero(parts["variant"].isna())[0])]
        raise InputError(
            f"{Path(path).name}: {wrong!r} is no pot label of the fleet, such as "
            "'5.10.A.Steel.40' (table.variant.replica.treatment)"
        )
    values, bad = numbers(cells)
    day = pd.DatetimeIndex(clock).as_unit("ns")
    pot = parts["variant"] + "." + parts["replica"]
    repeated = pd.DataFrame({"pot": pot, "day": day.floor("D")}).duplicated(keep=False)
    raised = {
        "missing": np.isnan(values) & ~bad,
        "bad_value": bad,
        "negative": values < 0,
        "zero": values == 0,
        "below_outdoor_air": (values > 0) & (values < _LEAST),
        "at_sensor_limit": values >= _SENSOR_LIMIT,
        "repeated_day": repeated.to_numpy(),
    }
    data = xr.Dataset(
        {
            "soil_co2": (
                "row",
                values,
                {
                    "units": "umol mol-1",
                    "long_name": "CO2 in the soil air, daily mean, as published",
                },
            ),
            "soil_co2_flag": (
                "row",
                SOIL_CO2_FLAGS.variable(raised, values.shape),
                SOIL_CO2_FLAGS.attrs(),
            ),
        },
        coords={
            "time": ("row", day.floor("D"), {"long_name": "day"}),
            "published_time": ("row", day, {"long_name": "time stamp as published"}),
            "table": ("row", parts["table"].to_numpy(object)),
            "variant": ("row", parts["variant"].to_numpy(object)),
            "pot": ("row", pot.to_numpy(object)),
            "replica": ("row", parts["replica"].to_numpy(object)),
            "treatment": (
                "row",
                parts["treatment"].fillna("").str.strip().to_numpy(object),
            ),
        },
    )
    return stamp(data, f"read_soil_pco2({Path(path).name})", [path])


def _long_table(
    path: str | os.PathLike[str],
) -> tuple[pd.Series, list[str], np.ndarray]:
    """Return times, labels and values, one per pot and day."""
    name = Path(path).name
    kind = recognise(path).name
    if kind == "excel":
        load("openpyxl", "chambers")
        frame = pd.read_excel(path, dtype=object)
        frame = frame.rename(columns={c: str(c).strip() for c in frame.columns})
        pots = [column for column in frame.columns if _LABEL.match(column)]
        if not pots:
            raise InputError(
                f"{name} has no column headed with a pot, such as '5.10.A.Steel.40'"
            )
        frame = frame.melt(
            id_vars=[frame.columns[0]],
            value_vars=pots,
            var_name="column",
            value_name="pco2_ppm",
        ).rename(columns={frame.columns[0]: "timestamp"})
    elif kind == "table":
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    else:
        raise InputError(
            f"{name} looks like {recognise(path).description}, not like the fleet's "
            "table of soil CO2"
        )
    needed = ["timestamp", "column", "pco2_ppm"]
    if absent := [column for column in needed if column not in frame]:
        raise InputError(
            f"{name} has no column {', '.join(absent)}: the fleet's table of soil CO2 "
            f"has {', '.join(needed)}; found {', '.join(map(str, frame.columns[:12]))}"
        )
    clock = pd.to_datetime(frame["timestamp"], format="ISO8601", errors="coerce")
    if clock.isna().any():
        wrong = frame["timestamp"][clock.isna()].iloc[0]
        raise InputError(f"{name}: {wrong!r} is no day such as 2023-01-28")
    cells = frame["pco2_ppm"].astype(object)
    cells = cells.where(cells.notna(), None)
    return clock, list(frame["column"].astype("str")), cells.to_numpy(dtype=object)
