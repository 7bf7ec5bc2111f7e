"""What the flux commands ask of a user, said once: options as dataclasses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import typer

from tilth.cli.options import SCHEDULER


@dataclass(frozen=True)
class ReadRequest:
    """Which files to read, and what they do not say themselves."""

    files: list[Path] = typer.Argument(
        help="Files of any known format, recognised by content."
    )
    gas: str = typer.Option("co2", help="Gas: co2, ch4, n2o or h2o.")
    geometry: Path | None = typer.Option(
        None, metavar="YAML", help="Volume and area, where the files do not tell them."
    )
    pressure: str | None = typer.Option(
        None, help="Air pressure, where the files do not tell it: '972 hPa'."
    )
    temperature: str | None = typer.Option(
        None, help="Air temperature, where the files do not tell it: '20 degC'."
    )
    columns: Path | None = typer.Option(
        None, metavar="YAML", help="Map of the columns of a table."
    )
    timezone: str | None = typer.Option(
        None, help="Zone of clocks that do not tell theirs: Europe/Berlin, +01:00."
    )
    closures: Path | None = typer.Option(
        None, metavar="CSV", help="Start and end (UTC) of each closure of a record."
    )
    detect: bool = typer.Option(
        False, "--detect", help="Find the closures of a record."
    )
    period: float | None = typer.Option(
        None, help="Cycle length of an automatic chamber, s."
    )
    year: int | None = typer.Option(
        None, help="Year, for instruments that do not write it."
    )
    quality: bool = typer.Option(
        True, help="Flag night, stuck and clogged chambers, implausible values."
    )


@dataclass(frozen=True)
class FluxRequest(ReadRequest):
    """How to compute the fluxes of what was read."""

    dead_band: str | None = typer.Option(
        None, help="Seconds after closing that are not fitted, or 'auto'."
    )
    fit_end: float | None = typer.Option(
        None, help="Seconds after closing at which the fit ends."
    )
    response: float = typer.Option(
        0.0, help="Response time of the sensor, s (SCD30: 20); modelled in the fit."
    )
    precision: float | None = typer.Option(
        None,
        help="Standard deviation of one reading; sets detection limit and kappa-max.",
    )
    select: str = typer.Option(
        "aicc", help="Choice of the curve: aicc, kappa_max, or the name of a model."
    )
    models: str = typer.Option(
        "", help="Further curves, comma-separated: robust,quadratic,ndfe,zhao."
    )
    pool: str | None = typer.Option(
        None,
        metavar="LABEL",
        help="Share one curvature per week among the closures of a pot (or device).",
    )
    scheduler: str | None = SCHEDULER
    gas_constant: float | None = typer.Option(
        None,
        "--gas-constant",
        help="J mol-1 K-1; 8.314 repeats LI-COR's and goFlux's.",
    )


def takes(request: type) -> Callable[[Callable], Callable]:
    """Give a command the options of a request as well as its own.

    The command's first parameter receives the request, filled in; its others stay
    options of their own.
    """

    def decorate(command: Callable) -> Callable:
        own = inspect.signature(command).parameters
        _, *rest = own.values()
        names = [field.name for field in fields(request)]

        def run(**words: Any) -> None:
            asked = request(**{name: words.pop(name) for name in names})
            command(asked, **words)

        hints = get_type_hints(request) | get_type_hints(command)
        shared = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=hints[field.name],
            )
            for field in fields(request)
        ]
        mine = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in rest]
        # The files, then the command's own options, then the shared ones.
        parameters = [shared[0], *mine, *shared[1:]]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: hints[p.name] for p in parameters}
        return run

    return decorate
