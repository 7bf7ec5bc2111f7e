"""tilth loading invert: mass from the displacement of stations, gravity and radar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tilth.cli.loading_inputs import FRAME, LOVE, earth, read_stations, read_table

if TYPE_CHECKING:
    import xarray as xr

    from tilth.loading import GreenFunctions, Rows


def invert(
    stations: Path = typer.Argument(
        help="CSV: station, lat, lon, any of east, north, up, and east_se, ..."
    ),
    sources: Path = typer.Option(
        ...,
        "--sources",
        help="CSV of discs (name, lat, lon, radius_km), GeoJSON of outlines (property "
        "name), or NetCDF of a mask (cells) or of patterns (one more dimension).",
    ),
    units: str = typer.Option("mm yr-1", "--units", help="Of all displacements."),
    gia: Path | None = typer.Option(
        None, "--gia", help="CSV of rebound: station, east, north, up and their _se."
    ),
    gravity: Path | None = typer.Option(
        None,
        "--gravity",
        help="CSV: basin, mass, mass_se (Gt, per time) and members: names of sources "
        "with spaces between, empty for all.",
    ),
    line_of_sight: Path | None = typer.Option(
        None,
        "--line-of-sight",
        help="CSV of pixels: lat, lon, displacement, displacement_se, los_east, ...",
    ),
    correlation_length: float = typer.Option(
        0.0, "--correlation-length", help="Of errors along the line of sight, km."
    ),
    ramp: int = typer.Option(1, "--ramp", help="Degree of the orbits' ramp; -1 none."),
    origin_sd: float = typer.Option(
        0.0, "--origin-sd", help="Of a shift all stations share, in --units; inf."
    ),
    penalty: str = typer.Option("size", "--penalty", help="size or roughness."),
    strength: str = typer.Option(
        "likelihood",
        "--strength",
        help="likelihood, gcv, l-curve, or a number; 0 none.",
    ),
    sign: str | None = typer.Option(
        None, "--sign", help="loss or gain: no source may do the other."
    ),
    out: Path | None = typer.Option(None, "--out", help="NetCDF of all of it."),
    figure: Path | None = typer.Option(None, "--figure", help="Map, PNG, SVG or PDF."),
    frame: str = FRAME,
    love: Path | None = LOVE,
) -> None:
    """Mass of discs, outlines, cells or patterns from displacement, with its error."""
    from tilth.core import plotting
    from tilth.core.errors import InputError
    from tilth.core.files import write_netcdf
    from tilth.loading import invert as estimate
    from tilth.loading import invert_signed, line_of_sight_rows, station_rows
    from tilth.loading.plots import plot_uplift

    if penalty not in ("size", "roughness"):
        raise InputError(f"--penalty is size or roughness, got {penalty!r}")
    if sign not in (None, "loss", "gain"):
        raise InputError(f"--sign is loss or gain, got {sign!r}")
    green = earth(love, frame)
    moved = read_stations(stations, units)
    own = _sources(sources, moved, green)
    rebound = None if gia is None else _rebound(gia, moved, units)
    rows = [station_rows(moved, own, gia=rebound, origin_sd=origin_sd)]
    if line_of_sight is not None:
        scene = _scene(line_of_sight, units)
        seen = _sources(sources, scene, green)
        rows.append(
            line_of_sight_rows(
                scene, seen, ramp=ramp, correlation_length=1e3 * correlation_length
            )
        )
    if gravity is not None:
        rows.append(_gravity(gravity, own, units))
    how = strength if strength[:1].isalpha() else _number(strength)
    if sign is None:
        found = estimate(rows, own, penalty=penalty, strength=how)
    else:
        found = invert_signed(rows, own, sign, penalty=penalty, strength=how)
    per = " ".join(units.split()[1:])
    typer.echo(f"penalty of the {penalty}, strength {found.attrs['strength']:.4g}")
    _say(found, sign, per)
    if out is not None:
        write_netcdf(found, out)
        typer.echo(f"{out}: written")
    if figure is not None:
        drawn = plot_uplift(
            moved, found if "row" in found.coords else None, units=units, scale=1.0
        )
        plotting.save(drawn, figure)
        typer.echo(f"{figure}: drawn")


def _say(found: xr.Dataset, sign: str | None, per: str) -> None:
    """Print totals, and the sources if they are few."""
    unit = f"Gt {per}".strip()
    total = float(found["total"])
    if sign is None:
        typer.echo(
            f"total {total:.3f} ± {float(found['total_se']):.3f} {unit} "
            f"(by noise alone {float(found['total_se_noise']):.3f})"
        )
        shares = found["recovered"]
        typer.echo(
            f"of a source's mass the total shows {float(shares.min()):.2f} to "
            f"{float(shares.max()):.2f}; {float(found['freedom']):.1f} parameters are "
            f"determined; misfit {float(found['misfit']):.1f} of "
            f"{found.sizes['observation']} observations"
        )
    else:
        typer.echo(
            f"total {total:.3f} {unit}, {100 * found.attrs['level']:g} % from "
            f"{float(found['total_lower']):.3f} to {float(found['total_upper']):.3f}"
        )
    if found.sizes["source"] > 12:
        return
    for k, name in enumerate(found["source"].values):
        said = f"  {name}: {float(found['mass'][k]):.3f}"
        if sign is None:
            said += f" ± {float(found['mass_se'][k]):.3f}"
        typer.echo(f"{said} {unit}")


def _number(text: str) -> float:
    """Return a strength that was given as a number."""
    from tilth.core.errors import InputError

    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"--strength is likelihood, gcv, l-curve or a number, got {text!r}"
        ) from None


def _sources(path: Path, at: xr.Dataset, green: GreenFunctions) -> xr.Dataset:
    """Return the sources of a file at some places."""
    from tilth.core.errors import InputError
    from tilth.core.files import read_netcdf
    from tilth.loading import (
        cell_sources,
        disc_sources,
        outline_sources,
        pattern_sources,
    )

    if path.suffix == ".csv":
        table = read_table(path, ("name", "lat", "lon", "radius_km"), "discs")
        radius = 1e3 * table["radius_km"].to_numpy()
        names = [str(name) for name in table["name"]]
        return disc_sources(table["lat"], table["lon"], radius, at, green, names)
    if path.suffix in (".geojson", ".json"):
        if not path.exists():
            raise InputError(f"there is no {path}")
        features = json.loads(path.read_text(encoding="utf-8")).get("features", [])
        outlines = {
            str((f.get("properties") or {}).get("name", k + 1)): f["geometry"]
            for k, f in enumerate(features)
        }
        return outline_sources(outlines, at, green)
    data = read_netcdf(path, "sources")
    if len(data.data_vars) != 1:
        raise InputError(
            f"{path} must have one variable, it has {', '.join(map(str, data))}"
        )
    (field,) = data.data_vars.values()
    if field.ndim == 2:
        return cell_sources(field > 0.5, at, green)
    return pattern_sources(field, at, green)


def _rebound(path: Path, moved: xr.Dataset, units: str) -> xr.Dataset:
    """Return the rebound at the stations, in their order."""
    from tilth.core.errors import InputError

    table = read_stations(path, units)
    absent = set(moved["station"].values) - set(table["station"].values)
    if absent:
        raise InputError(f"{path} has no station {', '.join(sorted(absent))}")
    return table.sel(station=moved["station"])


def _scene(path: Path, units: str) -> xr.Dataset:
    """Return the pixels of a table."""
    values = ("displacement", "displacement_se", "los_east", "los_north", "los_up")
    columns = ("lat", "lon", *values)
    table = read_table(path, columns, "the table of pixels")
    data = table.rename_axis("pixel").to_xarray()
    data["displacement"].attrs["units"] = units
    return data


def _gravity(path: Path, sources: xr.Dataset, units: str) -> Rows:
    """Return the rows of basin sums."""
    import numpy as np
    import xarray as xr

    from tilth.core.errors import InputError
    from tilth.loading import basin_rows

    table = read_table(path, ("basin", "mass", "mass_se"), "the table of gravity")
    names = [str(name) for name in sources["source"].values]
    shares = np.ones((len(table), len(names)))
    if "members" in table:
        for k, members in enumerate(table["members"].fillna("")):
            held = str(members).split()
            unknown = set(held) - set(names)
            if unknown:
                raise InputError(f"{path}: no source {', '.join(sorted(unknown))}")
            if held:
                shares[k] = [name in held for name in names]
    basins = list(table["basin"])
    per = " ".join(units.split()[1:])
    observed = xr.Dataset(
        {
            "mass": ("basin", table["mass"], {"units": f"Gt {per}".strip()}),
            "mass_se": ("basin", table["mass_se"]),
        },
        {"basin": basins},
    )
    members_of = xr.DataArray(
        shares, {"basin": basins, "source": names}, ("basin", "source")
    )
    return basin_rows(observed, members_of, sources)
