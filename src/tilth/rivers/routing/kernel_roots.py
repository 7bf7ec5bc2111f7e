"""The inverse cube root, for friction: depth to the powers -7/3 and -4/3."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["FAST", "inverse_cube_root"]

#: Multiply-add in one rounding, throughout the kernel: an eighth of its time. Nothing
#: that reorders sums or assumes that there is no NaN.
FAST = {"contract"}

#: What the bits of x and of x^(-1/3), divided by three, add up to: gives the first
#: guess to 3.3 % (the method of Kahan; constant of Moroz et al. 2021, Energies 14,
#: 1058, in double precision).
_MAGIC = np.int64(0x553EF0FF289DD796)


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def inverse_cube_root(x):
    r"""Return :math:`x^{-1/3}`; compiled.

    A guess from the exponent's bits, then twice four terms of the series of
    :math:`y (1 - e)^{-1/3}` in :math:`e = 1 - x y^3`. No division and no branch.

    Parameters
    ----------
    x : float
        Normal and above zero.

    Returns
    -------
    float
        To two units in the last place.

    Examples
    --------
    >>> float(inverse_cube_root(8.0))
    0.5
    """
    y = np.int64(_MAGIC - np.float64(x).view(np.int64) // 3).view(np.float64)
    for _ in range(2):
        e = 1.0 - x * y * (y * y)
        y += y * (e * (1.0 / 3.0 + e * (2.0 / 9.0 + e * (14.0 / 81.0))))
    return y
