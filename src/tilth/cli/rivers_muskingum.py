"""Of tilth rivers route: flow by Muskingum's storage, as RAPID routes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import xarray as xr

    from tilth.rivers.network import RiverNetwork

_STATE = "state_discharge"


def refuse_options(given: list[str]) -> None:
    """Raise if options are given that Muskingum's storage knows nothing of.

    Parameters
    ----------
    given : list of str
        Those options that are.

    Raises
    ------
    InputError
        If there is one.
    """
    from tilth.core.errors import InputError

    if given:
        raise InputError(
            f"--flow muskingum knows no depth, and no {', '.join(given)}: leave them "
            "out, or route by --flow inertial or kinematic"
        )


def muskingum(
    network: RiverNetwork,
    runoff: xr.DataArray,
    out: Path,
    time_step: float,
    negative_coefficients: str,
    state: Path | None,
    save_state: Path | None,
    output: str,
    threads: int | None,
) -> None:
    """Route by Muskingum's storage, write discharge and print the books.

    Parameters
    ----------
    network : RiverNetwork
        With ``muskingum_time`` and ``muskingum_weight``.
    runoff : xarray.DataArray
        Lateral inflow (time, catchment), m3 s-1.
    out : path
        Output, NetCDF.
    time_step : float
        Sub-step, s.
    negative_coefficients : {"refuse", "accept"}
        Where the sub-step is below 2kx.
    state : path, optional
        An earlier output or saved state, or RAPID's ``Qinit``.
    save_state : path, optional
        Where to write the flow at the end.
    output : str
        Output interval, or "step".
    threads : int, optional
        Processors to use.

    Raises
    ------
    InputError
        If anything does not fit.
    """
    from tilth.core.files import write_netcdf
    from tilth.rivers.routing.muskingum import route_muskingum

    result = route_muskingum(
        network,
        runoff,
        None if state is None else _begin(state, network),
        time_step=time_step,
        negative_coefficients=negative_coefficients,
        output=None if output == "step" else output,
        threads=threads,
    )
    if save_state is not None:
        write_netcdf(result[[_STATE]], save_state)
    write_netcdf(result.drop_vars(_STATE), out)
    came = float(result["inflow_volume"].sum())
    left = float(result["outflow_volume"].sum())
    typer.echo(
        f"{out}: {result.sizes['time']} intervals of {network.size} reaches; "
        f"{came / 1e9:.6g} km3 came, {left / 1e9:.6g} km3 left; largest residual "
        f"{float(abs(result['water_residual']).max()):.1e} of its water"
    )


def _begin(path: Path, network: RiverNetwork) -> xr.DataArray:
    """Return the flow out of every reach at the start."""
    from tilth.cli.rivers_inputs import open_series
    from tilth.core.errors import InputError
    from tilth.rivers.network.rapid import read_rapid_flow

    found = open_series([path], "a state")
    if "rivid" in found.variables:
        return read_rapid_flow(path, network).isel(time=-1, drop=True)
    if _STATE not in found:
        raise InputError(
            f"{path} is no state of a muskingum run (--save-state), nor RAPID's Qinit; "
            f"it has {', '.join(map(str, found.data_vars)) or 'nothing'}"
        )
    return found[_STATE].load()
