"""Stomata of a canopy: stress, scaling from leaf to ground, and slopes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from tilth.core.accelerate import jax, jnp
from tilth.land.model import stomata
from tilth.physics import photosynthesis as ph
from tilth.physics.moist_air import saturation_specific_humidity

#: Broadleaf deciduous trees and C4 grass of SiB2 (Sellers et al. 1996, part II).
TREES = {
    "capacity": 1e-4,
    "slope": 9.0,
    "intercept": 0.01,
    "quantum_efficiency": 0.08,
    "half_heat": 311.0,
    "half_cold": 283.0,
    "is_c4": False,
    "attenuation": 0.6,
}
GRASS = TREES | {
    "capacity": 3e-5,
    "slope": 4.0,
    "intercept": 0.04,
    "quantum_efficiency": 0.05,
    "half_heat": 313.0,
    "half_cold": 288.0,
    "is_c4": True,
}
#: Leaf temperature, humidity, pressure, absorbed light, leaf area, wind, stress.
NOON = (298.0, 0.010, 9.8e4, 250.0, 4.0, 0.05, 0.95)

STRESS = jax.jit(stomata.moisture_stress)
STRESS_SLOPES = jax.jit(jax.jacrev(stomata.moisture_stress, argnums=(0, 1)))
CANOPY = jax.jit(stomata.canopy_conductance, static_argnames="scheme")
CANOPY_SLOPES = jax.jit(
    jax.grad(
        lambda point, is_c4: sum(
            stomata.canopy_conductance(*point, **(TREES | {"is_c4": is_c4}))
        )
    )
)


def test_wet_soil_does_not_stress_and_dry_soil_closes():
    roots = np.array([0.3, 0.5, 0.2])[:, None]
    stress, uptake = stomata.moisture_stress(
        np.array([[0.0, -200.0, -1e6]] * 3), roots * np.ones((3, 3))
    )
    # Sellers et al. (1996): 1/(1 + exp(-4)) in wet soil, 1/2 at the critical head.
    np.testing.assert_allclose(stress, [1 / (1 + np.exp(-4)), 0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(uptake, roots * np.ones((3, 3)), rtol=1e-12)


def test_roots_drink_where_the_soil_is_wet():
    head = np.array([[-1000.0], [-10.0]])
    stress, uptake = stomata.moisture_stress(head, np.array([[0.6], [0.4]]))
    factors = 1 / (1 + np.exp(0.02 * (-200.0 - head)))
    total = 0.6 * factors[0] + 0.4 * factors[1]
    np.testing.assert_allclose(stress, total, rtol=1e-14)
    np.testing.assert_allclose(uptake[1], 0.4 * factors[1] / total, rtol=1e-14)


@settings(max_examples=100, deadline=None)
@given(
    head=st.lists(st.floats(-1e9, 0.0), min_size=4, max_size=4),
    raw=st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1.0)), min_size=4, max_size=4),
    critical=st.sampled_from([-200.0, -300.0]),
)
def test_stress_and_uptake_are_shares_however_dry_the_soil(head, raw, critical):
    roots = np.array(raw) / max(sum(raw), 1e-3)
    stress, uptake = STRESS(
        np.array(head)[:, None], roots[:, None], critical_head=critical
    )
    assert 0.0 <= float(stress[0]) <= 1.0
    assert np.all(np.asarray(uptake) >= 0.0)
    assert float(uptake.sum()) == pytest.approx(1.0 if roots.any() else 0.0, abs=1e-12)
    assert np.all(np.asarray(uptake)[roots == 0.0] == 0.0)
    slopes = STRESS_SLOPES(np.array(head)[:, None], roots[:, None])
    assert all(np.all(np.isfinite(s)) for pair in slopes for s in pair)


@pytest.mark.parametrize("depth", [1e-9, 9.9e-6, 1.01e-5, 0.3, 5.0])
def test_canopy_scaling_is_the_mean_of_the_profile(depth):
    mean, _ = quad(lambda x: np.exp(-0.5 * x), 0.0, depth / 0.5)
    expected = mean / (depth / 0.5)
    assert float(stomata.canopy_scaling(0.5, depth / 0.5)) == pytest.approx(
        expected, rel=1e-10
    )


def test_canopy_scaling_has_the_leaf_area_in_its_denominator():
    # (1 - exp(-k L))/k alone, as some descriptions print it, passes 1 at L = 4.
    assert float(stomata.canopy_scaling(0.5, 4.0)) == pytest.approx(0.43233235838)


@pytest.mark.parametrize("kind", [TREES, GRASS])
def test_a_canopy_is_the_sum_of_its_leaves(kind):
    t, _, p, light, area, _, stress = NOON
    out = CANOPY(*NOON, **kind)
    k = kind["attenuation"]
    top = light * k / (1 - np.exp(-k * area))  # absorbed by the top leaf, W m-2 of it

    def leaf(depth):
        fall = np.exp(-k * depth)
        limits = ph.biochemistry(
            t,
            p,
            4.6e-6 * top * fall,
            kind["capacity"] * stress * fall,
            **{
                name: kind[name]
                for name in ("quantum_efficiency", "half_heat", "half_cold", "is_c4")
            },
        )
        return (
            float(ph.gross_assimilation(out.internal_co2, limits)),
            float(limits.respiration),
        )

    gross, _ = quad(lambda x: leaf(x)[0], 0.0, area, epsrel=1e-8)
    dark, _ = quad(lambda x: leaf(x)[1], 0.0, area, epsrel=1e-8)
    assert float(out.assimilation) == pytest.approx(gross, rel=1e-7)
    assert float(out.respiration) == pytest.approx(dark, rel=1e-7)


def test_carbon_diffuses_in_through_the_canopys_stomata_and_boundary_layer():
    t, _, p, _, _, boundary, _ = NOON
    out = CANOPY(*NOON, **TREES)
    moles = p / (8.31446261815324 * t)
    net = float(out.assimilation - out.respiration)
    resistance = 1.6 / (float(out.conductance) * moles) + 1.4 / (boundary * moles)
    drawn = net * resistance * p
    assert 4e-4 * p - float(out.internal_co2) == pytest.approx(drawn, rel=1e-10)


def test_a_forest_at_noon_conducts_and_fixes_what_forests_do():
    out = CANOPY(*NOON, **TREES)
    # Kelliher et al. (1995), Agric. For. Meteorol. 73, 1-16: surfaces of woody
    # vegetation reach about 20 mm s-1; eddy towers over temperate forest see 20 to 40
    # umol m-2 s-1 at noon (Baldocchi et al. 2001).
    assert 5e-3 < float(out.conductance) < 3e-2
    assert 15e-6 < float(out.assimilation) < 45e-6
    assert float(out.respiration) < 0.2 * float(out.assimilation)


def test_without_leaves_nothing_passes_and_slopes_stay_finite():
    def flux(area):
        out = stomata.canopy_conductance(*NOON[:4], area, *NOON[5:], **TREES)
        return out.conductance + out.assimilation + out.respiration

    assert float(jax.jit(flux)(0.0)) == 0.0
    assert np.isfinite(jax.jit(jax.grad(flux))(0.0))


def test_a_sparse_canopy_conducts_in_proportion_to_its_leaves():
    few = CANOPY(*NOON[:3], 2.5, 0.01, 5e-4, 0.95, **TREES)
    more = CANOPY(*NOON[:3], 5.0, 0.02, 1e-3, 0.95, **TREES)
    ratio = float(more.conductance / few.conductance)
    assert ratio == pytest.approx(2.0, rel=5e-3)


def test_tiles_come_first_and_cells_last_and_do_not_see_each_other():
    rng = np.random.default_rng(5)
    tiles = [
        rng.uniform(low, high, (2, 5))
        for low, high in [(270, 305), (0.001, 0.012), (7e4, 1e5), (0, 400), (0, 6)]
    ] + [rng.uniform(0.005, 0.1, (2, 5)), rng.uniform(0, 1, (2, 5))]
    kind = TREES | {"is_c4": np.array([0, 1, 0, 0, 1], bool)}
    out = CANOPY(*tiles, **kind)
    assert all(np.shape(field) == (2, 5) for field in out)
    for i, j in [(0, 1), (1, 3)]:
        alone = CANOPY(
            *(x[i, j] for x in tiles), **(kind | {"is_c4": kind["is_c4"][j]})
        )
        for field, one in zip(out, alone, strict=True):
            assert float(field[i, j]) == pytest.approx(float(one), rel=1e-12)


ANY = st.tuples(
    st.floats(180.0, 350.0),
    st.one_of(st.just(0.0), st.floats(1e-5, 0.04)),
    st.floats(4e4, 1.1e5),
    st.one_of(st.just(0.0), st.floats(1e-3, 600.0)),
    st.one_of(st.just(0.0), st.floats(1e-3, 12.0)),
    st.one_of(st.just(0.0), st.floats(1e-4, 1.0)),
    st.one_of(st.just(0.0), st.floats(1e-300, 1e-6), st.floats(1e-6, 1.0)),
)


@pytest.mark.parametrize("scheme", ["ball_berry", "medlyn"])
@settings(max_examples=150, deadline=None)
@given(point=ANY, is_c4=st.booleans())
def test_any_canopy_has_finite_conductance_and_never_a_negative_one(
    scheme, point, is_c4
):
    out = CANOPY(*point, **(TREES | {"is_c4": is_c4, "slope": 4.0}), scheme=scheme)
    assert all(np.isfinite(float(field)) for field in out)
    assert float(out.conductance) >= 0.0
    assert float(out.respiration) >= 0.0
    if point[4] == 0.0:
        assert float(out.conductance) == 0.0


@settings(max_examples=100, deadline=None)
@given(point=ANY, is_c4=st.booleans())
def test_slopes_of_any_canopy_are_numbers(point, is_c4):
    slopes = CANOPY_SLOPES(point, is_c4)
    assert all(np.isfinite(float(slope)) for slope in slopes)


@settings(max_examples=60, deadline=None)
@given(light=st.floats(0.0, 400.0), stress=st.floats(0.05, 0.9))
def test_light_and_soil_water_open_the_canopy(light, stress):
    def conductance(par, wet):
        return float(CANOPY(*NOON[:3], par, *NOON[4:6], wet, **TREES).conductance)

    here = conductance(light, stress)
    assert conductance(light + 20.0, stress) >= here * (1 - 1e-12)
    assert conductance(light, stress + 0.05) > here


@pytest.mark.parametrize("scheme", ["ball_berry", "medlyn"])
@pytest.mark.parametrize("kind", [TREES, GRASS])
def test_slopes_are_those_of_finite_differences_in_every_argument(scheme, kind):
    names = [name for name in kind if name != "is_c4"]
    point = jnp.array([*NOON, *(kind[name] for name in names), 4.1e-4])

    def fluxes(x):
        parameters = dict(zip(names, x[7:-1], strict=True))
        out = stomata.canopy_conductance(
            *x[:7], is_c4=kind["is_c4"], co2=x[-1], scheme=scheme, **parameters
        )
        return jnp.stack(out)

    compiled = jax.jit(fluxes)
    slopes = jax.jit(jax.jacrev(fluxes))(point)
    for i, value in enumerate(np.asarray(point)):
        step = 3e-6 * value
        ahead, behind = (
            compiled(point.at[i].add(step)),
            compiled(point.at[i].add(-step)),
        )
        numeric = np.asarray(ahead - behind) / (2 * step)
        size = np.abs(np.asarray(ahead)) / value
        assert np.all(
            np.abs(slopes[:, i] - numeric) < 1e-5 * np.abs(numeric) + 1e-7 * size
        )


def test_saturated_air_opens_stomata_more_than_dry_air():
    wet = float(saturation_specific_humidity(298.0, 9.8e4))
    openings = [
        float(CANOPY(298.0, q, *NOON[2:], **TREES).conductance)
        for q in np.linspace(0.0, wet, 8)
    ]
    assert np.all(np.diff(openings) > 0)
