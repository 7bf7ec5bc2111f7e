"""Fresnel zones: exact cases, the definition by the way of the wave, maps."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.fresnel import (
    fresnel_ellipse,
    fresnel_geojson,
    fresnel_zone,
    write_geojson,
)
from tilth.gnss.reflectometry.signals import wavelength


@given(
    height=st.floats(0.5, 50.0),
    elevation=st.floats(2.0, 80.0),
    azimuth=st.floats(0.0, 360.0),
)
def test_waves_from_the_edge_come_half_a_wave_later(height, elevation, azimuth):
    """The definition: at the edge the way is half a wave longer than at the mirror."""
    wave = 0.19
    x, y = fresnel_zone(height, elevation, azimuth, wave).T
    e, a = math.radians(elevation), math.radians(azimuth)

    def way(east, north):
        # Along the plane wave, and from the ground to the antenna.
        along = math.cos(e) * (east * math.sin(a) + north * math.cos(a))
        return np.sqrt(east**2 + north**2 + height**2) - along

    foot = height / math.tan(e)
    mirror = way(foot * math.sin(a), foot * math.cos(a))
    np.testing.assert_allclose(way(x, y) - mirror, wave / 2, atol=1e-6)


def test_a_zone_lies_where_the_satellite_stands():
    zone = fresnel_zone(2.0, 10.0, 90.0, 0.19)
    assert zone.shape == (73, 2)
    np.testing.assert_array_equal(zone[0], zone[-1])
    distance, along, across = fresnel_ellipse(2.0, 10.0, 0.19)
    np.testing.assert_allclose(zone[:-1].mean(0), [distance, 0.0], atol=1e-9)
    assert np.ptp(zone[:, 0]) == pytest.approx(2 * along)
    assert np.ptp(zone[:, 1]) == pytest.approx(2 * across)
    assert along > across


def test_zones_on_a_map_have_their_size_and_winding(tmp_path):
    zones = fresnel_geojson(
        71.3, -156.6, 2.5, [(5, 0.0), (12, 90.0)], elevations=(5.0, 15.0)
    )
    assert [f["geometry"]["type"] for f in zones["features"]] == ["Point"] + 4 * [
        "Polygon"
    ]
    for feature in zones["features"][1:]:
        ring = np.array(feature["geometry"]["coordinates"][0])
        assert (ring[0] == ring[-1]).all()
        told = feature["properties"]
        _, along, across = fresnel_ellipse(2.5, told["elevation"], wavelength(5, 1))
        # A degree of latitude at 71.3 N is 111.6 km, one of longitude 35.9 km.
        x = (ring[:, 0] + 156.6) * 35_886.0
        y = (ring[:, 1] - 71.3) * 111_582.0
        area = 0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])
        assert area == pytest.approx(
            math.pi * along * across, rel=0.01
        )  # anticlockwise
        ahead = y if told["azimuth"] == 0 else x
        assert ahead.mean() > along / 2
    write_geojson(zones, tmp_path / "zones.geojson")
    assert json.loads((tmp_path / "zones.geojson").read_text()) == zones


@pytest.mark.parametrize(
    ("height", "elevation", "wave"),
    [(0.0, 5.0, 0.19), (2.0, 90.0, 0.19), (2.0, 5.0, 0)],
)
def test_a_zone_that_cannot_be_is_refused(height, elevation, wave):
    with pytest.raises(InputError, match="Fresnel zone needs"):
        fresnel_ellipse(height, elevation, wave)


def test_places_and_signals_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="no place"):
        fresnel_geojson(95.0, 0.0, 2.0, [(5, 10.0)])
    with pytest.raises(InputError, match="205 does not send signal 1"):
        fresnel_geojson(45.0, 0.0, 2.0, [(205, 10.0)])
    with pytest.raises(InputError, match="channel of GLONASS satellite 140"):
        fresnel_geojson(45.0, 0.0, 2.0, [(140, 10.0)], signal=101)
