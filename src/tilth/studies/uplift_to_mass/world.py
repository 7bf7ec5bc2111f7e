"""The made-up glacier, its observers, and mass estimated from what they see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.progress import track
from tilth.loading import (
    LoveNumbers,
    Rows,
    basin_rows,
    basin_table,
    cell_sources,
    green_functions,
    invert,
    invert_signed,
    line_of_sight_rows,
    pattern_sources,
    station_rows,
)
from tilth.loading.simulated import (
    Margin,
    made_up_margin,
    made_up_rebound,
    observed_gravity,
    observed_scene,
    observed_stations,
    true_displacement,
)

#: Of every draw.
SEED = 11

#: Kinds of observation, in the order in which they are told of.
KINDS = (
    "uplift alone",
    "three components",
    "and line of sight",
    "and gravity",
    "all together",
)

#: Ways of regularising what three components say: penalty and choice of its strength.
RULES = tuple(
    (penalty, how)
    for penalty in ("size", "roughness")
    for how in ("likelihood", "gcv", "l-curve")
)

#: The pattern taken for true: too wide by this factor in its fall-off, none at 1.
PATTERNS = (1.0, 1.6)


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Parameters
    ----------
    draws : int
        Of errors and rebound.
    step : float
        Of the cells inverted for, degrees of latitude.
    """

    draws: int
    step: float


QUICK, FULL = Scale(40, 0.1), Scale(200, 0.1)


class World(NamedTuple):
    """What does not change from draw to draw.

    Parameters
    ----------
    truth : Margin
        On cells half as high and wide as those inverted for.
    moved, scene : xarray.Dataset
        True rates of stations and pixels.
    cells, pixel_cells : xarray.Dataset
        Sources inverted for, at the stations and at the pixels.
    basins : xarray.DataArray
        Share of each cell in each basin.
    patterns : dict of float to xarray.Dataset
        Sources of one factor per basin, by how much too wide.
    """

    truth: Margin
    moved: xr.Dataset
    scene: xr.Dataset
    cells: xr.Dataset
    pixel_cells: xr.Dataset
    basins: xr.DataArray
    patterns: dict[float, xr.Dataset]

    @property
    def total(self) -> float:
        """True rate, Gt yr-1."""
        return float(self.truth.true_mass.sum())

    @classmethod
    def of(cls, love: LoveNumbers, scale: Scale) -> World:
        """Make the world on an Earth.

        Parameters
        ----------
        love : LoveNumbers
            Of the Earth.
        scale : Scale
            Size of the cells.

        Returns
        -------
        World
            Always the same.
        """
        green = green_functions(love.in_frame("CF"))
        truth = made_up_margin(step=scale.step / 2.0, seed=SEED)
        coarse = made_up_margin(step=scale.step, seed=SEED)
        moved, _ = true_displacement(truth, green, truth.stations)
        scene, _ = true_displacement(truth, green, truth.pixels)
        within = coarse.basin >= 0
        cells = cell_sources(within, truth.stations, green)
        row, column = cells["row"].values, cells["column"].values
        names = np.array(["trunk", "neighbour"])[coarse.basin.values[row, column]]
        patterns = {
            wide: pattern_sources(_pattern(coarse, wide), truth.stations, green)
            for wide in PATTERNS
        }
        return cls(
            truth,
            moved,
            scene,
            cells,
            cell_sources(within, truth.pixels, green),
            basin_table(cells, list(names)),
            patterns,
        )


def observe(world: World, scale: Scale) -> pd.DataFrame:
    """Observe the glacier many times, and weigh it each time in every way.

    Parameters
    ----------
    world : World
        The truth and the sources.
    scale : Scale
        How often.

    Returns
    -------
    pandas.DataFrame
        ``draw``, ``group`` (kind, rule, sign or pattern), ``way``, and the ``total``
        with ``se``, ``se_noise``, ``lower`` and ``upper``, Gt yr-1.
    """
    rows = []
    for draw in track(range(scale.draws), "draws of observations"):
        seed = SEED + 1000 * (draw + 1)
        kinds = _rows(world, seed)
        for kind in KINDS:
            found = invert(kinds[kind], world.cells)
            rows.append(_row(draw, "kind", kind, found))
        three = kinds["three components"]
        for penalty, how in RULES:
            found = invert(three, world.cells, penalty=penalty, strength=how)
            rows.append(_row(draw, "rule", f"{penalty}, {how}", found))
        for kind in ("three components", "all together"):
            signed = invert_signed(kinds[kind], world.cells, "loss")
            rows.append(_row(draw, "sign", kind, signed))
        for wide, sources in world.patterns.items():
            own = station_rows(_seen(world, seed), sources, gia=world.truth.gia)
            found = invert([own], sources, strength=0.0)
            rows.append(_row(draw, "pattern", f"{wide:g}", found))
    return pd.DataFrame(rows)


def _rows(world: World, seed: int) -> dict[str, list[Rows]]:
    """Return the rows of each kind of observation in one draw."""
    gia, gia_pixels = world.truth.gia, world.truth.gia_pixels
    seen = _seen(world, seed)
    rebound = made_up_rebound(world.truth.pixels, members=1, seed=seed)
    scene = observed_scene(world.scene, rebound, seed=seed + 1)
    three = station_rows(seen, world.cells, gia=gia)
    upward = station_rows(seen.drop_vars(["east", "north"]), world.cells, gia=gia)
    sight = line_of_sight_rows(
        scene, world.pixel_cells, gia=gia_pixels, correlation_length=10e3
    )
    gravity = basin_rows(
        observed_gravity(world.truth, seed=seed + 2), world.basins, world.cells
    )
    values = (
        [upward],
        [three],
        [three, sight],
        [three, gravity],
        [three, sight, gravity],
    )
    return dict(zip(KINDS, values, strict=True))


def _seen(world: World, seed: int) -> xr.Dataset:
    """Return what stations see in one draw."""
    rebound = made_up_rebound(world.truth.stations, members=1, seed=seed)
    return observed_stations(world.moved, rebound, seed=seed)


def _row(draw: int, group: str, way: str, found: xr.Dataset) -> dict[str, object]:
    """Return one row of the table of draws."""
    total = float(found["total"])
    row: dict[str, object] = {"draw": draw, "group": group, "way": way, "total": total}
    if group == "sign":
        row["lower"], row["upper"] = (
            float(found[f"total_{end}"]) for end in ("lower", "upper")
        )
        return row
    se = float(found["total_se"])
    row |= {"se": se, "se_noise": float(found["total_se_noise"])}
    row |= {"lower": total - 1.959964 * se, "upper": total + 1.959964 * se}
    return row


def _pattern(margin: Margin, wide: float) -> xr.DataArray:
    """Return the thinning of each basin as another instrument would have it."""
    shape = margin.thickening
    if wide != 1.0:
        near = abs(shape) ** (1.0 / wide)  # an exponential falls off so much slower
        shape = -near.where(shape < 0.0, 0.0)
    parts = [shape.where(margin.basin == k, 0.0) for k in (0, 1)]
    joined = xr.concat(parts, pd.Index(["trunk", "neighbour"], name="basin"))
    return joined.assign_attrs(units="kg m-2")
