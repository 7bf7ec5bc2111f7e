r"""The error that stations share: one time series with a response at each station.

Orbits, clocks and the frame leave the same error at all stations of a region. With
residuals x of stations s on days t, some missing,

.. math:: x_{st} = r_s\,m_t + e_{st}, \qquad e_{st} \sim N(0, \sigma_s^2)

the mode is normal too, so that a single station cannot be taken for what is common;
responses and noise are those of greatest likelihood (expectation and maximisation by
turns, Rubin & Thayer 1982): the first principal component of residuals with gaps (Dong
et al. 2006) with every station weighted by its own noise, or the weighted stack where
all respond alike (Wdowinski et al. 1997).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_dims

#: Turns, and the change of the mode, as a share of its size, that ends them.
_TURNS, _SETTLED = 1000, 1e-6

#: No station's noise counts as less than this share of its residuals.
_LEAST_NOISE = 0.02

METHODS = ("component", "stack")


def common_mode(residuals: xr.DataArray, method: str = "component") -> xr.Dataset:
    """Find the error that stations share.

    Parameters
    ----------
    residuals : xarray.DataArray
        On ``time`` and ``station``: positions less trajectory, of one component; NaN
        where there is none.
    method : {"component", "stack"}
        Whether each station responds in its own measure, or all alike.

    Returns
    -------
    xarray.Dataset
        ``mode`` and ``mode_se`` along ``time`` (NaN on days with fewer than two
        stations), ``response`` and ``noise`` along ``station``, ``common`` = mode
        times response, ``filtered`` = residuals less ``common``, and ``share`` of each
        station's variance that is common. Responses have the mean one.

    Raises
    ------
    InputError
        If there are fewer than three stations, a station is empty, or the method is
        unknown.

    Notes
    -----
    A station's own signal is in the mode with its weight: with few stations the mode
    takes away a part of what is local. ``leverage`` along ``station`` says how much
    on average.
    """
    require_dims(residuals, ("time", "station"))
    if method not in METHODS:
        raise InputError(f"no method {method!r}; known: {', '.join(METHODS)}")
    rows = residuals.transpose("time", "station")
    values = rows.values.astype(float)
    there = np.isfinite(values)
    if values.shape[1] < 3 or (there.sum(axis=0) < 3).any():
        raise InputError(
            f"what is common needs three stations with residuals, got "
            f"{int((there.sum(axis=0) >= 3).sum())} of {values.shape[1]}"
        )
    filled = np.where(there, values, 0.0)
    mode, se, response, noise = _by_turns(filled, there, method)
    few = there.sum(axis=1) < 2
    mode, se = np.where(few, np.nan, mode), np.where(few, np.nan, se)
    common = mode[:, None] * response
    left = values - common
    both = there & ~few[:, None]
    share = 1.0 - _squares(left, both) / _squares(values, both)
    weight = np.where(both, (response / noise) ** 2, 0.0)
    weight = weight / np.where(few, 1.0, weight.sum(axis=1))[:, None]
    units = {"units": str(residuals.attrs.get("units", "m"))}
    pure = {"units": "1"}
    return xr.Dataset(
        {
            "mode": ("time", mode, units),
            "mode_se": ("time", se, units),
            "response": ("station", response, pure),
            "noise": ("station", noise, units),
            "common": (("time", "station"), common, units),
            "filtered": (("time", "station"), left, units),
            "share": ("station", share, pure),
            "leverage": ("station", weight.sum(axis=0) / both.sum(axis=0), pure),
        },
        {"time": rows["time"], "station": rows["station"]},
        {"method": method},
    )


def _squares(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the mean square of each station."""
    return np.asarray(
        np.sum(np.where(there, values, 0.0) ** 2, axis=0) / there.sum(axis=0)
    )


def _by_turns(
    values: np.ndarray, there: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mode and its error, responses and noise; gaps are zeros in `values`."""
    count = there.sum(axis=0)
    squares = (values**2).sum(axis=0)
    spread = np.sqrt(squares / count)
    if not spread.all():
        raise InputError("a station's residuals are all zero: nothing to filter")
    response, noise = spread * np.sqrt(0.5), spread * np.sqrt(0.5)
    if method == "stack":
        response = np.full_like(response, response.mean())
    mode = np.zeros(len(values))
    for _ in range(_TURNS):
        weight = response / noise**2
        variance = 1.0 / (1.0 + there @ (response * weight))
        fresh = variance * (values @ weight)
        moved = np.abs(fresh - mode).max()
        mode = fresh
        second = there.T @ (mode**2 + variance)
        product = values.T @ mode
        if method == "component":
            response = product / second
        else:
            shared = (product / noise**2).sum() / (second / noise**2).sum()
            response = np.full_like(response, shared)
        left = (squares - 2.0 * response * product + response**2 * second) / count
        noise = np.maximum(np.sqrt(np.maximum(left, 0.0)), _LEAST_NOISE * spread)
        if moved <= _SETTLED * np.abs(mode).max():
            break
    mean = response.mean()
    if abs(mean) < 0.1 * np.abs(response).max():
        raise InputError(
            "responses of the stations cancel: the residuals have no common mode; a "
            "first component of that kind is a signal, not an error"
        )
    return mode * mean, np.sqrt(variance) * abs(mean), response / mean, noise
