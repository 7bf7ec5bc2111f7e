"""What the study imitates: VIC where it is at hand, else a simulated land model."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from tilth.core.datasets import info, locate
from tilth.core.errors import DatasetError
from tilth.land.readers import read_land_model
from tilth.studies.emulator_skill.simulated import simulated_output

_DATASET = "vic-stehekin"

#: Cells of the quick mode: one of the middle, and the driest, which is hardest.
_FEW = (0, 4)


@dataclass(frozen=True)
class Case:
    """Weather, the land model's answer, and how the years are parted.

    Parameters
    ----------
    forcing, targets : xarray.Dataset
        As `tilth.land.readers.read_land_model` returns them.
    train, test : (int, int)
        First and last year of either.
    source : str
        For the page.
    why : str
        Why it is not VIC; empty if it is.
    """

    forcing: xr.Dataset
    targets: xr.Dataset
    train: tuple[int, int]
    test: tuple[int, int]
    source: str
    why: str = ""

    @property
    def cells(self) -> int:
        """How many."""
        return self.forcing.sizes["cell"]

    @staticmethod
    def span(years: tuple[int, int]) -> str:
        """Years as text."""
        return f"{years[0]}-{years[1]}"

    @staticmethod
    def days(years: tuple[int, int]) -> slice:
        """Days of the years, as labels of ``time``."""
        return slice(str(years[0]), str(years[1]))


def load(full: bool) -> Case:
    """Return VIC's output or, where it cannot be had, a simulated land model's."""
    try:
        folder = locate(_DATASET)
    except DatasetError as error:
        forcing, targets = simulated_output((1986, 2005))
        return Case(
            forcing, targets, (1986, 2000), (2001, 2005), "simulated: known truth",
            str(error),
        )  # fmt: skip
    file = folder / next(f.path for f in info(_DATASET).files if f.path.endswith(".nc"))
    chosen = None if full else list(_FEW)
    forcing, targets = read_land_model(file, "vic", cells=chosen)
    source = f"{_DATASET} ({info(_DATASET).citation})"
    return Case(forcing, targets, (1961, 2000), (2001, 2005), source)
