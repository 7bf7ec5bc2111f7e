import numpy as np
import pytest

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import VON_KARMAN
from tilth.land.model.turbulence import (
    exchange,
    potential_temperature,
    profile_functions,
    roughness,
    snow_roughness,
)

GROUND = {"ground_momentum": 0.05, "ground_heat": 0.005}
LEAVES = {"leaf_drag": 0.2, "leaf_heat": 0.06}


def neutral(leaf_area, height=1.0, wind=3.0):
    shape = roughness(leaf_area, height, **GROUND, **LEAVES)
    return exchange(
        shape,
        leaf_area=leaf_area,
        wind=wind,
        air_temperature=290.0,
        ground_temperature=290.0,
        canopy_temperature=290.0,
        reference_height=10.0,
    )


def air(ground, canopy, wind=3.0, leaf_area=2.0):
    shape = roughness(leaf_area, 1.0, **GROUND, **LEAVES)
    return exchange(
        shape,
        leaf_area=leaf_area,
        wind=wind,
        air_temperature=290.0,
        ground_temperature=ground,
        canopy_temperature=canopy,
        reference_height=10.0,
    )


def test_a_canopy_without_leaves_has_the_roughness_of_its_ground():
    shape = roughness(0.0, 1.0, **GROUND, **LEAVES)
    np.testing.assert_allclose(np.exp(shape.log_momentum), 0.05, rtol=1e-12)
    np.testing.assert_allclose(np.exp(shape.log_heat), 0.005, rtol=1e-12)
    np.testing.assert_allclose(np.exp(shape.log_ground_heat), 0.005, rtol=1e-12)
    assert float(shape.displacement) == 0.0


def test_bare_ground_follows_the_logarithmic_profile_in_neutral_air():
    bare = neutral(0.0)
    log_m, log_h = np.log(10.0 / 0.05), np.log(10.0 / 0.005)
    np.testing.assert_allclose(bare.momentum, 3.0 * VON_KARMAN**2 / log_m**2)
    np.testing.assert_allclose(bare.ground, 3.0 * VON_KARMAN**2 / (log_m * log_h))
    assert float(bare.canopy) == 0.0


def test_a_dense_canopy_is_as_far_displaced_as_it_is_high():
    heights = [
        float(roughness(a, 1.0, **GROUND, **LEAVES).displacement)
        for a in (1.0, 4.0, 16.0)
    ]
    assert heights == sorted(heights)
    assert 0.85 < heights[-1] < 1.0


def test_roughness_is_greatest_for_a_canopy_of_middling_density():
    leaf_area = np.linspace(0.0, 8.0, 81)
    shape = roughness(leaf_area, 1.0, **GROUND, **LEAVES)
    peak = int(np.argmax(shape.log_momentum))
    assert 0.3 < leaf_area[peak] < 3.0
    # Rules of thumb for dense stands: z0 near a tenth of the height.
    assert 0.05 < float(np.exp(shape.log_momentum[peak])) < 0.25


def test_heat_leaves_from_the_leaves_as_they_shelter_the_ground():
    leaf_area = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])
    conductance = neutral(leaf_area)
    assert np.all(np.diff(conductance.ground) < 0.0)
    share = conductance.canopy / (conductance.canopy + conductance.ground)
    assert np.all(np.diff(share) > 0.0)
    assert float(share[-1]) > 0.95


def test_the_ground_below_any_canopy_keeps_a_finite_exchange_and_gradient():
    def ground(leaf_area):
        return neutral(leaf_area).ground

    for leaf_area in (0.0, 1e-9, 8.0, 12.0):
        value, slope = jax.value_and_grad(ground)(leaf_area)
        assert np.isfinite(value)
        assert value > 0.0
        assert np.isfinite(slope)


@pytest.mark.parametrize("stability", [-8.0, -1.0, -1e-3, 1e-3, 0.3, 3.0])
def test_integrated_profiles_are_integrals_of_the_gradient_functions(stability):
    """Psi' = (1 - phi) / z: phi_m of Dyer (1974) and Beljaars & Holtslag (1991)."""
    slope_m, slope_h = (
        float(jax.grad(lambda z, i=i: profile_functions(z)[i])(stability))
        for i in range(2)
    )
    z = stability
    if z < 0.0:
        phi_m, phi_h = (1.0 - 16.0 * z) ** -0.25, (1.0 - 16.0 * z) ** -0.5
    else:
        bend = 2.0 / 3.0 * np.exp(-0.35 * z) * (1.0 + 5.0 - 0.35 * z)
        phi_m = 1.0 + z * (1.0 + bend)
        phi_h = 1.0 + z * (np.sqrt(1.0 + 2.0 / 3.0 * z) + bend)
    np.testing.assert_allclose(slope_m, (1.0 - phi_m) / z, rtol=1e-9)
    np.testing.assert_allclose(slope_h, (1.0 - phi_h) / z, rtol=1e-9)


def test_neutral_air_needs_no_correction():
    assert tuple(map(float, profile_functions(0.0))) == (0.0, 0.0)


def test_warm_ground_mixes_the_air_and_cold_ground_calms_it():
    cold, same, warm = air(285.0, 285.0), air(290.0, 290.0), air(300.0, 295.0)
    for one, two in ((cold, same), (same, warm)):
        assert float(one.momentum) < float(two.momentum)
        assert float(one.canopy) < float(two.canopy)
        assert float(one.ground) < float(two.ground)


def test_the_stability_of_the_ground_is_its_own():
    """A hot canopy over cold ground mixes the air above, not that at the ground."""
    together, apart = air(285.0, 285.0), air(285.0, 295.0)
    assert float(apart.momentum) > float(together.momentum)
    np.testing.assert_allclose(apart.ground, air(285.0, 290.0).ground, rtol=0.2)


def test_exchange_grows_with_the_wind_and_does_not_cease_without_it():
    calm, light, strong = (neutral(2.0, wind=w) for w in (0.0, 1.0, 8.0))
    assert float(calm.momentum) == float(light.momentum) > 0.0
    np.testing.assert_allclose(strong.canopy, 8.0 * light.canopy, rtol=1e-12)


def test_snow_fills_the_roughness_of_the_ground():
    momentum, heat = snow_roughness(
        jnp.array([0.0, 0.025, 1.0]), 0.05, 0.005, 0.01, 0.001
    )
    np.testing.assert_allclose(momentum, [0.05, 0.025, 0.01])
    np.testing.assert_allclose(heat, [0.005, 0.0025, 0.001])


def test_air_brought_down_warms_by_a_kelvin_in_a_hundred_metres():
    np.testing.assert_allclose(potential_temperature(280.0, 100.0), 280.976, atol=1e-3)
