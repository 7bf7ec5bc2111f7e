"""tilth rivers build cama | rapid | reaches | terrain | synthetic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tilth.rivers.network import RiverNetwork

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_OUT = typer.Option(..., "--out", metavar="NC", help="The network, NetCDF.")


@app.callback()
def build() -> None:
    """Make a river network of a map, of tables, or of terrain."""


@app.command()
def cama(
    source: list[Path] = typer.Argument(
        help="A CaMa-Flood map: a folder of binaries, or NetCDF files of one grid."
    ),
    out: Path = _OUT,
    width: str | None = typer.Option(
        None, help="Width of channels: rivwth_gwdlr where there is one, else rivwth."
    ),
    params: Path | None = typer.Option(
        None, help="Grid of binaries; by default params.txt in their folder."
    ),
    byte_order: str = typer.Option("little", help="Of binaries: little or big."),
    bifurcations: Path | None = typer.Option(
        None, help="Table of bifurcations, bifprm.txt."
    ),
) -> None:
    """Read a CaMa-Flood map."""
    from tilth.rivers.network.cama import clipped_terminals, read_cama_map
    from tilth.rivers.network.cama_paths import read_bifurcations

    network = read_cama_map(
        source[0] if len(source) == 1 else source,
        width=width,
        params=params,
        byte_order=byte_order,
    )
    if bifurcations is not None:
        network = read_bifurcations(bifurcations, network)
    _write(network, out)
    if left_out := int(network.data.attrs.get("paths_left_out", 0)):
        typer.echo(f"{left_out} bifurcations lead out of the map and are left out")
    if "upstream_area" not in network.data:
        return
    cut = clipped_terminals(network)
    if cut.size:
        typer.echo(
            f"note: the map is clipped: at {cut.size} of {network.terminals.size} "
            "terminals more drains in the source map than in this network, most at "
            f"catchment {_largest(network, cut)}; discharge there lacks that water"
        )


@app.command()
def rapid(
    connectivity: Path = typer.Argument(
        help="CSV: reach, the reach downstream of it (0: an outlet)."
    ),
    out: Path = _OUT,
    travel_time: Path | None = typer.Option(
        None, "--travel-time", help="Muskingum's k in s, one line per reach."
    ),
    weight: Path | None = typer.Option(
        None, "--weight", help="Muskingum's x, one line per reach."
    ),
    order: Path | None = typer.Option(
        None, "--order", help="Reaches to take, in this order."
    ),
    coordinates: Path | None = typer.Option(
        None, "--coordinates", help="CSV: reach, longitude, latitude."
    ),
) -> None:
    """Read RAPID's tables."""
    from tilth.rivers.network.rapid import read_rapid_network

    network = read_rapid_network(
        connectivity, travel_time, weight, order=order, coordinates=coordinates
    )
    _write(network, out)


@app.command()
def reaches(
    table: Path = typer.Argument(
        help="Reaches: RouteLink of the National Water Model, other NetCDF, or CSV."
    ),
    out: Path = _OUT,
    columns: list[str] = typer.Option(
        [],
        "--column",
        metavar="NAME=COLUMN",
        help="Where another column holds a variable: catchment=COMID; repeatable.",
    ),
    units: list[str] = typer.Option(
        [],
        "--units",
        metavar="NAME=UNITS",
        help="Units of a column, where not SI: river_length=km; repeatable.",
    ),
    least_slope: float | None = typer.Option(
        None, "--least-slope", min=0.0, help="In place of smaller slopes."
    ),
) -> None:
    """Read a table of reaches, such as RouteLink or NHDPlus."""
    from tilth.rivers.network.reaches import read_nhd_routelink

    network = read_nhd_routelink(
        table,
        _pairs(columns, "--column"),
        _pairs(units, "--units"),
        least_slope=least_slope,
    )
    _write(network, out)


@app.command()
def terrain(
    elevation: Path | None = typer.Option(
        None, "--elevation", help="GeoTIFF or NetCDF, m."
    ),
    directions: Path | None = typer.Option(
        None, "--flow-direction", help="GeoTIFF or NetCDF, codes of ESRI or LDD."
    ),
    out: Path = _OUT,
    labels: Path | None = typer.Option(
        None,
        "--labels",
        metavar="NC",
        help="Where to write the raster of catchments, to regrid runoff and map "
        "floods with.",
    ),
    factor: int | None = typer.Option(
        None, min=1, help="Cells along the side of a catchment; or --catchment-area."
    ),
    catchment_area: str | None = typer.Option(
        None, "--catchment-area", help="About how large catchments shall be: '100 km2'."
    ),
    runoff: str = typer.Option(
        "300", help="Mean runoff for the size of channels: mm per year, or a raster."
    ),
    encoding: str | None = typer.Option(
        None, help="Of flow directions: esri or ldd; by default recognised."
    ),
    adverse_slopes: bool = typer.Option(
        False, "--adverse-slopes", help="Leave rises along rivers as they are."
    ),
    least_slope: float | None = typer.Option(
        None, "--least-slope", help="Banks are raised where rivers would fall by less."
    ),
    layers: int = typer.Option(10, min=1, help="Steps of area in the floodplain."),
) -> None:
    """Build a network from elevations, flow directions, or both."""
    from tilth.core.errors import InputError
    from tilth.core.files import write_netcdf
    from tilth.core.units import parse_quantity
    from tilth.rivers.network.build import LEAST_SLOPE, build_network, read_raster

    if elevation is None and directions is None:
        raise InputError("give --elevation, --flow-direction or both")
    built = build_network(
        None if elevation is None else read_raster(elevation),
        None if directions is None else read_raster(directions),
        factor=factor,
        catchment_area=(
            None if catchment_area is None else parse_quantity(catchment_area, "m2")
        ),
        runoff=read_raster(runoff) if Path(runoff).exists() else _rate(runoff),
        encoding=encoding,
        adverse_slopes=adverse_slopes,
        least_slope=LEAST_SLOPE if least_slope is None else least_slope,
        layers=layers,
    )
    _write(built.network, out)
    if labels is not None:
        write_netcdf(built.labels, labels)
        typer.echo(f"{labels}: the catchment of each cell")


@app.command()
def synthetic(
    out: Path = _OUT,
    catchments: int = typer.Option(1000, min=1, help="Number of catchments."),
    basins: int = typer.Option(9, min=1, help="Number of rivers that reach the sea."),
    seed: int = typer.Option(0, help="Of all chance."),
    labels: Path | None = typer.Option(
        None, "--labels", metavar="NC", help="Where to write the raster of catchments."
    ),
    runoff: Path | None = typer.Option(
        None, "--runoff", metavar="NC", help="Where to write made-up daily runoff."
    ),
    days: int = typer.Option(365, min=1, help="Days of runoff."),
) -> None:
    """Make a network up, and runoff for it, to try the rest without data."""
    from tilth.core.files import write_netcdf
    from tilth.rivers.network.synthetic import catchment_labels, synthetic_network
    from tilth.rivers.network.synthetic_runoff import made_up_runoff

    network = synthetic_network(catchments, basins=basins, seed=seed)
    _write(network, out)
    if labels is not None:
        write_netcdf(catchment_labels(network), labels)
        typer.echo(f"{labels}: the catchment of each cell")
    if runoff is not None:
        write_netcdf(made_up_runoff(network, days=days, seed=seed), runoff)
        typer.echo(f"{runoff}: {days} days of made-up runoff")


def _rate(text: str) -> float:
    """Return a number of mm per year."""
    from tilth.core.errors import InputError

    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"--runoff {text}: there is no such file, and a number of mm per year is "
            "written like 300"
        ) from None


def _write(network: RiverNetwork, out: Path) -> None:
    """Write the network and say what it is."""
    from tilth.rivers.network import MOUTH

    network.to_netcdf(out)
    ends = network.terminals
    mouths = int((network.downstream[ends] == MOUTH).sum())
    paths = network.data.sizes.get("path", 0)
    typer.echo(
        f"{out}: {network.size} catchments, {mouths} river mouths, "
        f"{ends.size - mouths} inland ends" + (f", {paths} bifurcations" * bool(paths))
    )


def _largest(network: RiverNetwork, positions: object) -> object:
    """Return the identifier of the one with the largest area in the source map."""
    upstream = network.data["upstream_area"].values[positions]
    return network.ids[positions][upstream.argmax()]


def _pairs(words: list[str], option: str) -> dict[str, str]:
    """Return the names and what they stand for of 'name=text'."""
    from tilth.core.errors import InputError

    found = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not (sign and name.strip() and text.strip()):
            raise InputError(f"{option} {word}: write it as name=text")
        found[name.strip()] = text.strip()
    return found
