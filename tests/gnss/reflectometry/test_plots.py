"""Figures show what they are asked: the axes carry the numbers."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.fresnel import fresnel_ellipse
from tilth.gnss.reflectometry.plots import (
    plot_arc,
    plot_daily_heights,
    plot_fresnel_map,
)
from tilth.gnss.reflectometry.signals import wavelength


def test_the_periodogram_of_an_arc_peaks_at_its_height():
    elevation = np.linspace(5.0, 25.0, 90)
    sine = np.sin(np.radians(elevation))
    wave = wavelength(25, 20)
    drawn = plot_arc(elevation, 12.0 * np.cos(4 * np.pi * 3.2 * sine / wave), 25, 20)
    left, right = drawn.axes
    assert left.get_title(loc="left") == "G25, GPS L2C"
    curve = right.lines[0].get_data()
    assert curve[0][np.argmax(curve[1])] == pytest.approx(3.2, abs=0.02)
    assert curve[1].max() == pytest.approx(12.0, rel=0.03)
    assert right.texts[0].get_text().startswith("3.2")
    with pytest.raises(InputError, match="channel of GLONASS"):
        plot_arc(elevation, sine, 140, 101)


@pytest.mark.parametrize("signals", [False, True])
def test_a_daily_series_has_bars_and_counts(signals):
    time = np.arange("2019-07-01", "2019-07-11", dtype="datetime64[D]")
    shape = ("time", "signal") if signals else ("time",)
    size = (10, 2) if signals else (10,)
    daily = xr.Dataset(
        {
            "reflector_height": (shape, np.full(size, 2.0)),
            "reflector_height_se": (shape, np.full(size, 0.01)),
            "count": (shape, np.full(size, 30)),
        },
        coords={"time": time.astype("datetime64[ns]") + np.timedelta64(12, "h")},
    )
    daily["reflector_height_se"][3] = np.nan
    if signals:
        daily = daily.assign_coords(
            signal=[1, 20], signal_name=("signal", ["L1", "L2C"])
        )
    upper, lower = plot_daily_heights(daily).axes
    assert upper.yaxis_inverted()
    assert "(m)" in upper.get_ylabel()
    assert len(upper.containers) == (2 if signals else 1)
    assert len(lower.lines[0].get_ydata()) == 10
    names = upper.get_legend_handles_labels()[1]
    assert names == (["L1", "L2C"] if signals else [])


def test_the_map_has_a_zone_for_each_accepted_arc_and_elevation():
    arcs = xr.Dataset(
        {
            "satellite": ("arc", [5, 7, 9]),
            "signal": ("arc", [1, 1, 1]),
            "azimuth": ("arc", [0.0, 90.0, 180.0]),
            "quality_flag": ("arc", np.array([0, 0, 4], "int32")),
        }
    )
    (ax,) = plot_fresnel_map(arcs, 2.0, elevations=(5.0, 10.0)).axes
    assert len(ax.lines) == 2 * 2 + 1
    distance, along, _ = fresnel_ellipse(2.0, 5.0, wavelength(5, 1))
    assert max(line.get_ydata().max() for line in ax.lines) == pytest.approx(
        distance + along
    )
    with pytest.raises(InputError, match="no arc is accepted"):
        plot_fresnel_map(arcs.isel(arc=[2]), 2.0)
