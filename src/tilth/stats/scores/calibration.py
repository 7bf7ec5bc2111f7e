"""Reliability: what happens when a probability is forecast, without bins to choose.

The calibrated frequency is the isotonic regression of the event on the forecast (CORP,
Dimitriadis et al. 2021). It is computed from one row per probability that occurs, with
the number of its cases as weight: the same fit as that of scores.isotonic_fit over all
cases (a test compares them), but a thousand refits for the band take a moment, and
whole blocks can be drawn.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr
from scipy.optimize import isotonic_regression

from tilth.core.errors import InputError
from tilth.stats.scores.events import check_probability_and_event


def reliability(
    probability: xr.DataArray,
    event: xr.DataArray,
    *,
    band: Literal["consistency", "confidence"] = "consistency",
    blocks: str | xr.DataArray | None = None,
    draws: int = 1000,
    level: float = 0.90,
    seed: int = 0,
) -> xr.Dataset:
    r"""Calibrated frequency of an event per forecast probability, with its band.

    The curve is the rising function of the forecast that is nearest to the events; its
    Brier score splits that of the forecast exactly,

    .. math:: \overline{\mathrm{BS}} = \mathrm{MCB} - \mathrm{DSC} + \mathrm{UNC}

    into miscalibration (what recalibrating would gain), discrimination and the
    uncertainty :math:`\bar o (1 - \bar o)`.

    Parameters
    ----------
    probability : xarray.DataArray
        Forecast probability of the event, 0 to 1.
    event : xarray.DataArray
        1 or True where it happened, 0 or False where not, NaN where nobody knows.
    band : {"consistency", "confidence"}
        ``"consistency"``: where the curve of a calibrated forecast would lie, events
        drawn anew from the forecast, case by case: a curve outside of it is not
        calibrated. It takes the cases as independent. ``"confidence"``: where the curve
        of other cases would lie, drawn with replacement, in whole blocks if given.
        Refits of drawn cases bend the curve as the fit itself does, so the band is
        somewhat narrow (Sen et al. 2010): of 90 %, with 21 different forecasts, it held
        80, 85 and 88 % of a bent truth with 500, 2,000 and 20,000 cases.
    blocks : str or xarray.DataArray, optional
        For ``"confidence"``: the dimension whose entries are drawn as a whole, such as
        the start date, or a label per entry, such as its year. The cells of one start
        share their errors; drawn one by one they give a band that is too narrow.
    draws : int, optional
        Number of draws.
    level : float, optional
        Probability of the band, at each forecast apart.
    seed : int, optional
        Of the draws.

    Returns
    -------
    xarray.Dataset
        Along ``forecast``, the probabilities that occur: ``count``, how many cases;
        ``observed``, the share of them with the event; ``calibrated``; ``lower`` and
        ``upper``. And ``brier``, ``miscalibration``, ``discrimination`` and
        ``uncertainty``. A case where either is missing is left out. Lazy arrays are
        computed.

    Raises
    ------
    InputError
        If there is no case, coordinates differ, a probability is outside of 0 to 1, an
        event neither 0 nor 1, blocks do not belong to the cases or are given for
        ``"consistency"``, or the level is not between 0 and 1.

    References
    ----------
    Dimitriadis, Gneiting & Jordan (2021), Proc. Natl Acad. Sci. 118, e2016191118.
    Bröcker & Smith (2007), Weather Forecast. 22, 651-661. Sen, Banerjee & Woodroofe
    (2010), Ann. Stat. 38, 1953-1977.

    Examples
    --------
    >>> import xarray as xr
    >>> rain = xr.DataArray([0.2, 0.2, 0.4, 0.4, 0.8, 0.8], dims="day")
    >>> found = reliability(rain, xr.DataArray([0, 1, 0, 0, 1, 1], dims="day"))
    >>> found.calibrated.values
    array([0.25, 0.25, 1.  ])
    >>> round(float(found.miscalibration), 3)
    0.055
    """
    _check_settings(band, blocks, draws, level)
    p, o, codes = _cases(probability, event, blocks)
    forecast, which, count = np.unique(p, return_inverse=True, return_counts=True)
    observed = np.bincount(which, weights=o) / count
    calibrated = isotonic_regression(observed, weights=count).x
    generator = np.random.default_rng(seed)
    if band == "consistency":
        curves = _consistent_curves(forecast, count, draws, generator)
    else:
        curves = _drawn_curves(forecast, which, o, codes, draws, generator)
    tail = (1.0 - level) / 2.0
    lower, upper = np.quantile(curves, [tail, 1.0 - tail], axis=0)
    columns = {
        "count": count,
        "observed": observed,
        "calibrated": calibrated,
        "lower": lower,
        "upper": upper,
    }
    return xr.Dataset(
        {name: ("forecast", column) for name, column in columns.items()}
        | _decomposition(p, o, calibrated[which]),
        {"forecast": forecast},
        {"band": band, "level": level, "draws": draws, "seed": seed},
    )


def _check_settings(
    band: str, blocks: str | xr.DataArray | None, draws: int, level: float
) -> None:
    if band not in ("consistency", "confidence"):
        raise InputError(f"there is no band {band!r}: 'consistency' or 'confidence'")
    if band == "consistency" and blocks is not None:
        raise InputError(
            "a consistency band takes the cases as independent and has no blocks: ask "
            "for band='confidence', or leave blocks out"
        )
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    if draws < 2:
        raise InputError(f"a band needs two draws or more, got {draws}")


def _cases(
    probability: xr.DataArray, event: xr.DataArray, blocks: str | xr.DataArray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return forecast, event and number of the block of every complete case."""
    try:
        p, o = xr.align(probability, event, join="exact", copy=False)
    except ValueError as error:
        raise InputError(
            "the forecast and the event are of different cases: reindex one to the "
            "other first, so that no case is lost unseen"
        ) from error
    p, o = xr.broadcast(p.compute().astype(float), o.compute().astype(float))
    labels = np.arange(p.size)
    if blocks is not None:
        given = _labels(p, blocks)
        labels = given.broadcast_like(p).transpose(*p.dims).values.ravel()
    values, events = p.values.ravel(), o.values.ravel()
    check_probability_and_event(values, events)
    known = np.isfinite(values) & np.isfinite(events)
    if not known.any():
        raise InputError("there is no case with both a forecast and an observation")
    _, codes = np.unique(labels[known], return_inverse=True)
    if blocks is not None and codes.max() < 1:
        raise InputError("one block says nothing of the spread between blocks")
    return values[known], events[known], codes


def _labels(cases: xr.DataArray, blocks: str | xr.DataArray) -> xr.DataArray:
    """Return the label of the block along the dimensions it depends on."""
    if isinstance(blocks, str):
        if blocks not in cases.dims:
            raise InputError(
                f"there is no dimension {blocks} to draw blocks of; there are "
                f"{', '.join(map(str, cases.dims))}"
            )
        return xr.DataArray(np.arange(cases.sizes[blocks]), dims=blocks)
    unknown = [str(d) for d in blocks.dims if d not in cases.dims]
    bare = blocks.drop_vars(list(blocks.coords))
    if unknown or any(blocks.sizes[d] != cases.sizes[d] for d in blocks.dims):
        raise InputError(
            f"blocks need one label per entry of {', '.join(map(str, cases.dims))}: "
            f"got {dict(blocks.sizes)} beside {dict(cases.sizes)}"
        )
    return bare


def _consistent_curves(
    forecast: np.ndarray, count: np.ndarray, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """Curves, (draws, forecast), of events that happen as often as forecast."""
    chance = np.clip(forecast, 0.0, 1.0)
    shares = generator.binomial(count, chance, size=(draws, count.size)) / count
    return np.stack([isotonic_regression(row, weights=count).x for row in shares])


def _drawn_curves(
    forecast: np.ndarray,
    which: np.ndarray,
    event: np.ndarray,
    codes: np.ndarray,
    draws: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Curves, (draws, forecast), of blocks drawn with replacement.

    A forecast that was not drawn has the value between those beside it.
    """
    blocks = codes.max() + 1
    curves = np.empty((draws, forecast.size))
    for curve in curves:
        times = generator.multinomial(blocks, np.full(blocks, 1.0 / blocks))[codes]
        count = np.bincount(which, weights=times, minlength=forecast.size)
        events = np.bincount(which, weights=times * event, minlength=forecast.size)
        there = count > 0
        fit = isotonic_regression(events[there] / count[there], weights=count[there]).x
        curve[:] = np.interp(forecast, forecast[there], fit)
    return curves


def _decomposition(
    probability: np.ndarray, event: np.ndarray, calibrated: np.ndarray
) -> dict[str, float]:
    """Return the parts of the mean Brier score."""
    total = np.mean((probability - event) ** 2)
    after = np.mean((calibrated - event) ** 2)
    uncertainty = np.mean((event.mean() - event) ** 2)
    return {
        "brier": total,
        "miscalibration": total - after,
        "discrimination": uncertainty - after,
        "uncertainty": uncertainty,
    }
