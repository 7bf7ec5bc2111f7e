"""Places on the sphere as vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def unit_vectors(lat: npt.ArrayLike, lon: npt.ArrayLike) -> np.ndarray:
    """Return places as vectors from the centre of the sphere.

    Parameters
    ----------
    lat, lon : array_like
        Degrees, taken as spherical.

    Returns
    -------
    numpy.ndarray, shape (..., 3)
        Of length one.

    Examples
    --------
    >>> unit_vectors(0.0, 90.0).round(12).tolist()
    [0.0, 1.0, 0.0]
    """
    north, east = np.radians(np.asarray(lat, float)), np.radians(np.asarray(lon, float))
    across = np.cos(north)
    return np.stack(
        [across * np.cos(east), across * np.sin(east), np.sin(north)], axis=-1
    )
