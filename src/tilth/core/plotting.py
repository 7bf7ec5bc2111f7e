"""The look of every figure: one style, safe colours, uncertainty drawn the same way."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilth.core.errors import InputError
from tilth.core.optional import load

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours that people with any kind of colour vision tell apart, ordered for contrast.
#: Okabe and Ito (2008), Color Universal Design; their yellow is left out: it cannot be
#: read as a line on white.
COLOURS = (
    "#0072B2",  # blue
    "#D55E00",  # vermillion
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#000000",  # black
)

#: Width of a figure in inches: the text width of an A4 page.
WIDTH = 6.3

#: Standard errors on either side of a value that hold 95 % of a normal distribution.
COVERAGE_95 = 1.959964

_STYLE: dict[str, Any] = {
    "figure.figsize": (WIDTH, WIDTH * 0.62),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#D9D9D9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "image.cmap": "viridis",
    "svg.hashsalt": "tilth",  # the same figure gives the same file
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw everything inside this context in the style of the house.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> with style():
    ...     fig, ax = figure()
    """
    matplotlib = load("matplotlib", "plot")
    cycle = load("cycler", "plot").cycler(color=COLOURS)
    with matplotlib.rc_context({**_STYLE, "axes.prop_cycle": cycle}):
        yield


def figure(
    rows: int = 1, columns: int = 1, *, height: float | None = None, **subplots: Any
) -> tuple[Figure, Any]:
    """Make a figure that needs no display and that nothing keeps alive.

    Parameters
    ----------
    rows, columns : int, default 1
        Number of panels.
    height : float, optional
        Height in inches; by default every row is 0.62 of the width of its panels.
    **subplots
        Passed on to `matplotlib.figure.Figure.subplots`, such as ``sharex=True``.

    Returns
    -------
    figure : matplotlib.figure.Figure
        As wide as a page; drawn by Agg. It is not known to pyplot.
    axes : matplotlib.axes.Axes or numpy.ndarray of Axes
        One, or an array of shape (rows, columns) without its axes of length one.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    make = load("matplotlib.figure", "plot").Figure
    canvas = load("matplotlib.backends.backend_agg", "plot").FigureCanvasAgg
    tall = height or rows * 0.62 * WIDTH / columns**0.5
    drawn = make(figsize=(WIDTH, tall))
    canvas(drawn)
    return drawn, drawn.subplots(rows, columns, **subplots)


def band(
    ax: Axes,
    x: Any,
    y: Any,
    se: Any,
    *,
    coverage: float = COVERAGE_95,
    label: str | None = None,
    color: str | None = None,
) -> None:
    """Draw a line with its uncertainty as a band.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    x, y, se : array_like, shape (n,)
        Abscissa, value and standard error in the units of `y`. Where any is NaN there
        is a gap.
    coverage : float, default 1.96
        Half-width of the band in standard errors; the default is a 95 % interval.
    label : str, optional
        Name in the legend.
    color : str, optional
        By default the next of the cycle.

    Raises
    ------
    InputError
        If a standard error is negative.
    """
    y, se = _value_and_error(y, se)
    (line,) = ax.plot(x, y, label=label, color=color)
    ax.fill_between(
        np.asarray(x),
        y - coverage * se,
        y + coverage * se,
        color=line.get_color(),
        alpha=0.2,
        linewidth=0,
    )


def points(
    ax: Axes,
    x: Any,
    y: Any,
    se: Any,
    *,
    coverage: float = COVERAGE_95,
    label: str | None = None,
    color: str | None = None,
) -> None:
    """Draw points with their uncertainty as bars.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    x, y, se : array_like, shape (n,)
        Abscissa, value and standard error in the units of `y`.
    coverage : float, default 1.96
        Half-length of a bar in standard errors; the default is a 95 % interval.
    label : str, optional
        Name in the legend.
    color : str, optional
        By default the next of the cycle.

    Raises
    ------
    InputError
        If a standard error is negative.
    """
    y, se = _value_and_error(y, se)
    ax.errorbar(
        x, y, coverage * se, fmt="o", elinewidth=1, capsize=0, label=label, color=color
    )


def _value_and_error(y: Any, se: Any) -> tuple[np.ndarray, np.ndarray]:
    y, se = np.asarray(y, float), np.asarray(se, float)
    if (se < 0).any():
        raise InputError(
            f"a standard error cannot be negative, got {np.nanmin(se):g}: "
            "give the standard error itself, not the bounds of an interval"
        )
    return y, se


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> Path:
    """Write a figure to a file in the format of its suffix; needs no display.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        To be written.
    path : path
        Ends in ``.png``, ``.svg`` or ``.pdf``; its folder is created.
    dpi : int, default 150
        Resolution of a PNG, in pixels per inch.

    Returns
    -------
    pathlib.Path
        The file. The same figure gives the same bytes.

    Raises
    ------
    InputError
        If the suffix is another one.
    """
    path = Path(path)
    # The time of writing would make every run's file a different one.
    dates = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    if path.suffix not in dates:
        raise InputError(
            f"cannot write {path.name}: a figure's name ends in .png, .svg or .pdf"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, metadata=dates[path.suffix])
    return path
