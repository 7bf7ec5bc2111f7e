import numpy as np
import pytest

from tilth.chambers.air import (
    air_moles_per_area,
    dry_mole_fraction,
    vapour_mole_fraction,
)
from tilth.chambers.simulate.fleet import (
    FAULTS,
    Chamber,
    Faults,
    Layout,
    Sensor,
    Soil,
    hutchinson_mosier,
    simulate_closures,
    simulate_fleet,
)
from tilth.chambers.soil.diffusion import gradient_flux, millington_quirk
from tilth.core.errors import InputError

PERFECT = Sensor(
    noise=0,
    ar_noise=0,
    gain_spread=0,
    offset_spread=0,
    drift_spread=0,
    response=0,
    update=0.25,
    quantum=1e-9,
    humidity_noise=0,
    temperature_noise=0,
    pressure_noise=0,
)
TWO_POTS = Layout(replicas=("A",), days=0.3)


def night(closures):
    return closures.isel(closure=(closures.light.isel(sample=0) <= 10).values)


@pytest.fixture(scope="module")
def faulty():
    return simulate_fleet(
        Layout(days=4), faults=Faults(0.4, 0.4, 0.4, light_errors=0.05), seed=3
    )


def test_a_perfect_sensor_shows_the_true_flux_in_the_first_slope():
    closures = simulate_fleet(TWO_POTS, sensor=PERFECT, seed=1)
    vapour = vapour_mole_fraction(
        closures.relative_humidity, closures.temperature + 1.5, closures.pressure
    ).values
    dry = dry_mole_fraction(closures.co2.values, vapour)
    t = closures.elapsed.isel(closure=0).values
    zero = int(np.flatnonzero(t == 0)[0])
    phi = air_moles_per_area(
        closures.true_volume,
        closures.area,
        closures.pressure[:, zero],
        closures.temperature[:, zero],
        vapour[:, zero],
    )
    # Two points undo the curvature exactly: the rise over the shape of the rise.
    shape = hutchinson_mosier(1.0, closures.true_k.values, 150.0)
    rise = dry[:, zero + 50] - dry[:, zero]
    flux = phi.values * rise / shape
    dark = closures.light.isel(sample=0).values <= 10
    assert dark.sum() > 20
    np.testing.assert_allclose(flux[dark], closures.true_flux.values[dark], rtol=5e-3)


def test_vapour_rises_as_fast_as_the_true_water_flux_says():
    closures = night(simulate_fleet(TWO_POTS, sensor=PERFECT, seed=1))
    vapour = vapour_mole_fraction(
        closures.relative_humidity,
        closures.humidity_temperature.mean("sample"),
        closures.pressure,
    ).values
    zero = 10
    phi = air_moles_per_area(
        closures.true_volume.values, 0.0314, 97_200.0, closures.temperature[:, zero]
    )
    slope = (vapour[:, zero + 10] - vapour[:, zero]) / 30.0
    flux = 1e3 * phi.values * slope / (1 - vapour[:, zero])
    np.testing.assert_allclose(flux, closures.true_h2o_flux, rtol=0.03)


def test_the_same_seed_gives_the_same_fleet_and_another_seed_another():
    one, same, other = (simulate_fleet(TWO_POTS, seed=s) for s in (5, 5, 6))
    assert one.drop_attrs().equals(same.drop_attrs())
    assert not np.allclose(one.true_flux, other.true_flux)


def test_identifiers_stay_text_even_where_they_look_like_numbers():
    layout = Layout(("5",), {"1": 1.0, "10": 2.0}, ("A",), days=0.02)
    closures = simulate_fleet(layout, Soil(pot_spread=0, cycle_spread=0))
    assert sorted(set(closures.variant.values)) == ["5.1", "5.10"]
    ratio = closures.true_soil_flux[closures.variant == "5.10"].values / (
        closures.true_soil_flux[closures.variant == "5.1"].values
    )
    np.testing.assert_allclose(ratio, 2.0)


def test_noise_of_the_sensor_has_the_spread_and_memory_it_was_given():
    still = Soil(flux=1e-9, photosynthesis=0, vapour_conductance=0, soil_spread=0)
    sensor = Sensor(noise=3.0, ar_noise=4.0, ar=0.9, update=3.0, quantum=0.01)
    closures = simulate_fleet(Layout(days=0.5), still, sensor=sensor, seed=2)
    t = closures.elapsed.isel(closure=0).values
    late = closures.co2.values[:, t > 0]
    for lag in (1, 10):
        step = late[:, lag:] - late[:, :-lag]
        expected = 2 * (3.0**2 + 4.0**2 * (1 - 0.9**lag))
        assert (step**2).mean() == pytest.approx(expected, rel=0.05)


def test_a_slow_sensor_shows_the_slope_one_response_time_late():
    soil = Soil(feedback=0.0, photosynthesis=0, vapour_conductance=0)
    slow = Sensor(**{**PERFECT.__dict__, "response": 20.0})
    quick = simulate_fleet(TWO_POTS, soil, sensor=PERFECT, seed=4)
    lagged = simulate_fleet(TWO_POTS, soil, sensor=slow, seed=4)
    t = quick.elapsed.isel(closure=0).values
    delay = (quick.co2 - lagged.co2).values[:, t == 150.0]
    slope = ((quick.co2[:, 60] - quick.co2[:, 50]) / 30.0).values[:, None]
    np.testing.assert_allclose(delay / slope, 20.0, rtol=0.03)


def test_slow_pots_stay_closed_longer_but_never_above_five_minutes():
    weak = simulate_fleet(TWO_POTS, Soil(flux=0.05, photosynthesis=0), seed=1)
    strong = simulate_fleet(TWO_POTS, Soil(flux=4.0, photosynthesis=0), seed=1)
    assert float(strong.elapsed.max()) == 180.0
    assert float(weak.elapsed.max("sample").median()) > 180.0
    assert float(weak.elapsed.max()) <= 300.0


def test_soil_co2_is_what_ficks_law_needs_for_the_true_flux():
    soil = Soil(depth=0.15, porosity=0.55)
    closures = simulate_fleet(Layout(days=1), soil, seed=7)
    expected = gradient_flux(
        closures.soil_co2,
        closures.co2.isel(sample=slice(0, 10)).median("sample"),
        millington_quirk(soil.porosity - closures.soil_moisture, soil.porosity),
        soil.depth,
        closures.temperature.mean("sample"),
        closures.pressure.mean("sample"),
    )
    ratio = expected / closures.true_soil_flux
    assert abs(float(ratio.median()) - 1.0) < 0.02
    assert float(ratio.std()) < 0.05


def test_every_fault_does_to_the_air_what_it_should(faulty):
    t = faulty.elapsed.isel(closure=0).values
    before = faulty.co2.values[:, t < 0].mean(axis=1)
    room = faulty.co2.isel(sample=0).groupby("time").median()
    excess = before - room.sel(time=faulty.time).values
    rise = faulty.co2.values[:, 60:70].mean(axis=1) - before
    dark = (faulty.true_flux == faulty.true_soil_flux).values
    moist = (
        faulty.relative_humidity[:, 60:70].mean("sample")
        - faulty.relative_humidity[:, :10].mean("sample")
    ).values
    is_ = {name: (faulty.fault.values == name) & dark for name in FAULTS}
    assert all(where.sum() > 20 for where in is_.values())
    assert np.abs(rise[is_["stuck_open"]]).max() < 15
    assert np.abs(rise[is_["clogged_pot"]]).max() < 15
    assert np.median(rise[is_["none"]]) > 6
    assert np.abs(moist[is_["clogged_pot"]]).max() < 0.3
    assert np.abs(moist[is_["stuck_open"]]).max() < 0.3
    assert np.median(moist[is_["none"]]) > 1
    assert np.median(np.abs(excess[is_["stuck_closed"]])) > 100
    assert np.median(np.abs(excess[is_["none"]])) < 30
    assert (faulty.true_soil_flux.values[faulty.fault == "clogged_pot"] == 0).all()


def test_the_light_sensor_fails_as_often_as_asked(faulty):
    wrong = (faulty.light.isel(sample=0) == -1).mean()
    assert float(wrong) == pytest.approx(0.05, abs=0.01)


def test_the_servo_tells_only_when_asked():
    faults = Faults(stuck_open=3.0, clogged_pot=3.0, servo_feedback=True)
    closures = simulate_fleet(Layout(days=1), faults=faults, seed=1)
    jammed = closures.servo_ok.values == 0
    np.testing.assert_array_equal(jammed, closures.fault.values == "stuck_open")
    assert "servo_ok" not in simulate_fleet(TWO_POTS)


def test_true_volumes_spread_about_the_nominal_one():
    layout = Layout(tables=tuple("abcdefgh"), days=0.01)
    closures = simulate_fleet(layout, chamber=Chamber(volume_spread=0.045), seed=1)
    ratio = (closures.true_volume / closures.volume).values
    assert ratio.mean() == pytest.approx(1.0, abs=0.02)
    assert ratio.std() == pytest.approx(0.045, rel=0.3)


def test_plain_closures_follow_the_exact_curve_and_noise():
    closures = simulate_closures(400, 61, flux=2.0, k=1e-3, noise=1.5, seed=1)
    phi = air_moles_per_area(0.165, 1.0, 97_200.0, 20.0)
    t = closures.elapsed.values
    curve = 450.0 + 2.0 / phi / 1e-3 * (1 - np.exp(-1e-3 * t))
    residual = closures.co2.values - curve
    assert residual.std() == pytest.approx(1.5, rel=0.02)
    assert abs(residual.mean()) < 0.05


def test_no_feedback_is_a_straight_line_and_little_feedback_nearly_one():
    t = np.array([-10.0, 0.0, 100.0])
    np.testing.assert_array_equal(hutchinson_mosier(0.5, 0.0, t), [0, 0, 50])
    np.testing.assert_allclose(hutchinson_mosier(0.5, 1e-9, t), [0, 0, 50], rtol=1e-6)


def test_a_fleet_without_pots_is_refused():
    with pytest.raises(InputError, match="needs pots and time"):
        simulate_fleet(Layout(replicas=()))


def test_a_blocked_soil_fills_up_within_hours_to_a_day():
    faults = Faults(clogged_pot=0.3, duration=40)
    fleet = simulate_fleet(Layout(days=6), faults=faults, seed=8)
    begun = filled = 0
    for pot in np.unique(fleet.pot.values.astype(str)):
        one = fleet.isel(closure=(fleet.pot == pot).values)
        blocked = (one.fault == "clogged_pot").values
        run = np.flatnonzero(blocked & ~np.r_[False, blocked[:-1]])
        for first in run:
            length = int(np.argmin(np.r_[blocked[first:], False]))
            series = one.soil_co2.values[first : first + length]
            begun += 1
            assert series[0] < 15_000
            if length > 6 * 36:
                filled += 1
                assert series[-1] > 20_000
    assert begun > 5
    assert filled > 1
