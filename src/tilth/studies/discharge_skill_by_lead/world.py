"""Ensemble forecasts of discharge whose skill is known, at sites that share basins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from tilth.core.errors import InputError

SEED = 2020

#: Memory of the rivers: lag-1 autocorrelation of the logarithm of daily discharge.
#: Twenty days is what soil and aquifers of mid-sized basins keep.
MEMORY = np.exp(-1.0 / 20.0)

#: Share of the variance that sites of one basin have in common: rivers below each
#: other, under the same rain. Correlations of 0.5 to 0.8 are usual within basins.
SHARED = 0.7

#: Share of the weather errors that both systems have in common: the forcing of both
#: is made from one weather forecast.
COMMON = 0.6

#: Standard deviation of the logarithm of discharge.
LOG_SPREAD = 0.7

#: Days in which the correlation of the forcing with the weather falls to 1/e.
WEATHER_DAYS = 12.0

#: Standard deviation of the logarithm of a site's bias, the same in both systems.
LOG_BIAS = 0.15


@dataclass(frozen=True)
class Scale:
    """Numbers of everything that is repeated.

    Parameters
    ----------
    sites, basins : int
        Places that are forecast, and basins they lie in.
    starts : int
        Weekly, over one year.
    members : int
        Of the ensembles.
    leads : tuple of int
        Days ahead that are scored.
    worlds : int
        Simulated years of each kind.
    """

    sites: int
    basins: int
    starts: int
    members: int
    leads: tuple[int, ...]
    worlds: int


#: Within half a minute on two cores.
QUICK = Scale(150, 20, 53, 11, (1, 5, 10, 15, 20, 30, 45), 100)

#: Sites, starts and members of the published experiment.
FULL = Scale(587, 75, 53, 51, (1, 3, 5, 7, 10, 15, 20, 25, 30, 35, 40, 45), 150)


@dataclass(frozen=True)
class Truth:
    """How the second system differs from the first.

    Parameters
    ----------
    name : str
        In a word.
    meaning : str
        In a sentence.
    gain : float, optional
        Added to the correlation of its forcing with the weather, everywhere.
    by_basin, by_year : float, optional
        Standard deviation of what either system has more or less of it in one basin,
        and in one year. Both draw it alike, so that neither is better on average in
        any score.
    """

    name: str
    meaning: str
    gain: float = 0.0
    by_basin: float = 0.0
    by_year: float = 0.0


TRUTHS = (
    Truth("same", "both systems have the same skill everywhere"),
    Truth(
        "basins",
        "one is better in some basins, the other in others, on average neither",
        by_basin=0.08,
    ),
    Truth(
        "years",
        "one is better in some years, the other in others, on average neither",
        by_year=0.04,
    ),
    Truth("better", "the second is better everywhere", gain=0.10),
)


@dataclass(frozen=True)
class World:
    """One simulated year of discharge, observed and forecast by two systems.

    Parameters
    ----------
    observed : numpy.ndarray, shape (lead, site, start)
        Discharge, m3 s-1.
    first, second : numpy.ndarray, shape (lead, site, start)
        Ensemble means of both systems, m3 s-1.
    basin : numpy.ndarray of int, shape (site,)
        Basin of each site.
    """

    observed: np.ndarray
    first: np.ndarray
    second: np.ndarray
    basin: np.ndarray


def basins_of(scale: Scale) -> np.ndarray:
    """Return the basin of each site: many small basins and some that hold many.

    Parameters
    ----------
    scale : Scale
        Numbers of sites and basins.

    Returns
    -------
    numpy.ndarray of int, shape (site,)
        Always the same for a scale; every basin has a site.

    Raises
    ------
    InputError
        If there are more basins than sites.
    """
    if scale.basins > scale.sites:
        raise InputError(
            f"{scale.basins} basins cannot each have one of {scale.sites} sites"
        )
    generator = np.random.default_rng(SEED)
    size = generator.gamma(0.8, 1.0, scale.basins)
    rest = scale.sites - scale.basins
    extra = generator.choice(scale.basins, rest, p=size / size.sum())
    return np.sort(np.concatenate([np.arange(scale.basins), extra]))


def weather_skill(leads: np.ndarray) -> np.ndarray:
    """Return the correlation of the first system's forcing with the weather.

    Parameters
    ----------
    leads : numpy.ndarray
        Days ahead.

    Returns
    -------
    numpy.ndarray
        Falling from one to zero.
    """
    return np.exp(-np.asarray(leads, float) / WEATHER_DAYS)


def known_r_squared(leads: np.ndarray, skill: np.ndarray, members: int) -> np.ndarray:
    r"""Return the squared correlation that a world has by construction.

    The logarithm of discharge l days ahead is, with the memory :math:`\phi`,
    :math:`\phi^l` times that of today plus weather of variance
    :math:`1 - \phi^{2l}`, of which the forcing knows the share :math:`\rho^2`. The
    mean of M members, exchangeable with the truth, has in the logarithm

    .. math::

        R^2 = \frac{s^2}{s + (1 - s)/M}, \qquad
        s = \phi^{2l} + (1 - \phi^{2l})\,\rho^2 .

    Parameters
    ----------
    leads : numpy.ndarray
        l, days.
    skill : numpy.ndarray
        :math:`\rho`.
    members : int
        M.

    Returns
    -------
    numpy.ndarray
        R2 of the logarithms.
    """
    kept = MEMORY ** (2.0 * np.asarray(leads, float))
    known = kept + (1.0 - kept) * np.asarray(skill) ** 2
    return known**2 / (known + (1.0 - known) / members)


def make_world(
    scale: Scale, truth: Truth, seed: int, *, logarithms: bool = False
) -> World:
    """Simulate a year.

    Parameters
    ----------
    scale : Scale
        How large it is.
    truth : Truth
        How the systems differ.
    seed : int
        Of this year.
    logarithms : bool, optional
        Give logarithms without biases, of which the skill is known exactly, instead
        of discharge.

    Returns
    -------
    World
        Observed and forecast.
    """
    generator = np.random.default_rng([SEED, seed])
    basin = basins_of(scale)
    leads = np.asarray(scale.leads)
    days = 7 * (scale.starts - 1) + leads.max() + 1
    day = 7 * np.arange(scale.starts)
    weather = _memory(generator, basin, days)
    common = _memory(generator, basin, days)
    skill = weather_skill(leads)[:, None]
    # Nobody gains where there is nothing left to gain: a day ahead.
    room = 1.0 - skill**2
    forecasts = []
    for gain in (0.0, truth.gain):
        extra = truth.by_basin * generator.standard_normal(scale.basins)[basin]
        extra += gain + truth.by_year * generator.standard_normal()
        rho = np.clip(skill + room * extra, 0.0, 0.99)
        own = np.sqrt(COMMON) * common
        own += np.sqrt(1.0 - COMMON) * _memory(generator, basin, days)
        bias = LOG_BIAS * _shared(generator, basin)
        forecasts.append(
            _ensemble_mean(generator, scale, weather, own, rho, bias, logarithms)
        )
    observed = weather[:, day + leads[:, None]].transpose(1, 0, 2)
    if not logarithms:
        observed = _discharge(observed)
    return World(observed, forecasts[0], forecasts[1], basin)


def _memory(generator: np.random.Generator, basin: np.ndarray, days: int) -> np.ndarray:
    """Return unit series (site, day) with the rivers' memory, alike within a basin."""
    noise = np.sqrt(1.0 - MEMORY**2) * _shared(generator, basin, days)
    noise[:, 0] /= np.sqrt(1.0 - MEMORY**2)
    return lfilter([1.0], [1.0, -MEMORY], noise, axis=1)


def _shared(
    generator: np.random.Generator, basin: np.ndarray, days: int | None = None
) -> np.ndarray:
    """Return unit draws per site of which the sites of a basin share a part."""
    shape = () if days is None else (days,)
    ours = generator.standard_normal((basin.max() + 1, *shape))[basin]
    own = generator.standard_normal((basin.size, *shape))
    return np.sqrt(SHARED) * ours + np.sqrt(1.0 - SHARED) * own


def _ensemble_mean(
    generator: np.random.Generator,
    scale: Scale,
    true: np.ndarray,
    wrong: np.ndarray,
    rho: np.ndarray,
    bias: np.ndarray,
    logarithms: bool,
) -> np.ndarray:
    """Return the mean of members that are exchangeable with the truth."""
    day = 7 * np.arange(scale.starts)
    result = np.empty((len(scale.leads), true.shape[0], scale.starts))
    for i, lead in enumerate(scale.leads):
        kept = MEMORY**lead
        today = kept * true[:, day]
        news = true[:, day + lead] - today
        errors = wrong[:, day + lead] - kept * wrong[:, day]
        r = rho[i][:, None]
        # Its expectation given the forecast: calibrated, the rest is spread.
        centre = today + r**2 * news + r * np.sqrt(1.0 - r**2) * errors
        spread = np.sqrt((1.0 - kept**2) * (1.0 - r**2)).astype(np.float32)
        shape = (scale.members, *centre.shape)
        members = generator.standard_normal(shape, np.float32)
        members *= spread
        members += centre.astype(np.float32)
        if not logarithms:
            members *= np.float32(LOG_SPREAD)
            members += bias[:, None].astype(np.float32) - np.float32(LOG_SPREAD**2 / 2)
            np.exp(members, out=members)
        result[i] = members.mean(axis=0, dtype=float)
    return result if logarithms else 100.0 * result


def _discharge(standard: np.ndarray) -> np.ndarray:
    """Return discharge of mean 100 m3 s-1 from its standardised logarithm."""
    return 100.0 * np.exp(LOG_SPREAD * standard - LOG_SPREAD**2 / 2.0)
