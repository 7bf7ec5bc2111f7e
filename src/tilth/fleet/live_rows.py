"""From closed cycles and their samples to the rows of the table of fluxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tilth.chambers.budget import add_budget
from tilth.chambers.fits.flux import fluxes as compute_fluxes
from tilth.chambers.fits.selection import MODELS, REASONS
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.quality.filters import flag_implausible
from tilth.core.errors import InputError
from tilth.fleet.live_closures import Cycle, Records, closures_of
from tilth.fleet.live_settings import LiveSettings
from tilth.fleet.live_store import COLUMNS, LIVE_FLAGS

#: Location code of a device at a time (utc ms), or None where nobody said.
Locate = Callable[[str, int], str | None]

#: Time (utc ms) and light (lux) of other closures between two times.
LightsNear = Callable[[int, int], list[tuple[int, float]]]

#: How far apart closures may be to lend each other the light, ms.
_SAME_TIME_MS = 600_000

#: Reasons of a device to open the lid that the rule of the closure foresees.
_BY_RULE = ("normal", "enough", "longest")


def place(locate: Locate, device: str, t: int | None, sent: str) -> tuple[str, int]:
    """Return where a device stood, and the flag to raise if nobody knows.

    Parameters
    ----------
    locate : callable
        What people stated; it goes before what the device sent.
    device : str
        Device.
    t : int or None
        utc ms; None where it is not known.
    sent : str
        Label the device sent.
    """
    stated = None if t is None else locate(device, t)
    loc = sent if stated is None else stated
    return loc, 0 if loc else LIVE_FLAGS.bit("location_unknown")


def closures_at(
    cycles: Sequence[Cycle],
    records: Sequence[Records],
    settings: LiveSettings,
    locate: Locate,
    usual: Mapping[str, float],
) -> xr.Dataset:
    """Return the closures dataset of some cycles, each labelled with its place.

    Parameters
    ----------
    cycles, records : sequences of Cycle and of Records
        As many of each.
    settings : LiveSettings
        Geometry.
    locate : callable
        As for `place`.
    usual : mapping of str to float
        As for `tilth.fleet.live_closures.closures_of`.
    """
    places = [
        place(locate, c.device, c.utc(c.close), _sent(c, r))[0]
        for c, r in zip(cycles, records, strict=True)
    ]
    parts = [loc.split(".") for loc in places]
    labels = {
        "device": [c.device for c in cycles],
        "pot": places,
        "table": [p[0] for p in parts],
        "variant": [".".join(p[:2]) for p in parts],
    }
    return closures_of(cycles, records, labels, settings.geometry, usual)


def rows_of(
    cycles: Sequence[Cycle],
    records: Sequence[Records],
    settings: LiveSettings,
    locate: Locate,
    usual: Mapping[str, float],
    lights_near: LightsNear,
    now: int,
) -> list[dict[str, Any]]:
    """Compute the rows of some cycles, whatever is wrong with any of them.

    Parameters
    ----------
    cycles, records : sequences of Cycle and of Records
        As many of each.
    settings : LiveSettings
        How to compute.
    locate, usual
        As for `closures_at`.
    lights_near : callable
        Light of other closures around a time.
    now : int
        utc ms, kept in the rows.

    Returns
    -------
    list of dict
        One for each cycle, in order, with the keys `COLUMNS`.
    """
    sound = [
        i
        for i, (c, r) in enumerate(zip(cycles, records, strict=True))
        if not c.problem and len(r.tick)
    ]

    def numbers(some: list[int]) -> list[dict[str, Any]]:
        if not some:
            return []
        own, samples = [cycles[i] for i in some], [records[i] for i in some]
        try:
            return _numbers(
                closures_at(own, samples, settings, locate, usual), settings
            )
        except InputError as error:
            if len(some) == 1:
                return [{"note": str(error)}]
            # One impossible chamber must not cost the others their flux.
            half = len(some) // 2
            return numbers(some[:half]) + numbers(some[half:])

    computed = dict(zip(sound, numbers(sound), strict=True))
    rows = []
    for i, (cycle, one) in enumerate(zip(cycles, records, strict=True)):
        none = {"note": cycle.problem or "no sample of the closure has arrived"}
        rows.append(_row(cycle, one, computed.get(i, none), settings, locate, now))
    _judge_light(rows, settings.night_lux, lights_near)
    return rows


def _row(
    cycle: Cycle,
    one: Records,
    numbers: Mapping[str, Any],
    settings: LiveSettings,
    locate: Locate,
    now: int,
) -> dict[str, Any]:
    """Return the row of a cycle as it is stored."""
    body, close, opened = cycle.body, cycle.utc(cycle.close), cycle.utc(cycle.open)
    sent = _sent(cycle, one)
    loc, flag = place(locate, cycle.device, close, sent)
    raised = {
        "mixed": bool(body.get("mixed")),
        "incomplete": not one.complete,
        "late": opened is not None and cycle.recv - opened > settings.late_ms,
        "time_unknown": close is None,
        "not_computed": numbers.get("flux") is None,
        "cut_short": body.get("why") not in _BY_RULE,
        "lost_samples": one.lost,
    }
    flag |= one.flags
    for name, holds in raised.items():
        flag |= LIVE_FLAGS.bit(name) if holds else 0
    return {
        **dict.fromkeys(COLUMNS),
        "device": cycle.device,
        "boot": cycle.boot,
        "cycle_seq": cycle.seq,
        "t": close,
        "t_open": opened,
        "t_event": cycle.t,
        "close_tick": cycle.close,
        "open_tick": cycle.open,
        "cycle": _whole(body.get("cycle")),
        "loc": loc,
        "loc_sent": sent,
        "why": _text(body.get("why")),
        "rule": _text(body.get("rule")),
        "sweeps": _whole(body.get("sweeps")),
        "closure_flag": 0,
        "flux_flag": 0,
        "live_flag": flag,
        "note": "",
        "settings": settings.identifier,
        "recv": cycle.recv,
        "computed": now,
        **numbers,
    }


def _judge_light(
    rows: list[dict[str, Any]], night_lux: float, lights_near: LightsNear
) -> None:
    """Say of every row whether it was night; neighbours help a failed sensor."""
    known = [
        (r["t"], r["light"])
        for r in rows
        if r["t"] is not None and r["light"] is not None
    ]
    unknown = [r["t"] for r in rows if r["light"] is None and r["t"] is not None]
    if unknown:
        known += lights_near(min(unknown) - _SAME_TIME_MS, max(unknown) + _SAME_TIME_MS)
    times = np.array([t for t, _ in known], float)
    lights = np.array([light for _, light in known], float)
    for row in rows:
        light = row["light"]
        if light is None and row["t"] is not None:
            near = lights[np.abs(times - row["t"]) < _SAME_TIME_MS]
            light = float(np.median(near)) if near.size else None
        if light is None:
            row["closure_flag"] |= CLOSURE_FLAGS.bit("light_unknown")
            continue
        row["night"] = int(light <= night_lux)
        if not row["night"]:
            row["closure_flag"] |= CLOSURE_FLAGS.bit("daylight")


def _sent(cycle: Cycle, one: Records) -> str:
    """Return the label the device sent."""
    return _text(cycle.body.get("loc")) or one.loc


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


#: Column of a row -> variable of the fluxes.
_RESULTS = {
    "flux": "flux",
    "se": "flux_se",
    "se_total": "flux_se_total",
    "mdf": "mdf",
    "flux_linear": "flux_linear",
    "se_linear": "flux_linear_se",
    "flux_hm": "flux_hm",
    "se_hm": "flux_hm_se",
    "c0": "c0_linear",
    "c_inf": "c_inf_hm",
    "kappa": "kappa",
    "amount": "amount",
}


def _numbers(closures: xr.Dataset, settings: LiveSettings) -> list[dict[str, Any]]:
    """Return what is computed of every closure, as columns of its row."""
    result = add_budget(compute_fluxes(closures, "co2", settings.flux), settings.errors)
    flags = flag_implausible(closures)["closure_flag"].values
    t = closures["elapsed"].values
    closed = t >= 0.0
    columns: dict[str, np.ndarray] = {
        name: result[variable].values for name, variable in _RESULTS.items()
    } | {
        "co2_start": _mean(closures["co2"].values, closed & (t < 10.0)),
        "co2_end": _mean(
            closures["co2"].values, t > np.nanmax(t, axis=1, keepdims=True) - 10.0
        ),
        "temperature": _mean(closures["temperature"].values, closed),
        "humidity": _mean(closures["relative_humidity"].values, closed),
        "pressure": _mean(closures["pressure"].values, closed),
        "light": _brightest(closures["light"].values, closed),
    }
    whole = {
        "n": result["n_points"].values,
        "closure_flag": flags,
        "flux_flag": result["flux_flag"].values,
    }
    models = [MODELS[i] for i in result["model"].values]
    reasons = list(REASONS)
    why = [reasons[i] for i in result["model_reason"].values]
    return [
        {name: _number(values[i]) for name, values in columns.items()}
        | {name: int(values[i]) for name, values in whole.items()}
        | {"model": models[i], "reason": why[i]}
        for i in range(closures.sizes["closure"])
    ]


def _number(value: float) -> float | None:
    """Return a float for SQL, None where there is none."""
    return float(value) if np.isfinite(value) else None


def _mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the mean of each row where it holds, NaN without any."""
    use = where & np.isfinite(values)
    count = use.sum(axis=1)
    total = np.where(use, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _brightest(light: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Return the brightest valid reading of each closure; -1 is an error, not dark."""
    valid = closed & (light >= 0.0) & (light <= 150_000.0)
    brightest = np.where(valid, light, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(brightest >= 0.0, brightest, np.nan)


def warm_up(settings: LiveSettings | None = None) -> None:
    """Compile the fit and load what it needs, so that the first closure is not late."""
    from tilth.chambers.simulate.fleet import simulate_closures

    settings = settings or LiveSettings()
    closures = simulate_closures(2, 61, flux=0.8, k=1e-3, noise=1.0, seed=0)
    shape = closures["co2"].shape
    for name, value, units in (
        ("relative_humidity", 60.0, "%"),
        ("humidity_temperature", 21.5, "degC"),
        ("light", 0.0, "lux"),
    ):
        closures[name] = (("closure", "sample"), np.full(shape, value))
        closures[name].attrs["units"] = units
    closures["co2"].attrs["basis"] = "wet"
    _numbers(closures, settings)
