"""Seasons and transients that channels share: GPS, and GRACE beside it.

Ice near a station grows and melts by the year, and in some years more: seasons that are
not the same every year, and slow changes of rate, in coloured noise. Multichannel
singular spectra take them from all components and stations at once, with the
displacement that GRACE predicts as further channels where there is one, as Zhang et al.
(2017) did near Upernavik Isstrom. Channels are averaged in bins, freed of their
straight line, scaled to the same variance, their gaps filled. Patterns count where they
hold more variance than any pattern of red noise with the same lag-one correlation (in
the manner of Allen & Smith 1996), and are sorted by their frequency of most power.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.signal import lfilter

from tilth.core.errors import InputError
from tilth.core.model import require_dims
from tilth.core.progress import track
from tilth.gnss.positions.series import DAYS_PER_YEAR
from tilth.gnss.positions.ssa import Spectrum, analyse, fill_gaps

#: Cycles per year: below, a pattern is a transient; around 1 and 2, a season.
_SLOW, _NEAR_A_SEASON = 0.6, 0.25

#: Surrogates of red noise, and the share of them that a pattern must exceed.
_SURROGATES, _LEVEL = 100, 0.95

#: Times that known parts are found again in noise, for their error.
_REPEATS = 40

#: So many patterns are looked at.
_MOST = 12

KINDS = ("transient", "season", "noise")


def seasons_and_transients(
    channels: xr.DataArray,
    *,
    window_years: float = 2.0,
    bin_days: float = 7.0,
    seed: int = 2017,
) -> xr.Dataset:
    """Take seasons and transients out of channels that share them.

    Parameters
    ----------
    channels : xarray.DataArray
        On ``time`` and ``channel``: displacements, steps removed; NaN where there is
        none.
    window_years : float
        Length of the window; oscillations of longer periods count as transient.
    bin_days : float
        Length of the means that are analysed: 7 for daily positions, 30.4375 beside
        monthly GRACE.
    seed : int
        Of held-out values and of surrogates.

    Returns
    -------
    xarray.Dataset
        On the bins along ``time`` and ``channel``: ``season``, ``transient`` and
        ``residual`` in the units of the channels, ``season_se`` and ``transient_se``
        (root mean square error when what was found is sought in red noise again),
        ``filled`` (True where the bin had no value), ``rate`` and ``offset`` of the
        line taken out (per year, from the first bin). Along ``pattern``: ``share`` of
        the variance, ``frequency`` in cycles per year, ``chance`` that the largest
        pattern of red noise has as much, and ``kind``.

    Raises
    ------
    InputError
        If the series is shorter than two windows, or too much is missing.

    References
    ----------
    Zhang, Liu, Khan, van Dam, Zhang & Yao (2017), J. Geophys. Res. Solid Earth 122,
    10626-10642 (method as in its abstract); Allen & Smith (1996), J. Climate 9,
    3373-3404.
    """
    require_dims(channels, ("time", "channel"))
    bins = _binned(channels.transpose("time", "channel"), bin_days)
    window = round(window_years * DAYS_PER_YEAR / bin_days)
    if bins.sizes["time"] < 2 * window:
        raise InputError(
            f"{bins.sizes['time']} bins of {bin_days:g} days are fewer than two "
            f"windows of {window_years:g} years: take a longer series or a shorter "
            "window"
        )
    values = bins.values
    years = np.arange(len(values)) * bin_days / DAYS_PER_YEAR
    lines = [_line(years, column) for column in values.T]
    line = np.column_stack([a + b * years for a, b in lines])
    scale = np.nanstd(values - line, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    there = np.isfinite(values)
    whole = (values - line) / scale
    if not there.all():
        whole = fill_gaps(whole, window, seed=seed).values
    spectrum = analyse(whole, window, _MOST)
    frequency = _frequencies(spectrum, bin_days)
    noise = _RedNoise(whole, seed)
    largest = np.array(
        [_power(noise.draw(), window) for _ in track(range(_SURROGATES), "red noise")]
    )
    powers = spectrum.share * _total(whole, window)
    chance = (1 + (largest[:, None] >= powers).sum(axis=0)) / (1 + _SURROGATES)
    least = float(np.quantile(largest, _LEVEL))
    kinds = _kinds(frequency, powers > least)
    parts = {kind: _sum_of(spectrum, kinds, kind) for kind in KINDS[:2]}
    found = {kind: part * scale for kind, part in parts.items()}
    for kind, se in _errors(parts, noise, window, least, bin_days).items():
        found[f"{kind}_se"] = se * scale
    dims = ("time", "channel")
    left = np.where(there, values - line - found["season"] - found["transient"], np.nan)
    units = {"units": str(channels.attrs.get("units", "m"))}
    return xr.Dataset(
        {
            **{name: (dims, part, units) for name, part in found.items()},
            "residual": (dims, left, units),
            "filled": (dims, ~there),
            "offset": ("channel", [a for a, _ in lines], units),
            "rate": (
                "channel",
                [b for _, b in lines],
                {"units": f"{units['units']} yr-1"},
            ),
            "share": ("pattern", spectrum.share, {"units": "1"}),
            "frequency": ("pattern", frequency, {"units": "year-1"}),
            "chance": ("pattern", chance, {"units": "1"}),
            "kind": ("pattern", kinds),
        },
        {"time": bins["time"], "channel": bins["channel"]},
        {"seed": seed, "window_years": window_years, "bin_days": bin_days},
    )


def _binned(channels: xr.DataArray, bin_days: float) -> xr.DataArray:
    """Return means of bins, NaN where a bin is empty, at the bins' middles."""
    time = channels["time"].values
    place = (time - time[0]) / np.timedelta64(1, "D") // bin_days
    if (np.diff(place) < 0).any():
        raise InputError("times must increase: sort the channels by time")
    number = place.astype(int)
    values = channels.values.astype(float)
    there = np.isfinite(values)
    count = np.zeros((number[-1] + 1, values.shape[1]))
    total = np.zeros_like(count)
    np.add.at(count, number, there)
    np.add.at(total, number, np.where(there, values, 0.0))
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    seconds = ((np.arange(len(means)) + 0.5) * bin_days * 86400.0).astype(int)
    middles = time[0] + seconds.astype("timedelta64[s]")
    return xr.DataArray(
        means,
        dims=("time", "channel"),
        coords={"time": middles, "channel": channels["channel"]},
    )


def _line(years: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return offset and rate beside yearly and half-yearly seasons."""
    there = np.isfinite(values)
    waves = [w(2 * np.pi * k * years) for k in (1, 2) for w in (np.cos, np.sin)]
    design = np.column_stack([np.ones_like(years), years, *waves])[there]
    if len(design) <= design.shape[1]:
        raise InputError(
            f"a channel has {len(design)} bins with values: too few for a line and "
            "seasons"
        )
    found = np.linalg.lstsq(design, values[there], rcond=None)[0]
    return float(found[0]), float(found[1])


def _frequencies(spectrum: Spectrum, bin_days: float) -> np.ndarray:
    """Return the frequency of most power of each pattern, cycles per year."""
    size = 8 * spectrum.patterns.shape[-1]
    power = (np.abs(np.fft.rfft(spectrum.patterns, size)) ** 2).sum(axis=1)
    frequencies = np.fft.rfftfreq(size, bin_days / DAYS_PER_YEAR)
    return frequencies[np.argmax(power, axis=1)]


def _kinds(frequencies: np.ndarray, significant: np.ndarray) -> list[str]:
    """Return what each pattern is."""
    kinds = []
    for frequency, counts in zip(frequencies, significant, strict=True):
        kind = "noise"
        if counts and min(abs(frequency - 1), abs(frequency - 2)) <= _NEAR_A_SEASON:
            kind = "season"
        elif counts and frequency < _SLOW:
            kind = "transient"
        kinds.append(kind)
    return kinds


def _sum_of(spectrum: Spectrum, kinds: list[str], kind: str) -> np.ndarray:
    """Return what the patterns of a kind give back."""
    own = [k for k, name in enumerate(kinds) if name == kind]
    return np.asarray(spectrum.parts[own].sum(axis=0))


class _RedNoise:
    """Red noise like that of some channels, drawn again and again."""

    def __init__(self, values: np.ndarray, seed: int) -> None:
        self.length = len(values)
        self.lags = [_lag_one(column) for column in values.T]
        self.spreads = [
            _noise_spread(column, lag)
            for column, lag in zip(values.T, self.lags, strict=True)
        ]
        self.draws = np.random.default_rng(seed)

    def draw(self) -> np.ndarray:
        """Return noise of all channels, (epoch, channel)."""
        return np.column_stack(
            [
                spread * _red(self.draws.standard_normal(self.length), lag)
                for lag, spread in zip(self.lags, self.spreads, strict=True)
            ]
        )


def _errors(
    truth: dict[str, np.ndarray],
    noise: _RedNoise,
    window: int,
    least: float,
    bin_days: float,
) -> dict[str, np.ndarray]:
    """Return the error with which known parts are found in noise."""
    signal = sum(truth.values())
    squares = {kind: np.zeros_like(part) for kind, part in truth.items()}
    for _ in track(range(_REPEATS), "errors of the parts"):
        values = signal + noise.draw()
        again = analyse(values, window, _MOST)
        powers = again.share * _total(values, window)
        kinds = _kinds(_frequencies(again, bin_days), powers > least)
        for kind, part in truth.items():
            squares[kind] += (_sum_of(again, kinds, kind) - part) ** 2
    return {kind: np.sqrt(total / _REPEATS) for kind, total in squares.items()}


def _power(values: np.ndarray, window: int) -> float:
    """Return the variance of the largest pattern of a series."""
    rows = _windows(values, window)
    return float(np.linalg.norm(rows, 2) ** 2 / len(rows))


def _total(values: np.ndarray, window: int) -> float:
    """Return the variance of all patterns of a series."""
    return float((_windows(values, window) ** 2).sum(axis=1).mean())


def _windows(values: np.ndarray, window: int) -> np.ndarray:
    """Return the windows of (epoch, channel) as rows, all channels side by side."""
    windows = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
    return windows.reshape(len(windows), -1)


def _lag_one(values: np.ndarray) -> float:
    """Return the lag-one correlation of what is left by differences over two steps.

    For red noise, the variance of differences over two steps is 1 + r times that over
    one; slow signals and seasons change neither.
    """
    one, two = np.diff(values).var(), (values[2:] - values[:-2]).var()
    return float(np.clip(two / one - 1.0, 0.0, 0.98)) if one > 0 else 0.0


def _noise_spread(values: np.ndarray, lag: float) -> float:
    """Return the standard deviation of the red noise in a series."""
    return float(np.sqrt(np.diff(values).var() / (2.0 * (1.0 - lag))))


def _red(white: np.ndarray, lag: float) -> np.ndarray:
    """Return red noise of unit variance."""
    white = white * np.sqrt(1.0 - lag**2)
    white[0] /= np.sqrt(1.0 - lag**2)
    return np.asarray(lfilter([1.0], [1.0, -lag], white))
