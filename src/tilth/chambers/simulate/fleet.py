"""A simulated fleet of robotic chambers whose true fluxes and faults are known."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.air import (
    air_moles_per_area,
    dry_mole_fraction,
    saturation_vapour_pressure,
)
from tilth.chambers.closures import make_closures
from tilth.chambers.quality.cycle import closing_time
from tilth.chambers.simulate.world import (
    FAULTS,
    Faults,
    Layout,
    Soil,
    episodes,
    soil_state,
    weather,
)
from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.errors import InputError
from tilth.core.model import stamp

#: Closures worked on at a time, to bound the memory.
_CHUNK = 20_000


@dataclass(frozen=True)
class Chamber:
    """The bucket over the pot: nominal size, and how far real ones deviate.

    Attributes
    ----------
    height, area : float
        Volume over area in m (article: 16-17 cm) and soil area in m2.
    volume_spread : float
        Relative standard deviation of the true volume between pots: settled soil
        and plants.
    """

    height: float = 0.165
    area: float = 0.0314
    volume_spread: float = 0.045


@dataclass(frozen=True)
class Sensor:
    """A cheap NDIR sensor in the manner of the SCD30.

    Attributes
    ----------
    noise, ar_noise, ar : float
        White noise and stationary AR(1) noise, ppm; its correlation from one
        update to the next.
    gain_spread, offset_spread, drift_spread : float
        Between devices: relative (3 % rectangular), ppm, ppm K-1.
    response, update, interval : float
        Time constant, time between new values and between readings, s.
    quantum : float
        Last digit, ppm.
    self_heating : float
        Sensor over air temperature, K (article: 1-2).
    humidity_noise, temperature_noise, pressure_noise : float
        Per reading: %, K and Pa.
    """

    noise: float = 2.0
    ar_noise: float = 1.0
    ar: float = 0.8
    gain_spread: float = 0.017
    offset_spread: float = 15.0
    drift_spread: float = 0.5
    response: float = 20.0
    update: float = 2.0
    interval: float = 3.0
    quantum: float = 0.1
    self_heating: float = 1.5
    humidity_noise: float = 0.1
    temperature_noise: float = 0.1
    pressure_noise: float = 5.0


def simulate_fleet(
    layout: Layout | None = None,
    soil: Soil | None = None,
    chamber: Chamber | None = None,
    sensor: Sensor | None = None,
    faults: Faults | None = None,
    *,
    seed: int = 0,
) -> xr.Dataset:
    r"""Simulate every closure of a fleet, with what truly happened beside it.

    The dry mole fraction in a closed chamber follows Hutchinson and Mosier,

    .. math:: C'(t) = C'_0 + \frac{F}{\varphi k}\left(1 - e^{-kt}\right),

    with the flux :math:`F` before closing, the moles of dry air per area
    :math:`\varphi` and the feedback :math:`k`. Water vapour rises towards
    saturation at the soil surface; the sensor sees the wet mole fraction through a
    first-order response, with gain, offset, noise and a last digit. A chamber
    opens by the fleet's dynamic rule (`cycle.closing_time`), on what its sensor
    reads. Soil CO2 is what Fick's law needs for the soil flux.

    Parameters
    ----------
    layout, soil, chamber, sensor, faults
        Settings; the defaults of each class where left out.
    seed : int
        Same seed, same fleet.

    Returns
    -------
    xarray.Dataset
        A closures dataset with wet ``co2``, ``relative_humidity``,
        ``humidity_temperature``, ``temperature``, ``pressure``, ``light``, nominal
        ``volume`` and ``area``, ``soil_co2``, ``soil_moisture`` and, if asked for,
        ``servo_ok``; text coordinates ``device``, ``pot``, ``table``, ``variant``
        ("9.2") and ``replica``. The truth: ``fault`` (coordinate), ``true_flux``
        (net, before closing), ``true_soil_flux``, ``true_h2o_flux``, ``true_k``,
        ``true_volume``, ``true_gain``, ``true_offset``.

    Raises
    ------
    InputError
        If the layout holds no pot or no time.
    """
    layout, soil = layout or Layout(), soil or Soil()
    chamber, sensor = chamber or Chamber(), sensor or Sensor()
    faults = faults or Faults()
    rng = np.random.default_rng(seed)
    pots = [
        (f"{table}.{variant}.{replica}", table, f"{table}.{variant}", replica)
        for table in layout.tables
        for variant in layout.treatments
        for replica in layout.replicas
    ]
    cycles = int(layout.days * SECONDS_PER_DAY / layout.period)
    if not pots or cycles < 1:
        raise InputError(
            f"a fleet needs pots and time, got {len(pots)} pots and {cycles} cycles"
        )
    seconds = np.arange(cycles) * layout.period
    sky = weather(pd.Timestamp(layout.start), seconds, rng)
    failing = episodes(len(pots), cycles, layout.period, faults, rng)
    truth = soil_state(layout, soil, sky, failing, pots, seconds, rng)
    truth |= _devices(len(pots), chamber, sensor, rng)
    flat = _per_closure(truth, sky, failing, soil, chamber, layout, len(pots))
    samples = _records(flat, chamber, sensor, faults, layout, rng)

    times = pd.Timestamp(layout.start) + pd.to_timedelta(seconds, unit="s")
    names = [
        f"{pot[0]} {when}" for pot in pots for when in times.strftime("%Y-%m-%d %H:%M")
    ]
    labels = {
        name: np.repeat([pot[i] for pot in pots], cycles)
        for i, name in enumerate(("pot", "table", "variant", "replica"))
    }
    labels["device"] = np.repeat([f"dev-{i:03d}" for i in range(len(pots))], cycles)
    labels["fault"] = np.array(FAULTS)[failing["code"].ravel()]
    per_closure = {
        "area": np.full(len(names), chamber.area),
        "volume": np.full(len(names), chamber.area * chamber.height),
        "soil_co2": flat["soil_co2"],
        "soil_moisture": flat["moisture"],
        "true_flux": flat["flux"],
        "true_soil_flux": flat["soil_flux"],
        "true_h2o_flux": flat["h2o_flux"],
        "true_k": flat["k"],
        "true_volume": flat["volume"],
        "true_gain": flat["gain"],
        "true_offset": flat["offset"],
    }
    if faults.servo_feedback:
        jammed = np.isin(labels["fault"], ["stuck_open", "stuck_closed"])
        per_closure["servo_ok"] = (~jammed).astype(float)
    dataset = make_closures(
        names,
        {name: list(rows) for name, rows in samples.items()},
        time=list(np.tile(times, len(pots))),
        per_closure={name: values.tolist() for name, values in per_closure.items()},
        labels={name: texts.tolist() for name, texts in labels.items()},
        basis={"co2": "wet"},
        units={
            "humidity_temperature": "degC",
            "soil_co2": "umol mol-1",
            "soil_moisture": "m3 m-3",
            "true_flux": "umol m-2 s-1",
            "true_soil_flux": "umol m-2 s-1",
            "true_h2o_flux": "mmol m-2 s-1",
            "true_k": "s-1",
            "true_volume": "m3",
            "true_gain": "1",
            "true_offset": "umol mol-1",
        },
    )
    dataset.attrs["seed"] = seed
    settings = {type(x).__name__: asdict(x) for x in (soil, chamber, sensor, faults)}
    dataset.attrs["simulated_with"] = str(settings)
    return stamp(dataset, f"simulate_fleet(seed={seed}), simulated, not measured")


def simulate_closures(
    n: int,
    n_samples: int = 60,
    *,
    flux=1.0,
    k=0.0,
    noise: float = 1.0,
    interval: float = 3.0,
    start_co2: float = 450.0,
    height: float = 0.165,
    area: float = 0.0314,
    pressure: float = 97_200.0,
    temperature: float = 20.0,
    seed: int = 0,
) -> xr.Dataset:
    """Simulate plain closures of dry CO2: exact curves with white noise.

    Parameters
    ----------
    n, n_samples : int
        Number of closures and of samples of each.
    flux, k : float or array_like
        Flux before closing, umol m-2 s-1, and feedback, s-1, one or per closure.
    noise, interval : float
        Standard deviation, ppm; time between samples, s, the first at zero.
    start_co2, height, area, pressure, temperature : float
        Start, umol mol-1; volume over area, m; area, m2; Pa; degC.
    seed : int
        Of the noise.

    Returns
    -------
    xarray.Dataset
        A closures dataset with ``true_flux`` and ``true_k``.

    Examples
    --------
    >>> one = simulate_closures(1, 61, flux=0.78, noise=0.0)
    >>> round(float(one.co2[0, -1] - one.co2[0, 0]), 1)  # ppm in three minutes
    21.3
    """
    rng = np.random.default_rng(seed)
    elapsed = np.arange(n_samples) * interval
    flux, k = (np.broadcast_to(np.asarray(x, float), (n,)) for x in (flux, k))
    phi = air_moles_per_area(height * area, area, pressure, temperature)
    co2 = start_co2 + hutchinson_mosier(flux[:, None] / phi, k[:, None], elapsed)
    co2 = co2 + noise * rng.standard_normal(co2.shape)
    dataset = make_closures(
        [f"closure {i}" for i in range(n)],
        {
            "elapsed": [elapsed] * n,
            "co2": list(co2),
            "pressure": [np.full(n_samples, pressure)] * n,
            "temperature": [np.full(n_samples, temperature)] * n,
        },
        per_closure={
            "area": [area] * n,
            "volume": [height * area] * n,
            "true_flux": flux.tolist(),
            "true_k": k.tolist(),
        },
        units={"true_flux": "umol m-2 s-1", "true_k": "s-1"},
    )
    dataset.attrs["seed"] = seed
    return dataset


def hutchinson_mosier(slope, k, elapsed):
    r"""Rise of concentration since closing, :math:`s\,(1 - e^{-kt})/k`.

    Parameters
    ----------
    slope : array_like
        Slope at closing, any unit per second.
    k : array_like
        Feedback, s-1; zero gives the straight line.
    elapsed : array_like
        Time since closing, s; no rise before.

    Returns
    -------
    numpy.ndarray
        Rise, in the unit of the slope times s.

    References
    ----------
    Hutchinson and Mosier (1981), Soil Sci. Soc. Am. J. 45, 311-316.
    """
    t = np.maximum(elapsed, 0.0)
    k = np.asarray(k, float)
    safe = np.where(k > 0, k, 1.0)
    return slope * np.where(k > 0, -np.expm1(-safe * t) / safe, t)


def _devices(pots: int, chamber: Chamber, sensor: Sensor, rng) -> dict:
    """Return what stays with a device or pot, shape (pot, 1)."""
    volume = chamber.area * chamber.height
    draws = rng.standard_normal((4, pots, 1))
    return {
        "volume": volume * (1.0 + chamber.volume_spread * draws[0]),
        "gain": 1.0 + sensor.gain_spread * draws[1],
        "offset": sensor.offset_spread * draws[2],
        "drift": sensor.drift_spread * draws[3],
    }


def _per_closure(truth, sky, failing, soil, chamber, layout, pots) -> dict:
    """Flatten everything to one value per closure, with the physics of closing."""
    cycles = failing["code"].shape[1]
    shared = {name: np.tile(series, pots) for name, series in sky.items()}
    slope = np.gradient(sky["co2"], layout.period) if cycles > 1 else np.zeros(1)
    flat = {
        name: np.broadcast_to(values, (pots, cycles)).reshape(-1)
        for name, values in truth.items()
    } | {
        "temperature": shared["temperature"],
        "pressure": shared["pressure"],
        "light": shared["light"],
        "moisture": shared["moisture"],
        "air_slope": np.tile(slope, pots),
        "code": failing["code"].reshape(-1),
    }
    saturated = saturation_vapour_pressure(flat["temperature"]) / flat["pressure"]
    vapour = saturated * shared["humidity"] / 100.0
    amount = air_moles_per_area(
        flat["volume"], chamber.area, flat["pressure"], flat["temperature"]
    )
    opening = 1.0 + 3.0 * flat["light"] / 30_000.0
    moistening = soil.vapour_conductance * opening / amount
    moistening = np.where(flat["clogged"], 0.0, moistening)
    phi = amount * (1.0 - vapour)
    stuck = flat["code"] == FAULTS.index("stuck_closed")
    return flat | {
        "air_co2": dry_mole_fraction(shared["co2"], vapour),
        "vapour": vapour,
        "saturated": saturated,
        "moistening": moistening,
        "h2o_flux": 1e3 * amount * moistening * (saturated - vapour) / (1.0 - vapour),
        "slope": flat["flux"] / phi,
        "k": soil.feedback + flat["conductance"] / phi,
        # A chamber that did not open has been closed since the cycle before.
        "already": np.where(
            stuck, (failing["since"].reshape(-1) + 1) * layout.period, 0.0
        ),
    }


def _records(flat, chamber, sensor, faults, layout, rng) -> dict[str, np.ndarray]:
    """Return what the sensors record, (closure, sample), NaN after opening."""
    n = len(flat["flux"])
    elapsed = np.arange(-layout.lead, 300.0 + sensor.interval, sensor.interval)
    elapsed = elapsed[elapsed <= 300.0]
    names = ("co2", "relative_humidity", "humidity_temperature", "temperature")
    records = {name: np.empty((n, len(elapsed))) for name in (*names, "pressure")}
    for first in range(0, n, _CHUNK):
        part = slice(first, first + _CHUNK)
        rows = {name: values[part, None] for name, values in flat.items()}
        records["co2"][part] = _read_co2(elapsed, rows, sensor, rng)
        for name, values in _read_air(elapsed, rows, sensor, rng).items():
            records[name][part] = values
    light = np.where(rng.random(n) < faults.light_errors, -1.0, flat["light"])
    closed = elapsed >= 0.0
    opens = closing_time(elapsed[closed], records["co2"][:, closed])
    after = elapsed > opens[:, None]
    records["light"] = np.repeat(light[:, None], len(elapsed), axis=1)
    records["elapsed"] = np.repeat(elapsed[None], n, axis=0)
    for values in records.values():
        values[after] = np.nan
    used = int((~after).any(axis=0).sum())
    return {name: values[:, :used] for name, values in records.items()}


def _air_at(t: np.ndarray, rows: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return the true dry CO2 and water vapour at times since closing."""
    is_open = rows["code"] == FAULTS.index("stuck_open")
    closed_for = np.where(is_open, 0.0, np.maximum(t, 0.0) + rows["already"])
    # Before closing, and in a chamber stuck open, the air is that of the room.
    before = (t < 0) & (rows["already"] > 0)
    closed_for = np.where(before, t + rows["already"], closed_for)
    drifting = np.where(is_open | (t < 0), t, 0.0) * rows["air_slope"]
    drifting = np.where(rows["already"] > 0, 0.0, drifting)
    rise = hutchinson_mosier(rows["slope"], rows["k"], closed_for)
    vapour = rows["saturated"] - (rows["saturated"] - rows["vapour"]) * np.exp(
        -rows["moistening"] * closed_for
    )
    return np.maximum(rows["air_co2"] + rise + drifting, 30.0), vapour


def _read_co2(elapsed, rows, sensor: Sensor, rng) -> np.ndarray:
    """Return wet CO2 as the sensor reads it, (closure, sample)."""
    n = len(rows["flux"])
    # The sensor updates on its own beat, which no one has aligned with the lid.
    beat = rng.random((n, 1)) * sensor.update
    warm_up = 2.0 * sensor.response
    beats = int((elapsed[-1] - elapsed[0] + warm_up) / sensor.update) + 2
    begin = elapsed[0] - warm_up - beat
    decay = np.exp(-sensor.update / sensor.response) if sensor.response > 0 else 0.0
    lag = sensor.response / sensor.update
    seen = np.empty((beats, n))
    correlated = sensor.ar_noise * rng.standard_normal(n)
    fresh = sensor.ar_noise * np.sqrt(1.0 - sensor.ar**2)
    dry, vapour = _air_at(begin, rows)
    last = response = (dry * (1.0 - vapour))[:, 0]
    for j in range(beats):
        dry, vapour = _air_at(begin + j * sensor.update, rows)
        air = (dry * (1.0 - vapour))[:, 0]
        # First-order response to air that changes linearly between the beats.
        behind = lag * (air - last)
        response = air - behind + decay * (response - last + behind)
        last = air
        noise = sensor.noise * rng.standard_normal(n)
        correlated = sensor.ar * correlated + fresh * rng.standard_normal(n)
        seen[j] = response + noise + correlated
    index = np.floor((elapsed - begin) / sensor.update).astype(int)
    value = np.take_along_axis(seen.T, index, axis=1)
    shift = rows["offset"] + rows["drift"] * (rows["temperature"] - 20.0)
    value = shift + rows["gain"] * value
    return np.round(value / sensor.quantum) * sensor.quantum


def _read_air(elapsed, rows, sensor: Sensor, rng) -> dict[str, np.ndarray]:
    """Return temperature, humidity and pressure as read, (closure, sample)."""
    shape = (len(rows["flux"]), len(elapsed))
    _, vapour = _air_at(np.broadcast_to(elapsed, shape), rows)
    closed = np.where(rows["code"] == FAULTS.index("stuck_open"), 0.0, 1.0)
    sunned = rows["light"] / 30_000.0 * -np.expm1(-np.maximum(elapsed, 0.0) / 100.0)
    temperature = rows["temperature"] + closed * sunned
    own = temperature + sensor.self_heating
    humidity = 100.0 * vapour * rows["pressure"] / saturation_vapour_pressure(own)
    noise = rng.standard_normal((4, *shape))
    return {
        "temperature": temperature + sensor.temperature_noise * noise[0],
        "humidity_temperature": own + 0.02 * noise[1],
        "relative_humidity": np.clip(
            humidity + sensor.humidity_noise * noise[2], 0.0, 100.0
        ),
        "pressure": rows["pressure"] + sensor.pressure_noise * noise[3],
    }
