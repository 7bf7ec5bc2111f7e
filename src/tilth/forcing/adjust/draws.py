"""Random numbers that belong to a place and a time step, however the data are chunked.

A draw is a function of seed, place, time step and purpose alone: no stream is shared,
so that results do not depend on the order or the company in which places are computed.
"""

from __future__ import annotations

import hashlib

import numba
import numpy as np
import xarray as xr

#: Purposes of draws; each has numbers of its own.
OBSERVED, MODELLED, TARGET = 0, 1, 2

# Constants of the splitmix64 generator (Steele, Lea & Flood 2014, OOPSLA).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = (np.uint64(n) for n in (30, 27, 31, 11))


def uniform_draws(
    seed: int, cells: np.ndarray, n: int, purpose: int, which: int = 0
) -> np.ndarray:
    """Return uniform random numbers of places.

    Parameters
    ----------
    seed : int
        Of the whole computation.
    cells : numpy.ndarray of uint64, shape (rows,)
        Identities of the places, by `cell_identities`.
    n : int
        Numbers per place, one per time step.
    purpose : int
        `OBSERVED`, `MODELLED` or `TARGET`.
    which : int
        0 for the first number of a time step, 1 for a second one and so on.

    Returns
    -------
    numpy.ndarray, shape (rows, n)
        Between 0 and 1, both excluded; independent of those of other places, seeds
        and purposes.
    """
    start = _bits_of_text(f"{seed} {purpose} {which}")
    return _draw(start, np.ascontiguousarray(cells, np.uint64), n)


def cell_identities(data: xr.DataArray) -> xr.DataArray:
    """Return a number for every place of an array, from its coordinates.

    Parameters
    ----------
    data : xarray.DataArray
        With ``time`` and any other dimensions.

    Returns
    -------
    xarray.DataArray of uint64
        Over all dimensions but ``time``, in memory. A place has the same number in any
        selection of the data; along a dimension without coordinate the position
        counts.
    """
    dims = [str(dim) for dim in data.dims if dim != "time"]
    identity = xr.DataArray(np.uint64(0))
    for dim in sorted(dims):
        # The dimension is mixed in, so that (1, 2) is not the place (2, 1).
        bits = _mix_all(_coordinate_bits(data, dim), _bits_of_text(dim))
        identity = identity ^ xr.DataArray(bits, dims=dim)
    coords = {dim: data[dim] for dim in dims if dim in data.coords}
    return identity.transpose(*dims).assign_coords(coords)


def _coordinate_bits(data: xr.DataArray, dim: str) -> np.ndarray:
    """Return 64 bits for every value of a coordinate."""
    if dim not in data.coords:
        return np.arange(data.sizes[dim]).astype(float).view(np.uint64)
    values = data[dim].values
    if values.dtype.kind in "iufb":
        return values.astype(float).view(np.uint64)
    if values.dtype.kind in "mM":
        return values.astype(np.int64).view(np.uint64)
    return np.array([_bits_of_text(str(value)) for value in values], np.uint64)


def _bits_of_text(text: str) -> np.uint64:
    """Return 64 bits of a text, the same on every machine."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "big"))


@numba.njit(cache=True, nogil=True)
def _mix(bits: np.uint64) -> np.uint64:
    """Return 64 well-mixed bits of 64 bits: the output function of splitmix64."""
    bits = (bits ^ (bits >> _S30)) * _FIRST
    bits = (bits ^ (bits >> _S27)) * _SECOND
    return bits ^ (bits >> _S31)


@numba.njit(cache=True, nogil=True)
def _mix_all(bits: np.ndarray, salt: np.uint64) -> np.ndarray:
    """Return well-mixed bits of each, other ones for another salt."""
    out = np.empty_like(bits)
    for i in range(bits.size):
        out[i] = _mix(_mix(bits[i] + _GOLDEN) ^ salt)
    return out


@numba.njit(cache=True, nogil=True)
def _draw(start: np.uint64, cells: np.ndarray, n: int) -> np.ndarray:
    """Return n numbers for each place."""
    out = np.empty((cells.size, n))
    for row in range(cells.size):
        state = _mix(start ^ _mix(cells[row] + _GOLDEN))
        for step in range(n):
            state += _GOLDEN
            # 53 bits and a half: never 0 and never 1.
            out[row, step] = (np.float64(_mix(state) >> _S11) + 0.5) * 2.0**-53
    return out
