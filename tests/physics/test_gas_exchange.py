"""A leaf in air: the coupled equations hold everywhere, and so do their slopes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax
from tilth.core.errors import InputError
from tilth.physics import conductance as cd
from tilth.physics import gas_exchange as gx
from tilth.physics import photosynthesis as ph
from tilth.physics.moist_air import saturation_vapour_pressure

SCHEMES = ("ball_berry", "leuning", "medlyn")
NAMES = (
    "temperature",
    "pressure",
    "light",
    "capacity",
    "co2",
    "vapour",
    "boundary",
    "slope",
    "intercept",
)


def exchange(scheme, is_c4, values):
    t, p, light, capacity, co2, vapour, boundary, slope, intercept = values
    leaf = ph.biochemistry(
        t,
        p,
        light,
        capacity,
        quantum_efficiency=0.08,
        half_heat=310.0,
        half_cold=283.0,
        is_c4=is_c4,
    )
    out = gx.leaf_gas_exchange(
        leaf,
        co2=co2,
        vapour_pressure=vapour,
        saturation=saturation_vapour_pressure(t),
        pressure=p,
        boundary_conductance=boundary,
        slope=slope,
        intercept=intercept,
        scheme=scheme,
    )
    return out, leaf


SOLVE = {
    s: jax.jit(lambda is_c4, values, s=s: exchange(s, is_c4, values)) for s in SCHEMES
}
SLOPES = {
    s: jax.jit(
        jax.jacrev(lambda values, is_c4, s=s: exchange(s, is_c4, values)[0]),
    )
    for s in SCHEMES
}

LEAVES = st.tuples(
    st.floats(190.0, 345.0),  # frozen to scorched, K
    st.floats(4e4, 1.1e5),
    st.one_of(st.just(0.0), st.floats(1e-8, 3e-3)),  # dark to noon
    st.one_of(st.just(0.0), st.floats(1e-8, 4e-4)),  # no enzymes to many
    st.floats(0.0, 200.0),
    st.one_of(st.just(0.0), st.floats(0.0, 8e3)),  # bone-dry to supersaturated
    st.one_of(st.just(0.0), st.floats(1e-3, 20.0)),  # no wind to gale
    st.floats(0.0, 15.0),
    st.one_of(st.just(0.0), st.floats(1e-5, 0.2)),
)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=150, deadline=None)
@given(values=LEAVES, is_c4=st.booleans())
def test_the_coupled_equations_hold_to_rounding_for_any_leaf(scheme, values, is_c4):
    t, p, _, _, co2, vapour, boundary, slope, intercept = values
    out, leaf = SOLVE[scheme](is_c4, values)
    a, g, ci, cs, es = (float(x) for x in out)
    assert np.all(np.isfinite([a, g, ci, cs, es]))
    gb = max(boundary, gx.SMALLEST_CONDUCTANCE)
    g0 = max(intercept, gx.SMALLEST_CONDUCTANCE)
    inside = float(saturation_vapour_pressure(t))
    outside = min(vapour, inside)
    # mol m-2 s-1, each of the four; the fluxes are of the order of 1e-5.
    assert abs(a - float(ph.net_assimilation(ci, leaf))) < 1e-12
    assert abs(a - gb * (co2 - cs) / (1.4 * p)) < 1e-12
    assert abs(a - g * (cs - ci) / (1.6 * p)) < 1e-12
    water = (g * (inside - es) - gb * (es - outside)) / p
    assert abs(water) < 1e-12 * (1.0 + g + gb)
    if a <= 0.0:
        assert g == pytest.approx(g0, rel=1e-12)
        return
    # The closure, in its published form, with what is at the leaf surface.
    arguments = {"slope": slope, "intercept": g0}
    if scheme == "ball_berry":
        closure = cd.ball_berry(a, cs / p, es / inside, **arguments)
    elif scheme == "leuning":
        gamma = 0.0 if is_c4 else float(leaf.compensation)
        arguments["compensation"] = gamma / p
        closure = cd.leuning(a, cs / p, inside - es, **arguments)
    else:
        held = max(inside - outside, cd.SMALLEST_DEFICIT) * gb / (gb + g)
        if held < cd.SMALLEST_DEFICIT:
            return
        closure = cd.medlyn(a, cs / p, held, **arguments)
    assert float(closure) == pytest.approx(g, rel=1e-9)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=60, deadline=None)
@given(values=LEAVES, is_c4=st.booleans())
def test_slopes_are_numbers_for_any_leaf(scheme, values, is_c4):
    for slopes in SLOPES[scheme](values, is_c4):
        assert np.all(np.isfinite(np.asarray(slopes)))


USUAL = (296.0, 9.5e4, 6e-4, 6e-5, 38.0, 1400.0, 0.8, 6.0, 0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("is_c4", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"light": 5e-5},
        {"light": 2e-6},  # loses carbon
        {"vapour": 100.0},
        {"boundary": 0.05},
        {"temperature": 275.0},
        {"capacity": 4e-6},
    ],
)
def test_slopes_are_those_of_finite_differences_in_every_argument(
    scheme, is_c4, change
):
    values = tuple(
        change.get(name, value) for name, value in zip(NAMES, USUAL, strict=True)
    )
    slopes = SLOPES[scheme](values, is_c4)
    for i, name in enumerate(NAMES):
        step = 2e-6 * values[i]
        both = [
            SOLVE[scheme](
                is_c4, tuple(v + s if j == i else v for j, v in enumerate(values))
            )[0]
            for s in (step, -step)
        ]
        for field, got, ahead, behind in zip(
            gx.LeafExchange._fields, slopes, *both, strict=True
        ):
            numeric = float(ahead - behind) / (2 * step)
            size = abs(float(ahead)) / values[i]
            assert float(got[i]) == pytest.approx(numeric, rel=1e-5, abs=1e-7 * size), (
                f"d {field} / d {name}"
            )


def solve(scheme="ball_berry", is_c4=False, **change):
    values = tuple(
        change.get(name, value) for name, value in zip(NAMES, USUAL, strict=True)
    )
    return SOLVE[scheme](is_c4, values)[0]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_more_light_humidity_co2_and_enzymes_let_a_leaf_gain_more(scheme):
    for name, low, high in [
        ("light", 1e-4, 1e-3),
        ("vapour", 400.0, 2000.0),
        ("co2", 30.0, 60.0),
        ("capacity", 2e-5, 8e-5),
    ]:
        gains = [
            float(solve(scheme, **{name: v}).assimilation)
            for v in np.linspace(low, high, 9)
        ]
        assert np.all(np.diff(gains) > 0), name


def test_stomata_close_when_co2_rises_above_that_of_today():
    openings = [float(solve(co2=c).conductance) for c in np.linspace(38.0, 90.0, 9)]
    assert np.all(np.diff(openings) < 0)


def test_a_still_leaf_surrounds_itself_with_humid_air_poor_in_co2():
    still, windy = solve(boundary=0.05), solve(boundary=20.0)
    assert float(still.surface_vapour_pressure) > 1.2 * 1400.0
    assert float(still.surface_co2) < 0.9 * 38.0
    assert float(windy.surface_vapour_pressure) == pytest.approx(1400.0, rel=0.01)
    assert float(windy.surface_co2) == pytest.approx(38.0, rel=0.01)


def test_internal_co2_of_c3_leaves_is_near_0_7_of_the_air_and_of_c4_lower():
    # Wong, Cowan & Farquhar (1979): about 0.7 and 0.4; Ball & Berry's 1 - 1.6/(m h).
    c3 = solve(slope=9.0, intercept=1e-4, boundary=50.0)
    humidity = 1400.0 / float(saturation_vapour_pressure(296.0))
    ratio = float(c3.internal_co2 / c3.surface_co2)
    assert ratio == pytest.approx(1 - 1.6 / (9 * humidity), abs=0.01)
    c4 = solve(is_c4=True, slope=4.0, intercept=1e-4, boundary=50.0)
    assert float(c4.internal_co2 / c4.surface_co2) == pytest.approx(
        1 - 1.6 / (4 * humidity), abs=0.02
    )


def test_medlyns_internal_co2_follows_the_optimum_of_the_paper():
    # Medlyn et al. (2011): ci/ca = g1/(g1 + sqrt D) where the intercept is zero.
    out = solve("medlyn", slope=3.0, intercept=1e-6, boundary=1e4)
    deficit = (float(saturation_vapour_pressure(296.0)) - 1400.0) / 1000
    expected = 3.0 / (3.0 + np.sqrt(deficit))
    assert float(out.internal_co2) / 38.0 == pytest.approx(expected, abs=2e-3)


def test_a_leaf_in_the_dark_respires_through_its_residual_opening():
    out, leaf = SOLVE["medlyn"](False, (296.0, 9e4, 0.0, 6e-5, 38.0, 1e3, 0.8, 4.0, 0))
    assert float(out.assimilation) == pytest.approx(-float(leaf.respiration), rel=1e-12)
    assert float(out.conductance) == gx.SMALLEST_CONDUCTANCE
    assert float(out.internal_co2) > 38.0


def test_a_leaf_without_enzymes_neither_gains_nor_loses():
    out = solve(capacity=0.0)
    assert float(out.assimilation) == 0.0
    assert float(out.internal_co2) == pytest.approx(38.0, rel=1e-12)


def test_dew_does_not_open_stomata_beyond_saturated_air():
    at, above = solve(vapour=2808.0), solve(vapour=5000.0)
    full = float(saturation_vapour_pressure(296.0))
    assert float(solve(vapour=full).conductance) == float(above.conductance)
    assert float(at.conductance) <= float(above.conductance)


def test_an_unknown_closure_is_refused_by_name():
    with pytest.raises(InputError, match="'jarvis'"):
        exchange("jarvis", False, USUAL)
