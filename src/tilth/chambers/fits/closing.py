"""The chamber at the moment it closed: pressure, temperature, vapour, moles of air."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numba import njit

from tilth.chambers.air import air_moles_per_area, water_vapour
from tilth.chambers.fits.points import INITIAL_WINDOW, initial_concentration
from tilth.chambers.fits.settings import FluxSettings
from tilth.chambers.geometry import AMOUNT_LIMITS
from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.core.parallel import apply_kernel
from tilth.core.units import convert


def amount_of_air(
    closures: xr.Dataset, gas: str, settings: FluxSettings, by_mass: bool
) -> xr.DataArray:
    """Factor from slope to flux: mol m-2, or m for a mass concentration."""
    require_variables(
        closures, ["volume", "area"], "a closures dataset with its geometry applied"
    )
    volume, area = convert(closures["volume"], "m3"), convert(closures["area"], "m2")
    if by_mass:
        return (volume / area).rename("amount")
    require_variables(
        closures,
        ["pressure", "temperature"],
        "the amount of air in a chamber (no standard atmosphere is assumed; "
        "on the command line: --pressure '972 hPa' --temperature '20 degC')",
    )
    pressure = at_closing(closures, "pressure", "Pa", settings.initial)
    temperature = at_closing(closures, "temperature", "degC", settings.initial)
    vapour = _vapour_at_closing(closures, settings)
    moist = air_moles_per_area(volume, area, pressure, temperature, 0.0, settings.r_gas)
    if gas == "h2o":
        factor = 1.0 / (1.0 - vapour) if settings.water_term else 1.0
        return (moist * factor).rename("amount")
    return (moist * (1.0 - vapour)).rename("amount")


def refuse_impossible(amount: xr.DataArray) -> None:
    """Raise where the amount of air tells that a unit is wrong throughout."""
    low, high = AMOUNT_LIMITS
    known = amount.isel(closure=slice(0, 1000)).to_numpy()
    known = known[np.isfinite(known)]
    if known.size and not ((known >= low) & (known <= high)).any():
        raise InputError(
            f"the chambers hold {np.median(known):.3g} mol of air per m2 of soil, "
            f"outside {low}..{high}: check the units of volume, area, pressure and "
            "temperature (m3 or cm3? m2 or cm2? Pa or kPa?)"
        )


def _vapour_at_closing(closures: xr.Dataset, settings: FluxSettings):
    """Water vapour at closing, mol mol-1; zero where the data do not tell it."""
    if "initial_h2o" in closures:
        known = convert(closures["initial_h2o"], "1")
        return known.fillna(0.0)
    vapour = water_vapour(closures)
    if vapour is None:
        return 0.0
    with_vapour = closures.assign(vapour=vapour.assign_attrs(units="1"))
    return at_closing(with_vapour, "vapour", "1", settings.initial).fillna(0.0)


def at_closing(
    closures: xr.Dataset, name: str, units: str, method: str = "intercept"
) -> xr.DataArray:
    """Value of a quantity at the moment the chamber closed.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset.
    name : str
        Variable; ``initial_NAME`` is used where the instrument gives it.
    units : str
        Units wanted.
    method : str
        ``intercept``: line through the first 10 s at time zero (LI-COR);
        ``first``: first record at or after closing (goFlux).

    Returns
    -------
    xarray.DataArray
        Along ``closure``.
    """
    if f"initial_{name}" in closures:
        return convert(closures[f"initial_{name}"], units)
    data = convert(closures[name], units)
    if "sample" not in data.dims:
        return data
    return apply_kernel(
        _closing_block,
        convert(closures["elapsed"], "s").astype(float),
        data.astype(float),
        core_dims=[("sample",), ("sample",)],
        options={"window": INITIAL_WINDOW if method == "intercept" else 0.0},
    ).rename(name)


@njit(cache=True, nogil=True)
def _closing_values(time, value, window):
    out = np.full(time.shape[0], np.nan)
    for i in range(time.shape[0]):
        if window > 0.0:
            out[i] = initial_concentration(time[i], value[i], window)[0]
        if np.isnan(out[i]):
            for j in range(time.shape[1]):
                if time[i, j] >= 0.0 and np.isfinite(value[i, j]):
                    out[i] = value[i, j]
                    break
    return out


def _closing_block(time, value, window):
    return _closing_values(
        np.ascontiguousarray(time), np.ascontiguousarray(value), window
    )
