"""One-page HTML reports: figures, numbers and verdicts in a single file."""

from __future__ import annotations

import base64
import io
import os
import re
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tilth.core.errors import InputError
from tilth.core.typeset import (
    column_text,
    measurement_text,
    prose_text,
    published_text,
    rule_text,
    units_text,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as MatplotlibFigure

#: Rows of a table that a page shows; its CSV file holds all of them.
ROWS_SHOWN = 40

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class MetricRow(Protocol):
    """A number beside its published value, as `tilth.studies.result.Metric`."""

    @property
    def name(self) -> str:
        """What was measured."""

    @property
    def value(self) -> float:
        """Our value."""

    @property
    def se(self) -> float | None:
        """Its standard error, in the same units."""

    @property
    def unit(self) -> str:
        """Units in UDUNITS spelling."""

    @property
    def published(self) -> float | str | None:
        """The value to compare with."""

    @property
    def bar(self) -> str | None:
        """The rule the value must meet."""

    @property
    def holds(self) -> bool | None:
        """Whether it does; None without a bar."""


@dataclass(frozen=True)
class Figure:
    """A drawn figure and what it says.

    Parameters
    ----------
    name : str
        File name without its ending: letters, digits, ``-`` and ``_``.
    png : bytes
        The image.
    caption : str
        What the reader should see in it, with units.
    alt : str
        The same in words, for those who cannot see the image.
    """

    name: str
    png: bytes = field(repr=False)
    caption: str
    alt: str

    def __post_init__(self):
        _require_file_name(self.name, "figure")
        if not self.png.startswith(_PNG_SIGNATURE):
            raise InputError(
                f"the figure {self.name} is not a PNG image: draw it with "
                "Figure.draw(name, figure, caption, alt)"
            )
        if not self.alt.strip():
            raise InputError(
                f"the figure {self.name} needs an alt text: one sentence that says "
                "what the image shows"
            )

    @classmethod
    def draw(
        cls, name: str, figure: MatplotlibFigure, caption: str, alt: str
    ) -> Figure:
        """Render a matplotlib figure at print resolution.

        Parameters
        ----------
        name : str
            File name without its ending.
        figure : matplotlib.figure.Figure
            To be drawn, as `tilth.core.plotting.figure` makes it.
        caption, alt : str
            As in `Figure`.

        Returns
        -------
        Figure
            With the image at 200 dots per inch on white.
        """
        image = io.BytesIO()
        # No software version in the file: the same data give the same bytes.
        figure.savefig(
            image,
            format="png",
            dpi=200,
            facecolor="white",
            bbox_inches="tight",
            metadata={"Software": None},
        )
        return cls(name, image.getvalue(), caption, alt)

    @property
    def width(self) -> int:
        """Width of the image, pixels."""
        return struct.unpack(">I", self.png[16:20])[0]

    @property
    def height(self) -> int:
        """Height of the image, pixels."""
        return struct.unpack(">I", self.png[20:24])[0]

    @property
    def data_uri(self) -> str:
        """The image as an address that needs no file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True, eq=False)
class Table:
    """A data frame and what it says.

    Parameters
    ----------
    name : str
        File name without its ending: letters, digits, ``-`` and ``_``.
    frame : pandas.DataFrame
        One column per quantity; identifiers as text. The index is not shown.
    caption : str
        What the table holds.
    units : mapping of str to str, optional
        Column to its units in UDUNITS spelling.
    decimals : mapping of str to int, optional
        Column to the digits after the point, where three significant ones of the
        median are not wanted.
    """

    name: str
    frame: pd.DataFrame = field(repr=False)
    caption: str
    units: Mapping[str, str] = field(default_factory=dict)
    decimals: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        _require_file_name(self.name, "table")
        columns = list(map(str, self.frame.columns))
        unknown = (set(self.units) | set(self.decimals)) - set(columns)
        if unknown:
            raise InputError(
                f"the table {self.name} has no column {sorted(unknown)}; "
                f"it has {', '.join(columns)}"
            )

    def to_csv(self) -> str:
        """Return all rows as CSV, with the units in the header: ``flux [g m-2]``."""
        header = {
            column: f"{column} [{self.units[column]}]"
            for column in self.frame.columns
            if self.units.get(column)
        }
        return self.frame.rename(columns=header).to_csv(index=False)

    def columns(self) -> list[dict[str, Any]]:
        """Return what a page shows: per column its name, unit, side and texts."""
        from pandas.api.types import is_bool_dtype, is_numeric_dtype

        shown = []
        for column in self.frame.columns:
            values = self.frame[column].head(ROWS_SHOWN)
            shown.append(
                {
                    "name": str(column),
                    "unit": units_text(self.units.get(column, "")),
                    "numeric": is_numeric_dtype(values) and not is_bool_dtype(values),
                    "cells": column_text(values, self.decimals.get(column)),
                }
            )
        return shown

    @property
    def rows_shown(self) -> int:
        """Number of rows on the page."""
        return min(len(self.frame), ROWS_SHOWN)


@dataclass(frozen=True)
class Section:
    """One part of a page, such as one study.

    Parameters
    ----------
    title : str
        Heading.
    anchor : str
        Its address within the page.
    summary : str, optional
        Paragraphs, separated by an empty line.
    facts : mapping of str to str, optional
        Short provenance: data source, seed, time taken.
    metrics : sequence of MetricRow, optional
        Ours beside the published.
    figures : sequence of Figure, optional
        Embedded in the page.
    tables : sequence of Table, optional
        Shown down to row `ROWS_SHOWN`.
    notes : sequence of str, optional
        Limits and remarks.
    error : str, optional
        Why there is nothing to show.
    folder : str, optional
        Where the files of the section lie, relative to the page (``"."`` beside
        it). Without it the page links to no file.
    """

    title: str
    anchor: str
    summary: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[MetricRow] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    error: str = ""
    folder: str = ""

    @property
    def held(self) -> int:
        """Number of bars that hold."""
        return sum(metric.holds is True for metric in self.metrics)

    @property
    def barred(self) -> int:
        """Number of metrics with a bar."""
        return sum(metric.holds is not None for metric in self.metrics)

    @property
    def verdict(self) -> str:
        """``failed``, ``missed``, ``held`` or, without any bar, ``open``."""
        if self.error:
            return "failed"
        if not self.barred:
            return "open"
        return "held" if self.held == self.barred else "missed"


def build_page(
    title: str,
    sections: Sequence[Section],
    *,
    subtitle: str = "",
    facts: Mapping[str, str] | None = None,
) -> str:
    """Build a page that needs nothing but itself.

    Style, figures and tables are inside; there is no script and no address outside
    the page, so it opens from a file, prints, and can be mailed.

    Parameters
    ----------
    title : str
        Title of the page.
    sections : sequence of Section
        In order, under an overview table; a single one of the page's own title is
        the page.
    subtitle : str, optional
        One sentence under the title.
    facts : mapping of str to str, optional
        Provenance of the page: version, date, settings.

    Returns
    -------
    str
        HTML, to be written as UTF-8 (see `write_page`).
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tilth.core"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["units"] = units_text
    environment.filters["published"] = published_text
    environment.filters["rule"] = rule_text
    environment.filters["prose"] = prose_text
    environment.globals["measurement"] = measurement_text
    template = environment.get_template("page.html.j2")
    return template.render(
        title=title, subtitle=subtitle, facts=facts or {}, sections=sections
    )


def write_page(path: str | os.PathLike[str], page: str) -> Path:
    """Write a page in one step: a reader sees the old one or the new one, whole.

    Parameters
    ----------
    path : path
        File to write; its folder is created.
    page : str
        As returned by `build_page`.

    Returns
    -------
    pathlib.Path
        The absolute path of the page.
    """
    target = Path(path).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        beside.write_text(page, encoding="utf-8")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _require_file_name(name: str, what: str) -> None:
    """Raise unless the name can be a file name on every system."""
    if not _FILE_NAME.fullmatch(name):
        raise InputError(
            f"a {what} cannot be called {name!r}: its name becomes a file name, use "
            "letters, digits, '-' and '_'"
        )
