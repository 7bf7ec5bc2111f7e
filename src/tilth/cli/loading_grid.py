"""tilth loading grid: what a gridded load does to stations."""

from __future__ import annotations

from pathlib import Path

import typer

from tilth.cli.loading_inputs import FRAME, LOVE, earth, read_stations


def grid(
    load: Path = typer.Argument(help="NetCDF with mass per area on a grid."),
    stations: Path = typer.Option(
        ..., "--stations", help="CSV of stations: station, lat, lon."
    ),
    out: Path = typer.Option(..., "--out", help="NetCDF of displacements."),
    variable: str | None = typer.Option(
        None, "--variable", help="The load; needed if the file has several variables."
    ),
    ocean: str | None = typer.Option(
        None,
        "--ocean",
        help="Variable of the file with the share of ocean, which takes the opposite.",
    ),
    near: float = typer.Option(
        10.0, "--near", help="Cells closer than so many sizes are taken exactly."
    ),
    frame: str = FRAME,
    love: Path | None = LOVE,
) -> None:
    """Displacement of stations by a load on a grid, at all its times."""
    from tilth.core.errors import InputError
    from tilth.core.files import read_netcdf, write_netcdf
    from tilth.loading import balance_mass, grid_displacement

    data = read_netcdf(load)
    names = [str(n) for n in data.data_vars if n != ocean]
    if variable is None and len(names) > 1:
        raise InputError(f"{load} has {', '.join(names)}: choose one by --variable")
    chosen = variable or (names[0] if names else "")
    for name in [chosen] + ([ocean] if ocean else []):
        if name not in data:
            raise InputError(f"{load} has no {name!r}; it has {', '.join(names)}")
    field = data[chosen]
    if ocean is not None:
        field = balance_mass(field, data[ocean])
    moved = grid_displacement(field, read_stations(stations), earth(love, frame),
                              near=near)  # fmt: skip
    moved.attrs |= {"frame": frame.upper(), "load": f"{chosen} of {load.name}"}
    write_netcdf(moved, out)
    typer.echo(f"{out}: {moved.sizes['station']} stations, frame {frame.upper()}")
    for name in ("east", "north", "up"):
        values = 1e3 * moved[name]
        typer.echo(
            f"  {name:<5} {float(values.min()):.4g} to {float(values.max()):.4g} mm"
        )
