"""Small figures drawn on the server: they need no script and shift no layout."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from tilth.core.typeset import number_text
from tilth.web.model import Effect, Tile

#: Shapes of the severities, so that colour is never the only sign; 12 x 12 units.
_MARKS = {
    "none": '<circle cx="6" cy="6" r="3.2"/>',
    "info": '<rect x="2.6" y="2.6" width="6.8" height="6.8" rx="1"/>',
    "warning": '<path d="M6 .8 11.2 6 6 11.2.8 6Z"/>',
    "critical": '<path d="M6 .6 11.8 11H.2Z"/>',
}

_WORDS = {
    "none": "no alarm",
    "info": "information",
    "warning": "warning",
    "critical": "critical",
}


def mark(severity: str) -> Markup:
    """Return the sign of a severity: a shape and a colour of its own, with a name."""
    known = severity if severity in _MARKS else "info"
    return Markup(
        f'<svg class="mark {known}" viewBox="0 0 12 12" width="12" height="12" '
        f'role="img" aria-label="{_WORDS[known]}">{_MARKS[known]}</svg>'
    )


def sparkline(
    values: Sequence[float | None],
    scale: tuple[float, float],
    width: int = 96,
    height: int = 20,
) -> Markup:
    """Return a day of hourly values as a line, gaps left open, zero marked.

    Parameters
    ----------
    values : sequence of float or None
        One value an hour, oldest first.
    scale : tuple of float
        Values at the lower and the upper edge: the same for all tiles, so that they
        compare.
    width, height : int, optional
        Size in CSS pixels.
    """
    low, high = scale

    def y(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return height - 1.5 - share * (height - 3)

    step = width / max(len(values) - 1, 1)
    path, pen = [], "M"
    for i, value in enumerate(values):
        if value is None or not math.isfinite(value):
            pen = "M"
            continue
        path.append(f"{pen}{i * step:.0f} {y(value):.1f}")
        pen = "L"
    return Markup(
        f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="zero" d="M0 {y(0.0):.1f}H{width}"/>'
        f'<path class="line" d="{"".join(path)}"/></svg>'
    )


def spark_scale(tiles: Sequence[Tile]) -> tuple[float, float]:
    """Return the edges for the sparklines of a fleet.

    The 2nd and the 98th percentile and zero, so that one wild closure does not
    flatten all others.
    """
    values = sorted(
        value for tile in tiles for value in tile.spark if value is not None
    )
    if not values:
        return 0.0, 1.0
    last = len(values) - 1
    low, high = values[round(0.02 * last)], values[round(0.98 * last)]
    return min(low * 1.05, 0.0), max(high * 1.05, 1e-9)


def forest_scale(effects: Sequence[Effect]) -> tuple[float, float]:
    """Return the range of ratios a forest plot must show: at least 0.5 to 2."""
    bounds = [
        bound
        for effect in effects
        for bound in (effect.lower, effect.upper, effect.ratio)
        if bound is not None and math.isfinite(bound) and bound > 0
    ]
    low = min([0.5, *(max(bound, 0.1) for bound in bounds)])
    high = max([2.0, *(min(bound, 10.0) for bound in bounds)])
    return low * 0.95, high * 1.05


#: Size of a forest plot in CSS pixels.
_FOREST = 260


def _forest_x(ratio: float, scale: tuple[float, float]) -> float:
    """Return the place of a ratio on the logarithmic axis, held inside of it."""
    low, high = (math.log(bound) for bound in scale)
    share = (math.log(max(ratio, 1e-6)) - low) / (high - low)
    return 6 + (_FOREST - 12) * min(max(share, 0.0), 1.0)


def forest_head(scale: tuple[float, float]) -> Markup:
    """Return the axis above the rows of a forest plot."""
    labels = "".join(
        f'<text x="{_forest_x(ratio, scale):.1f}" y="12">{ratio:g}</text>'
        for ratio in (0.5, 1.0, 2.0)
    )
    return Markup(
        f'<svg class="forest forest-head" viewBox="0 0 {_FOREST} 14" '
        f'width="{_FOREST}" height="14" aria-hidden="true">{labels}</svg>'
    )


def forest_row(effect: Effect, scale: tuple[float, float]) -> Markup:
    """Return one effect as a point with its interval on a logarithmic axis.

    Parameters
    ----------
    effect : Effect
        The ratio of a variant to its control.
    scale : tuple of float
        Of `forest_scale`.
    """

    def x(ratio: float) -> float:
        return _forest_x(ratio, scale)

    parts = [f'<path class="one" d="M{x(1.0):.1f} 0V24"/>']
    for ratio in (0.5, 2.0):
        parts.append(f'<path class="tick" d="M{x(ratio):.1f} 0V24"/>')
    label = "no ratio"
    if effect.ratio is not None and effect.ratio > 0:
        label = f"ratio {number_text(effect.ratio, 2)}"
        if effect.lower is not None and effect.upper is not None:
            ends = x(effect.lower), x(effect.upper)
            certain = effect.lower > 1 or effect.upper < 1
            label += (
                f", from {number_text(effect.lower, 2)} to "
                f"{number_text(effect.upper, 2)}"
            )
            parts.append(
                f'<path class="interval{" certain" if certain else ""}" '
                f'd="M{ends[0]:.1f} 12H{ends[1]:.1f}M{ends[0]:.1f} 8v8'
                f'M{ends[1]:.1f} 8v8"/>'
            )
        parts.append(
            f'<circle class="point" cx="{x(effect.ratio):.1f}" cy="12" r="4"/>'
        )
    return Markup(
        f'<svg class="forest" viewBox="0 0 {_FOREST} 24" width="{_FOREST}" height="24" '
        f'role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )
