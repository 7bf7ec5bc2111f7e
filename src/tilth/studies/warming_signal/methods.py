"""The methods that are compared, and how much is done."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.forcing.adjust.adjuster import Method
from tilth.forcing.adjust.delta import QDM
from tilth.forcing.adjust.detrended import DQM
from tilth.forcing.adjust.groups import Grouping
from tilth.forcing.adjust.isimip import ISIMIP3
from tilth.forcing.adjust.linear import Scaling
from tilth.forcing.adjust.mapping import EQM
from tilth.forcing.adjust.transform import CDFt
from tilth.studies.warming_signal.cases import Case

#: Names, from the simplest on.
METHODS = ("scaling", "EQM", "DQM", "QDM", "CDF-t", "ISIMIP3")


@dataclass(frozen=True)
class Scale:
    """How large the study is.

    Parameters
    ----------
    places, years : int
        Of the simulated world: places, and years of each period.
    groups : tuple of str
        Groupings that are compared.
    """

    places: int
    years: int
    groups: tuple[str, ...]


#: Seconds on two cores.
QUICK = Scale(places=8, years=20, groups=("none", "month"))

#: Windows too, and as many years as a normal period has.
FULL = Scale(places=30, years=30, groups=("none", "month", "31 days"))


def method(name: str, case: Case, group: Grouping) -> Method:
    """Return a method with its default settings for a variable.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    case : Case
        Whose variable is adjusted.
    group : {"none", "month"} or DayWindow
        Days that share a distribution.

    Returns
    -------
    Method
        To be fitted.
    """
    kind = case.kind
    if name == "scaling":
        return Scaling(kind=kind, group=group)
    if name == "EQM":
        return EQM(kind=kind, group=group)
    if name == "DQM":
        return DQM(kind=kind, group=group)
    if name == "QDM":
        return QDM(kind=kind, group=group)
    if name == "CDF-t":
        return CDFt(kind=kind, group=group)
    return ISIMIP3("pr" if kind == "*" else "tas", group=group)
