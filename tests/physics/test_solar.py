"""The sun: published positions, an independent series, integrals and splits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax
from tilth.core.errors import InputError
from tilth.physics import solar


def almanac(time, latitude, longitude):
    # US Naval Observatory, "Computing approximate solar coordinates" and "approximate
    # sidereal time": right ascension and sidereal time, within 0.02 degrees.
    days = (time - np.datetime64("2000-01-01T12:00:00")) / np.timedelta64(1, "D")
    g = np.radians(357.529 + 0.98560028 * days)
    mean = 280.459 + 0.98564736 * days
    ecliptic = np.radians(mean + 1.915 * np.sin(g) + 0.020 * np.sin(2 * g))
    tilt = np.radians(23.439 - 0.00000036 * days)
    ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    hour = np.radians(280.46062 + 360.98564737 * days + longitude) - ascension
    phi = np.radians(latitude)
    return np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(
        declination
    ) * np.cos(hour)


def test_the_published_example_of_the_solar_position_algorithm():
    # Reda & Andreas (2004), Solar Energy 76, 577-589, example: 2003-10-17 12:30:30 at
    # UTC-7, 39.742476 N, 105.1786 W: elevation without refraction 39.872046 degrees.
    time = np.datetime64("2003-10-17T19:30:30")
    cosine = solar.cosine_zenith(time, 39.742476, -105.1786)
    assert cosine.shape == (1, 1)
    elevation = 90 - np.degrees(np.arccos(cosine[0, 0]))
    assert elevation == pytest.approx(39.872046, abs=2e-3)


def test_a_century_follows_sidereal_time_and_right_ascension():
    time = np.arange(
        "1950-01-01", "2050-01-01", np.timedelta64(3671, "m"), dtype="datetime64[s]"
    )
    latitude = np.array([-77.8, -33.9, 0.0, 40.0, 61.5, 90.0])
    longitude = np.array([166.7, 18.4, -78.5, -88.4, 24.2, 0.0])
    ours = solar.cosine_zenith(time, latitude, longitude)
    theirs = almanac(time[:, None], latitude, longitude)
    assert np.abs(ours - theirs).max() < np.radians(0.02)


def test_the_sun_crosses_the_equator_and_turns_when_the_almanac_says():
    # Astronomical Applications Department, US Naval Observatory: seasons of 2024.
    equinox = np.array(["2024-03-20T03:06", "2024-09-22T12:44"], "datetime64[m]")
    declination = np.degrees(solar.sun_position(equinox).declination)
    assert np.abs(declination).max() < 2e-3
    solstice = np.array(["2024-06-20T20:51", "2024-12-21T09:20"], "datetime64[m]")
    declination = np.degrees(solar.sun_position(solstice).declination)
    assert declination == pytest.approx([23.436, -23.436], abs=3e-3)


@pytest.mark.parametrize("latitude", [-66.0, -20.0, 0.0, 35.0, 58.0])
def test_the_daily_mean_is_the_textbook_integral_from_sunrise_to_sunset(latitude):
    # FAO-56 (Allen et al. 1998), eq. 21, without its solar constant.
    day = np.datetime64("2023-09-03")
    declination = solar.sun_position(day + np.timedelta64(12, "h")).declination
    phi = np.radians(latitude)
    sunset = np.arccos(-np.tan(phi) * np.tan(declination))
    expected = (
        sunset * np.sin(phi) * np.sin(declination)
        + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    ) / np.pi
    mean = solar.mean_cosine_zenith(day, 86400.0, latitude, 30.0)
    assert mean.step[0, 0] == pytest.approx(expected, rel=1e-9)
    assert mean.sunlit[0, 0] == pytest.approx(expected * np.pi / sunset, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    day=st.integers(0, 20000),
    second=st.integers(0, 86399),
    step=st.sampled_from([600.0, 1800.0, 3600.0, 10800.0, 43200.0]),
    latitude=st.floats(-90.0, 90.0),
    longitude=st.floats(-180.0, 360.0),
)
def test_the_mean_over_a_step_is_the_integral_of_the_positive_part(
    day, second, step, latitude, longitude
):
    start = np.datetime64("1980-01-01T00:00:00") + np.timedelta64(
        86400 * day + second, "s"
    )
    mean = solar.mean_cosine_zenith(start, step, latitude, longitude)
    fine = np.arange(0.5, 400) / 400 * step
    times = start + (fine * 1e3).astype("timedelta64[ms]")
    cosine = solar.cosine_zenith(times, latitude, longitude)[:, 0]
    up = cosine > 0
    expected = np.mean(np.where(up, cosine, 0.0))
    # The declination of the middle of the step stands for it: 0.1 degrees in 6 hours.
    assert mean.step[0, 0] == pytest.approx(expected, abs=1e-3 * max(1, step / 1e4))
    assert mean.step[0, 0] >= 0
    assert mean.sunlit[0, 0] >= mean.step[0, 0] - 1e-12
    if up.all():
        assert mean.sunlit[0, 0] == pytest.approx(mean.step[0, 0], rel=1e-9)


def test_steps_add_up_to_their_day():
    start = np.datetime64("2020-05-05") + np.arange(48) * np.timedelta64(30, "m")
    steps = solar.mean_cosine_zenith(start, 1800.0, [47.0, -47.0], [11.0, 170.0]).step
    day = solar.mean_cosine_zenith(start[0], 86400.0, [47.0, -47.0], [11.0, 170.0]).step
    np.testing.assert_allclose(steps.mean(axis=0), day[0], atol=2e-4)


def test_the_polar_night_is_dark_and_the_polar_day_never_ends():
    winter, summer = np.datetime64("2021-12-21"), np.datetime64("2021-06-21")
    night = solar.mean_cosine_zenith(winter, 86400.0, 80.0, 0.0)
    assert night.step[0, 0] == 0.0
    assert night.sunlit[0, 0] == 0.0
    day = solar.mean_cosine_zenith(summer, 86400.0, 90.0, 0.0)
    assert day.step[0, 0] == pytest.approx(np.sin(np.radians(23.436)), abs=1e-4)
    assert day.sunlit[0, 0] == pytest.approx(day.step[0, 0], rel=1e-9)


def test_what_is_not_a_time_or_a_place_is_refused_with_the_way_out():
    with pytest.raises(InputError, match="datetime64"):
        solar.cosine_zenith(np.array([2459000.5]), 0.0, 0.0)
    with pytest.raises(InputError, match="1 missing"):
        solar.cosine_zenith(np.array(["NaT", "2020-01-01"], "datetime64[s]"), 0.0, 0.0)
    with pytest.raises(InputError, match="exchanged"):
        solar.cosine_zenith(np.datetime64("2020-01-01"), 120.0, 40.0)
    with pytest.raises(InputError, match="positive step"):
        solar.mean_cosine_zenith(np.datetime64("2020-01-01"), 0.0, 0.0, 0.0)


SPLIT = jax.jit(solar.split_shortwave)


@settings(max_examples=100, deadline=None)
@given(
    shortwave=st.floats(0.0, 1500.0),
    cosine=st.floats(-1.0, 1.0),
    pressure=st.floats(3e4, 1.1e5),
)
def test_the_four_parts_are_positive_and_add_up(shortwave, cosine, pressure):
    parts = np.asarray(SPLIT(shortwave, cosine, pressure))
    assert parts.shape == (2, 2)
    assert np.all(parts >= 0.0)
    assert parts.sum() == pytest.approx(shortwave, rel=1e-12, abs=1e-12)
    if cosine <= 0:
        assert parts[:, 0].sum() == 0.0


@settings(max_examples=60, deadline=None)
@given(shortwave=st.floats(1.0, 1200.0), cosine=st.floats(0.03, 1.0))
def test_clouds_turn_direct_light_into_diffuse(shortwave, cosine):
    def diffuse(s):
        parts = np.asarray(SPLIT(s, cosine, 1e5))
        return parts[:, 1].sum() / parts.sum()

    assert diffuse(shortwave) >= diffuse(1.1 * shortwave) - 1e-12
    assert diffuse(1e-3) == pytest.approx(1.0)


def test_a_clear_noon_has_the_potential_light_of_weiss_and_norman():
    # Sun in the zenith at sea level: 600 exp(-0.185) = 498.7 and 0.4 (600 - 498.7) =
    # 40.5 W m-2 visible; water absorbs 1320 10^-1.195 = 84.2, so 720 exp(-0.06) - 84.2
    # = 593.9 and 0.6 (720 - 593.9 - 84.2) = 25.1 W m-2 near infrared.
    expected = np.array([[498.65, 40.54], [593.82, 25.16]])
    parts = SPLIT(expected.sum(), 1.0, 101325.0)
    np.testing.assert_allclose(parts, expected, rtol=1e-3)


def test_the_split_has_finite_slopes_by_day_and_night():
    slopes = jax.jit(jax.jacrev(solar.split_shortwave, argnums=(0, 1, 2)))
    for shortwave, cosine in [(0.0, -0.3), (0.0, 0.0), (900.0, 0.8), (1400.0, 0.1)]:
        for slope in slopes(shortwave, cosine, 9e4):
            assert np.all(np.isfinite(slope))
    step = 1e-4
    ahead, behind = SPLIT(400 + step, 0.6, 9e4), SPLIT(400 - step, 0.6, 9e4)
    np.testing.assert_allclose(
        slopes(400.0, 0.6, 9e4)[0], (ahead - behind) / (2 * step), rtol=1e-6
    )
