"""The studies there are: a table of names, read without importing any of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tilth.core.errors import InputError

if TYPE_CHECKING:
    from tilth.studies.result import StudyResult


@dataclass(frozen=True)
class Study:
    """A registered study.

    Parameters
    ----------
    name : str
        Identifier on the command line and name of its folder.
    title : str
        What it asks, in one line.
    target : str
        ``module:function``; the function is called as ``run(full=bool)`` and returns
        a `tilth.studies.result.StudyResult`. It shows its own progress with
        `tilth.core.progress.track`.
    """

    name: str
    title: str
    target: str

    def load(self) -> Callable[..., StudyResult]:
        """Import the study's module and return its function."""
        module, _, function = self.target.partition(":")
        return getattr(importlib.import_module(module), function)


#: Name -> study, in the order of the report. A new study is one more row here.
STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "fluxmeters_2023",
            "Fifty robotic CO2 flux chambers over a season of enhanced weathering",
            "tilth.studies.fluxmeters_2023:run",
        ),
        Study(
            "fluxmeter_army",
            "Chambers with their firmware in the loop: cycle, sensors, faults, "
            "completeness",
            "tilth.studies.fluxmeter_army:run",
        ),
        Study(
            "emulator_skill",
            "A land model's emulator on years it never saw, against climatology",
            "tilth.studies.emulator_skill:run",
        ),
        Study(
            "site_energy_balance",
            "The process model beside Noah-MP, a flux tower and straight lines",
            "tilth.studies.site_energy_balance:run",
        ),
        Study(
            "idai_flood",
            "The flood of cyclone Idai, day by day beside CaMa-Flood",
            "tilth.studies.idai_flood:run",
        ),
        Study(
            "calibrate_by_gauge",
            "Emulator and rivers calibrated together on discharge, by gradient",
            "tilth.studies.calibrate_by_gauge:run",
        ),
        Study(
            "coupled_emulator",
            "An emulator in place of the land model, upstream of the same rivers",
            "tilth.studies.coupled_emulator:run",
        ),
        Study(
            "leaf_temperature",
            "Do leaves sense their temperature difference, or only make it?",
            "tilth.studies.leaf_temperature:run",
        ),
        Study(
            "discharge_skill_by_lead",
            "Which test can tell whether river forecasts became better?",
            "tilth.studies.discharge_skill_by_lead:run",
        ),
        Study(
            "s2s_terciles",
            "Sub-seasonal terciles: whose edges, how many members, how much to believe",
            "tilth.studies.s2s_terciles:run",
        ),
        Study(
            "local_weather",
            "Local rain from coarse fields: mapping mends where, the pattern when",
            "tilth.studies.local_weather:run",
        ),
        Study(
            "warming_signal",
            "Which adjustment methods keep the climate-change signal of the model?",
            "tilth.studies.warming_signal:run",
        ),
        Study(
            "reflected_permafrost",
            "Reflected signals over permafrost: is the height right, and its trend?",
            "tilth.studies.reflected_permafrost:run",
        ),
        Study(
            "uplift_to_mass",
            "Mass of ice from uplift: what does each kind of observation add?",
            "tilth.studies.uplift_to_mass:run",
        ),
        Study(
            "station_velocity",
            "How well are the velocities of stations known?",
            "tilth.studies.station_velocity:run",
        ),
    )
}


def find_study(name: str) -> Study:
    """Return the study of that name.

    Raises
    ------
    InputError
        If there is none; the text lists those there are.
    """
    try:
        return STUDIES[name]
    except KeyError:
        raise InputError(
            f"no study {name!r}; there are: {', '.join(STUDIES)}"
        ) from None
