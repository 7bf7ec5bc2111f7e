"""Heat in the soil: nothing lost, and the waves that theory knows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax, jnp
from tilth.land.model import soil_heat

LAYERS = np.array([0.05, 0.20, 0.75, 1.0, 2.0, 10.0])


def column(seed, cells=4):
    rng = np.random.default_rng(seed)
    temperature = rng.uniform(250, 310, (6, cells))
    capacity = rng.uniform(1e6, 4e6, (6, cells)) * LAYERS[:, None]
    conductance = soil_heat.layer_conductance(rng.uniform(0.1, 3, (6, cells)), LAYERS)
    return temperature, capacity, conductance


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    dt=st.sampled_from([60.0, 1800.0, 3600.0, 86400.0]),
    flux=st.floats(-500, 500),
)
def test_the_column_gains_the_heat_that_enters_it(seed, dt, flux):
    temperature, capacity, conductance = column(seed)
    new = soil_heat.conduct(temperature, capacity, conductance, dt, top_flux=flux)
    gain = np.sum(capacity * (new - temperature), axis=0)
    # Rounding of temperatures near 300 K.
    np.testing.assert_allclose(gain, flux * dt, atol=1e-15 * 300 * capacity.sum())


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), flux=st.floats(-500, 500))
def test_the_response_foretells_what_conduction_does_to_the_top_layer(seed, flux):
    temperature, capacity, conductance = column(seed)
    alpha, beta = soil_heat.response(temperature, capacity, conductance, 3600.0)
    new = soil_heat.conduct(temperature, capacity, conductance, 3600.0, top_flux=flux)
    np.testing.assert_allclose(alpha + beta * flux, new[0], rtol=1e-13)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), dt=st.sampled_from([60.0, 3600.0, 1e7]))
def test_conduction_alone_makes_no_new_extremes(seed, dt):
    temperature, capacity, conductance = column(seed)
    new = soil_heat.conduct(temperature, capacity, conductance, dt, top_flux=0.0)
    assert np.all(new.max(axis=0) <= temperature.max(axis=0) + 1e-10)
    assert np.all(new.min(axis=0) >= temperature.min(axis=0) - 1e-10)


def test_heat_put_into_a_layer_stays_in_the_column():
    temperature, capacity, conductance = column(1)
    source = np.zeros_like(temperature)
    source[3] = 5.0
    new = soil_heat.conduct(
        temperature, capacity, conductance, 3600.0, top_flux=0.0, source=source
    )
    gain = np.sum(capacity * (new - temperature), axis=0)
    np.testing.assert_allclose(gain, 5.0 * 3600, rtol=1e-6)


def forced_by_a_sine(dt, depth=1.2, layers=120, days=3):
    """Amplitude and lag of the last day, with layers of 1 cm and a daily wave."""
    conductivity, capacity = 1.5, 2.5e6
    omega = 2 * np.pi / 86400
    damping = np.sqrt(2 * conductivity / capacity / omega)
    thickness = np.full(layers, depth / layers)
    middle = np.cumsum(thickness) - thickness / 2
    heat = jnp.full((layers, 1), capacity * depth / layers)
    between = soil_heat.layer_conductance(
        jnp.full((layers, 1), conductivity), thickness
    )
    top = soil_heat.half_conductance(conductivity, thickness[0])

    def step(temperature, time):
        surface = 285.0 + 10.0 * jnp.sin(omega * time)
        alpha, beta = soil_heat.response(temperature, heat, between, dt)
        flux = top / (1 + top * beta) * (surface - alpha)
        new = soil_heat.conduct(temperature, heat, between, dt, top_flux=flux)
        return new, new[:, 0]

    start = 285.0 + 10.0 * np.exp(-middle / damping) * np.sin(-middle / damping)
    time = dt * np.arange(1, round(days * 86400 / dt) + 1)
    _, series = jax.jit(lambda x: jax.lax.scan(step, x, time))(
        jnp.array(start)[:, None]
    )
    day = slice(-round(86400 / dt), None)
    wave = 2 * np.mean(
        np.asarray(series[day]) * np.exp(-1j * omega * time[day])[:, None], axis=0
    )
    amplitude = np.abs(wave)
    lag = -np.unwrap(np.angle(wave)) - np.pi / 2
    return middle / damping, amplitude, lag


def test_a_daily_wave_decays_and_lags_with_depth_as_in_a_half_space():
    """Carslaw & Jaeger (1959), section 2.6: exp(-z/d) and a lag of z/d radians."""
    z, amplitude, lag = forced_by_a_sine(dt=300.0)
    shallow = z < 4
    np.testing.assert_allclose(amplitude[shallow], 10 * np.exp(-z[shallow]), rtol=0.03)
    np.testing.assert_allclose(lag[shallow], z[shallow], atol=0.03)


def test_the_error_of_the_daily_wave_halves_with_the_step():
    errors = []
    for dt in (1200.0, 600.0):
        z, amplitude, _ = forced_by_a_sine(dt)
        errors.append(np.max(np.abs(amplitude - 10 * np.exp(-z))))
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.3)


def test_derivatives_by_temperature_capacity_and_conductance_match_differences():
    inputs = tuple(jnp.asarray(x) for x in column(3, cells=1))

    def score(inputs):
        new = soil_heat.conduct(*inputs, 3600.0, top_flux=100.0)
        alpha, beta = soil_heat.response(*inputs, 3600.0)
        return jnp.sum(jnp.sin(new)) + jnp.sum(alpha * beta)

    slopes = jax.grad(score)(inputs)
    for k, slope in enumerate(slopes):
        way = np.random.default_rng(k).uniform(0.5, 1.5, slope.shape) * inputs[k] * 1e-6
        ends = [
            score(tuple(x + s * way if i == k else x for i, x in enumerate(inputs)))
            for s in (1, -1)
        ]
        assert float(jnp.sum(slope * way)) == pytest.approx(
            float((ends[0] - ends[1]) / 2), rel=1e-5
        )


def test_ice_warms_with_half_the_heat_of_water():
    wet = soil_heat.heat_capacity(2.0e6, 0.3, 0.0)
    frozen = soil_heat.heat_capacity(2.0e6, 0.3, 0.3)
    assert wet == pytest.approx(2.0e6 + 0.3 * 4.219e6)
    assert frozen == pytest.approx(2.0e6 + 0.3 * 2.097e6)


def test_water_makes_dry_soil_conduct_up_to_seven_times_better():
    assert float(soil_heat.conductivity(0.3, 0.0)) == pytest.approx(0.3)
    assert float(soil_heat.conductivity(0.3, 5.0)) == pytest.approx(2.1)
    assert float(soil_heat.conductivity(0.3, 0.25)) == pytest.approx(
        0.3 * (1 + 6 * np.tanh(1.0))
    )


def test_the_conductivity_of_kanagawa_loam_is_that_of_the_published_curve():
    # Hansson et al. (2004), eq. 14 by hand: theta 0.33, no ice
    x = 0.33
    expected = 0.55 + 0.8 * x - 0.42 * np.exp(-((3.07 * x) ** 4))
    assert float(soil_heat.conductivity_frozen(x, 0.0)) == pytest.approx(expected)
    # ... and frozen ground conducts better, with a finite slope where ice begins
    value, slope = jax.value_and_grad(lambda i: soil_heat.conductivity_frozen(x, i))(
        0.2
    )
    assert float(value) > 1.5 * expected
    assert slope > 0
    assert np.isfinite(jax.grad(lambda i: soil_heat.conductivity_frozen(x, i))(0.0))


def test_layers_in_series_conduct_like_their_resistances_added():
    between = soil_heat.layer_conductance(np.array([1.0, 2.0]), np.array([0.1, 0.4]))
    assert float(between[0]) == pytest.approx(1 / (0.05 / 1.0 + 0.2 / 2.0))
