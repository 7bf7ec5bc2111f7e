"""Layers of the snow: how much each holds, and moving snow from old layers to new."""

from __future__ import annotations

import itertools

from tilth.core.accelerate import jnp


def masses(in_cover):
    r"""Mass of each snow layer from the snow on the covered ground.

    A thin snow is one layer; layers appear as it grows, the upper ones stay thin:

    ============ ================= ================= =========
    snow s       layer 1           layer 2           layer 3
    ============ ================= ================= =========
    below 20     s                 0                 0
    20 to 40     s / 2             s / 2             0
    40 to 60     20                s - 20            0
    60 to 100    20                (s - 20) / 2      the rest
    from 100     20                40                the rest
    ============ ================= ================= =========

    Parameters
    ----------
    in_cover : array_like
        Snow per area of covered ground s, in kg m-2; shape (n,).

    Returns
    -------
    jax.Array
        Mass of the layers from the top, in kg m-2; shape (3, n). They add up to s.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222.
    """
    s = jnp.asarray(in_cover)
    first = jnp.where(s < 20.0, s, jnp.where(s < 40.0, 0.5 * s, 20.0))
    rest = s - first
    second = jnp.where(s < 60.0, rest, jnp.where(s < 100.0, 0.5 * (s - 20.0), 40.0))
    return jnp.stack([first, second, rest - second])


def per_covered_area(amount, cover):
    """Amount per area of covered ground from one per area of the cell; 0 without snow.

    Parameters
    ----------
    amount : array_like
        Per area of the cell, e.g. the snow mass in kg m-2; shape (..., n).
    cover : array_like
        Share of the cell under snow; shape (n,).

    Returns
    -------
    jax.Array
        Amount / cover where there is cover, 0 elsewhere.
    """
    covered = jnp.asarray(cover) > 0.0
    return jnp.where(covered, amount / jnp.where(covered, cover, 1.0), 0.0)


def remap(mass, contents, new_mass):
    r"""Contents of new layers cut out of the same pile of snow.

    Old and new layers are intervals of the mass below the surface; a new layer takes
    from every old one what overlaps,

    .. math:: X_j = \sum_k x_k \, | \text{new}_j \cap \text{old}_k | .

    The last new layer reaches to the bottom, so that nothing is lost to rounding.

    Parameters
    ----------
    mass : array_like
        Mass of the old layers from the top, in kg m-2; shape (k, n).
    contents : array_like
        What a kilogram of each old layer holds, e.g. of liquid water or of heat;
        shape (k, n).
    new_mass : array_like
        Mass of the new layers from the top, in kg m-2; shape (j, n). Same sum as
        `mass`.

    Returns
    -------
    jax.Array
        What each new layer holds, per m2; shape (j, n). The sum over the layers is
        the sum of mass times contents.

    Examples
    --------
    Two layers at -4 and -1 degrees become one of half the mass and one of the rest:

    >>> print(remap([[1.0], [3.0]], [[-4.0], [-1.0]], [[2.0], [2.0]])[:, 0])
    [-5. -2.]
    """
    mass, contents = jnp.asarray(mass), jnp.asarray(contents)
    bottom = _running_sum(mass)
    top = jnp.concatenate([jnp.zeros_like(bottom[:1]), bottom[:-1]])
    cuts = _running_sum(jnp.asarray(new_mass)[:-1])
    cuts = jnp.clip(cuts[:, None], top[None], bottom[None])
    edges = jnp.concatenate([top[None], cuts, bottom[None]])
    return jnp.sum(contents[None] * (edges[1:] - edges[:-1]), axis=1)


def _running_sum(mass):
    """Sum from the top; for a few layers much faster than a general cumsum."""
    return jnp.stack(list(itertools.accumulate(mass)))
