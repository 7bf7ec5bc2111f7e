r"""Inverse and determinant of the noise's covariance, exact, on epochs with gaps.

On all epochs :math:`C = \sum_j T_j T_j^T`, :math:`T_j` the lower triangular Toeplitz
matrix of filter j. With Z the shift down by one row, :math:`C - Z C Z^T = G G^T` has as
many independent columns as there are filters, and so has
:math:`C^{-1} - Z^T C^{-1} Z` (Kailath & Sayed 1995): the inverse is again a sum
:math:`K = \sum_j W_j^T W_j` of as many *whitening* filters, and products with it are
FFTs.

- One filter: W is its reciprocal as a power series.
- Several: turn the columns of G so that all but one begin with zero, and call these
  :math:`G_2`. One whitening filter is the last column of K over the root of its last
  value, the others are :math:`Z^T K G_2 B` with :math:`B B^T = (I - G_2^T K G_2)^{-1}`,
  all read backwards. The columns of K come from conjugate gradients, preconditioned by
  the covariance of the summed filter: that is C within a factor of the number of
  filters, because phases of power laws up to an index of 2 differ by less than 90
  degrees, so about 15 steps give all digits. The determinant comes from Schur's
  algorithm, which here needs rotations only.
- Missing epochs m beside observed ones o: :math:`C_{oo}^{-1} = K_{oo} - K_{om}
  K_{mm}^{-1} K_{mo}` and :math:`|C_{oo}| = |C|\,|K_{mm}|` (Bos et al. 2013). If most
  epochs are missing, :math:`C_{oo}` itself is factored.

References: Kailath & Sayed (1995), SIAM Review 37, 297-386; Bos et al. (2013), J.
Geodesy 87, 351-360.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import fft, linalg

from tilth.core.errors import InputError

#: Conjugate gradients stop when the residual is this small beside the right side.
_TOLERANCE = 1e-12
_MOST_STEPS = 300


def inverse_filter(response: np.ndarray) -> np.ndarray:
    """Return the filter that undoes another: the reciprocal power series.

    Newton's iteration, which doubles the number of right terms in each step.

    Parameters
    ----------
    response : numpy.ndarray, shape (count)
        First value not zero.

    Returns
    -------
    numpy.ndarray, shape (count)
        Their convolution is 1, 0, 0, ...

    Examples
    --------
    >>> inverse_filter(np.ones(4)).round(9) + 0.0
    array([ 1., -1.,  0.,  0.])
    """
    count = response.size
    inverse = np.array([1.0 / response[0]])
    while inverse.size < count:
        m = min(2 * inverse.size, count)
        size = fft.next_fast_len(2 * m, real=True)
        turned = fft.rfft(inverse, size)
        product = fft.irfft(fft.rfft(response[:m], size) * turned, size)[:m]
        product[0] -= 2.0
        inverse = -fft.irfft(fft.rfft(product, size) * turned, size)[:m]
    return np.asarray(inverse)


class _Toeplitz:
    """Products with the lower triangular Toeplitz matrices of filters, by FFT."""

    def __init__(self, filters: np.ndarray) -> None:
        self.count = filters.shape[1]
        self.size = fft.next_fast_len(2 * self.count, real=True)
        self.turned = fft.rfft(filters, self.size)

    def times(self, x: np.ndarray) -> np.ndarray:
        """Return T_j x of each filter: (..., count) -> (..., filter, count)."""
        turned = fft.rfft(x, self.size)[..., None, :]
        return np.asarray(fft.irfft(self.turned * turned, self.size)[..., : self.count])

    def transposed(self, y: np.ndarray) -> np.ndarray:
        """Return the sum of T_j^T y_j: (..., filter, count) -> (..., count)."""
        turned = (np.conj(self.turned) * fft.rfft(y, self.size)).sum(axis=-2)
        return np.asarray(fft.irfft(turned, self.size)[..., : self.count])

    def inner(self, x: np.ndarray) -> np.ndarray:
        """Return the sum of T_j T_j^T x."""
        turned = np.conj(self.turned) * fft.rfft(x, self.size)[..., None, :]
        y = fft.irfft(turned, self.size)[..., : self.count]
        turned = (self.turned * fft.rfft(y, self.size)).sum(axis=-2)
        return np.asarray(fft.irfft(turned, self.size)[..., : self.count])


@njit(cache=True, fastmath={"contract", "reassoc", "nsz"})
def _schur_log_determinant(filters):
    """Return log|C| of C = sum T_j T_j^T by Schur's algorithm with rotations."""
    # Row 0 is shifted against the others after each step: it is read from its begin.
    work = filters.copy()
    rows, count = work.shape
    first = work[0]
    total = 0.0
    for i in range(count):
        for j in range(1, rows):
            other = work[j, i:]
            length = np.hypot(first[0], other[0])
            if other[0] == 0.0:
                continue
            c, s = first[0] / length, other[0] / length
            for t in range(count - i):
                x, y = first[t], other[t]
                first[t] = c * x + s * y
                other[t] = c * y - s * x
        total += 2.0 * np.log(np.abs(first[0]))
    return total


@njit(cache=True, fastmath={"contract", "reassoc", "nsz"})
def _lag_sums(filters, begin, lags, ends):
    """Sum filter[s] filter[s + lag] over s = 0..end, for ends that rise in each lag."""
    sums = np.empty(ends.size)
    for g in range(lags.size):
        total, s = 0.0, 0
        for e in range(begin[g], begin[g + 1]):
            stop = ends[e] + 1
            for j in range(filters.shape[0]):
                here, there = filters[j, s:stop], filters[j, s + lags[g] :]
                part = 0.0
                for t in range(here.size):
                    part += here[t] * there[t]
                total += part
            s = stop
            sums[e] = total
    return sums


class _Gram:
    """Entries of sum T_j T_j^T at some rows and the same columns, for any filters."""

    def __init__(self, rows: np.ndarray) -> None:
        self.size = rows.size
        self.i, self.j = np.tril_indices(self.size)
        lag, end = (
            rows[self.i] - rows[self.j],
            rows[self.j],
        )  # rows rise, so j is before
        self.order = np.lexsort((end, lag))
        self.ends = end[self.order]
        self.lags, begin = np.unique(lag[self.order], return_index=True)
        self.begin = np.append(begin, lag.size)

    def matrix(self, filters: np.ndarray) -> np.ndarray:
        sums = _lag_sums(filters, self.begin, self.lags, self.ends)
        matrix = np.empty((self.size, self.size))
        i, j = self.i[self.order], self.j[self.order]
        matrix[i, j] = sums
        matrix[j, i] = sums
        return matrix


def whitening_filters(filters: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the filters of the inverse of a covariance, and its log determinant.

    Parameters
    ----------
    filters : numpy.ndarray, shape (filter, count)
        Rows of C = sum T_j T_j^T; the first value of at least one is not zero.

    Returns
    -------
    numpy.ndarray, shape (filter, count)
        Rows of C^-1 = sum W_j^T W_j.
    float
        log|C|.
    """
    count = filters.shape[1]
    if len(filters) == 1:
        log_determinant = 2.0 * count * float(np.log(abs(filters[0, 0])))
        return inverse_filter(filters[0])[None], log_determinant
    leads = filters[:, 0] / np.linalg.norm(filters[:, 0])
    turn = linalg.null_space(leads[None])  # columns orthogonal to the leads
    generators = turn.T @ filters
    right = np.vstack([np.zeros(count), generators])
    right[0, -1] = 1.0
    last, *columns = _solve(filters, right)
    solved = np.array(columns)
    gram = np.eye(len(generators)) - generators @ solved.T
    lower = linalg.cholesky((gram + gram.T) / 2.0, lower=True)
    shifted = np.zeros_like(solved)
    shifted[:, :-1] = solved[:, 1:]
    others = linalg.solve_triangular(lower, shifted, lower=True)
    whitening = np.vstack([last / np.sqrt(last[-1]), others])[:, ::-1]
    return whitening, float(_schur_log_determinant(filters))


def _solve(filters: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve C x = right, row by row, by preconditioned conjugate gradients."""
    covariance = _Toeplitz(filters)
    summed = _Toeplitz(inverse_filter(filters.sum(axis=0))[None])

    def preconditioned(y: np.ndarray) -> np.ndarray:
        return summed.transposed(summed.times(y))

    x, residual = np.zeros_like(right), right.copy()
    z = preconditioned(residual)
    direction, rho = z, (residual * z).sum(axis=1)
    goal = _TOLERANCE**2 * rho
    for _ in range(_MOST_STEPS):
        product = covariance.inner(direction)
        step = _ratio(rho, (direction * product).sum(axis=1))
        x += step[:, None] * direction
        residual -= step[:, None] * product
        z = preconditioned(residual)
        before, rho = rho, (residual * z).sum(axis=1)
        if (rho <= goal).all():
            return x
        direction = z + _ratio(rho, before)[:, None] * direction
    raise InputError(
        f"the covariance of the noise could not be inverted in {_MOST_STEPS} steps: "
        "its amplitudes or indices are too far apart"
    )


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Return quotients; 0 for a row that is solved (or was zero, as of index 0)."""
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0)


class ObservedEpochs:
    """Epochs that have observations, among all epochs of a regular interval.

    Parameters
    ----------
    epochs : array_like of int, shape (observation)
        Numbers of the epochs, rising; the first is 0: coloured noise starts there.

    Raises
    ------
    InputError
        If they do not rise from 0.
    """

    def __init__(self, epochs: np.ndarray) -> None:
        self.epochs = np.asarray(epochs, np.int64)
        if self.epochs.size < 2 or self.epochs[0] or (np.diff(self.epochs) <= 0).any():
            raise InputError("epochs must be at least two and rise from 0")
        self.count = int(self.epochs[-1]) + 1
        missing = np.setdiff1d(np.arange(self.count), self.epochs)
        #: Whether the covariance of the observations is factored as it is.
        self.sparse = missing.size > self.epochs.size
        #: Missing epochs counted from the end: the inverse is summed from there.
        self.missing = self.count - 1 - missing[::-1]
        self._gram = _Gram(self.epochs if self.sparse else self.missing)

    def normal_matrix(
        self, filters: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Return X^T C^-1 X for the covariance C of the observations, and log|C|.

        Parameters
        ----------
        filters : numpy.ndarray, shape (filter, count)
            Of the noise on all epochs.
        columns : numpy.ndarray, shape (column, observation)
            X, transposed.

        Returns
        -------
        numpy.ndarray, shape (column, column)
            The product.
        float
            The log determinant.
        """
        if self.sparse:
            factor = linalg.cholesky(self._gram.matrix(filters), lower=True)
            white = linalg.solve_triangular(factor, columns.T, lower=True)
            return white.T @ white, 2.0 * float(np.log(np.diag(factor)).sum())
        whitening, log_determinant = whitening_filters(filters)
        toeplitz = _Toeplitz(whitening)
        filled = np.zeros((len(columns), self.count))
        filled[:, self.epochs] = columns
        white = toeplitz.times(filled)
        flat = white.reshape(len(columns), -1)
        normal = flat @ flat.T
        if not self.missing.size:
            return normal, log_determinant
        factor = linalg.cholesky(self._gram.matrix(whitening), lower=True)
        across = toeplitz.transposed(white)[:, self.count - 1 - self.missing]
        left_out = linalg.solve_triangular(factor, across.T, lower=True)
        normal -= left_out.T @ left_out
        return normal, log_determinant + 2.0 * float(np.log(np.diag(factor)).sum())
