"""Fluxes with uncertainty, detection limit and a reasoned choice of the curve."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from tilth.chambers.air import as_fitted
from tilth.chambers.closures import GASES, MASS_UNITS, check_closures
from tilth.chambers.fits.block import flux_block, output_names
from tilth.chambers.fits.closing import amount_of_air, refuse_impossible
from tilth.chambers.fits.selection import MODELS, REASONS
from tilth.chambers.fits.settings import BLOCKING, FluxSettings, fit_window
from tilth.chambers.flags import FLUX_FLAGS
from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.core.model import require_variables, stamp
from tilth.core.parallel import apply_kernel
from tilth.core.units import convert, parse_units


def fluxes(
    closures: xr.Dataset, gas: str = "co2", settings: FluxSettings | None = None
) -> xr.Dataset:
    r"""Compute the flux of every closure.

    .. math:: F = \phi \left.\frac{dC'}{dt}\right|_{t_0}, \qquad
              \phi = \frac{V P_0 (1 - w_0)}{R A T_0}

    with C' the dry mole fraction (a wet one is dried point by point first), and
    V, A, P, T, w at closing. For water vapour,
    :math:`F_w = \phi_{moist}\,(dw/dt)/(1-w_0)`. A mass concentration (mg m-3)
    gives a mass flux, :math:`F = (V/A)\,dC/dt`.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset with ``volume`` and ``area`` (`apply_geometry` adds
        them), ``pressure`` and ``temperature``; in memory or chunked along
        ``closure`` (Dask).
    gas : str
        Variable to compute the flux of.
    settings : FluxSettings, optional
        All choices; the defaults otherwise.

    Returns
    -------
    xarray.Dataset
        Along ``closure``: ``flux`` and ``flux_se`` of the chosen ``model`` with
        its ``model_reason``, ``flux_MODEL`` and ``flux_MODEL_se`` of every curve,
        ``mdf`` (minimum detectable flux), ``g_factor``, ``kappa``, ``kappa_max``,
        fit statistics, ``amount`` of air, ``flux_flag`` and the ``closure_flag``
        of the input. Standard errors are those of the fit (``flux_se``: of the
        choice between line and curve too): geometry, gain and sensors are added by
        `tilth.chambers.budget`. A closure without a flux
        is NaN with its reason in ``flux_flag``.

    Raises
    ------
    InputError
        If a variable or a unit is missing, or the geometry is impossible for
        every closure (a mistaken unit).

    References
    ----------
    LI-COR LI-8100A manual, eq. 4-12; Hutchinson & Mosier (1981); Hueppi et al.
    (2018).
    """
    settings = settings or FluxSettings()
    check_closures(closures, gas)
    closures = as_fitted(closures, gas)
    concentration, flux_units, by_mass = _in_flux_units(closures[gas], gas)
    amount = amount_of_air(closures, gas, settings, by_mass)

    if not by_mass:
        refuse_impossible(amount)

    inputs = [
        convert(closures["elapsed"], "s").astype(float),
        concentration.astype(float),
        *fit_window(closures, settings),
        is_flagged(closures["closure_flag"], *BLOCKING),
        amount,
        *(_shared(closures, name, settings) for name in ("", "_se")),
    ]
    names = output_names(settings)
    table = apply_kernel(
        flux_block,
        *inputs,
        core_dims=[("sample",), ("sample",), *[()] * (len(inputs) - 2)],
        output_dims=[("result",)],
        output_sizes={"result": len(names)},
        options={"settings": settings, "check_amount": not by_mass},
    )
    result = xr.Dataset(
        {name: table.isel(result=i, drop=True) for i, name in enumerate(names)}
    )
    for name in ("time", *_labels(closures)):
        if name in closures.coords:
            result = result.assign_coords({name: closures[name]})
    result["closure_flag"] = closures["closure_flag"]
    result["dead_band"], result["fit_end"] = inputs[2], inputs[3]
    _describe(result, concentration.attrs["units"], flux_units, by_mass, settings)
    result.attrs = dict(closures.attrs)
    result.attrs["sensor_response"] = settings.response
    chosen = {k: v for k, v in asdict(settings).items() if v is not None}
    return stamp(result, f"chambers.fluxes gas={gas} {chosen}")


def _labels(closures: xr.Dataset) -> list[str]:
    """Coordinates on the closures alone that identify them."""
    return [
        str(name)
        for name, coord in closures.coords.items()
        if coord.dims == ("closure",) and name not in ("closure", "time")
    ]


def _in_flux_units(
    concentration: xr.DataArray, gas: str
) -> tuple[xr.DataArray, str, bool]:
    """Return the concentration in its canonical unit, and the unit of its flux."""
    units = str(concentration.attrs.get("units"))
    if not parse_units(units).dimensionless:
        try:
            return convert(concentration, MASS_UNITS), "mg m-2 s-1", True
        except InputError as error:
            raise InputError(
                f"{gas} is in {units!r}: a flux needs a mole fraction (umol mol-1, "
                "ppm) or a mass concentration (mg m-3)"
            ) from error
    target = GASES[gas][1] if gas in GASES else "umol mol-1"
    return convert(concentration, target), target.replace("mol-1", "m-2 s-1"), False


def _shared(closures: xr.Dataset, part: str, settings: FluxSettings) -> xr.DataArray:
    """Rate shared with other closures, or its error; NaN where it is not asked for."""
    if "pooled" not in settings.models:
        nothing = xr.full_like(closures["closure_flag"], np.nan, dtype=float)
        return nothing.rename(f"shared_kappa{part}")
    require_variables(
        closures, [f"shared_kappa{part}"], "the pooled model (share_kappa first)"
    )
    return convert(closures[f"shared_kappa{part}"], "1" if part else "s-1")


_TEXTS: dict[str, str] = {
    "dead_band": "time after closing at which the fit starts",
    "fit_end": "time after closing at which the fit ends",
    "mdf": "minimum detectable flux",
    "g_factor": "flux of the curve over flux of the line",
    "kappa": "rate constant of the exponential",
    "kappa_max": "largest rate constant the precision supports",
    "amount": "moles of air per soil area at closing",
    "n_points": "points fitted",
    "n_independent": "points that do not repeat the one before",
    "autocorrelation": "lag-1 autocorrelation of the residuals of the exponential",
    "r2_linear": "coefficient of determination of the line",
    "c_closing": "concentration at closing, line through the first 10 s",
    "kappa_pooled": "rate constant shared with other closures",
    "c0_linear": "concentration of the line at closing",
    "c0_hm": "concentration of the exponential at closing",
    "c_inf_hm": "concentration the exponential tends to",
    "c_inf_licor": "concentration LI-COR's exponential tends to (Cx)",
    "t0_licor": "time at which LI-COR's exponential passes c_closing",
}


def _describe(
    result: xr.Dataset, units: str, flux_units: str, by_mass: bool, settings: Any
) -> None:
    """Give every variable its units, long name and CF attributes, in place."""
    for raw, dtype in (
        ("model", "int8"), ("model_reason", "int8"), ("flux_flag", "int32"),
        ("n_points", "int32"), ("n_independent", "int32"),
    ):  # fmt: skip
        values = result[raw]
        if raw.startswith("n_"):
            values = values.fillna(0)
        result[raw] = values.astype(dtype)
    for name, words in (("model", MODELS), ("model_reason", REASONS)):
        result[name].attrs = {
            "flag_values": np.arange(len(words), dtype="int8"),
            "flag_meanings": " ".join(words),
            "flag_descriptions": "; ".join(f"{k}: {v}" for k, v in words.items())
            if isinstance(words, dict)
            else "",
        }
    result["model"].attrs["long_name"] = "curve whose flux is given"
    result["model_reason"].attrs["long_name"] = "why this curve was chosen"
    result["flux_flag"].attrs = {**FLUX_FLAGS.attrs(), "long_name": "quality of flux"}
    for variable in result.data_vars:
        name = str(variable)
        attrs = result[name].attrs
        if name in ("model", "model_reason", "flux_flag", "closure_flag"):
            continue
        attrs["long_name"] = _TEXTS.get(name, name.replace("_", " "))
        if name.startswith("flux") or name == "mdf":
            attrs["units"] = flux_units
        elif name.startswith(("c_", "c0_", "rmse_", "mae_")):
            attrs["units"] = units
        elif name.startswith("kappa"):
            attrs["units"] = "s-1"
        elif name in ("t0_licor", "dead_band", "fit_end"):
            attrs["units"] = "s"
        elif name == "amount":
            attrs["units"] = "m" if by_mass else "mol m-2"
        else:
            attrs["units"] = "1"
    for name in [str(v) for v in result.data_vars if str(v).endswith("_se")]:
        main = name.removesuffix("_se")
        result[main].attrs["ancillary_variables"] = f"{name} flux_flag"
        result[name].attrs["long_name"] = f"standard error of {main} from the fit" + (
            ", autocorrelation and repeats included" if settings.autocorrelation else ""
        )
    result["flux_se"].attrs["long_name"] += ", and the choice of the curve"
