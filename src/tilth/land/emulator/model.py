"""The emulator as an object: fitted once, run on any weather."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables, stamp
from tilth.core.parallel import apply_kernel
from tilth.land.emulator.days import months_of_days
from tilth.land.emulator.ensemble import Ensemble, How, run_members
from tilth.land.emulator.fitted import (
    STORES,
    check_fitted,
    read_fitted,
    space_dims,
    variant_of,
    write_fitted,
)
from tilth.land.emulator.output import VARIABLES, attributes
from tilth.land.emulator.variants import Forcing
from tilth.land.emulator.weather import find_weather

METHODS = ("kernel", "jax")


@dataclass(frozen=True)
class Emulator:
    """A land model imitated: three stores, fitted parameters, one step a day.

    Parameters
    ----------
    fitted : xarray.Dataset
        Of `tilth.land.fit.fit_emulator` or `tilth.land.emulator.fitted_dataset`:
        ``parameters`` (parameter, month, and the dimensions of the cells; ``member``
        of an ensemble of fits), ``runoff_share``, ``soil_reference``, attribute
        ``variant``.

    Raises
    ------
    InputError
        If something in it is absent or wrong.

    References
    ----------
    Olson, Nitta & Yoshimura (2024), Journal of Hydrology,
    doi:10.1016/j.jhydrol.2024.131093.
    """

    fitted: xr.Dataset

    def __post_init__(self) -> None:
        object.__setattr__(self, "fitted", check_fitted(self.fitted))

    @property
    def members(self) -> int:
        """Number of fits in the ensemble."""
        return int(self.fitted["parameters"].sizes.get("member", 1))

    def initial_state(self) -> xr.DataArray:
        """Return the stores at the end of the years of the fit, mm.

        Returns
        -------
        xarray.DataArray
            Dimensions ``store`` (snow, soil, wetland, deep) and those of the cells.

        Raises
        ------
        InputError
            If the fit did not keep them (``initial_snow`` and so on).
        """
        names = [f"initial_{name}" for name in STORES]
        require_variables(self.fitted, names, "a fit that a run can start from")
        index = xr.DataArray(list(STORES), dims="store", name="store")
        stores = [self.fitted[name].reset_coords(drop=True) for name in names]
        state = xr.concat(stores, index, coords="minimal", compat="override")
        return state.rename("state").assign_attrs(_STATE)

    def run(
        self,
        forcing: xr.Dataset,
        state: xr.DataArray | None = None,
        *,
        dtype: Any = "float32",
        evaporation: bool = False,
        method: str = "kernel",
        snow_temperatures: tuple[float, float] | None = None,
        threads: int | None = None,
    ) -> xr.Dataset:
        """Run freely through daily weather.

        Parameters
        ----------
        forcing : xarray.Dataset
            Rainf, Snowf, Tair, Qair and PSurf with units along ``time`` (days, any
            calendar) and the dimensions of the cells, or the same under the names of
            `tilth.land.readers` (rain, snowfall, temperature, humidity, pressure). With
            arrays in Dask chunks along cells the result is lazy.
        state : xarray.DataArray, optional
            Stores before the first day: `initial_state`, or the ``state`` of another
            output, which is then continued to the last bit. By default they are empty
            and soil water is at its reference.
        dtype : {"float32", "float64"}
            Precision. Single precision is off by some 0.01 mm after decades in the
            implicit variants; the ledger of the closed one needs double.
        evaporation : bool
            Whether evaporation is wanted.
        method : {"kernel", "jax"}
            Compiled for processors, or JAX (on an accelerator where it has one).
        snow_temperatures : (float, float), optional
            Where the forcing has precipitation in all only: air temperatures, degC,
            at or below which it is all snow and at or above which all rain.
        threads : int, optional
            Processors of the kernel, default all; one on Dask, which has its own.

        Returns
        -------
        xarray.Dataset
            ``SWE``, ``SoilMoist``, ``SurfStor`` (kg m-2, end of the day), ``Qtot`` and
            ``Evap`` (kg m-2 s-1, mean of the day); of an ensemble their means, and the
            standard deviations ``SWE_spread`` and so on. ``state`` after the last day,
            and ``water_residual`` (kg m-2, the whole run): precipitation less
            evaporation, runoff and what the stores gained. Its largest value is an
            attribute of the dataset unless the result is lazy. Cells whose parameters
            are NaN stay NaN.

        Raises
        ------
        InputError
            If variables are absent, days are missing, cells differ from those of the
            parameters, or values cannot be weather or are not numbers.
        UnitsError
            If units are absent or mean something else.
        KernelError
            For the same faults in values, when a lazy result is computed.
        """
        kind = _known(dtype, method)
        weather = find_weather(forcing, snow_temperatures)
        space = space_dims(self.fitted)
        fields = [_laid_out(field, space) for field in weather.fields]
        own = [self._one("parameters", "parameter", "month")]
        own += [self._one("runoff_share"), self._one("soil_reference")]
        own.append(self.start(state))
        try:
            aligned = xr.align(*fields, *own, join="exact", copy=False)
        except ValueError as error:
            raise InputError(
                "the forcing and the parameters are not on the same cells: bring the "
                f"forcing to the cells of the parameters first ({error})"
            ) from error
        fields, own = list(aligned[:5]), list(aligned[5:])
        time = fields[0]["time"]
        lazy = any(array.chunks is not None for array in aligned)
        how = How(
            variant_of(self.fitted),
            months_of_days(time),
            time.values,
            weather.seconds,
            evaporation,
            method,
            1 if lazy else threads,
        )
        names = [name for name in VARIABLES if evaporation or name != "Evap"]
        if self.members > 1:
            names += [f"{name}_spread" for name in names]
        compute = _on_dask if lazy else _in_memory
        output = compute(fields, own, space, kind, how, names)
        return self._described(output, fields[0], kind, how, lazy)

    def _one(self, name: str, *core: str) -> xr.DataArray:
        """Return a variable of the fit as (member, core, cells), without the rest."""
        return _member_first(self.fitted[name], self.members, *core)

    def start(self, state: xr.DataArray | None) -> xr.DataArray:
        """Return a state that a run may start from, laid out as the kernel takes it.

        Parameters
        ----------
        state : xarray.DataArray or None
            As for `run`; None for empty stores.

        Returns
        -------
        xarray.DataArray
            Dimensions member, store and those of the cells.

        Raises
        ------
        InputError
            If it is no state of this emulator.
        """
        if state is None:
            zero = self._one("soil_reference") * 0.0
            return zero.expand_dims(store=list(STORES), axis=1)
        if not isinstance(state, xr.DataArray) or "store" not in state.dims:
            raise InputError(
                "a state is a DataArray with the dimension store: give the 'state' of "
                "an earlier run, or Emulator.initial_state()"
            )
        found = state["store"].values.tolist() if "store" in state.coords else None
        if found != list(STORES):
            raise InputError(f"the stores must be {', '.join(STORES)}; got {found}")
        space = space_dims(self.fitted)
        if {*state.dims} - {"member"} != {"store", *space}:
            raise InputError(
                f"the state has the dimensions {', '.join(map(str, state.dims))}; it "
                f"needs {', '.join(('store', *space))}, and member where members differ"
            )
        ordered = state.transpose("member", "store", *space, missing_dims="ignore")
        return _member_first(ordered, self.members, "store")

    def _described(
        self,
        output: xr.Dataset,
        like: xr.DataArray,
        kind: np.dtype,
        how: How,
        lazy: bool,
    ) -> xr.Dataset:
        """Return the output with coordinates, attributes and how it was made."""
        if "member" not in self.fitted["parameters"].dims:
            output["state"] = output["state"].isel(member=0, drop=True)
        for name in output.data_vars:
            if name not in ("state", "water_residual"):
                output[name].attrs = attributes(str(name))
        output["state"].attrs = dict(_STATE)
        output["water_residual"].attrs = {
            "units": "kg m-2",
            "long_name": "precipitation less evaporation, runoff and gain of storage",
        }
        places = {
            str(name): coord
            for name, coord in (like.coords | self.fitted.coords).items()
            if name != "store" and set(coord.dims) <= set(output.dims)
        }
        output = output.assign_coords(store=list(STORES), **places)
        name = self.fitted.attrs["variant"]
        output.attrs = {"variant": name, "precision": kind.name, "method": how.method}
        for key in ("training_years", "source", "imitates"):
            if key in self.fitted.attrs:
                output.attrs[key] = self.fitted.attrs[key]
        if not lazy:
            residual = np.abs(output["water_residual"].values)
            largest = float(np.nanmax(residual, initial=0.0))
            output.attrs["largest_water_residual"] = f"{largest:.3g} kg m-2"
        return stamp(output, f"emulator run, variant {name}, {kind.name}")

    def to_netcdf(self, path: str | os.PathLike[str]) -> Path:
        """Write the parameters to a NetCDF file; see `write_fitted`."""
        if Path(path).suffix != ".nc":
            raise InputError(f"a NetCDF file ends in .nc, got {path}")
        return write_fitted(self.fitted, path)

    def to_zarr(self, path: str | os.PathLike[str]) -> Path:
        """Write the parameters to a Zarr store; see `write_fitted`."""
        if Path(path).suffix == ".nc":
            raise InputError(f".nc is a NetCDF file, not a Zarr store: {path}")
        return write_fitted(self.fitted, path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Emulator:
        """Read an emulator that `to_netcdf` or `to_zarr` wrote."""
        return cls(read_fitted(path))


_STATE = {
    "units": "kg m-2",
    "long_name": "stores after the last day, soil relative to soil_reference",
}


def _known(dtype: Any, method: str) -> np.dtype:
    """Return the precision, or raise."""
    kind = np.dtype(dtype)
    if kind not in (np.dtype("float32"), np.dtype("float64")):
        raise InputError(f"dtype is float32 or float64, got {kind}")
    if method not in METHODS:
        raise InputError(f"method is one of {', '.join(METHODS)}, got {method!r}")
    return kind


def _member_first(data: xr.DataArray, members: int, *core: str) -> xr.DataArray:
    """Return data as (member, core, cells) with dimension coordinates of cells only."""
    dropped = [
        name
        for name in data.coords
        if name not in data.dims or name in ("member", "store", *core)
    ]
    bare = data.drop_vars(dropped)
    if "member" not in bare.dims:
        bare = bare.expand_dims(member=members)
    return bare.transpose("member", *core, ...)


def _laid_out(field: xr.DataArray, space: tuple[str, ...]) -> xr.DataArray:
    """Return a field of the weather as (time, cells)."""
    wanted = ("time", *space)
    if set(field.dims) != set(wanted):
        raise InputError(
            f"{field.name} has the dimensions {', '.join(map(str, field.dims))}; the "
            f"emulator's are {', '.join(wanted)}"
        )
    return field.transpose(*wanted)


def _in_memory(
    fields: list[xr.DataArray],
    own: list[xr.DataArray],
    space: tuple[str, ...],
    kind: np.dtype,
    how: How,
    names: list[str],
) -> xr.Dataset:
    """Run all cells at once, (time, cell) as they lie in memory."""
    shape = tuple(fields[0].sizes[dim] for dim in space)
    flat = [
        np.ascontiguousarray(field.values, kind).reshape(field.sizes["time"], -1)
        for field in fields
    ]
    parameters, share, reference, state = (
        array.values.reshape(*array.shape[: array.ndim - len(space)], -1)
        for array in own
    )
    done = run_members(Forcing(*flat), parameters, share, reference, state, how)
    series = [*done.mean, *done.spread]
    output = xr.Dataset(
        {
            name: (("time", *space), values.reshape(-1, *shape))
            for name, values in zip(names, series, strict=True)
        }
    )
    ends = done.state.reshape(*done.state.shape[:2], *shape)
    output["state"] = (("member", "store", *space), ends)
    output["water_residual"] = (space, done.residual.reshape(shape))
    return output


def _on_dask(
    fields: list[xr.DataArray],
    own: list[xr.DataArray],
    space: tuple[str, ...],
    kind: np.dtype,
    how: How,
    names: list[str],
) -> xr.Dataset:
    """Run blocks of cells on Dask; time is one chunk in each."""
    core = [("time",)] * 5 + [
        tuple(str(dim) for dim in array.dims if dim not in space) for array in own
    ]
    results = apply_kernel(
        _run_block,
        *fields,
        *own,
        core_dims=core,
        output_dims=[("time",)] * len(names) + [("member", "store"), ()],
        output_dtypes=[kind] * (len(names) + 1) + [np.dtype(float)],
        options={"kind": kind, "how": how, "outputs": len(names)},
    )
    keys = [*names, "state", "water_residual"]
    output = xr.Dataset(dict(zip(keys, results, strict=True)))
    return output.transpose("time", "member", "store", ..., missing_dims="ignore")


def _run_block(
    *arrays: np.ndarray, kind: np.dtype, how: How, outputs: int
) -> list[np.ndarray]:
    """Run a block whose cells come first; return the outputs, cells first."""
    loop = arrays[0].shape[:-1]
    cells_last = [
        np.ascontiguousarray(
            np.moveaxis(array.reshape(-1, *array.shape[len(loop) :]), 0, -1)
        )
        for array in arrays
    ]
    weather = Forcing(*(field.astype(kind) for field in cells_last[:5]))
    days, count = weather.rain.shape
    if count:
        parameters, share, reference, state = cells_last[5:]
        done = run_members(weather, parameters, share, reference, state, how)
    else:  # Dask asks for the types with no cell at all
        none = [np.empty((days, 0), kind)] * outputs
        done = Ensemble(
            none, [], np.empty((*arrays[8].shape[-2:], 0), kind), np.empty(0)
        )
    results = [*done.mean, *done.spread, done.state, done.residual]
    return [
        np.moveaxis(values, -1, 0).reshape(*loop, *values.shape[:-1])
        for values in results
    ]
