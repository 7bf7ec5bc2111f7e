"""Snow depth: how much nearer the reflector is than the bare ground of summer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import require_variables

#: What a day of snow depth may bear.
SNOW = FlagTable(
    {
        "no_height": "no reflector height on this day",
        "no_bare_height": "no summer before this day with enough days of bare ground",
        "below_ground": "the depth is below -0.075 m: rejected",
    }
)

#: A depth below this is an error, m; above it, the ground's roughness (Larson et al.).
LOWEST = -0.075

#: Error of a day's depth that does not shrink with more arcs, m.
FLOOR = 0.025

#: Days, or arcs, of bare ground that are enough.
FEWEST = 15


def snow_depth(
    heights: xr.Dataset,
    *,
    bare: tuple[int, int] = (213, 258),
    previous_summer: bool = True,
) -> xr.Dataset:
    r"""Snow depth by daily reflector heights.

    .. math:: d = \bar H_\mathrm{bare} - H, \qquad
       \sigma = \sqrt{0.025^2 + s^2 / n}

    Parameters
    ----------
    heights : xarray.Dataset
        Along ``time``: ``reflector_height`` (m) and, if known,
        ``reflector_height_se`` (m).
    bare : (int, int)
        First and last day of the year when the ground is bare.
    previous_summer : bool
        Whether a day is compared with the summer before it; else with the mean of all
        days of bare ground, which needs an antenna that never moved.

    Returns
    -------
    xarray.Dataset
        Along ``time``: ``snow_depth``, ``snow_depth_se`` and ``bare_height`` (m),
        ``quality_flag``.

    Raises
    ------
    InputError
        If no summer has 15 days of bare ground.

    References
    ----------
    Larson & Nievinski (2013), GPS Solutions 17, 41-52. Larson & Small (2016), IEEE J.
    Sel. Topics Appl. Earth Obs. Remote Sens. 9, 4802-4808.
    """
    require_variables(heights, ("time", "reflector_height"), "heights above the snow")
    height = heights["reflector_height"].values
    time = pd.DatetimeIndex(heights["time"].values)
    ground = _bare(time, height, bare, previous_summer)
    se = heights.get("reflector_height_se")
    spread = np.zeros(height.size) if se is None else np.nan_to_num(se.values)
    missing = {"no_height": np.isnan(height), "no_bare_height": np.isnan(ground)}
    found = _depths(ground - height, spread, heights["time"].values, missing)
    found["bare_height"] = "time", ground, {"units": "m"}
    return found.assign_attrs(bare_days=f"{bare[0]}-{bare[1]}")


def azimuth_bins(azimuth: npt.ArrayLike, width: float = 20.0) -> np.ndarray:
    """Return the number of the sector of each azimuth, all around the antenna.

    Parameters
    ----------
    azimuth : array_like
        Degrees, clockwise; any turn.
    width : float
        Of a sector, degrees; divides 360.

    Returns
    -------
    numpy.ndarray of int
        From 0 at north.

    Raises
    ------
    InputError
        If the sectors do not close the circle.

    Examples
    --------
    >>> azimuth_bins([5.0, 359.0, -1.0, 40.0]).tolist()
    [0, 17, 17, 2]
    """
    if not 0 < width <= 360 or 360.0 % width > 1e-9:
        raise InputError(f"sectors of {width} degrees do not close the circle")
    return np.floor(np.mod(np.asarray(azimuth, float), 360.0) / width).astype(int)


def snow_depth_of_arcs(
    arcs: xr.Dataset,
    place: npt.ArrayLike,
    *,
    bare: tuple[int, int] = (213, 258),
    previous_summer: bool = True,
    required: int = 5,
) -> xr.Dataset:
    """Snow depth with a bare ground for each place: what a slope needs.

    Parameters
    ----------
    arcs : xarray.Dataset
        Along ``arc``: ``time``, ``reflector_height`` (m) and, if known,
        ``quality_flag``, of which only zero is used.
    place : array_like of int, shape (arc,)
        Where each arc reflects: `azimuth_bins`, or the number of its track.
    bare, previous_summer
        As for `snow_depth`; a place needs 15 arcs over bare ground.
    required : int
        Fewest arcs of a day.

    Returns
    -------
    xarray.Dataset
        As of `snow_depth`, with ``count``.

    Raises
    ------
    InputError
        If no place has enough arcs over bare ground.
    """
    require_variables(arcs, ("time", "reflector_height"), "arcs above the snow")
    label = np.asarray(place)
    if label.shape != arcs["reflector_height"].shape:
        raise InputError(
            f"place has the shape {label.shape}: one is needed for each of the "
            f"{arcs['reflector_height'].size} arcs"
        )
    good = np.isfinite(arcs["reflector_height"].values)
    if "quality_flag" in arcs:
        good &= arcs["quality_flag"].values == 0
    rows = pd.DataFrame(
        {
            "time": pd.DatetimeIndex(arcs["time"].values[good]),
            "height": arcs["reflector_height"].values[good],
            "place": label[good],
        }
    )
    rows["ground"] = np.nan
    for _, own in rows.groupby("place"):
        try:
            ground = _bare(
                pd.DatetimeIndex(own["time"]),
                own["height"].to_numpy(),
                bare,
                previous_summer,
            )
        except InputError:
            continue  # a place that was never seen bare
        rows.loc[own.index, "ground"] = ground
    if rows["ground"].isna().all():
        raise InputError(
            f"no place has {FEWEST} arcs over bare ground on days {bare[0]}-{bare[1]}"
        )
    rows = rows.dropna()
    days = rows.assign(depth=rows["ground"] - rows["height"]).groupby(
        rows["time"].dt.floor("D") + pd.Timedelta("12h")
    )
    mean, sd, count = (days["depth"].agg(how) for how in ("mean", "std", "count"))
    kept = count >= required
    spread = np.nan_to_num((sd / count**0.5)[kept].to_numpy())
    found = _depths(mean[kept].to_numpy(), spread, mean.index[kept].to_numpy(), {})
    found["count"] = "time", count[kept].to_numpy(), {"units": "1"}
    return found.assign_attrs(bare_days=f"{bare[0]}-{bare[1]}")


def _depths(
    depth: np.ndarray,
    spread: np.ndarray,
    time: np.ndarray,
    missing: dict[str, np.ndarray],
) -> xr.Dataset:
    """Return depths with their errors; those below the ground are rejected."""
    sunk = depth < LOWEST
    flag = SNOW.variable({**missing, "below_ground": sunk}, depth.shape)
    depth = np.where(sunk, np.nan, depth)
    error = np.where(np.isnan(depth), np.nan, np.hypot(FLOOR, spread))
    thickness = {"units": "m", "standard_name": "surface_snow_thickness"}
    return xr.Dataset(
        {
            "snow_depth": ("time", depth, thickness),
            "snow_depth_se": ("time", error, {"units": "m"}),
            "quality_flag": ("time", flag, SNOW.attrs()),
        },
        {"time": time},
    )


def _bare(
    time: pd.DatetimeIndex,
    height: np.ndarray,
    window: tuple[int, int],
    previous: bool,
) -> np.ndarray:
    """Return the height above bare ground that holds at each time; NaN for none."""
    first, last = window
    if not 1 <= first <= last <= 366:
        raise InputError(
            f"bare ground from day {first} to {last}: days of the year rise, 1 to 366"
        )
    day = time.day_of_year.to_numpy()
    summer = (day >= first) & (day <= last) & np.isfinite(height)
    years = time.year.to_numpy()
    if not previous:
        if summer.sum() < FEWEST:
            raise InputError(
                f"{summer.sum()} heights over bare ground on days {first}-{last}: "
                f"{FEWEST} are needed"
            )
        return np.full(height.size, height[summer].mean())
    means = {
        year: height[summer & (years == year)].mean()
        for year in np.unique(years[summer])
        if (summer & (years == year)).sum() >= FEWEST
    }
    if not means:
        raise InputError(
            f"no summer has {FEWEST} heights over bare ground on days {first}-{last}: "
            "choose days when the ground is bare, or the mean of all summers"
        )
    # A winter belongs to the summer that began before it.
    season = np.where(day >= first, years, years - 1)
    return np.array([means.get(year, np.nan) for year in season])
