"""What a study returns: numbers beside the published ones, tables and figures."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tilth.core.errors import InputError
from tilth.core.report import Figure, Table

__all__ = ["Figure", "Metric", "StudyResult", "Table", "bar_holds"]

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_COMPARISON = re.compile(rf"(<=|>=|==|<|>)\s*{_NUMBER}")
_RANGE = re.compile(rf"{_NUMBER}\s*\.\.\s*{_NUMBER}")
_WITHIN = re.compile(rf"within\s+{_NUMBER}\s*(%?)")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
# "within 0.1" of a value printed with one digit must not fail on binary rounding.
_ROUNDING = 1 + 1e-9


def bar_holds(bar: str, value: float, published: float | str | None = None) -> bool:
    """Tell whether a value meets a bar.

    Parameters
    ----------
    bar : str
        One of: a comparison ``"<= 0.0051"`` (also ``<``, ``>=``, ``>``, ``==``); a
        range with both ends ``"0.74..0.82"``; a distance from the published value
        in its units ``"within 0.02"`` or relative to it ``"within 3 %"``.
    value : float
        Ours. NaN meets no bar.
    published : float, optional
        The value that ``within`` compares with.

    Returns
    -------
    bool
        True where the bar holds.

    Raises
    ------
    InputError
        If the bar cannot be read, or says ``within`` without a published number.

    Examples
    --------
    >>> bar_holds("<= 0.0051", 0.005), bar_holds("0.74..0.82", 0.9)
    (True, False)
    >>> bar_holds("within 3 %", 0.80, published=0.78)
    True
    """
    rule = bar.strip()
    if match := _COMPARISON.fullmatch(rule):
        return _COMPARE[match[1]](value, float(match[2]))
    if match := _RANGE.fullmatch(rule):
        low, high = float(match[1]), float(match[2])
        if low > high:
            raise InputError(f"the bar {bar!r} is empty: its low end is above its high")
        return low <= value <= high
    if match := _WITHIN.fullmatch(rule):
        if published is None or isinstance(published, str):
            raise InputError(
                f"the bar {bar!r} needs a published number to compare with, "
                f"got {published!r}"
            )
        distance = float(match[1])
        if match[2]:
            distance *= abs(published) / 100
        return abs(value - published) <= distance * _ROUNDING
    raise InputError(
        f"cannot read the bar {bar!r}: write '<= 0.0051', '0.74..0.82', "
        "'within 0.02' or 'within 3 %'"
    )


@dataclass(frozen=True)
class Metric:
    """A number that a study stands for.

    Parameters
    ----------
    name : str
        What it is, in words; unique within the study.
    value : float
        Ours; NaN where it could not be had.
    se : float, optional
        Its standard error, in the same units.
    unit : str
        UDUNITS spelling; ``"1"`` for a pure number.
    published : float or str, optional
        The value to compare with; text such as ``"20-40"`` where a range is printed.
    bar : str, optional
        The rule the value must meet, as `bar_holds` reads it.

    Raises
    ------
    InputError
        If the bar cannot be read or the standard error is negative.
    """

    name: str
    value: float
    se: float | None = None
    unit: str = "1"
    published: float | str | None = None
    bar: str | None = None

    def __post_init__(self):
        object.__setattr__(self, "value", _plain(self.value))
        object.__setattr__(self, "se", _plain(self.se))
        object.__setattr__(self, "published", _plain(self.published))
        if self.se is not None and self.se < 0:
            raise InputError(f"{self.name}: the standard error {self.se} is negative")
        self.holds  # noqa: B018  a bar that cannot be read is refused here

    @property
    def holds(self) -> bool | None:
        """Whether the bar holds; None without a bar."""
        if self.bar is None:
            return None
        return bar_holds(self.bar, self.value, self.published)

    def record(self) -> dict[str, Any]:
        """Return the row of ``metrics.json``; what is not finite becomes None."""
        row = {
            "name": self.name,
            "value": self.value,
            "se": self.se,
            "unit": self.unit,
            "published": self.published,
            "bar": self.bar,
            "holds": self.holds,
        }
        return {
            key: None if isinstance(x, float) and not math.isfinite(x) else x
            for key, x in row.items()
        }


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Everything a study has to say.

    Parameters
    ----------
    title : str
        Heading of its report.
    summary : str
        What was asked, done and found; paragraphs separated by an empty line.
    metrics : sequence of Metric
        Numbers beside the published ones.
    tables : sequence of Table, optional
        Written as CSV and shown on the page.
    figures : sequence of Figure, optional
        Written as PNG and shown on the page.
    notes : sequence of str, optional
        Limits, and what differs from the published experiment.
    seed : int, optional
        Of every random draw; None where nothing was drawn.
    data_source : str
        Dataset and version, or "simulated: known truth".

    Raises
    ------
    InputError
        If two metrics, tables or figures share a name.
    """

    title: str
    summary: str
    metrics: Sequence[Metric]
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    seed: int | None = None
    data_source: str = ""

    def __post_init__(self):
        for what in ("metrics", "tables", "figures"):
            names = [item.name for item in getattr(self, what)]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InputError(
                    f"the study {self.title!r} has {what} of the same name: {twice}"
                )


def _plain(value: Any) -> Any:
    """Turn a NumPy scalar into Python's own number, which JSON can hold."""
    if value is None or isinstance(value, str):
        return value
    return int(value) if hasattr(value, "__index__") else float(value)
