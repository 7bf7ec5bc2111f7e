r"""Loads with gradients: through place, size and weight of discs, and the inversion.

Written in JAX, so that what a mass estimate depends on (the position of a load, its
radius, the strength of a penalty, the errors assumed) can be fitted by gradient, alone
or as part of a larger model.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.loading.discs import disc_response
from tilth.loading.green import GreenFunctions
from tilth.loading.sources import GIGATONNE


class Discs(NamedTuple):
    """Some discs of load.

    Parameters
    ----------
    lat, lon : array, shape (m,)
        Centres, degrees.
    radius : array, shape (m,)
        m.
    mass : array, shape (m,)
        Gt.
    """

    lat: Any
    lon: Any
    radius: Any
    mass: Any


@jax.jit
def displacement_of_discs(
    green: GreenFunctions, lat: Any, lon: Any, discs: Discs
) -> Any:
    """Return the displacement of places by discs; differentiable in all of it.

    Parameters
    ----------
    green : GreenFunctions
        Of the Earth.
    lat, lon : array_like, shape (n,)
        Of the places, degrees; not at a disc's centre or border, where the direction
        or the slope is none.
    discs : Discs
        The loads.

    Returns
    -------
    JAX array, shape (n, 3)
        East, north and up, m.
    """
    up, east, north = _directions(jnp.asarray(lat), jnp.asarray(lon))
    centre, _, _ = _directions(jnp.asarray(discs.lat), jnp.asarray(discs.lon))
    to_east, to_north = east @ centre.T, north @ centre.T
    sine = jnp.sqrt(to_east**2 + to_north**2)
    distance = jnp.arctan2(sine, up @ centre.T)
    size = jnp.asarray(discs.radius) / green.radius
    moved = disc_response(green, distance, jnp.broadcast_to(size, distance.shape))
    area = 4.0 * jnp.pi * green.radius**2 * jnp.sin(size / 2.0) ** 2
    density = jnp.asarray(discs.mass) * GIGATONNE / area
    away = moved.away / sine
    parts = (-away * to_east, -away * to_north, moved.up)
    return jnp.stack([part @ density for part in parts], axis=-1)


@jax.jit
def regularised_load(
    response: Any, observed: Any, penalty: Any, log_strength: Any
) -> Any:
    r"""Return the load of an inversion; differentiable in all of it.

    .. math:: m = (A^T A + \lambda^2 L^T L)^{-1} A^T d

    Parameters
    ----------
    response : array_like, shape (rows, sources)
        A, over the errors (`tilth.loading.inversion.without_nuisances`).
    observed : array_like, shape (rows,)
        d, over the errors.
    penalty : array_like, shape (sources, sources)
        L.
    log_strength : float
        :math:`\ln \lambda`.

    Returns
    -------
    JAX array, shape (sources,)
        In units of the sources.
    """
    a, d, matrix = (jnp.asarray(x) for x in (response, observed, penalty))
    precision = a.T @ a + jnp.exp(2.0 * log_strength) * matrix.T @ matrix
    return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(precision), True), a.T @ d)


@jax.jit
def log_likelihood(
    response: Any, observed: Any, penalty: Any, log_strength: Any
) -> Any:
    r"""Return the likelihood of observations under the prior that a penalty stands for.

    .. math::

        -\tfrac12 \left[ |A m - d|^2 + \lambda^2 |L m|^2
            + \ln \det (A^T A + \lambda^2 L^T L) - \ln \det (\lambda^2 L^T L) \right]

    but for a constant: what `tilth.loading.choose_strength` makes largest.

    Parameters
    ----------
    response, observed, penalty, log_strength
        As of `regularised_load`.

    Returns
    -------
    JAX array, shape ()
        Logarithm.
    """
    a, d, matrix = (jnp.asarray(x) for x in (response, observed, penalty))
    prior = jnp.exp(2.0 * log_strength) * matrix.T @ matrix
    load = regularised_load(a, d, matrix, log_strength)
    misfit = jnp.sum((a @ load - d) ** 2) + load @ prior @ load
    logs = [jnp.linalg.slogdet(x)[1] for x in (a.T @ a + prior, prior)]
    return -0.5 * (misfit + logs[0] - logs[1])


@functools.partial(jax.jit, static_argnames="steps")
def fit_discs(
    green: GreenFunctions,
    lat: Any,
    lon: Any,
    observed: Any,
    errors: Any,
    first: Discs,
    *,
    steps: int = 30,
) -> tuple[Discs, Any]:
    """Fit place and mass of discs to displacements, by damped Gauss-Newton steps.

    Stations beside a load know where it is, too: their horizontals point to it. The
    radius stays as given.

    Parameters
    ----------
    green : GreenFunctions
        Of the Earth.
    lat, lon : array_like, shape (n,)
        Of the stations, degrees.
    observed, errors : array_like, shape (n, 3)
        East, north, up and their standard errors, m (per time).
    first : Discs
        Where to begin.
    steps : int, default 30
        Steps of Gauss and Newton; one that does not lessen the misfit is not taken and
        damped more.

    Returns
    -------
    tuple of Discs and JAX array
        The fit, and the covariance of latitudes, longitudes (degrees) and masses (Gt),
        one after the other.
    """
    count = jnp.asarray(first.lat).size

    def residual(x: Any) -> Any:
        discs = Discs(x[:count], x[count : 2 * count], first.radius, x[2 * count :])
        moved = displacement_of_discs(green, lat, lon, discs)
        return ((jnp.asarray(observed) - moved) / jnp.asarray(errors)).ravel()

    def step(state: Any, _: Any) -> tuple[Any, None]:
        x, damping = state
        slope, off = jax.jacfwd(residual)(x), residual(x)
        normal = slope.T @ slope
        damped = normal + damping * jnp.diag(jnp.diag(normal) + 1e-12)
        tried = x - jnp.linalg.solve(damped, slope.T @ off)
        better = jnp.sum(residual(tried) ** 2) < jnp.sum(off**2)
        return (
            jnp.where(better, tried, x),
            jnp.where(better, damping / 5.0, damping * 5.0),
        ), None

    start = jnp.concatenate(
        [
            jnp.atleast_1d(jnp.asarray(v, float))
            for v in (first.lat, first.lon, first.mass)
        ]
    )
    (x, _), _ = jax.lax.scan(step, (start, jnp.asarray(1e-2)), None, length=steps)
    slope = jax.jacfwd(residual)(x)
    fit = Discs(x[:count], x[count : 2 * count], first.radius, x[2 * count :])
    return fit, jnp.linalg.inv(slope.T @ slope)


def _directions(lat: Any, lon: Any) -> tuple[Any, Any, Any]:
    """Return up, east and north of places."""
    phi, lam = jnp.radians(lat), jnp.radians(lon)
    zero = jnp.zeros_like(phi)
    up = jnp.stack(
        [jnp.cos(phi) * jnp.cos(lam), jnp.cos(phi) * jnp.sin(lam), jnp.sin(phi)], -1
    )
    east = jnp.stack([-jnp.sin(lam), jnp.cos(lam), zero], -1)
    north = jnp.stack(
        [-jnp.sin(phi) * jnp.cos(lam), -jnp.sin(phi) * jnp.sin(lam), jnp.cos(phi)], -1
    )
    return up, east, north
