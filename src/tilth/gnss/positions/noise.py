"""Noise of positions: white noise beside coloured noises, summed in one of two ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import fft

from tilth.core.errors import InputError
from tilth.gnss.positions.series import DAYS_PER_YEAR

#: Spectral indices that can be fitted. Below, blue noise that no station has; above,
#: the two ways of summing lose their common range (the phase of the filter nears 180
#: degrees).
INDEX_RANGE = (-0.9, 3.0)

#: Damping that can be fitted, rad per year: from a time scale of 100 years, which no
#: series can tell from none, to one of two days.
DAMPING_RANGE = (0.01, 180.0)

#: How noises are summed: see `NoiseModel`.
Combination = Literal["quadrature", "additive"]


@dataclass(frozen=True)
class Coloured:
    r"""One coloured noise: a filter that turns white noise into it.

    With B the shift by one epoch, :math:`(1 - \varphi B)^{-k/2}` applied to unit white
    noise; :math:`\varphi = e^{-\beta\,\Delta t}`.

    Parameters
    ----------
    name : str
        Of it in tables.
    index : float, optional
        Spectral index k: 1 flicker noise, 2 random walk; None to estimate it.
    damping : float, optional
        beta, rad per year: the noise is flat below beta / 2 pi cycles per year. 0 for
        none; None to estimate it.

    References
    ----------
    Hosking (1981), Biometrika 68, 165-176; Langbein (2004), J. Geophys. Res. 109,
    B04406 (generalised Gauss-Markov).
    """

    name: str
    index: float | None = None
    damping: float | None = 0.0

    def __post_init__(self) -> None:
        if (
            self.index is not None
            and not INDEX_RANGE[0] <= self.index <= INDEX_RANGE[1]
        ):
            raise InputError(
                f"the spectral index of {self.name} is {self.index:g}: it must lie "
                f"within {INDEX_RANGE[0]:g} to {INDEX_RANGE[1]:g}; 1 is flicker noise"
            )
        if self.damping is not None and self.damping < 0:
            raise InputError(
                f"the damping of {self.name} is {self.damping:g}: negative"
            )


@dataclass(frozen=True)
class NoiseModel:
    r"""White noise and coloured noises, and how they add up.

    In ``quadrature`` independent noises are summed, so that covariances add:

    .. math:: C = \sigma_w^2 I + \sum_j A_j^2 \Delta t^{k_j/2} \Psi_j \Psi_j^T

    In the ``additive`` form one white noise goes through the sum of the filters:

    .. math:: C = L L^T, \qquad
       L = \sigma_w I + \sum_j A_j \Delta t^{k_j/4} \Psi_j

    These are different models: an amplitude of one means nothing in the other.

    Parameters
    ----------
    coloured : sequence of Coloured
        None for white noise alone.
    combination : {"quadrature", "additive"}
        How they are summed.

    References
    ----------
    Williams (2003), J. Geodesy 76, 483-494 (quadrature); Langbein (2017), J. Geodesy
    91, 985-994 (additive).
    """

    coloured: tuple[Coloured, ...] = ()
    combination: Combination = "quadrature"

    def __post_init__(self) -> None:
        if self.combination not in ("quadrature", "additive"):
            raise InputError(
                f"combination is {self.combination!r}: noises are summed in "
                "'quadrature' or in the 'additive' form"
            )
        names = [noise.name for noise in self.coloured]
        if len(set(names)) < len(names) or "white" in names:
            raise InputError(
                f"the coloured noises are called {', '.join(names)}: each needs a name "
                "of its own, not 'white'"
            )
        free = [noise.name for noise in self.coloured if noise.index is None]
        if len(free) > 1:
            raise InputError(
                f"the indices of {' and '.join(free)} cannot both be estimated: their "
                "noises could be exchanged; fix all but one"
            )


#: Models by the names that programs and papers use.
_COLOURED = {
    "flicker": Coloured("flicker", 1.0),
    "random walk": Coloured("random walk", 2.0),
    "power law": Coloured("power law"),
    "first-order Gauss-Markov": Coloured("first-order Gauss-Markov", 2.0, None),
    "Gauss-Markov": Coloured("Gauss-Markov", None, None),
}
_NAMES = {
    "white": (),
    "flicker": ("flicker",),
    "random walk": ("random walk",),
    "power law": ("power law",),
    "flicker + random walk": ("flicker", "random walk"),
    "first-order Gauss-Markov": ("first-order Gauss-Markov",),
    "Gauss-Markov": ("Gauss-Markov",),
}

#: What `noise_model` knows; white noise is in all of them.
NOISE_MODELS = tuple(_NAMES)


def noise_model(name: str, combination: Combination = "quadrature") -> NoiseModel:
    """Return a noise model by its name; white noise is part of each.

    Parameters
    ----------
    name : str
        One of `NOISE_MODELS`: "white", "flicker", "random walk", "power law" (index
        estimated), "flicker + random walk", "first-order Gauss-Markov" (index 2,
        damping estimated) or "Gauss-Markov" (index and damping estimated).
    combination : {"quadrature", "additive"}
        How the noises are summed.

    Returns
    -------
    NoiseModel
        The model.

    Raises
    ------
    InputError
        If the name is unknown.

    Examples
    --------
    >>> noise_model("power law").coloured[0].index is None
    True
    """
    if name not in _NAMES:
        raise InputError(f"no noise model {name!r}; known: {', '.join(NOISE_MODELS)}")
    return NoiseModel(tuple(_COLOURED[word] for word in _NAMES[name]), combination)


def power_law_filter(
    count: int, index: float, damping: float = 0.0, interval: float = 1.0
) -> np.ndarray:
    r"""Impulse response of coloured noise.

    .. math:: \psi_0 = 1, \qquad
       \psi_i = \psi_{i-1}\,\frac{i - 1 + k/2}{i}\,e^{-\beta\,\Delta t}

    Parameters
    ----------
    count : int
        Number of epochs.
    index : float
        Spectral index k.
    damping : float
        beta, rad per year.
    interval : float
        Between epochs, days.

    Returns
    -------
    numpy.ndarray, shape (count)
        psi, 1.

    References
    ----------
    Hosking (1981), Biometrika 68, 165-176; Kasdin (1995), Proc. IEEE 83, 802-827.

    Examples
    --------
    >>> power_law_filter(4, 2.0)
    array([1., 1., 1., 1.])
    """
    i = np.arange(1.0, count)
    ratio = (i - 1.0 + index / 2.0) / i * np.exp(-damping * interval / DAYS_PER_YEAR)
    return np.concatenate([[1.0], np.cumprod(ratio)])


def scaled(amplitude: float, index: float, interval: float) -> float:
    """Return an amplitude per epoch: A dt^(k/4), with dt in years.

    Parameters
    ----------
    amplitude : float
        m yr^(-k/4).
    index : float
        Spectral index k.
    interval : float
        Between epochs, days.

    Returns
    -------
    float
        m.
    """
    return float(amplitude * (interval / DAYS_PER_YEAR) ** (index / 4.0))


@dataclass(frozen=True)
class NoiseValues:
    """Numbers of a noise model.

    Parameters
    ----------
    white : float
        Standard deviation of the white noise, m.
    amplitude : sequence of float
        Of each coloured noise, m yr^(-k/4).
    index : sequence of float
        Spectral index k of each.
    damping : sequence of float, optional
        beta of each, rad per year; none by default.
    """

    white: float
    amplitude: Sequence[float] = ()
    index: Sequence[float] = ()
    damping: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if len(self.amplitude) != len(self.index):
            raise InputError(
                f"{len(self.amplitude)} amplitudes and {len(self.index)} indices: each "
                "coloured noise has one of each"
            )
        if self.damping is None:
            object.__setattr__(self, "damping", (0.0,) * len(self.index))

    def filters(
        self, count: int, combination: Combination, interval: float = 1.0
    ) -> np.ndarray:
        """Return the filters from unit white noises to this noise.

        Parameters
        ----------
        count : int
            Number of epochs.
        combination : {"quadrature", "additive"}
            How noises are summed.
        interval : float
            Between epochs, days.

        Returns
        -------
        numpy.ndarray, shape (filter, count)
            m: one row for each noise in quadrature, their sum in the additive form.
            The covariance is the sum over rows of T T^T, T the lower triangular
            Toeplitz matrix of the row. Noises of amplitude 0 have no row.
        """
        rows = (
            [np.concatenate([[self.white], np.zeros(count - 1)])] if self.white else []
        )
        damping = self.damping or ()
        for amplitude, index, beta in zip(
            self.amplitude, self.index, damping, strict=True
        ):
            if amplitude:
                shape = power_law_filter(count, index, beta, interval)
                rows.append(scaled(amplitude, index, interval) * shape)
        if not rows:
            raise InputError(
                "every amplitude of the noise is zero: it has no likelihood"
            )
        if combination == "additive":
            return np.sum(rows, axis=0, keepdims=True)
        return np.array(rows)


def simulate_noise(
    values: NoiseValues,
    count: int,
    combination: Combination = "quadrature",
    *,
    interval: float = 1.0,
    seed: int | np.random.Generator = 0,
) -> np.ndarray:
    """Draw noise of a station: what a fit must find again.

    Parameters
    ----------
    values : NoiseValues
        Its amplitudes and indices.
    count : int
        Number of epochs.
    combination : {"quadrature", "additive"}
        How noises are summed.
    interval : float
        Between epochs, days.
    seed : int or numpy.random.Generator
        Of the draw.

    Returns
    -------
    numpy.ndarray, shape (count)
        m.
    """
    filters = values.filters(count, combination, interval)
    draws = np.random.default_rng(seed).standard_normal(filters.shape)
    size = fft.next_fast_len(2 * count, real=True)
    product = fft.rfft(filters, size) * fft.rfft(draws, size)
    return np.asarray(fft.irfft(product, size)[:, :count].sum(axis=0))


def spectral_density(
    values: NoiseValues,
    frequency: npt.ArrayLike,
    combination: Combination = "quadrature",
    interval: float = 1.0,
) -> np.ndarray:
    r"""One-sided power spectral density of a noise.

    .. math:: S(f) = 2\,\Delta t\,\Big[\sigma_w^2 + \sum_j A_j^2 \Delta t^{k_j/2}
       \big|1 - \varphi_j e^{-2\pi i f \Delta t}\big|^{-k_j}\Big]

    in quadrature; in the additive form the square of the sum of the filters.

    Parameters
    ----------
    values : NoiseValues
        Amplitudes and indices.
    frequency : array_like
        Cycles per year, not 0.
    combination : {"quadrature", "additive"}
        How noises are summed.
    interval : float
        Between epochs, days.

    Returns
    -------
    numpy.ndarray
        m2 yr, as `frequency`.
    """
    years = interval / DAYS_PER_YEAR
    turn = np.exp(-2j * np.pi * np.asarray(frequency, float) * years)
    terms = [values.white * np.ones_like(turn)]
    for amplitude, index, beta in zip(
        values.amplitude, values.index, values.damping or (), strict=True
    ):
        shape = (1.0 - np.exp(-beta * years) * turn) ** (-index / 2.0)
        terms.append(scaled(amplitude, index, interval) * shape)
    if combination == "additive":
        power = np.abs(np.sum(terms, axis=0)) ** 2
    else:
        power = np.sum(np.abs(terms) ** 2, axis=0)
    return 2.0 * years * power
