"""Two-stream radiation in a canopy over ground: albedo and who absorbs what.

Equations of Watanabe & Otani (1995), Journal of Agricultural Meteorology 51, 57-60,
for direct light S_d and diffuse light S_r down and up, L the leaf area from the top:

    dS_d/dL      = -F sec(z) S_d
    dS_r_down/dL = -F (1 - t) df S_r_down + F t sec(z) S_d + F r df S_r_up
    dS_r_up/dL   =  F (1 - t) df S_r_up - F r (df S_r_down + sec(z) S_d)

with S_r_up = g1 S_d + g2 S_r_down on the ground. The published solution divides by
df^2 s^2 - sec(z)^2, which is zero for a sun about 50 degrees from the zenith in
visible light. Here that factor is divided out by hand: what is left of it is
(exp(x) - 1)/x, smooth for every sun.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tilth.core.accelerate import jax, jnp

#: Share of the leaf area seen along any direction: leaves turned at random.
LEAF_PROJECTION = 0.5

#: Path of diffuse light through a layer against the vertical one: secant of 53 deg
#: (Watanabe & Otani 1995).
DIFFUSIVITY = 1.0 / math.cos(math.radians(53.0))

#: Cosine of the zenith angle that stands for diffuse light on snow: 50 deg.
DIFFUSE_COSINE = math.cos(math.radians(50.0))

#: Lowest sun that the direct beam is computed for, cosine of the zenith angle: below,
#: the plane-parallel canopy has no meaning, and the light is diffuse.
LOWEST_SUN = 0.01

#: Smallest (1-t)^2 - r^2: a leaf absorbs a little (at least ~5e-9), so that the
#: solution for pure scattering, linear instead of exponential, is never needed.
_LEAST_ABSORPTION = 1e-8


class CanopyLight(NamedTuple):
    """Fate of one unit of light above the canopy; the three of a beam add up to 1."""

    albedo_direct: jax.Array
    albedo_diffuse: jax.Array
    ground_direct: jax.Array  #: absorbed by the ground
    ground_diffuse: jax.Array
    canopy_direct: jax.Array  #: absorbed by the leaves
    canopy_diffuse: jax.Array


def leaf_optics(reflectance, transmissivity, *, wet=0.0, frozen=0.0, snow_albedo=0.0):
    r"""Leaf reflectance and transmissivity in the two-stream equations.

    Snow on the leaves, covering the share f of them, blends in first,

    .. math::

        r \leftarrow (1 - f) r + f a_s, \quad
        t \leftarrow (1 - f) t + f \min[(1 - a_s)/2, t] ;

    then a quarter of the scattered light changes direction, because not all that a
    tilted leaf reflects goes back: :math:`r' = 0.75 r + 0.25 t,\ t' = 0.75 t + 0.25 r`.

    Parameters
    ----------
    reflectance, transmissivity : array_like
        Of a dry leaf, 0-1, band axis first where there is one.
    wet : array_like, optional
        Share of the leaf area under water or snow, 0-1.
    frozen : array_like, optional
        Share of that water which is frozen, 0-1; liquid water leaves the optics alone.
    snow_albedo : array_like, optional
        Albedo of the snow on the leaves.

    Returns
    -------
    reflectance, transmissivity : jax.Array
        As the equations want them; their sum is kept by the mixing.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222.
    """
    reflectance, transmissivity = jnp.asarray(reflectance), jnp.asarray(transmissivity)
    share = jnp.clip(wet, 0.0, 1.0) * frozen
    through = jnp.minimum(0.5 * (1.0 - jnp.asarray(snow_albedo)), transmissivity)
    r = (1.0 - share) * reflectance + share * snow_albedo
    t = (1.0 - share) * transmissivity + share * through
    return 0.75 * r + 0.25 * t, 0.75 * t + 0.25 * r


def extinction(reflectance, transmissivity):
    r"""Extinction of diffuse light per unit of leaf area, :math:`a = F d_f s`.

    Here :math:`s = \sqrt{(1 - t)^2 - r^2}`.

    Parameters
    ----------
    reflectance, transmissivity : array_like
        Of a leaf, after `leaf_optics`.

    Returns
    -------
    jax.Array
        Extinction coefficient per unit of leaf area index.

    References
    ----------
    Watanabe & Otani (1995).
    """
    s, _ = _scattering(jnp.asarray(reflectance), jnp.asarray(transmissivity))
    return LEAF_PROJECTION * DIFFUSIVITY * s


def longwave_transmissivity(lai, vegetated=1.0):
    r"""Share of thermal radiation that passes the canopy.

    .. math:: \tau = f_V \exp(-F d_f LAI / f_V) + 1 - f_V .

    Parameters
    ----------
    lai : array_like
        Leaf area index, mean of the cell.
    vegetated : array_like, optional
        Share f_V of the ground under vegetation, 0-1.

    Returns
    -------
    jax.Array
        Transmissivity, 0-1.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222.
    """
    inside = _inside(lai, vegetated)
    through = jnp.exp(-LEAF_PROJECTION * DIFFUSIVITY * inside)
    return vegetated * through + 1.0 - vegetated


def snow_incidence(albedo, cosine):
    r"""Albedo of snow or ice for light that comes in at an angle.

    .. math:: a(\theta) = a + 0.4 (1 - a) (1 - \cos\theta)^5 .

    Parameters
    ----------
    albedo : array_like
        Albedo for light from overhead.
    cosine : array_like
        Cosine of the angle of incidence; `DIFFUSE_COSINE` for diffuse light.

    Returns
    -------
    jax.Array
        Albedo for that angle.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222.
    """
    albedo = jnp.asarray(albedo)
    return albedo + 0.4 * (1.0 - albedo) * (1.0 - jnp.clip(cosine, 0.0, 1.0)) ** 5


def two_stream(
    lai,
    reflectance,
    transmissivity,
    ground_direct,
    ground_diffuse,
    cosz,
    *,
    vegetated=1.0,
) -> CanopyLight:
    r"""Albedo of a canopy over ground, and the light that ground and leaves absorb.

    The closed solution of the equations at the head of this module inside the
    vegetated part, with LAI / f_V there; then the mean over vegetated and open ground.

    Parameters
    ----------
    lai : array_like
        Leaf area index, mean of the cell.
    reflectance, transmissivity : array_like
        Of a leaf, after `leaf_optics`.
    ground_direct, ground_diffuse : array_like
        Albedo of the ground under the canopy for direct and diffuse light.
    cosz : array_like
        Cosine of the sun's zenith angle; below `LOWEST_SUN` (and at night) the sun is
        taken to stand at `LOWEST_SUN`.
    vegetated : array_like, optional
        Share f_V of the ground under vegetation, 0-1.

    Returns
    -------
    CanopyLight
        Six fractions of the light above the canopy, broadcast from the arguments.

    References
    ----------
    Watanabe & Otani (1995); averaging over the cell: Takata, Emori & Watanabe (2003),
    Global and Planetary Change 38, 209-222.
    """
    inside = _inside(lai, vegetated)
    cover = jnp.asarray(vegetated)
    g1, g2 = jnp.asarray(ground_direct), jnp.asarray(ground_diffuse)
    sun = 1.0 / jnp.maximum(cosz, LOWEST_SUN)
    r = jnp.asarray(reflectance)
    s, t = _scattering(r, jnp.asarray(transmissivity))
    kappa = DIFFUSIVITY * s

    # A2 of the paper is the albedo of an endless canopy; A1 = 1 / A2 is put in by hand.
    endless = r / (1.0 - t + s)
    squared = endless**2
    once = jnp.exp(-LEAF_PROJECTION * kappa * inside)  # diffuse light, one way
    twice = once**2
    beam = jnp.exp(-LEAF_PROJECTION * sun * inside)  # direct light, one way
    base = 1.0 - g2 * endless * (1.0 - twice) - squared * twice

    albedo_diffuse = (endless * (1.0 - g2 * endless) - (endless - g2) * twice) / base
    ground_absorbs_diffuse = (1.0 - squared) * (1.0 - g2) * once / base

    # Sources of diffuse light from the beam (C3 and C4 of the paper times their
    # common denominator), and (beam - once) / (kappa - sun) without the division.
    down = sun * (t * sun + DIFFUSIVITY * (t * (1.0 - t) + r**2))
    up = r * (DIFFUSIVITY - sun) * sun
    path = LEAF_PROJECTION * inside
    lag = once * path * _exponential_slope(path * (kappa - sun))
    back = sun * (r + endless * t) * (1.0 - twice) / base
    spread = (1.0 - squared) * once / base
    albedo_direct = g1 * spread * beam + (
        (1.0 - g2 * endless) * back + lag * spread * (down * g2 - up)
    ) / (kappa + sun)
    echo = -(1.0 - endless) * (1.0 + endless * twice) / base
    ground_absorbs_direct = beam * (1.0 + g1 * echo) + (1.0 - g2) * (
        lag * (down * (1.0 - squared * twice) - up * endless * (1.0 - twice)) / base
        - once * endless * back
    ) / (kappa + sun)

    albedo_direct = cover * albedo_direct + (1.0 - cover) * g1
    albedo_diffuse = cover * albedo_diffuse + (1.0 - cover) * g2
    ground_1 = cover * ground_absorbs_direct + (1.0 - cover) * (1.0 - g1)
    ground_2 = cover * ground_absorbs_diffuse + (1.0 - cover) * (1.0 - g2)
    return CanopyLight(
        albedo_direct,
        albedo_diffuse,
        ground_1,
        ground_2,
        1.0 - albedo_direct - ground_1,
        1.0 - albedo_diffuse - ground_2,
    )


def _inside(lai, vegetated):
    """Leaf area index inside the vegetated part; zero where nothing grows."""
    lai, vegetated = jnp.asarray(lai), jnp.asarray(vegetated)
    grows = vegetated > 0.0
    return jnp.where(grows, lai / jnp.where(grows, vegetated, 1.0), 0.0)


def _scattering(r, t):
    """Return sqrt((1-t)^2 - r^2) and t, lowered where a leaf would absorb nothing."""
    t = jnp.minimum(t, 1.0 - jnp.sqrt(r**2 + _LEAST_ABSORPTION))
    return jnp.sqrt((1.0 - t) ** 2 - r**2), t


def _exponential_slope(x):
    """(exp(x) - 1) / x, smooth through x = 0."""
    near = jnp.abs(x) < 1e-3
    far = jnp.where(near, 1.0, x)
    series = 1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0)))
    return jnp.where(near, series, jnp.expm1(far) / far)
