"""tilth rivers route: runoff down a river network, with the books closed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilth.cli.options import SCHEDULER

if TYPE_CHECKING:
    import xarray as xr

    from tilth.rivers.network import RiverNetwork

#: Catchments of a chunk on Dask, where --blocks says nothing.
_TOGETHER = 50_000

#: Volumes of the ledger that are printed, as they enter the balance.
_VOLUMES = (
    "runoff_volume",
    "outflow_volume",
    "evaporation_volume",
    "infiltration_volume",
    "storage_change",
    "shortfall_volume",
    "clipped_volume",
)


def route(
    network: Path = typer.Argument(help="Network, of 'tilth rivers build'."),
    runoff: list[Path] = typer.Argument(
        help="Runoff of catchments or on a grid: NetCDF or Zarr, one or many along "
        "time; time is the beginning of an interval."
    ),
    out: Path = typer.Option(..., "--out", help="Output, NetCDF."),
    name: str | None = typer.Option(
        None, "--runoff", help="Variable; by default runoff, Qtot, mrro, ro, Qs + Qsb."
    ),
    base_runoff: str | None = typer.Option(
        None,
        "--base-runoff",
        help="Variable that comes by way of the groundwater; see groundwater_delay.",
    ),
    units: str | None = typer.Option(
        None, "--units", help="Units of runoff where the file names none or wrong ones."
    ),
    first: str | None = typer.Option(None, help="First day to route, 2019-03-01."),
    last: str | None = typer.Option(None, help="Last day to route."),
    input_matrix: Path | None = typer.Option(
        None, "--input-matrix", help="Areas from grid to catchments, CaMa-Flood's."
    ),
    dimensions: Path | None = typer.Option(
        None, "--dimensions", help="Text that belongs to the input matrix (diminfo)."
    ),
    byte_order: str = typer.Option("little", help="Of the matrix: little or big."),
    labels: Path | None = typer.Option(
        None, "--labels", help="Raster of catchments, to regrid runoff conservatively."
    ),
    missing_as_zero: bool = typer.Option(
        False, "--missing-as-zero", help="Cells of the grid without runoff give none."
    ),
    negative_as_zero: bool = typer.Option(
        False, "--negative-as-zero", help="Catchments with negative runoff get none."
    ),
    flow: str = typer.Option("inertial", help="inertial, kinematic or muskingum."),
    time_step: float | None = typer.Option(
        None, "--time-step", help="Outer step, s: 3600; of muskingum 900."
    ),
    negative_coefficients: str = typer.Option(
        "refuse",
        "--negative-coefficients",
        help="Of muskingum with steps below 2kx: refuse, or accept as RAPID does.",
    ),
    steps_by: str = typer.Option("basin", "--steps-by", help="basin or globe."),
    floodplain_flow: bool = typer.Option(
        True, "--floodplain-flow/--no-floodplain-flow", help="Flow over floodplains."
    ),
    changes: list[str] = typer.Option(
        [], "--set", metavar="NAME=NUMBER", help="Another setting; repeatable."
    ),
    state: Path | None = typer.Option(
        None, help="State to begin with, or a restart of CaMa-Flood; else dry rivers."
    ),
    filled: bool = typer.Option(
        False, "--filled", help="Begin with channels filled from the sea up."
    ),
    save_state: Path | None = typer.Option(
        None, "--save-state", help="Where to write the state at the end."
    ),
    sea_level: str | None = typer.Option(
        None, "--sea-level", help="'0.4 m', or NetCDF of mouths or of stations."
    ),
    stations: Path | None = typer.Option(
        None, "--stations", help="Which station each river mouth belongs to."
    ),
    evaporation: str | None = typer.Option(
        None, help="From flooded area: '3 mm day-1', or NetCDF."
    ),
    infiltration: str | None = typer.Option(
        None, help="From flooded area: '3 mm day-1', or NetCDF."
    ),
    reservoirs: Path | None = typer.Option(None, help="Dams, CSV."),
    levees: Path | None = typer.Option(None, help="Levees, CSV."),
    output: str = typer.Option("1D", help="Output interval: step, 3h, 1D."),
    variables: list[str] = typer.Option(
        [], "--variable", help="Output variable; repeatable; all by default."
    ),
    threads: int | None = typer.Option(None, min=1, help="One per processor."),
    blocks: int | None = typer.Option(
        None, min=1, help="Groups of basins on Dask; all at once by default."
    ),
    scheduler: str | None = SCHEDULER,
) -> None:
    """Route runoff down a river network.

    The water that came, left and stayed, and the largest residual of a step, are
    printed at the end.
    """
    from tilth.cli.rivers_inputs import (
        begin_state,
        loss_of,
        open_series,
        read_rows,
        runoff_of,
        sea_level_of,
        within,
    )
    from tilth.cli.rivers_muskingum import muskingum, refuse_options
    from tilth.core.errors import InputError
    from tilth.core.files import write_netcdf
    from tilth.core.parallel import scheduler as workers
    from tilth.rivers.network import RiverNetwork
    from tilth.rivers.routing.levees import Levees
    from tilth.rivers.routing.reservoirs import Reservoirs
    from tilth.rivers.routing.runs import route as routed
    from tilth.rivers.routing.state import PREFIX, final_state
    from tilth.rivers.routing.state import save_state as write_state

    rivers = RiverNetwork.open(network)
    if (
        flow != "muskingum"
        and "muskingum_time" in rivers.data
        and "floodplain_height" not in rivers.data
    ):
        raise InputError(
            f"{network} has no floodplains but Muskingum's numbers: give "
            "--flow muskingum, or a network with channels and floodplains"
        )
    settings = (
        None
        if flow == "muskingum"
        else _settings(flow, time_step, steps_by, floodplain_flow, changes)
    )
    on_dask = scheduler is not None or blocks is not None
    opened = within(open_series(runoff, "runoff", on_dask), first, last)

    def on_catchments(variable: str | None) -> xr.DataArray:
        water = _on_catchments(
            runoff_of(opened, variable, units),
            rivers,
            input_matrix,
            dimensions,
            byte_order,
            labels,
            missing_as_zero,
            negative_as_zero,
        )
        if on_dask:
            return water.chunk({"time": -1, "catchment": _TOGETHER})
        return water.load()

    if base_runoff is not None and name is None:
        raise InputError(
            "--base-runoff needs the rest named with --runoff, lest it counts twice"
        )
    water = on_catchments(name)
    if settings is None:
        given = {
            "--base-runoff": base_runoff,
            "--filled": filled,
            "--set": changes,
            "--no-floodplain-flow": not floodplain_flow,
            "--sea-level": sea_level,
            "--evaporation": evaporation,
            "--infiltration": infiltration,
            "--reservoirs": reservoirs,
            "--levees": levees,
            "--variable": variables,
            "--blocks": blocks,
            "--scheduler": scheduler,
        }
        refuse_options([option for option, value in given.items() if value])
        muskingum(
            rivers,
            water,
            out,
            time_step or 900.0,
            negative_coefficients,
            state,
            save_state,
            output,
            threads,
        )
        return
    losses = {
        what: loss_of(given, what, first, last)
        for what, given in (
            ("evaporation", evaporation),
            ("infiltration", infiltration),
        )
        if given is not None
    }
    with workers(scheduler):
        result = routed(
            rivers,
            water,
            begin_state(state, filled, rivers, settings),
            settings=settings,
            base_runoff=None if base_runoff is None else on_catchments(base_runoff),
            sea_level=(
                None
                if sea_level is None
                else sea_level_of(sea_level, stations, rivers, water)
            ),
            **losses,
            reservoirs=None
            if reservoirs is None
            else read_rows(reservoirs, Reservoirs),
            levees=None if levees is None else read_rows(levees, Levees),
            output=output,
            variables=variables or None,
            threads=threads,
            blocks=blocks,
        ).compute()
    if save_state is not None:
        write_state(final_state(result), save_state)
    kept = result.drop_vars([n for n in result if str(n).startswith(PREFIX)])
    if on_dask:
        kept = kept.sel(catchment=rivers.ids)
    write_netcdf(kept, out)
    _print_ledger(result, out)


def _settings(
    flow: str,
    time_step: float | None,
    steps_by: str,
    floodplain_flow: bool,
    changes: list[str],
) -> Any:
    """Return the settings the options ask for."""
    import dataclasses

    from tilth.core.errors import InputError
    from tilth.rivers.routing.settings import Settings

    numbers = {
        field.name
        for field in dataclasses.fields(Settings)
        if isinstance(field.default, float)
    }
    others: dict[str, float] = {}
    for change in changes:
        name, _, number = change.partition("=")
        if name.strip() not in numbers:
            raise InputError(
                f"--set {change}: the numbers to set are {', '.join(sorted(numbers))}"
            )
        try:
            others[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"--set {change}: write it as name=number") from None
    given: dict[str, Any] = {
        "flow": flow,
        "time_step": 3600.0 if time_step is None else time_step,
        "steps_by": steps_by,
        "floodplain_flow": floodplain_flow,
    }
    return Settings(**(given | others))


def _on_catchments(
    runoff: xr.DataArray,
    network: RiverNetwork,
    input_matrix: Path | None,
    dimensions: Path | None,
    byte_order: str,
    labels: Path | None,
    missing_as_zero: bool,
    negative_as_zero: bool,
) -> xr.DataArray:
    """Return runoff along the catchments, from a grid where it lies on one."""
    from tilth.cli.rivers_inputs import is_grid
    from tilth.core.errors import InputError
    from tilth.rivers.network.input_matrix import (
        read_input_matrix,
        runoff_to_catchments,
    )

    if not is_grid(runoff):
        for option, given in (("--input-matrix", input_matrix), ("--labels", labels)):
            if given is not None:
                raise InputError(
                    f"{option} belongs to runoff on a grid; this runoff has the "
                    f"dimensions {', '.join(map(str, runoff.dims))}"
                )
        return runoff
    if (input_matrix is None) == (labels is None):
        raise InputError(
            "runoff on a grid needs a way to the catchments: --input-matrix with "
            "--dimensions, or --labels (one of the two)"
        )
    if input_matrix is not None:
        if dimensions is None:
            raise InputError("--input-matrix needs its text with --dimensions")
        matrix = read_input_matrix(input_matrix, dimensions, network, byte_order)
        return runoff_to_catchments(
            matrix,
            runoff,
            negative="zero" if negative_as_zero else "keep",
            missing=0.0 if missing_as_zero else None,
        )
    assert labels is not None
    from tilth.core.regrid import conservative_regions
    from tilth.rivers.network.build import read_raster

    regions = conservative_regions(runoff, read_raster(labels), network.ids)
    found = regions.apply(runoff, gaps="zero" if missing_as_zero else "skip")
    return found.clip(min=0.0, keep_attrs=True) if negative_as_zero else found


def _print_ledger(result: xr.Dataset, out: Path) -> None:
    """Print the water of the run, and how well its books close."""
    from tilth.cli.display import print_table

    rows = [
        (
            result[name].attrs.get("long_name", name),
            f"{float(result[name].sum()) / 1e9:.6g}",
        )
        for name in _VOLUMES
        if name in result and float(abs(result[name]).max()) > 0
    ]
    print_table(("water of the run", "km3"), rows, numeric=("km3",))
    steps = float(result["substeps"].sum())
    typer.echo(
        f"{out}: {result.sizes['time']} intervals of {result.sizes['catchment']} "
        f"catchments; {steps:.0f} sub-steps on average; largest residual of a step "
        f"{float(result['water_residual'].max()):.1e} of its water"
    )
