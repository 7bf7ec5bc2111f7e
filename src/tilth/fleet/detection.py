r"""What is wrong with a chamber, as probabilities, from the signs of its cycles.

Every state of a chamber says what a cycle should look like; the likelihoods of what
was seen are put together over the cycles of a device, because faults last hours:

==============  =====================================================================
state           what a cycle looks like
==============  =====================================================================
``ok``          CO2 and water vapour rise (or fall) as they usually do in this pot
``stuck_closed``  after "opening" the air does not return to that of the room but
                goes on as if closed
``stuck_open``  while "closed" CO2 and vapour follow the air of the room; by day the
                light shows no lid
``clogged``     the lid works, but neither CO2 nor vapour comes out of the soil;
                open, the air is that of the room without the soil's share
``leaky``       the lid works, but less of both is held than usual in this pot
``still_air``   the lid works, but open air returns slowly, and what rises is seen
                late: the fan does not turn
==============  =====================================================================

"As usual" is what the pot did in its good cycles, by day and by night apart, and what
the other pots do in the same minutes. The air of the room is the median of the fleet.

Where the physics does not tell two states apart (a clogged pot and a lid that is
stuck open, at night, in dry air), their probabilities stay divided, and their sum is
what to go by: ``no_exchange``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numba import njit

from tilth.core.errors import InputError
from tilth.fleet.detection_habits import DetectionSettings, Seen, breathing
from tilth.fleet.detection_likelihoods import likelihoods
from tilth.fleet.detection_names import SIGNS, STATES

_OK, _SHUT, _OPEN, _CLOGGED, _LEAKY, _STILL = range(len(STATES))


#: Passes over the data: the first knows no good cycles yet.
_PASSES = 3


def judge(
    cycles: pd.DataFrame, settings: DetectionSettings | None = None
) -> pd.DataFrame:
    """Return the probabilities of what is wrong, for every cycle of every device.

    Parameters
    ----------
    cycles : pandas.DataFrame
        One row per cycle: ``device`` (text), ``t`` (closing, utc ms) and the columns
        `SIGNS`. All devices of a greenhouse together; a week or more of cycles
        tells what is usual.
    settings : DetectionSettings, optional
        What is taken for granted.

    Returns
    -------
    pandas.DataFrame
        On the index of `cycles`: ``p_ok``, ``p_stuck_closed``, ``p_stuck_open``,
        ``p_clogged``, ``p_leaky``, ``p_still_air`` from all cycles before and
        after (they sum to one), the same with ``now_`` instead of ``p_`` from the
        cycles up to this one, ``p_no_exchange`` (stuck open or clogged),
        ``p_frozen`` and ``state``, the likeliest (``frozen`` goes before all,
        ``no_exchange`` where stuck open and clogged together are likelier than
        anything but neither is clear).
    """
    settings = settings or DetectionSettings()
    missing = {"device", "t", *SIGNS} - set(cycles)
    if missing:
        raise InputError(
            f"a table of cycles needs the columns {', '.join(sorted(missing))}"
        )
    rows = cycles.sort_values(["device", "t"], kind="stable")
    device, _ = pd.factorize(rows["device"])
    t = rows["t"].to_numpy(np.int64)
    frozen = rows["same"].to_numpy(float) >= settings.frozen
    good = breathing(rows, ~frozen)
    smoothed = filtered = np.empty((0, 2, len(STATES)))
    for _ in range(_PASSES):
        seen = Seen(rows, device, good & ~frozen, settings)
        logs = likelihoods(seen, settings)
        # A sensor that repeats itself says nothing of lid or pot.
        logs[frozen] = 0.0
        smoothed, filtered = _smooth(
            logs, device, t, settings.faults_per_day, settings.hours
        )
        good = smoothed[:, :, _OK].min(axis=1) > 0.5
    result = pd.DataFrame(index=rows.index)
    whole = _of_cycle(smoothed)
    for prefix, probability in (("p", whole), ("now", _of_cycle(filtered))):
        for i, name in enumerate(STATES):
            result[f"{prefix}_{name}"] = probability[:, i]
    result["p_no_exchange"] = whole[:, _OPEN] + whole[:, _CLOGGED]
    result["p_frozen"] = frozen.astype(float)
    result["state"] = _names(whole, frozen)
    return result.reindex(cycles.index)


def _of_cycle(halves: np.ndarray) -> np.ndarray:
    """Return the state of a cycle: that of its closure, or a lid that then sticks."""
    shut = halves[:, :, _SHUT].max(axis=1)
    closure = halves[:, 0].copy()
    rest = 1.0 - closure[:, _SHUT]
    closure *= ((1.0 - shut) / np.where(rest > 0.0, rest, 1.0))[:, None]
    closure[:, _SHUT] = shut
    return closure


def _names(probability: np.ndarray, frozen: np.ndarray) -> np.ndarray:
    """Return the likeliest state, or that it is one of two."""
    names = np.array([*STATES, "no_exchange", "frozen"], object)
    best = probability.argmax(axis=1)
    either = probability[:, _OPEN] + probability[:, _CLOGGED]
    rest = np.delete(probability, [_OPEN, _CLOGGED], axis=1).max(axis=1, initial=0.0)
    clear = probability[:, [_OPEN, _CLOGGED]].max(axis=1, initial=0.0) > 0.8 * either
    best = np.where((either > rest) & ~clear, len(STATES), best)
    best = np.where(
        (either > rest) & clear,
        np.where(probability[:, _OPEN] > probability[:, _CLOGGED], _OPEN, _CLOGGED),
        best,
    )
    return names[np.where(frozen, len(STATES) + 1, best)]


def _smooth(
    logs: np.ndarray, device: np.ndarray, t: np.ndarray, per_day: float, hours: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return smoothed and filtered probabilities, shaped as the likelihoods."""
    n, _, m = logs.shape
    # The second half of a cycle is taken to be some minutes later.
    half = t + 300_000
    times = np.column_stack([t, half]).ravel()
    out = _forward_backward(
        np.ascontiguousarray(logs.reshape(2 * n, m)),
        np.repeat(device, 2),
        times,
        per_day,
        hours,
    )
    return out[0].reshape(logs.shape), out[1].reshape(logs.shape)


@njit(cache=True, nogil=True)
def _forward_backward(logs, device, t, per_day, hours):
    """Forward-backward over the cycles of each device: smoothed and filtered."""
    n, m = logs.shape
    filtered = np.empty((n, m))
    smoothed = np.empty((n, m))
    forward = np.empty(m)
    message = np.empty(m)
    begin = 0
    while begin < n:
        end = begin
        while end < n and device[end] == device[begin]:
            end += 1
        for i in range(begin, end):
            if i == begin:
                forward[0] = 0.96
                forward[1:] = 0.04 / (m - 1)
            else:
                _step(
                    filtered[i - 1],
                    forward,
                    max(t[i] - t[i - 1], 0),
                    per_day,
                    hours,
                    False,
                )
            top = logs[i].max()
            for j in range(m):
                forward[j] *= np.exp(logs[i, j] - top)
            # No state is ever ruled out: a later cycle may say otherwise.
            filtered[i] = (forward / forward.sum() + 1e-12) / (1.0 + m * 1e-12)
        message[:] = 1.0
        for i in range(end - 1, begin - 1, -1):
            smoothed[i] = filtered[i] * message
            smoothed[i] /= smoothed[i].sum()
            if i > begin:
                top = logs[i].max()
                for j in range(m):
                    forward[j] = message[j] * np.exp(logs[i, j] - top) + 1e-12
                _step(forward, message, max(t[i] - t[i - 1], 0), per_day, hours, True)
                message /= message.max()
        begin = end
    return smoothed, filtered


@njit(cache=True, nogil=True)
def _step(before, after, dt, per_day, hours, back):
    """Carry probabilities over the time between two cycles (ms)."""
    m = before.size
    stay = np.exp(-dt / 3.6e6 / hours)
    healthy = np.exp(-dt / 8.64e7 * per_day * (m - 1))
    if back:
        faults = before[1:].sum() / (m - 1)
        after[0] = healthy * before[0] + (1.0 - healthy) * faults
        for j in range(1, m):
            after[j] = stay * before[j] + (1.0 - stay) * before[0]
        return
    after[0] = healthy * before[0]
    for j in range(1, m):
        after[j] = stay * before[j] + (1.0 - healthy) * before[0] / (m - 1)
        after[0] += (1.0 - stay) * before[j]


def scores(
    truth: np.ndarray, found: np.ndarray, states: Mapping[str, tuple[str, ...]]
) -> pd.DataFrame:
    """Return recall and precision per cycle of groups of states.

    Parameters
    ----------
    truth, found : array_like of str
        True and found state of every cycle.
    states : mapping of str to tuple of str
        Name of a group to the states that belong to it.

    Returns
    -------
    pandas.DataFrame
        Index: groups; columns ``recall``, ``precision``, ``cycles``.
    """
    rows = {}
    for name, members in states.items():
        is_true, is_found = np.isin(truth, members), np.isin(found, members)
        hits = int((is_true & is_found).sum())
        rows[name] = {
            "recall": hits / max(int(is_true.sum()), 1),
            "precision": hits / max(int(is_found.sum()), 1),
            "cycles": int(is_true.sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
