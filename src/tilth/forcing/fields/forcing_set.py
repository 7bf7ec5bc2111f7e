"""A complete forcing of a land model from a raw model and observations, in one call."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust.adjuster import Method
from tilth.forcing.adjust.delta import QDM
from tilth.forcing.adjust.isimip import lowest_and_highest, range_and_skew
from tilth.forcing.adjust.periods import apply_by_periods
from tilth.forcing.fields.alma import NEEDED, to_alma
from tilth.forcing.fields.consistency import make_consistent
from tilth.forcing.fields.disaggregation import to_hours
from tilth.forcing.fields.elevation import move_to_elevation, surface_pressure
from tilth.forcing.fields.rain_analogs import RainAnalogs
from tilth.forcing.fields.rain_cascade import RainCascade
from tilth.forcing.files import days_of
from tilth.forcing.split import ATTRIBUTE
from tilth.forcing.variables import (
    VARIABLES,
    as_variable,
    convert_forcing,
    identify,
)

#: A day with less precipitation is dry, mm: a trace (Cannon et al. 2015).
TRACE = 0.05

#: Longest period that is adjusted as one climate, years.
_ONE_CLIMATE = 30


def default_method(name: str, seed: int = 0) -> Method:
    """Return the method of adjustment a variable gets if none is named.

    Quantile delta mapping in a window of 31 days: differences for temperature, pressure
    and longwave radiation, ratios for what has a zero; precipitation with dry days
    below a trace and adapted frequency.

    Parameters
    ----------
    name : str
        A name of `tilth.forcing.variables.VARIABLES`.
    seed : int
        Of the draws for dry days.

    Returns
    -------
    Method
        Precipitation is given to it in mm day-1, the rest in CMIP's units.
    """
    if name == "pr":
        return QDM(
            kind="*", group="31 days", dry_below=TRACE, adapt_frequency=True, seed=seed
        )
    return QDM(kind=VARIABLES[name].kind, group="31 days")


def adjust_days(
    model: xr.Dataset,
    observed: xr.Dataset,
    *,
    training: tuple[str, str],
    application: tuple[str, str] | None = None,
    rise: xr.DataArray | None = None,
    altitude: xr.DataArray | None = None,
    methods: Mapping[str, Method] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Adjust all daily variables of a model to observations, consistent in themselves.

    Every variable that both have is adjusted by its method; lowest and highest
    temperature by way of the daily range and the place of the mean in it (Lange 2019),
    so that they stay in order. What was not observed is taken from the model (moved to
    the elevation, if `rise` is given). Then the bounds of physics are imposed.

    Parameters
    ----------
    model, observed : xarray.Dataset
        Daily, of the same places, each with its own calendar and years; variables
        under any names that `tilth.forcing.variables` knows, with units. Humidity may
        be ``huss``, ``hurs`` or ``tdps``; pressure ``ps`` or ``psl``. Coordinates
        ``lat`` and ``lon`` of the places in `observed`.
    training : tuple of str
        First and last day to learn from, such as ``("1981-01-01", "2010-12-31")``.
    application : tuple of str, optional
        First and last day of the model to be adjusted; all by default. More than 30
        years are adjusted in running periods of one climate each.
    rise : xarray.DataArray, optional
        Elevation of the places less that of the model's surface, m: the model is
        moved by `move_to_elevation` before anything else.
    altitude : xarray.DataArray, optional
        Of the places, m: for pressure where only that at sea level is given.
    methods : mapping of str to Method, optional
        Of variables (also ``tasrange`` and ``tasskew``), in place of `default_method`.
    seed : int
        Of all draws.

    Returns
    -------
    xarray.Dataset
        ``tas`` and others of `NEEDED`, ``tasmin`` and ``tasmax`` where the model has
        them, and ``changed`` (see `make_consistent`). Attribute ``adjustment`` of each
        variable says what was done to it; global ones tell the split.

    Raises
    ------
    InputError
        If a variable that is needed can be had from neither, a period holds no day,
        the places differ, or a method is named for a variable that is not there.

    References
    ----------
    Lange (2019), Geosci. Model Dev. 12, 3055-3070, section 4, for range and skew.
    """
    for name in ("lat", "lon"):
        if name not in observed.variables:
            raise InputError(f"the observations lack {name}, the places' coordinate")
    simulated = _variables(model, altitude)
    if rise is not None:
        simulated = _moved(simulated, rise)
    seen = _variables(observed, altitude)
    missing = [name for name in NEEDED if name not in simulated]
    if missing:
        raise InputError(
            f"the model lacks {', '.join(missing)}: a land model needs "
            f"{', '.join(NEEDED)} (humidity also as hurs or tdps, pressure also as psl "
            "with altitude); add them, for instance from a reanalysis"
        )
    if application is None:
        application = _ends(simulated["tas"])
    chosen = dict(methods or {})
    both = [name for name in NEEDED if name in seen]
    if {"tasmin", "tasmax", "tas"} <= simulated.keys() & seen.keys():
        both += ["tasrange", "tasskew"]
        for source in (simulated, seen):
            source["tasrange"], source["tasskew"] = range_and_skew(
                source["tas"], source["tasmin"], source["tasmax"]
            )
    strange = sorted(set(chosen) - set(both))
    if strange:
        raise InputError(
            f"methods names {', '.join(strange)}; what both model and observations "
            f"have is {', '.join(both) or 'nothing'}"
        )
    result: dict[str, xr.DataArray] = {}
    for name in both:
        method = chosen.get(name) or default_method(name, seed)
        result[name] = _adjusted(
            name, simulated[name], seen[name], training, application, method
        )
    for name in NEEDED:
        if name not in result:
            own = _within(simulated[name], application, f"{name} of the model")
            note = "none: not observed" + ("" if rise is None else "; moved in height")
            result[name] = own.assign_attrs(adjustment=note)
    _extremes(result, simulated, application)
    for name, array in result.items():
        # Of other coordinates the model may have those of its own cells.
        result[name] = array.reset_coords(drop=True).rename(name)
    days = xr.Dataset(result).assign_coords(
        {name: observed[name].reset_coords(drop=True) for name in ("lat", "lon")}
    )
    days = make_consistent(days.drop_vars(["tasrange", "tasskew"], errors="ignore"))
    days.attrs = {
        **_record(result),
        "split_training": "/".join(training),
        "split_application": "/".join(application),
        "seed": seed,
    }
    return days


def _record(adjusted: Mapping[str, xr.DataArray]) -> dict[str, str]:
    """Return the days that any variable learnt from, as the attribute of a result."""
    stretches = {
        stretch
        for array in adjusted.values()
        for stretch in str(array.attrs.get(ATTRIBUTE, "")).split()
    }
    return {ATTRIBUTE: " ".join(sorted(stretches))} if stretches else {}


def build_forcing(
    model: xr.Dataset,
    observed: xr.Dataset,
    *,
    training: tuple[str, str],
    application: tuple[str, str] | None = None,
    hours: float = 1.0,
    rise: xr.DataArray | None = None,
    altitude: xr.DataArray | None = None,
    methods: Mapping[str, Method] | None = None,
    rain: RainCascade | RainAnalogs | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Build the forcing of a land model from a raw model and observations.

    `adjust_days`, then `to_hours` (where `hours` is less than a day), then `to_alma`.

    Parameters
    ----------
    model, observed, training, application, rise, altitude, methods, seed
        See `adjust_days`.
    hours : float, default 1
        Length of a step of the forcing; 24 leaves days.
    rain : RainCascade or RainAnalogs, optional
        See `to_hours`.

    Returns
    -------
    xarray.Dataset
        ALMA variables ``Tair``, ``Rainf``, ``Snowf``, ``Qair``, ``PSurf``, ``SWdown``,
        ``LWdown`` and ``Wind`` over ``time`` (beginning of the step, UTC) and the
        places, as ``tilth land run`` reads it.

    Raises
    ------
    InputError
        As its three parts; also if hours are asked for and the model has no ``tasmin``
        and ``tasmax``.
    """
    days = adjust_days(
        model,
        observed,
        training=training,
        application=application,
        rise=rise,
        altitude=altitude,
        methods=methods,
        seed=seed,
    )
    if hours == 24.0:
        return to_alma(days)
    return to_alma(to_hours(days, hours=hours, rain=rain, seed=seed))


def _variables(
    data: xr.Dataset, altitude: xr.DataArray | None
) -> dict[str, xr.DataArray]:
    """Return the variables of the forcing in CMIP's units, humidity among them."""
    found: dict[str, xr.DataArray] = {}
    for array in data.data_vars.values():
        try:
            name = identify(array).name
        except InputError:
            continue
        if name in found:
            raise InputError(
                f"{array.name} and another variable both stand for {name}: drop one"
            )
        if "time" in array.dims:
            found[name] = days_of(as_variable(array, name)).reset_coords(drop=True)
    if not found:
        raise InputError(
            f"no variable of the forcing among {', '.join(map(str, data.data_vars))}"
        )
    if "ps" not in found and altitude is not None and {"psl", "tas"} <= found.keys():
        found["ps"] = surface_pressure(found["psl"], found["tas"], altitude)
    if "huss" not in found and "ps" in found:
        if "tdps" in found:
            found["huss"] = _humidity(found["tdps"], found["ps"], xr.DataArray(1.0))
        elif {"hurs", "tas"} <= found.keys():
            found["huss"] = _humidity(found["tas"], found["ps"], found["hurs"] / 100.0)
    return found


def _humidity(
    temperature: xr.DataArray, pressure: xr.DataArray, relative: xr.DataArray
) -> xr.DataArray:
    """Return specific humidity of air with this humidity relative to saturation."""

    def kernel(t: np.ndarray, p: np.ndarray, share: np.ndarray) -> np.ndarray:
        from tilth.physics import moist_air

        vapour = moist_air.saturation_vapour_pressure(t) * share
        return np.asarray(moist_air.specific_humidity(vapour, p))

    result = xr.apply_ufunc(
        kernel, temperature, pressure, relative, dask="parallelized",
        output_dtypes=[float],
    )  # fmt: skip
    return result.rename("huss").assign_attrs(VARIABLES["huss"].attributes)


def _moved(
    simulated: dict[str, xr.DataArray], rise: xr.DataArray
) -> dict[str, xr.DataArray]:
    """Return the model's variables at the places' elevation."""
    moved = move_to_elevation(xr.Dataset(simulated), rise.reset_coords(drop=True))
    return {str(name): moved[name] for name in moved.data_vars}


def _adjusted(
    name: str,
    simulated: xr.DataArray,
    seen: xr.DataArray,
    training: tuple[str, str],
    application: tuple[str, str],
    method: Method,
) -> xr.DataArray:
    """Return a variable of the model, adjusted, in CMIP's units."""
    if set(simulated.dims) < set(seen.dims):
        raise InputError(
            f"{name} of the model is along {', '.join(map(str, simulated.dims))}, the "
            f"observations along {', '.join(map(str, seen.dims))}: bring the model to "
            "their places first (tilth forcing regrid)"
        )
    if name == "pr":
        simulated, seen = (convert_forcing(x, "mm day-1") for x in (simulated, seen))
    adjuster = method.fit(
        _within(seen, training, f"{name} of the observations"),
        _within(simulated, training, f"{name} of the model"),
    )
    target = _within(simulated, application, f"{name} of the model")
    years = target["time"].dt.year.values
    if years[-1] - years[0] >= _ONE_CLIMATE:
        found = apply_by_periods(adjuster, target, years=_ONE_CLIMATE)
    else:
        found = adjuster.apply(target)
    settings = f"{type(method).__name__} {method.settings()}"
    if name == "tasskew":
        found = found.clip(0.0, 1.0)
    elif name == "tasrange":
        found = found.clip(min=0.0)
    else:
        found = convert_forcing(found, VARIABLES[name].units)
    return found.assign_attrs(
        {
            **VARIABLES[name].attributes,
            "adjustment": f"{settings}, {'/'.join(training)}",
        }
    )


def _extremes(
    result: dict[str, xr.DataArray],
    simulated: dict[str, xr.DataArray],
    application: tuple[str, str],
) -> None:
    """Put lowest and highest temperature into the result, in place."""
    if "tasrange" in result:
        result["tasmin"], result["tasmax"] = lowest_and_highest(
            result["tas"], result.pop("tasrange"), result.pop("tasskew")
        )
        return
    own = _within(simulated["tas"], application, "tas of the model")
    for name in ("tasmin", "tasmax"):
        if name in simulated:  # keeps its distance from the mean
            extreme = _within(simulated[name], application, f"{name} of the model")
            result[name] = (extreme + (result["tas"] - own)).assign_attrs(extreme.attrs)


def _within(data: xr.DataArray, period: tuple[str, str], what: str) -> xr.DataArray:
    """Return the days of a period, or say that there are none."""
    part = data.sel(time=slice(*period))
    if not part.sizes["time"]:
        first, last = _ends(data)
        raise InputError(
            f"{what} has no day from {period[0]} to {period[1]}; it goes from {first} "
            f"to {last}"
        )
    return part


def _ends(data: xr.DataArray) -> tuple[str, str]:
    """Return the first and last day."""
    days = data["time"].dt.strftime("%Y-%m-%d").values
    return str(days[0]), str(days[-1])
