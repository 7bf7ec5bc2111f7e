"""Any land model to an emulator: fits of all cells, on Dask, resumable."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.core.model import require_variables
from tilth.core.parallel import apply_kernel
from tilth.core.progress import track
from tilth.core.units import convert
from tilth.land.emulator.equations import VARIANTS, Forcing
from tilth.land.emulator.parameters import table
from tilth.land.fit.cell import CellFit, fit_cell
from tilth.land.fit.checkpoints import fingerprint, remember
from tilth.land.fit.flags import FIT_FLAGS
from tilth.land.fit.settings import TARGETS, FitSettings
from tilth.land.fit.stages import Calendar

#: Cells whose results are kept in one file: about a minute of work.
BLOCK = 16

#: Lengths of the dimensions of the outputs, but for that of the members.
_SIZES = {"parameter": 15, "month": 12, "store": 4, "stage": 2, "target": 4}

#: Units of what is read.
_UNITS = {
    "rain": "mm day-1",
    "snowfall": "mm day-1",
    "temperature": "K",
    "humidity": "kg kg-1",
    "pressure": "Pa",
    "snow": "mm",
    "soil": "mm",
    "wetland": "mm",
    "runoff": "mm day-1",
}

#: Below this every month would be fitted to a single sample.
FEWEST_YEARS = 2

_STORES = ("snow", "soil", "wetland", "deep")

#: Variable -> dimensions beside ``cell``, units, meaning.
_OUTPUTS: dict[str, tuple[tuple[str, ...], str | None, str]] = {
    "parameters": (("parameter", "month"), None, "parameters of the emulator"),
    "runoff_share": ((), "1", "share of refused water that runs off at once"),
    "soil_reference": ((), "mm", "mean soil water of the training years"),
    "fit_flag": ((), None, "why a cell was fitted in part or not at all"),
    "month_loss": (
        ("month",),
        "1",
        "published objective of the months: mean over years of the weighted squares",
    ),
    "efficiency": (
        ("stage", "target"),
        "1",
        "Nash-Sutcliffe efficiency in the free runs of the training years",
    ),
    "state": (("store",), "mm", "stores at the end of the training years"),
    "member_parameters": (
        ("member", "parameter", "month"),
        None,
        "parameters of the members",
    ),
    "member_runoff_share": (("member",), "1", "runoff share of the members"),
}


def fit_emulator(
    forcing: xr.Dataset,
    targets: xr.Dataset,
    *,
    years: tuple[int, int] | Sequence[int],
    variant: str = "implicit",
    settings: FitSettings | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """Fit the emulator to a land model, cell by cell.

    First every calendar month by itself, each year from the land model's state, as
    Olson et al. (2024) do; then all months together in free runs through windows of
    years, which is what the emulator is used for.

    Parameters
    ----------
    forcing : xarray.Dataset
        Daily ``rain``, ``snowfall`` (mm day-1), ``temperature`` (K), ``humidity``
        (kg kg-1) and ``pressure`` (Pa) along ``time`` and ``cell``; other units are
        converted where the attribute ``units`` says so, here and in `targets`.
    targets : xarray.Dataset
        Daily ``snow``, ``soil`` (mm, at the end of the day) and ``runoff`` (mm day-1)
        of the land model, and ``wetland`` (mm) where it has one; NaN where unknown.
    years : (int, int) or sequence of int
        Training years: the first and the last, or a longer list of all. The days of
        other years are not looked at, but for the states that a month starts from.
    variant : str
        Name in `tilth.land.emulator.equations.VARIANTS`.
    settings : FitSettings, optional
        How to fit.
    folder : path, optional
        Where results of blocks of cells are kept, so that a run that was stopped goes
        on where it was.

    Returns
    -------
    xarray.Dataset
        ``parameters`` (parameter, month, cell), ``runoff_share``, ``soil_reference``
        and ``fit_flag`` (cell); ``month_loss`` (month, cell) and ``efficiency`` (stage,
        target, cell) of the training years; the stores at their end,
        ``initial_snow``, ``initial_soil``, ``initial_wetland`` and ``initial_deep``
        (cell), mm, soil water relative to its reference; and ``member_parameters``
        (member, parameter, month, cell) and ``member_runoff_share`` (member, cell)
        where members are asked for. NaN where the flag says that a cell was not fitted.

    Raises
    ------
    InputError
        If a variable is missing, the days do not follow each other, the training years
        are too few or not in the data, or the variant is unknown.
    UnitsError
        If units are given that are not those of the quantity.

    Notes
    -----
    With arrays in chunks along ``cell`` the blocks run on Dask's workers (see
    `tilth.core.parallel.scheduler`). A cell's result does not depend on the chunks.
    """
    settings = settings or FitSettings()
    if variant not in VARIANTS:
        raise InputError(f"no variant {variant!r}: choose one of {', '.join(VARIANTS)}")
    require_variables(forcing, Forcing._fields, "the forcing of a fit")
    names = [name for name in TARGETS if name != "wetland" or name in targets]
    require_variables(targets, names, "the targets of a fit")
    arrays = [forcing[name] for name in Forcing._fields]
    arrays += [targets[name] for name in names]
    arrays = [_in_units(_by_cell(array)) for array in arrays]
    calendar = _calendar(arrays[0]["time"], years)
    first, last = _span(calendar)
    arrays = [array.isel(time=slice(first, last)) for array in arrays]
    calendar = Calendar(
        calendar.month[first:last], calendar.year[first:last], calendar.years
    )
    outputs = apply_kernel(
        _fit_block,
        *arrays,
        core_dims=[("time",)] * len(arrays),
        output_dims=[dims for dims, _, _ in _OUTPUTS.values()],
        output_dtypes=[
            np.int32 if name == "fit_flag" else np.float64 for name in _OUTPUTS
        ],
        output_sizes=_SIZES | {"member": settings.members},
        options={
            "names": tuple(names),
            "calendar": calendar,
            "variant": variant,
            "settings": settings,
            "folder": None if folder is None else os.fspath(folder),
        },
    )
    fitted = xr.Dataset(dict(zip(_OUTPUTS, outputs, strict=True))).compute()
    if not settings.members:
        fitted = fitted.drop_vars(["member_parameters", "member_runoff_share"])
    return _described(fitted, arrays[0], variant, settings, calendar)


def _fit_block(
    *arrays: np.ndarray,
    names: tuple[str, ...],
    calendar: Calendar,
    variant: str,
    settings: FitSettings,
    folder: str | None,
) -> tuple[np.ndarray, ...]:
    """Fit the cells of arrays (cell, time); return the outputs, cells first."""
    count = arrays[0].shape[0]
    form = VARIANTS[variant]
    parts = []
    for begin in track(range(0, count, BLOCK), "fitting cells"):
        block = [array[begin : begin + BLOCK].astype(float) for array in arrays]

        def compute(block: list[np.ndarray] = block) -> dict[str, np.ndarray]:
            fits = []
            for cell in range(block[0].shape[0]):
                forcing = Forcing(*(array[cell] for array in block[:5]))
                target = np.full((4, calendar.month.size), np.nan)
                for name, array in zip(names, block[5:], strict=True):
                    target[TARGETS.index(name)] = array[cell]
                fits.append(fit_cell(forcing, target, calendar, form, settings))
            return {
                name: np.array([getattr(fit, name) for fit in fits])
                for name in CellFit._fields
            }

        key = fingerprint((names, form, settings), [*calendar, *block])
        parts.append(remember(folder, key, compute))
    joined = {
        name: np.concatenate([part[name] for part in parts]) for name in CellFit._fields
    }
    return tuple(joined[name] for name in CellFit._fields)


def _by_cell(array: xr.DataArray) -> xr.DataArray:
    """Return an array as (cell, time), without what belongs to neither."""
    if set(array.dims) != {"time", "cell"}:
        raise InputError(
            f"{array.name} needs the dimensions time and cell, it has "
            f"{', '.join(map(str, array.dims)) or 'none'}: see "
            "tilth.land.cells.stack_cells"
        )
    return array.transpose("cell", "time")


def _in_units(array: xr.DataArray) -> xr.DataArray:
    """Return an array in our units; one without units is taken to be in them."""
    if "units" not in array.attrs:
        return array
    ours = _UNITS[str(array.name)]
    if not ours.startswith("mm"):
        return convert(array, ours)
    try:  # 1 kg m-2 of water is 1 mm
        return convert(array, ours.replace("mm", "kg m-2"))
    except UnitsError:
        return convert(array, ours)


def _calendar(time: xr.DataArray, years: tuple[int, int] | Sequence[int]) -> Calendar:
    """Return month and year of each day, after a look at both."""
    days = time.dt.month.values.astype(np.int64) - 1, time.dt.year.values.astype(int)
    index = time.to_index()
    gaps = np.flatnonzero(np.asarray([d.days != 1 or d.seconds for d in _steps(index)]))
    if gaps.size:
        k = int(gaps[0])
        raise InputError(
            f"days must follow each other: {index[k + 1]} follows {index[k]}; take "
            "daily means (stores: the last value of the day) and fill gaps with NaN"
        )
    wanted = np.asarray(years, int)
    if wanted.size == 2:
        wanted = np.arange(wanted[0], wanted[1] + 1)
    absent = sorted(set(wanted.tolist()) - set(days[1].tolist()))
    if absent:
        raise InputError(
            f"the training years {', '.join(map(str, absent))} are not in the data, "
            f"which have {days[1].min()} to {days[1].max()}"
        )
    if np.unique(wanted).size < FEWEST_YEARS:
        raise InputError(
            f"{np.unique(wanted).size} training year is too few: every month would be "
            f"fitted to a single sample; give at least {FEWEST_YEARS}"
        )
    return Calendar(days[0], days[1], np.sort(wanted))


def _steps(index: Any) -> list:
    """Return the differences of days as timedelta objects, for any calendar."""
    values = list(index)
    return [b - a for a, b in itertools.pairwise(values)]


def _span(calendar: Calendar) -> tuple[int, int]:
    """Return the days from the eve of the training years to their end."""
    days = np.flatnonzero(np.isin(calendar.year, calendar.years))
    return max(int(days[0]) - 1, 0), int(days[-1]) + 1


def _described(
    fitted: xr.Dataset,
    like: xr.DataArray,
    variant: str,
    settings: FitSettings,
    calendar: Calendar,
) -> xr.Dataset:
    """Return the fit with coordinates, units and how it was made."""
    for name, (dims, units, meaning) in _OUTPUTS.items():
        if name not in fitted:
            continue
        fitted[name] = fitted[name].transpose(*dims, "cell")
        fitted[name].attrs["long_name"] = meaning
        if units:
            fitted[name].attrs["units"] = units
    fitted["fit_flag"].attrs |= FIT_FLAGS.attrs()
    initial = fitted["state"]
    fitted = fitted.drop_vars("state")
    for k, store in enumerate(_STORES):
        fitted[f"initial_{store}"] = initial.isel(store=k).assign_attrs(
            initial.attrs, long_name=f"{store} store at the end of the training years"
        )
    rows = table(VARIANTS[variant].closed)
    kept = {
        name: coord for name, coord in like.coords.items() if coord.dims == ("cell",)
    }
    return fitted.assign_coords(
        kept
        | {
            "parameter": [row.name for row in rows],
            "units": ("parameter", [row.unit for row in rows]),
            "month": np.arange(1, 13),
            "stage": ["months", "joint"],
            "target": list(TARGETS),
        }
    ).assign_attrs(
        variant=variant,
        training_years=np.unique(calendar.years).tolist(),
        last_day=str(like["time"].values[-1])[:10],
        settings=repr(settings),
        seed=settings.seed,
    )


def as_members(fitted: xr.Dataset) -> xr.Dataset:
    """Return a fit whose ``parameters`` and ``runoff_share`` are those of its members.

    Parameters
    ----------
    fitted : xarray.Dataset
        Of `fit_emulator` with ``members``.

    Returns
    -------
    xarray.Dataset
        The same with ``parameters`` (member, parameter, month, cell) and
        ``runoff_share`` (member, cell).

    Raises
    ------
    InputError
        If the fit has no members.
    """
    if "member_parameters" not in fitted:
        raise InputError(
            "this fit has no members: fit with FitSettings(members=20), say"
        )
    members = {
        "parameters": fitted["member_parameters"],
        "runoff_share": fitted["member_runoff_share"],
    }
    return fitted.drop_vars(["member_parameters", "member_runoff_share"]).assign(
        members
    )
