"""Soil hydraulic curves: inverse, published points, and slopes that never break."""

import numpy as np
import pytest
from scipy.integrate import quad

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.physics.soil_hydraulics import (
    DRIEST_HEAD,
    TEXTURES,
    ClappHornberger,
    VanGenuchten,
    texture,
)

CELIA = VanGenuchten(0.102, 0.368, 3.35, 2.0, 9.22e-5)
MIZOGUCHI = VanGenuchten(0.05, 0.535, 1.11, 1.48, 3.2e-6, 0.5)
SOILS = [CELIA, MIZOGUCHI, *(texture(name) for name in TEXTURES)]


@pytest.mark.parametrize("soil", SOILS)
def test_content_is_the_inverse_of_head_from_air_dry_to_the_fringe(soil):
    head = -np.logspace(0.1, 4.9, 30)
    np.testing.assert_allclose(soil.head(soil.content(head)), head, rtol=1e-7)


@pytest.mark.parametrize("soil", SOILS)
def test_a_wetter_soil_holds_less_tightly_and_conducts_no_less(soil):
    least = float(soil.least_water)
    # from short of the driest head to beyond saturation
    water = np.linspace(least - 0.01, soil.saturation + 0.05, 400)
    assert np.all(np.diff(soil.head(water)) > 0)
    assert np.all(np.diff(soil.conductivity(water)) >= 0)


@pytest.mark.parametrize("soil", SOILS)
def test_a_saturated_soil_conducts_its_saturated_conductivity(soil):
    for water in (soil.saturation, soil.saturation + 0.1):
        assert float(soil.conductivity(water)) == pytest.approx(
            soil.conductivity_saturated, rel=1e-9
        )


def test_a_clapp_hornberger_soil_follows_its_two_power_laws():
    soil = texture("loam")  # b 5.25
    half = 0.5 * soil.saturation
    assert float(soil.head(half)) == pytest.approx(-0.355 * 2**5.25)
    assert float(soil.conductivity(half)) == pytest.approx(3.38e-6 * 0.5**13.5)
    assert float(soil.content(-0.1)) == soil.saturation  # air has not entered


def test_van_genuchten_gives_the_water_of_celias_problem():
    # By hand from the retention curve: [1 + (0.0335 * 1000)^2]^-0.5 at -1000 cm
    expected = 0.102 + 0.266 / np.sqrt(1 + 33.5**2)
    assert float(CELIA.content(-10.0)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("degree", [0.2, 0.5, 0.9])
def test_van_genuchtens_conductivity_is_mualems_integral(degree):
    """Mualem (1976): K/Ks = S^l [int_0^S dS/h / int_0^1 dS/h]^2, done numerically."""

    def inverse_head(s, m=MIZOGUCHI.n):
        power = 1 - 1 / m
        return (s ** (-1 / power) - 1) ** (-1 / m)

    part, _ = quad(inverse_head, 0, degree)
    whole, _ = quad(inverse_head, 0, 1)
    water = 0.05 + degree * (0.535 - 0.05)
    relative = float(MIZOGUCHI.conductivity(water)) / 3.2e-6
    assert relative == pytest.approx(np.sqrt(degree) * (part / whole) ** 2, rel=1e-6)


@pytest.mark.parametrize("soil", SOILS)
def test_slopes_are_finite_from_no_water_to_too_much(soil):
    edges = [0.0, float(soil.least_water), soil.saturation]
    water = jnp.concatenate([jnp.linspace(-0.1, 0.7, 200), jnp.array(edges)])
    for curve in (soil.head, soil.conductivity):
        value, slope = jax.vmap(jax.value_and_grad(curve))(water)
        assert np.all(np.isfinite(value))
        assert np.all(np.isfinite(slope))
        assert np.all(slope >= 0)


@pytest.mark.parametrize("soil", [CELIA, texture("silt loam")])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_slopes_by_water_and_by_each_parameter_match_differences(soil, share):
    water = float(soil.least_water) + share * (
        soil.saturation - float(soil.least_water)
    )
    numbers = jax.tree.map(jnp.asarray, soil)

    @jax.jit
    def log_head_and_k(soil, water):
        return jnp.log(-soil.head(water)) + jnp.log(soil.conductivity(water))

    by_soil, by_water = jax.jit(jax.grad(log_head_and_k, (0, 1)))(numbers, water)
    step = 1e-6 * water
    difference = (
        log_head_and_k(numbers, water + step) - log_head_and_k(numbers, water - step)
    ) / (2 * step)
    assert float(by_water) == pytest.approx(float(difference), rel=1e-6)
    values, tree = jax.tree.flatten(numbers)
    for k, slope in enumerate(jax.tree.leaves(by_soil)):
        step = 1e-6 * abs(values[k])
        ends = []
        for sign in (1, -1):
            moved = list(values)
            moved[k] = values[k] + sign * step
            ends.append(log_head_and_k(jax.tree.unflatten(tree, moved), water))
        assert float(slope) == pytest.approx(
            float((ends[0] - ends[1]) / (2 * step)), rel=1e-5, abs=1e-8
        )


def test_heads_below_air_dry_go_on_as_a_straight_line():
    soil = texture("clay")
    driest = float(soil.content(DRIEST_HEAD))
    heads = soil.head(driest * np.array([1.0, 0.5, 0.0]))
    assert float(heads[0]) == pytest.approx(DRIEST_HEAD)
    assert float(heads[1] - heads[0]) == pytest.approx(float(heads[2] - heads[1]))


def test_fields_may_differ_from_cell_to_cell():
    soils = [texture("sand"), texture("clay")]
    both = jax.tree.map(lambda *x: jnp.asarray(x), *soils)
    assert isinstance(both, ClappHornberger)
    water = jnp.array([0.2, 0.3])
    alone = [float(soil.head(w)) for soil, w in zip(soils, water, strict=True)]
    np.testing.assert_allclose(both.head(water), alone, rtol=1e-12)


def test_an_unknown_texture_is_told_the_twelve_that_there_are():
    with pytest.raises(InputError, match="silty clay loam"):
        texture("mud")
