"""Offsets between signals and between tracks, by robust adjustment."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import sparse

from tilth.core.errors import InputError
from tilth.core.model import require_variables, stamp
from tilth.gnss.reflectometry.heights import accepted
from tilth.gnss.reflectometry.signals import signal_of
from tilth.gnss.reflectometry.tracks import (
    TRACK_GAP,
    gps_days,
    pass_numbers,
    track_numbers,
)

#: Residuals beyond this many robust standard deviations count for less. Huber (1981),
#: Robust Statistics: 95 % as good as least squares where errors are normal.
_TUNING = 1.345

#: The median absolute deviation of a normal distribution, in standard deviations.
_MAD = 0.6745

_ROUNDS = 30


def signal_offsets(
    arcs: xr.Dataset, *, reference: int | None = None, tracks: bool = True
) -> xr.Dataset:
    r"""Estimate how far signals, and tracks, see the reflector from each other.

    Phase centres of the antenna and the depth of soil a wave reaches differ by signal,
    and the ground by track. A change of the mixture, by a new satellite or a lost
    signal, would pass for a change of the surface. With a height :math:`h_d` of each
    day :math:`d`, which may move as it likes,

    .. math:: H_i = h_{d(i)} + b_{s(i)} + c_{k(i)} + e_i

    is solved for the offsets :math:`b` of signals and :math:`c` of tracks by Huber's
    M-estimate; days are eliminated. The reference signal has :math:`b = 0`; offsets of
    tracks of a constellation are zero on average over its arcs.

    Parameters
    ----------
    arcs : xarray.Dataset
        Of `tilth.gnss.reflectometry.heights.reflector_heights`, days joined along
        ``arc``; rejected arcs are not used.
    reference : int, optional
        Number of the signal the others are compared with; by default the one with the
        most arcs.
    tracks : bool
        Whether tracks have offsets: some weeks of data are needed.

    Returns
    -------
    xarray.Dataset
        Along ``signal``: ``signal_offset``, ``signal_offset_se`` (m) and
        ``signal_count``; along ``track``: ``track_offset``, ``track_offset_se`` (m),
        ``track_count``, with ``track_satellite``, ``track_rise`` and ``track_azimuth``
        (mean, degrees). Attributes ``reference`` and ``scatter`` (m). Standard errors
        let all signals of a pass, or without offsets of tracks all passes of a track,
        share their errors.

    Raises
    ------
    InputError
        If there is no arc, the reference has none, or signals are not comparable
        because they never are on the same day.

    References
    ----------
    Huber (1981), Robust Statistics. Liang and Zeger (1986), Biometrika 73, 13
    (standard errors of correlated observations).
    """
    require_variables(
        arcs,
        ("reflector_height", "signal", "satellite", "quality_flag"),
        "a table of arcs",
    )
    used = accepted(arcs)
    height = used["reflector_height"].values
    if not height.size:
        raise InputError("no arc is accepted: there are no offsets to estimate")
    codes, signal = np.unique(used["signal"].values, return_inverse=True)
    counts = np.bincount(signal)
    chosen = int(codes[np.argmax(counts)]) if reference is None else reference
    if chosen not in codes:
        raise InputError(
            f"no accepted arc is of the reference signal {chosen}; there are "
            f"{', '.join(f'{c} {signal_of(int(c)).name}' for c in codes)}"
        )
    _, day = np.unique(gps_days(used), return_inverse=True)
    track = np.unique(track_numbers(used), return_inverse=True)[1]
    n, s, k = height.size, codes.size, int(track.max()) + 1
    blocks = [_indicator(signal, s)] + ([_indicator(track, k)] if tracks else [])
    design = sparse.hstack(blocks).tocsr()
    rules = _rules(codes, chosen, used, track, design.shape[1], tracks)
    groups = pass_numbers(used) if tracks else track
    found, covariance, scatter = _adjust(height, design, _indicator(day), rules, groups)
    error = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    result = xr.Dataset(
        {
            "signal_offset": ("signal", found[:s], {"units": "m"}),
            "signal_offset_se": ("signal", error[:s], {"units": "m"}),
            "signal_count": ("signal", counts),
        },
        coords={
            "signal": codes.astype("int16"),
            "signal_name": ("signal", [signal_of(int(code)).name for code in codes]),
        },
        attrs={"reference": chosen, "scatter": scatter, "arcs": n},
    )
    if tracks:
        result = result.merge(_about_tracks(used, track, found[s:], error[s:]))
    return stamp(result, f"offsets of {s} signals" + f" and {k} tracks" * tracks)


def remove_offsets(arcs: xr.Dataset, offsets: xr.Dataset) -> xr.Dataset:
    """Return arcs as the reference signal would see them on an average track.

    Parameters
    ----------
    arcs : xarray.Dataset
        Those the offsets were estimated from, or others of the station.
    offsets : xarray.Dataset
        Of `signal_offsets`.

    Returns
    -------
    xarray.Dataset
        The arcs with ``reflector_height`` less the offsets of signal and track; NaN for
        signals that have none. Arcs on no known track lose only that of the signal.

    Raises
    ------
    InputError
        If variables are missing.
    """
    require_variables(offsets, ("signal_offset", "signal"), "a table of offsets")
    require_variables(arcs, ("reflector_height", "signal"), "a table of arcs")
    known = dict(
        zip(offsets["signal"].values, offsets["signal_offset"].values, strict=True)
    )
    shift = np.array([known.get(code, np.nan) for code in arcs["signal"].values], float)
    if "track" in offsets.dims:
        shift += _track_shift(arcs, offsets)
    result = arcs.copy()
    result["reflector_height"] = arcs["reflector_height"] - shift
    result["reflector_height"].attrs = arcs["reflector_height"].attrs | {
        "offsets": f"removed, as of signal {offsets.attrs['reference']}"
    }
    return result


def _indicator(number: np.ndarray, columns: int | None = None) -> sparse.csr_matrix:
    """Return a matrix with a one per row, in the column of its number."""
    width = int(number.max()) + 1 if columns is None else columns
    rows = np.arange(number.size)
    return sparse.csr_matrix(
        (np.ones(number.size), (rows, number)), shape=(number.size, width)
    )


def _rules(
    codes: np.ndarray,
    reference: int,
    arcs: xr.Dataset,
    track: np.ndarray,
    columns: int,
    tracks: bool,
) -> np.ndarray:
    """Return what offsets are relative to: rows whose product with them is zero."""
    first = np.zeros(columns)
    first[np.searchsorted(codes, reference)] = 1.0
    rows = [first]
    if tracks:
        group = arcs["satellite"].values // 100
        for one in np.unique(group):
            # A constellation's satellites are all on tracks of their own: only the sum
            # of its signals and its tracks is seen.
            own = np.bincount(track[group == one], minlength=columns - codes.size)
            rows.append(np.concatenate([np.zeros(codes.size), own / own.sum()]))
    return np.array(rows)


def _adjust(
    height: np.ndarray,
    design: sparse.csr_matrix,
    days: sparse.csr_matrix,
    rules: np.ndarray,
    groups: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return offsets, their covariance and the robust scatter of residuals."""
    weight = np.ones(height.size)
    found = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        scale = sparse.diags(weight)
        share = np.asarray(days.T @ weight)  # weight of a day
        mean = (days.T @ scale @ design).toarray() / share[:, None]
        normal = (design.T @ scale @ design).toarray() - mean.T @ (
            share[:, None] * mean
        )
        centred = height - days @ (days.T @ (weight * height) / share)
        right = design.T @ (weight * centred)
        inverse = _inverse(normal, rules)
        before, found = found, inverse @ right
        left = centred - design @ found + days @ (mean @ found)
        sigma = float(np.median(np.abs(left))) / _MAD
        if sigma == 0.0:
            break
        weight = 1.0 / np.maximum(np.abs(left) / (_TUNING * sigma), 1.0)
        if np.abs(found - before).max() < 1e-4 * sigma:
            break
    # Sums of the scores of each group: they may share their errors as they like.
    member = _indicator(np.unique(groups, return_inverse=True)[1]).T
    scores = member @ sparse.diags(weight * left)
    sums = (scores @ design).toarray() - (scores @ days) @ mean
    m, used = sums.shape[0], design.shape[1] - rules.shape[0]
    if (member @ days).nnz == m:  # groups of one day each pay for the days too
        used += days.shape[1]
    middle = sums.T @ sums * (m / max(m - used, 1))
    # The estimate answers with the slope of Huber's function, 1 within the limit and 0
    # beyond, and not with the weights (Huber 1981, section 7.6).
    slope = np.mean(np.abs(left) <= _TUNING * sigma) or 1.0
    bread = inverse * (weight.mean() / slope)
    return found, bread @ middle @ bread, sigma


def _inverse(normal: np.ndarray, rules: np.ndarray) -> np.ndarray:
    """Return the inverse of the normal equations under the rules."""
    p, r = normal.shape[0], rules.shape[0]
    size = np.trace(normal) / p or 1.0
    matrix = np.block([[normal / size, rules.T], [rules, np.zeros((r, r))]])
    if np.linalg.cond(matrix) > 1e11:
        raise InputError(
            "offsets of some signals or tracks cannot be told apart: they never are on "
            "one day with the others; leave those signals out, or tracks=False"
        )
    return np.linalg.inv(matrix)[:p, :p] / size


def _about_tracks(
    arcs: xr.Dataset, track: np.ndarray, offset: np.ndarray, error: np.ndarray
) -> xr.Dataset:
    """Return the table of tracks."""
    _, first = np.unique(track, return_index=True)
    angle = np.radians(arcs["azimuth"].values)
    mean = np.arctan2(
        np.bincount(track, np.sin(angle)), np.bincount(track, np.cos(angle))
    )
    return xr.Dataset(
        {
            "track_offset": ("track", offset, {"units": "m"}),
            "track_offset_se": ("track", error, {"units": "m"}),
            "track_count": ("track", np.bincount(track)),
            "track_satellite": ("track", arcs["satellite"].values[first]),
            "track_rise": ("track", arcs["rise"].values[first]),
            "track_azimuth": ("track", np.degrees(mean) % 360.0, {"units": "degree"}),
        }
    )


def _track_shift(arcs: xr.Dataset, offsets: xr.Dataset) -> np.ndarray:
    """Return the offset of each arc's track, zero where it is on none."""
    shift = np.zeros(arcs.sizes["arc"])
    nearest = np.full(shift.size, TRACK_GAP)
    for k in range(offsets.sizes["track"]):
        away = arcs["azimuth"].values - float(offsets["track_azimuth"][k])
        away = np.abs((away + 180.0) % 360.0 - 180.0)
        own = (arcs["satellite"].values == int(offsets["track_satellite"][k])) & (
            arcs["rise"].values == int(offsets["track_rise"][k])
        )
        near = own & (away < nearest)
        shift[near] = float(offsets["track_offset"][k])
        nearest[near] = away[near]
    return shift
