"""tilth land run | parameters | weather: the process model from a shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilth.cli.options import SCHEDULER, year_range

if TYPE_CHECKING:
    import xarray as xr

_CLASS = typer.Option(
    None, "--land-class", help="Land class, such as crop or needleleaf_evergreen."
)
_TEXTURE = typer.Option(None, "--texture", help="Soil texture, such as 'silt loam'.")
_CHANGES = typer.Option(
    [], "--set", metavar="NAME=NUMBER", help="Another value of a parameter; repeatable."
)


def run(
    forcing: list[Path] = typer.Argument(
        help="ALMA forcing: NetCDF or Zarr, one or many along time."
    ),
    out: Path = typer.Option(..., "--out", help="Output, NetCDF."),
    parameters: Path | None = typer.Option(
        None, help="Parameters of the cells, NetCDF; see 'tilth land parameters'."
    ),
    land_class: str | None = _CLASS,
    texture: str | None = _TEXTURE,
    changes: list[str] = _CHANGES,
    state: Path | None = typer.Option(None, help="State to begin with, NetCDF."),
    save_state: Path | None = typer.Option(
        None, "--save-state", help="Where to write the state at the end."
    ),
    spin_up: int = typer.Option(
        0, "--spin-up", min=0, help="Times to go through the forcing beforehand."
    ),
    wetness: float = typer.Option(
        0.7, help="Share of the soil's pores with water, where no state is given."
    ),
    output: str = typer.Option("1D", help="Output interval: step, 3h, 1D."),
    variables: list[str] = typer.Option(
        [], "--variable", help="Output variable; repeatable; all by default."
    ),
    snow_cover: str = typer.Option("simple", help="simple or ssnowd."),
    soil_freezing: str = typer.Option("instant", help="instant or curve."),
    stomata: str = typer.Option("ball_berry", help="ball_berry or medlyn."),
    snow_drain: str = typer.Option("instant", help="instant or gravity."),
    chunk: int | None = typer.Option(
        None, "--chunk", min=1, help="Cells per task on Dask; all at once by default."
    ),
    scheduler: str | None = SCHEDULER,
) -> None:
    """Run the land model over a forcing, cell by cell, and close its books.

    The largest residuals of energy (W m-2) and water (relative to what is stored) of
    the run are printed at the end.
    """
    import xarray as xr

    from tilth.core.errors import InputError
    from tilth.core.files import write_netcdf
    from tilth.core.model import require_variables
    from tilth.core.parallel import scheduler as on
    from tilth.land import model

    settings = model.Settings(
        snow_cover=snow_cover,
        soil_freezing=soil_freezing,
        stomata=stomata,
        snow_drain=snow_drain,
    )
    driving = _forcing(forcing)
    require_variables(driving, ["Tair", "time", "lat", "lon"], "a forcing")
    if parameters is not None:
        if land_class or texture or changes:
            raise InputError(
                "--parameters already says what --land-class, --texture and --set "
                "would: give one or the others"
            )
        with xr.open_dataset(parameters, engine="h5netcdf") as opened:
            numbers = opened.load()
    else:
        numbers = _parameters(land_class, texture, changes, driving["lat"])
    cells = [d for d in driving["Tair"].dims if d != "time"]
    if cells and (chunk or scheduler):
        driving = driving.chunk({cells[0]: chunk or "auto", "time": -1})
    begun = model.open_state(state) if state is not None else None
    wanted = tuple(dict.fromkeys([*variables, *_RESIDUALS])) if variables else None
    with on(scheduler):
        for _ in range(spin_up):
            ended = model.run(
                driving,
                numbers,
                begun,
                settings=settings,
                wetness=wetness,
                output=output,
                variables=(),
            )
            begun = model.final_state(ended).compute()
        result = model.run(
            driving,
            numbers,
            begun,
            settings=settings,
            wetness=wetness,
            output=output,
            variables=wanted,
        ).compute()
    if save_state is not None:
        model.save_state(model.final_state(result), save_state)
    kept = result.drop_vars([n for n in result if str(n).startswith("state_")])
    write_netcdf(kept, out)
    energy, water = (float(abs(result[name]).max()) for name in _RESIDUALS)
    typer.echo(
        f"{out}: {result.sizes['time']} intervals; largest residual of a step: energy "
        f"{energy:.1e} W m-2, water {water:.1e} of what is stored"
    )


#: Largest of each interval, in every output.
_RESIDUALS = ("EnergyResidual", "WaterResidual")


def parameters(
    land_class: str | None = _CLASS,
    texture: str | None = _TEXTURE,
    changes: list[str] = _CHANGES,
    out: Path | None = typer.Option(None, "--out", help="Write them as NetCDF."),
) -> None:
    """Print the parameters of the land model: value, bounds, units, meaning, source."""
    from tilth.cli.display import print_table
    from tilth.core.files import write_netcdf
    from tilth.land.model.parameters import table

    numbers = None
    if land_class or texture or changes or out:
        numbers = _parameters(land_class, texture, changes, 45.0)
    rows = []
    for row in table().values():
        value = row.default if numbers is None else numbers[row.name].values.tolist()
        rows.append(
            (
                row.name,
                _numbers(value),
                f"{row.lower:g} .. {row.upper:g}",
                row.units,
                row.meaning,
                row.source,
            )
        )
    print_table(
        ("parameter", "value", "bounds", "unit", "meaning", "source"),
        rows,
        title="Parameters of the land model",
    )
    if out is not None and numbers is not None:
        write_netcdf(numbers, out)
        typer.echo(f"{out}: {len(rows)} parameters")


def weather(
    out: Path = typer.Argument(help="Where to write it, NetCDF."),
    years: str = typer.Option("2001:2001", help="First and last year."),
    sites: int = typer.Option(1, min=1, help="Number of sites."),
    latitude: float = typer.Option(45.0, min=-90.0, max=90.0, help="Degrees north."),
    temperature: str = typer.Option("10 degC", help="Mean of the year."),
    rain: float = typer.Option(900.0, min=0.0, help="Of a year, mm."),
    step_minutes: int = typer.Option(60, "--step", min=1, help="Minutes per step."),
    seed: int = typer.Option(0, help="Of the random numbers."),
) -> None:
    """Simulate the weather of sites, to try the model without data."""
    from tilth.core.files import write_netcdf
    from tilth.core.units import parse_quantity
    from tilth.land.simulate import simulated_weather

    result = simulated_weather(
        year_range(years),
        latitude=latitude,
        mean_temperature=parse_quantity(temperature, "K"),
        rain=rain,
        step_minutes=step_minutes,
        sites=sites,
        seed=seed,
    )
    write_netcdf(result, out)
    typer.echo(f"{out}: {result.sizes['time']} steps of {sites} sites, simulated")


def _numbers(value: Any) -> str:
    """Return a number, a list of them, or where they come from."""
    if value is None:
        return "by class"
    if isinstance(value, list):
        return " ".join(f"{number:.4g}" for number in value)
    return f"{value:.4g}"


def _forcing(paths: list[Path]) -> xr.Dataset:
    """Open the forcing, one file or many along time."""
    import xarray as xr

    from tilth.core.errors import InputError

    parts = []
    for path in sorted(paths):
        engine = "zarr" if path.is_dir() else "h5netcdf"
        try:
            parts.append(xr.open_dataset(path, engine=engine))
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"cannot read {path} as a forcing: {error}") from error
    return (
        parts[0] if len(parts) == 1 else xr.concat(parts, "time", data_vars="minimal")
    )


def _parameters(
    land_class: str | None, texture: str | None, changes: list[str], latitude: Any
) -> xr.Dataset:
    """Return the parameters the options ask for."""
    from tilth.core.errors import InputError
    from tilth.land.model import parameter_dataset

    if not land_class or not texture:
        raise InputError(
            "give --land-class and --texture, or --parameters with a file of both"
        )
    others = {}
    for change in changes:
        name, sign, number = change.partition("=")
        try:
            others[name.strip()] = float(number)
        except ValueError:
            sign = ""
        if not sign:
            raise InputError(f"--set {change}: write it as name=number")
    return parameter_dataset(land_class, texture, latitude=latitude, **others)
