"""Share of a cell that is under snow: a square root, or a lognormal distribution."""

from __future__ import annotations

from typing import NamedTuple

from tilth.core.accelerate import jax, jnp

#: Mean snow at which the ground is fully covered, kg m-2 (Takata et al. 2003).
FULL_COVER = 100.0

#: Least snow on the covered part, kg m-2: a thinner cover shrinks instead. It keeps
#: the heat capacity of the covered part and the slope of the cover finite at no snow.
LEAST_IN_COVER = 0.1

#: Beyond this many standard deviations the normal distribution is 0 or 1 in doubles.
_REACH = 9.0

#: Safeguarded Newton steps of the inversion: 6 give all digits for variations of 0.02
#: to 2 and any share of the snow left.
_STEPS = 8

_SQRT_HALF = 0.7071067811865476


class LognormalCover(NamedTuple):
    """What `ssnowd` returns."""

    cover: jax.Array  #: share of the cell under snow, 0-1
    melt_depth: jax.Array  #: snow lost everywhere since the maximum, kg m-2


def simple(mass, full_cover=FULL_COVER):
    r"""Snow cover from the mean snow mass: the square root of a ratio.

    .. math:: A = \min\left(\sqrt{S / S_c}, 1\right) ,

    bent to a straight line below about 1e-4 kg m-2, so that its slope stays finite
    and the covered part holds at least `LEAST_IN_COVER`:
    :math:`A = (S / S_c) \sqrt{(S_c + \epsilon) / (S + \epsilon)}` with
    :math:`\epsilon = m^2 / S_c` for the least mass m. The difference is below 1 % from
    0.005 kg m-2 on.

    Parameters
    ----------
    mass : array_like
        Mean snow mass of the cell S, in kg m-2.
    full_cover : float, optional
        Mean snow mass S_c at which all is covered, in kg m-2.

    Returns
    -------
    jax.Array
        Share of the cell under snow, 0-1.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222.
    """
    mass = jnp.maximum(mass, 0.0)
    bend = LEAST_IN_COVER**2 / full_cover
    ratio = mass / full_cover
    return jnp.minimum(ratio * jnp.sqrt((full_cover + bend) / (mass + bend)), 1.0)


def ssnowd(mass, accumulated, variation) -> LognormalCover:
    r"""Snow cover from a lognormal distribution of snow that melts evenly.

    At the maximum, snow covers all of the cell and its depth D (as a mass) is
    distributed lognormally with mean :math:`\mu` and coefficient of variation CV.
    Then the same depth :math:`D_m` is lost everywhere, and ground is bare where
    D < D_m. With :math:`\zeta^2 = \ln(1 + CV^2)` and
    :math:`z = (\ln D_m - \ln\mu + \zeta^2/2) / \zeta`,

    .. math::

        S / \mu &= \tfrac12 \mathrm{erfc}\frac{z - \zeta}{\sqrt 2}
            - \tfrac12 e^{\zeta z - \zeta^2/2} \mathrm{erfc}\frac{z}{\sqrt 2} \\
        A &= \tfrac12 \mathrm{erfc}\frac{z}{\sqrt 2} .

    The first line is solved for z; both follow from integrating the distribution.
    (The description of MATSIRO prints erfc(z/2) in the second line, a slip.)

    Parameters
    ----------
    mass : array_like
        Mean snow mass of the cell S, in kg m-2.
    accumulated : array_like
        Snow mass at the season's maximum :math:`\mu`, in kg m-2; see
        `season_maximum`. Where it is below `mass`, `mass` is taken.
    variation : array_like
        Coefficient of variation CV of the snow depth at the maximum, > 0.

    Returns
    -------
    LognormalCover
        Cover, at most mass / `LEAST_IN_COVER`, and the depth lost since the maximum.

    References
    ----------
    Liston (2004), Journal of Climate 17, 1381-1397, eqs 8-13; Nitta et al. (2014),
    Journal of Climate 27, 3318-3330.
    """
    mass, peak, spread = jnp.broadcast_arrays(
        jnp.maximum(mass, 0.0), accumulated, variation
    )
    peak = jnp.maximum(peak, mass)
    snow = mass > 0.0
    safe_peak = jnp.where(snow, peak, 1.0)
    ratio = jnp.where(snow, mass / safe_peak, 0.5)
    zeta = jnp.sqrt(jnp.log1p(spread**2))
    low, high = _mass_left(-_REACH, zeta), _mass_left(_REACH, zeta)
    partial = (ratio < low) & (ratio > high)
    z = _invert(jnp.where(partial, ratio, 0.5 * (low + high)), zeta)
    cover = jnp.where(partial, _normal_tail(z), jnp.where(ratio >= low, 1.0, 0.0))
    cover = jnp.where(ratio <= high, _normal_tail(_REACH), cover)
    lost = jnp.where(
        ratio >= low,
        1.0 - ratio,  # nothing is bare yet: what is lost is lost evenly
        _depth(jnp.where(partial, z, _REACH), zeta),
    )
    cover = jnp.where(snow, jnp.minimum(cover, mass / LEAST_IN_COVER), 0.0)
    return LognormalCover(cover, jnp.where(snow, safe_peak * lost, 0.0))


def season_maximum(accumulated, mass, restart=False):
    r"""Season's maximum of the snow mass, the mean of the distribution in `ssnowd`.

    It grows with the snow, is forgotten when the snow is gone, and starts again from
    the present snow where told to. Snow that stays all year needs that once a year,
    or its cover would remember every earlier summer.

    Parameters
    ----------
    accumulated : array_like
        Maximum so far, in kg m-2.
    mass : array_like
        Snow mass now, in kg m-2.
    restart : bool or array_like, optional
        Where a new season starts.

    Returns
    -------
    jax.Array
        Maximum, in kg m-2.

    References
    ----------
    Liston (2004), Journal of Climate 17, 1381-1397.
    """
    grown = jnp.maximum(accumulated, mass)
    return jnp.where((jnp.asarray(mass) > 0.0) & ~jnp.asarray(restart), grown, mass)


def _normal_tail(z):
    """Share of a normal distribution above z standard deviations."""
    return 0.5 * jax.scipy.special.erfc(z * _SQRT_HALF)


def _depth(z, zeta):
    """Depth lost, as a share of the mean at the maximum."""
    return jnp.exp(zeta * z - 0.5 * zeta**2)


def _mass_left(z, zeta):
    """Mass left, as a share of the mass at the maximum."""
    return _normal_tail(z - zeta) - _depth(z, zeta) * _normal_tail(z)


def _slope(z, zeta):
    """Differentiate `_mass_left` by z: all densities cancel."""
    return -zeta * _depth(z, zeta) * _normal_tail(z)


def _invert(ratio, zeta):
    """Find z where `_mass_left` is the ratio, with exact first derivatives."""
    fixed, held = jax.lax.stop_gradient(ratio), jax.lax.stop_gradient(zeta)
    edge = jnp.full_like(fixed, _REACH)
    start = (-edge, edge, jnp.zeros_like(fixed), fixed, held)
    z = jax.lax.stop_gradient(jax.lax.fori_loop(0, _STEPS, _narrow, start)[2])
    return z - (_mass_left(z, zeta) - ratio) / _slope(z, held)


def _narrow(_, bracket):
    """Newton step for z, or half the bracket where Newton would leave it.

    The step is that of ln(m / (1 - m)) for the mass left m, which bends little: near
    the maximum 1 - m is an exponential of z, near the end m falls like exp(-z^2 / 2).
    """
    left, right, z, ratio, zeta = bracket
    mass = _mass_left(z, zeta)
    left = jnp.where(mass > ratio, z, left)
    right = jnp.where(mass > ratio, right, z)
    spread = mass * (1.0 - mass)
    gap = jnp.log(mass * (1.0 - ratio) / (ratio * (1.0 - mass)))
    newton = z - gap * spread / _slope(z, zeta)
    # A step that has arrived may fall outside by rounding; it is no step away.
    inside = (newton > left - 1e-9) & (newton < right + 1e-9)
    return left, right, jnp.where(inside, newton, 0.5 * (left + right)), ratio, zeta
