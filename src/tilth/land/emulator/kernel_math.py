r"""Exponential and power written so that a compiler can do many cells at once.

The functions of the C library are calls, and a loop with a call in it runs one cell
at a time. Here :math:`e^x = 2^n e^r` with :math:`|r| \le \ln(2) / 2`: the power of two
is put together from the bits of its exponent and :math:`e^r` is a polynomial, so that
a loop over cells becomes vector instructions. The constants of the two precisions
differ; the largest errors over the range used are 1.5 units in the last place for the
exponential and, for :math:`x^y = e^{y \ln x}`, a few times :math:`1 + |y \ln x|` units.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import overload

#: Multiply-add in one rounding, and zeros without sign: neither changes from lane to
#: lane. Nothing that reorders sums or assumes that there is no NaN.
FAST = {"contract", "nsz"}

_LOG2_E = 1.4426950408889634
#: ln 2 in two parts: the first has so few digits that n times it is exact.
_LN2_HIGH_32, _LN2_LOW_32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LN2_HIGH_64, _LN2_LOW_64 = 6.93147180369123816490e-01, 1.90821492927058770002e-10

#: Adding 1.5 * 2^(digits) leaves the nearest integer in the lowest bits.
_MAGIC_32, _MAGIC_64 = np.float32(1.5 * 2**23), 1.5 * 2**52

#: Bits of sqrt(1/2): mantissas are brought to sqrt(1/2) ... sqrt(2).
_ROOT_HALF_32 = np.int32(0x3F3504F3)
_ROOT_HALF_64 = np.int64(0x3FE6A09E667F3BCD)


def exponential(x):
    """Return exp(x) for x in -80 ... 80; compiled, one vector lane per value."""
    return np.exp(x)


def power(x, y):
    """Return x ** y for normal x > 0 and a result in 1e-30 ... 1e30; compiled."""
    return np.exp(y * np.log(x))


@njit(fastmath=FAST, error_model="numpy", cache=True)
def _exponential_32(x):
    shifted = np.float32(x * np.float32(_LOG2_E) + _MAGIC_32)
    n = np.float32(shifted - _MAGIC_32)
    r = np.float32(x - n * _LN2_HIGH_32)
    r = np.float32(r - n * _LN2_LOW_32)
    # 1 / k!: on |r| < 0.35 the next term is 5e-9.
    p = np.float32(1.0 / 5040.0)
    p = np.float32(p * r + np.float32(1.0 / 720.0))
    p = np.float32(p * r + np.float32(1.0 / 120.0))
    p = np.float32(p * r + np.float32(1.0 / 24.0))
    p = np.float32(p * r + np.float32(1.0 / 6.0))
    p = np.float32(p * r + np.float32(0.5))
    p = np.float32(p * r + np.float32(1.0))
    p = np.float32(p * r + np.float32(1.0))
    # The low bits of `shifted` are n: they become the exponent of 2^n.
    bits = np.int32(np.int32(shifted.view(np.int32) << 23) + np.int32(0x3F800000))
    return np.float32(p * bits.view(np.float32))


@njit(fastmath=FAST, error_model="numpy", cache=True)
def _exponential_64(x):
    shifted = np.float64(x * _LOG2_E + _MAGIC_64)
    n = shifted - _MAGIC_64
    r = x - n * _LN2_HIGH_64
    r = r - n * _LN2_LOW_64
    # 1 / k!: on |r| < 0.35 the next term is 5e-18.
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    bits = np.int64((shifted.view(np.int64) << 52) + np.int64(0x3FF0000000000000))
    return p * bits.view(np.float64)


@njit(fastmath=FAST, error_model="numpy", cache=True)
def _logarithm_32(x):
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(np.int32(bits - _ROOT_HALF_32) >> 23)
    mantissa = np.int32(bits - np.int32(exponent << 23)).view(np.float32)
    # ln m = 2 artanh z, z = (m - 1) / (m + 1); |z| < 0.172, the next term is 6e-10.
    z = np.float32((mantissa - np.float32(1.0)) / (mantissa + np.float32(1.0)))
    s = np.float32(z * z)
    p = np.float32(2.0 / 9.0)
    p = np.float32(p * s + np.float32(2.0 / 7.0))
    p = np.float32(p * s + np.float32(2.0 / 5.0))
    p = np.float32(p * s + np.float32(2.0 / 3.0))
    n = np.float32(exponent)
    tail = np.float32(p * s * z + n * _LN2_LOW_32)
    return np.float32(n * _LN2_HIGH_32 + np.float32(z + z + tail))


@njit(fastmath=FAST, error_model="numpy", cache=True)
def _logarithm_64(x):
    bits = np.float64(x).view(np.int64)
    exponent = (bits - _ROOT_HALF_64) >> 52
    mantissa = np.int64(bits - (exponent << 52)).view(np.float64)
    # As above; the next term is 3e-18.
    z = (mantissa - 1.0) / (mantissa + 1.0)
    s = z * z
    p = 2.0 / 21.0
    p = p * s + 2.0 / 19.0
    p = p * s + 2.0 / 17.0
    p = p * s + 2.0 / 15.0
    p = p * s + 2.0 / 13.0
    p = p * s + 2.0 / 11.0
    p = p * s + 2.0 / 9.0
    p = p * s + 2.0 / 7.0
    p = p * s + 2.0 / 5.0
    p = p * s + 2.0 / 3.0
    n = np.float64(exponent)
    return n * _LN2_HIGH_64 + (z + z + (p * s * z + n * _LN2_LOW_64))


@overload(exponential, jit_options={"fastmath": FAST, "error_model": "numpy"})
def _exponential(x):
    if x == types.float32:
        return _exponential_32.py_func
    return _exponential_64.py_func if x == types.float64 else None


@overload(power, jit_options={"fastmath": FAST, "error_model": "numpy"})
def _power(x, y):
    if (x, y) == (types.float32, types.float32):
        return lambda x, y: _exponential_32(np.float32(y * _logarithm_32(x)))
    if (x, y) == (types.float64, types.float64):
        return lambda x, y: _exponential_64(y * _logarithm_64(x))
    return None
