"""The rotations of MBCn: samples of several variables given each other's dependence."""

from __future__ import annotations

import numpy as np

from tilth.forcing.adjust.samples import probabilities_of, quantiles_of


def random_rotation(size: int, draws: np.random.Generator) -> np.ndarray:
    """Draw a rotation evenly from all rotations and reflections.

    The orthogonal factor of a matrix of normal numbers, with the signs of the
    triangular one (Mezzadri 2007, Notices of the AMS 54).

    Parameters
    ----------
    size : int
        Number of variables.
    draws : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray, shape (size, size)
        Orthogonal.
    """
    factor, triangle = np.linalg.qr(draws.standard_normal((size, size)))
    return factor * np.sign(np.diag(triangle))


def quantile_deltas(
    observed: np.ndarray, modelled: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Shift each target value by how far observed and modelled quantiles are apart.

    Parameters
    ----------
    observed, modelled : numpy.ndarray
        Sorted samples of the training period.
    target : numpy.ndarray
        Values to adjust, in any order; their probability is that among themselves.

    Returns
    -------
    numpy.ndarray
        Adjusted values (additive quantile delta mapping, Cannon 2015).
    """
    p = probabilities_of(np.sort(target), target)
    return target + quantiles_of(observed, p) - quantiles_of(modelled, p)


def rotated_mapping(
    observed: np.ndarray,
    modelled: np.ndarray,
    target: np.ndarray,
    iterations: int,
    seed: int,
) -> np.ndarray:
    """Give the target the observed dependence among variables, changed as simulated.

    In each iteration all samples are rotated together at random, modelled and target
    are mapped along every rotated axis, and rotated back (Cannon 2018).

    Parameters
    ----------
    observed, modelled, target : numpy.ndarray, shape (time, variable)
        Without gaps; times differ, variables are the same.
    iterations : int
        Number of rotations.
    seed : int
        Of the rotations, the same for every cell.

    Returns
    -------
    numpy.ndarray, shape (time of target, variable)
        In standard deviations of the modelled sample: only the ranks are of use.
    """
    spread = modelled.std(axis=0)
    spread[spread == 0.0] = 1.0
    centre = modelled.mean(axis=0)
    h, s = (modelled - centre) / spread, (target - centre) / spread
    own = observed.std(axis=0)
    own[own == 0.0] = 1.0
    o = (observed - observed.mean(axis=0)) / own
    draws = np.random.default_rng(seed)
    for _ in range(iterations):
        rotation = random_rotation(o.shape[1], draws)
        turned = np.sort(o @ rotation, axis=0)
        h, s = h @ rotation, s @ rotation
        for axis in range(o.shape[1]):
            ordered = np.sort(h[:, axis])
            s[:, axis] = quantile_deltas(turned[:, axis], ordered, s[:, axis])
            h[:, axis] = quantile_deltas(turned[:, axis], ordered, h[:, axis])
        h, s = h @ rotation.T, s @ rotation.T
    return s


def in_rank_order(values: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """Rearrange values so that they rise and fall as a pattern does.

    Parameters
    ----------
    values, pattern : numpy.ndarray, shape (time,)
        What is rearranged, and whose ranks it gets; ties keep their order.

    Returns
    -------
    numpy.ndarray, shape (time,)
        The same numbers as `values`.

    Examples
    --------
    >>> in_rank_order(np.array([1.0, 2.0, 3.0]), np.array([0.3, 0.1, 0.2]))
    array([3., 1., 2.])
    """
    arranged = np.empty_like(values)
    arranged[np.argsort(pattern, kind="stable")] = np.sort(values)
    return arranged
