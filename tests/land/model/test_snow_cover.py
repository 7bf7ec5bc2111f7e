"""Snow cover: the square root, and the lognormal one against its own integrals."""

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import erfc

from tilth.core.accelerate import jax, jnp
from tilth.land.model.snow_cover import (
    LEAST_IN_COVER,
    season_maximum,
    simple,
)
from tilth.land.model.snow_cover import ssnowd as eager_ssnowd

ssnowd = jax.jit(eager_ssnowd)


def test_square_root_cover_reaches_one_at_the_full_cover():
    mass = np.array([0.0, 1.0, 25.0, 100.0, 400.0])
    np.testing.assert_allclose(simple(mass), [0.0, 0.1, 0.5, 1.0, 1.0], rtol=6e-5)
    assert float(simple(100.0)) == 1.0
    assert float(simple(50.0, full_cover=200.0)) == pytest.approx(0.5, rel=1e-4)


def test_covered_ground_never_holds_less_than_the_least_snow():
    mass = np.geomspace(1e-15, 1e-2, 200)
    assert (mass / np.asarray(simple(mass))).min() >= LEAST_IN_COVER * (1 - 1e-6)
    cover = ssnowd(mass, mass, 0.6).cover
    assert (mass / np.asarray(cover)).min() >= LEAST_IN_COVER * (1 - 1e-12)


def test_slope_of_the_cover_is_finite_without_snow():
    for function in (simple, lambda s: ssnowd(s, 50.0, 0.6).cover):
        slope = jax.jit(jax.vmap(jax.grad(function)))(jnp.array([0.0, 1e-12, 1e-6]))
        assert np.isfinite(slope).all()
        assert float(jnp.max(slope)) <= 1.0 / LEAST_IN_COVER * (1 + 1e-6)


def _lognormal(peak, variation):
    zeta = np.sqrt(np.log1p(variation**2))
    return stats.lognorm(s=zeta, scale=peak * np.exp(-(zeta**2) / 2))


@pytest.mark.parametrize("variation", [0.1, 0.6, 0.9])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_cover_and_mass_are_integrals_of_the_lognormal_depths(variation, share):
    peak = 240.0
    got = ssnowd(share * peak, peak, variation)
    depth = _lognormal(peak, variation)
    lost = float(got.melt_depth)
    far = depth.isf(1e-15)
    mass, _ = integrate.quad(
        lambda d: (d - lost) * depth.pdf(d), lost, far, epsabs=1e-11, limit=200
    )
    bare, _ = integrate.quad(depth.pdf, 0.0, lost, epsabs=1e-13, limit=200)
    assert mass == pytest.approx(share * peak, rel=1e-8)
    assert float(got.cover) == pytest.approx(1.0 - bare, abs=1e-10)


@pytest.mark.parametrize("variation", [0.02, 0.1, 0.6, 2.0])
def test_melt_depth_is_recovered_from_the_mass_over_the_whole_season(variation):
    # From the first patch of bare ground to the last patch of snow.
    zeta = np.sqrt(np.log1p(variation**2))
    z = np.linspace(-8.0, 5.0, 261)
    lost = np.exp(zeta * z - zeta**2 / 2)
    mass = stats.norm.sf(z - zeta) - lost * stats.norm.sf(z)
    got = ssnowd(1e3 * mass, 1e3, variation)
    np.testing.assert_allclose(got.melt_depth, 1e3 * lost, rtol=1e-9)
    np.testing.assert_allclose(got.cover, stats.norm.sf(z), rtol=1e-9)


def test_the_misprint_erfc_of_half_z_would_not_be_the_integral():
    got = ssnowd(12.0, 240.0, 0.6)
    zeta = np.sqrt(np.log1p(0.36))
    z = (np.log(float(got.melt_depth) / 240.0) + zeta**2 / 2) / zeta
    assert float(got.cover) == pytest.approx(stats.norm.sf(z), abs=1e-12)
    # With 5 % of the snow left, the misprint would double the cover.
    assert 0.5 * erfc(z / 2.0) > 1.5 * float(got.cover)


def test_melt_takes_from_the_mean_what_it_takes_from_the_cover():
    # dS = -A dD_m: an even melt reaches covered ground only.
    mass = jnp.linspace(5.0, 195.0, 39)
    slope = jax.vmap(jax.grad(lambda s: ssnowd(s, 200.0, 0.6).melt_depth))
    depth = jax.jit(slope)(mass)
    cover = ssnowd(mass, 200.0, 0.6).cover
    np.testing.assert_allclose(-1.0 / depth, cover, rtol=1e-9)


def test_cover_grows_with_the_snow_from_none_to_all():
    mass = np.linspace(0.0, 200.0, 2001)
    cover = np.asarray(ssnowd(mass, 200.0, 0.6).cover)
    assert cover[0] == 0.0
    assert cover[-1] == 1.0
    assert (np.diff(cover) >= 0.0).all()


def test_even_snow_stays_everywhere_longer_than_patchy_snow():
    even, patchy = (float(ssnowd(60.0, 200.0, cv).cover) for cv in (0.1, 0.9))
    assert even > 0.999
    assert patchy < 0.6


def test_accumulating_snow_covers_everything():
    got = ssnowd(jnp.array([0.5, 30.0]), jnp.array([0.5, 10.0]), 0.6)
    np.testing.assert_array_equal(got.cover, [1.0, 1.0])
    np.testing.assert_array_equal(got.melt_depth, [0.0, 0.0])


@jax.jit
def _cover_and_depth(x):
    got = ssnowd(x[0], x[1], x[2])
    return got.cover + got.melt_depth


_slopes = jax.jit(jax.grad(_cover_and_depth))


@pytest.mark.parametrize("share", [0.01, 0.4, 0.95])
def test_gradients_of_the_lognormal_cover_are_those_of_finite_differences(share):
    x = jnp.array([share * 150.0, 150.0, 0.6])
    numeric = []
    for i, step in enumerate((1e-4, 1e-4, 1e-6)):
        shift = np.zeros(3)
        shift[i] = step
        up, down = _cover_and_depth(x + shift), _cover_and_depth(x - shift)
        numeric.append(float(up - down) / (2 * step))
    np.testing.assert_allclose(_slopes(x), numeric, rtol=1e-5, atol=1e-8)


def test_gradients_are_finite_in_every_corner_of_the_season():
    def cover(s, m, cv):
        got = ssnowd(s, m, cv)
        return got.cover + got.melt_depth

    mass = jnp.array([0.0, 1e-12, 1e-3, 100.0, 200.0, 200.0 - 1e-9, 300.0])
    slopes = jax.vmap(jax.grad(cover, argnums=(0, 1, 2)), in_axes=(0, None, None))
    slopes = jax.jit(slopes)
    for variation in (0.05, 0.6, 1.5):
        for peak in (0.0, 200.0):
            assert np.isfinite(slopes(mass, peak, variation)).all()


def test_the_maximum_is_kept_forgotten_and_started_again():
    peak = season_maximum(
        jnp.array([100.0, 100.0, 100.0, 100.0]),
        jnp.array([40.0, 120.0, 0.0, 40.0]),
        jnp.array([False, False, False, True]),
    )
    np.testing.assert_array_equal(peak, [100.0, 120.0, 0.0, 40.0])
