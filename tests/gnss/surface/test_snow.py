"""Snow depth: bare ground, its summers and sectors, the pole at Niwot Ridge."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.gnss.surface import (
    azimuth_bins,
    read_daily_heights,
    snow_depth,
    snow_depth_of_arcs,
)


def year_of_heights(level=3.0, winter=1.2, year=2010, years=2):
    """Return heights of bare summers and winters under snow of known depth."""
    days = pd.date_range(f"{year}-01-01", f"{year + years - 1}-12-31") + pd.Timedelta(
        "12h"
    )
    day = days.day_of_year
    snow = np.where((day < 140) | (day > 310), winter, 0.0)
    return xr.Dataset(
        {
            "reflector_height": ("time", level - snow, {"units": "m"}),
            "reflector_height_se": ("time", np.full(days.size, 0.01)),
        },
        {"time": days.to_numpy()},
    )


def test_depth_is_the_bare_ground_less_the_height():
    found = snow_depth(year_of_heights())
    winter = found.sel(time="2010-12")
    np.testing.assert_allclose(winter["snow_depth"], 1.2, atol=1e-12)
    np.testing.assert_allclose(winter["snow_depth_se"], np.hypot(0.025, 0.01))


def test_an_antenna_that_was_raised_is_compared_with_its_own_summer():
    heights = xr.concat(
        [year_of_heights(3.0, 1.0, 2010, 1), year_of_heights(3.4, 1.0, 2011, 1)], "time"
    )
    found = snow_depth(heights)
    np.testing.assert_allclose(found["snow_depth"].sel(time="2010-12"), 1.0)
    np.testing.assert_allclose(found["snow_depth"].sel(time="2011-12"), 1.0)
    mean = snow_depth(heights, previous_summer=False)
    np.testing.assert_allclose(mean["snow_depth"].sel(time="2011-12"), 0.8)


def test_a_winter_before_the_first_summer_has_no_depth_and_says_why():
    found = snow_depth(year_of_heights())
    before = found.sel(time="2010-02")
    assert bool(before["snow_depth"].isnull().all())
    assert bool(is_flagged(before["quality_flag"], "no_bare_height").all())


def test_snow_below_the_ground_is_rejected_but_roughness_is_not():
    heights = year_of_heights()
    height = heights["reflector_height"]
    height.loc[{"time": "2010-12-24"}] = 3.074
    height.loc[{"time": "2010-12-25"}] = 3.076
    found = snow_depth(heights)
    assert float(found["snow_depth"].sel(time="2010-12-24").item()) < 0
    rejected = found.sel(time="2010-12-25")
    assert np.isnan(rejected["snow_depth"].item())
    assert bool(is_flagged(rejected["quality_flag"], "below_ground").item())


def test_too_few_days_of_bare_ground_are_refused():
    heights = year_of_heights().sel(time=slice("2010-11-01", "2011-08-10"))
    with pytest.raises(InputError, match="no summer has 15"):
        snow_depth(heights)
    with pytest.raises(InputError, match="days of the year rise"):
        snow_depth(heights, bare=(258, 213))


def test_sectors_close_the_circle_at_north():
    sectors = azimuth_bins(np.arange(-360.0, 720.0))
    assert set(sectors) == set(range(18))
    assert (np.bincount(sectors) == 60).all()
    with pytest.raises(InputError, match="do not close the circle"):
        azimuth_bins(1.0, 25.0)


def test_on_a_slope_each_sector_needs_its_own_ground():
    rng = np.random.default_rng(0)
    daily = year_of_heights(winter=0.8)
    rows = []
    for time, height in zip(
        daily["time"].values, daily["reflector_height"].values, strict=True
    ):
        # Snow hides the upper slope in winter: then only the lower sectors are seen.
        azimuth = rng.uniform(0.0, 180.0 if height < 3.0 else 360.0, 8)
        rows += [(time, a, height + np.cos(np.radians(a))) for a in azimuth]
    time, azimuth, height = (np.array(x) for x in zip(*rows, strict=True))
    arcs = xr.Dataset({"time": ("arc", time), "reflector_height": ("arc", height)})
    sectors = snow_depth_of_arcs(arcs, azimuth_bins(azimuth))
    winter = sectors["snow_depth"].sel(time="2010-12")
    np.testing.assert_allclose(winter, 0.8, atol=0.12)
    one = snow_depth_of_arcs(arcs, np.zeros(azimuth.size, int))
    scatter = one["snow_depth"].sel(time="2010-12").std()
    assert float(winter.std()) < 0.3 * float(scatter)


def test_arcs_that_were_rejected_take_no_part():
    daily = year_of_heights()
    time, height = daily["time"].values, daily["reflector_height"].values
    arcs = xr.Dataset(
        {
            "time": ("arc", np.repeat(time, 6)),
            "reflector_height": ("arc", np.repeat(height, 6)),
            "quality_flag": ("arc", np.zeros(6 * time.size, int)),
        }
    )
    arcs["reflector_height"][::6] = 7.0
    arcs["quality_flag"][::6] = 8
    found = snow_depth_of_arcs(arcs, np.zeros(arcs.sizes["arc"], int))
    np.testing.assert_allclose(found["snow_depth"].sel(time="2010-12"), 1.2)
    assert set(found["count"].values) == {5}


@pytest.mark.realdata
def test_depth_at_niwot_ridge_is_that_beside_the_pole(dataset):
    folder = dataset("reflection-records")
    heights = read_daily_heights(folder / "nwot_dailyRH.txt")
    found = snow_depth(heights, previous_summer=False)
    # Computed once more from the records: the mean of 219 days is 3.0847 m, and 93
    # days with a stake reading differ by -0.107 m, sd 0.120 m, r 0.980.
    assert float(found["bare_height"][0]) == pytest.approx(3.0847, abs=5e-5)
    poles = pd.read_csv(folder / "saddsnow.dw.data.csv.gz", dtype={"point_ID": str})
    pole = poles[poles["point_ID"] == "16"]
    stake = pd.Series(
        pole["depth_stake"].to_numpy() / 100.0, pd.DatetimeIndex(pole["date"])
    )
    raw = (found["bare_height"] - heights["reflector_height"]).to_series()
    raw.index = raw.index.floor("D")
    both = pd.concat([raw, stake], axis=1, join="inner").dropna()
    difference = both[0] - both[1]
    assert len(both) == 93
    assert difference.mean() == pytest.approx(-0.107, abs=5e-4)
    assert difference.std(ddof=0) == pytest.approx(0.120, abs=6e-4)
    assert both.corr().iloc[0, 1] == pytest.approx(0.980, abs=5e-4)
    # Days below the ground are rejected, the others are as they were.
    kept = found["snow_depth"].to_series().dropna()
    kept.index = kept.index.floor("D")
    assert (kept >= -0.075).all()
    np.testing.assert_allclose(kept, raw[kept.index])
