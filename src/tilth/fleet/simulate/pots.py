"""The pots and chambers of a simulated fleet, and how each one deviates."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tilth.chambers.simulate.fleet import Chamber, Sensor
from tilth.chambers.simulate.world import Layout, Soil, soil_state
from tilth.core.errors import InputError
from tilth.fleet.simulate.climate import SLOW_STEP, Climate


@dataclass(frozen=True)
class Garden:
    """What stands in the greenhouse.

    Attributes
    ----------
    treatments : mapping of str to float
        Variant to its soil flux over that of the control, which is "0" in a fleet. The
        default codes hold "1" and "10", which are two variants and not one.
    replicas : tuple of str
        Pots of one variant on one table.
    first_table : int
        Tables are numbered from here.
    """

    treatments: Mapping[str, float] = field(
        default_factory=lambda: {"0": 1.0, "1": 1.0, "4": 1.35, "10": 0.75}
    )
    replicas: tuple[str, ...] = ("A", "B", "C", "D")
    first_table: int = 5

    def places(self, devices: int) -> list[tuple[str, str, str]]:
        """Return table, variant and replica of so many pots, table by table."""
        per_table = [(v, r) for v in self.treatments for r in self.replicas]
        tables = -(-devices // max(len(per_table), 1))
        if not per_table or self.first_table + tables > 100:
            raise InputError(
                f"{devices} devices do not fit: {len(per_table)} pots on a table, and "
                f"tables {self.first_table} to 99"
            )
        return [
            (
                str(self.first_table + i // len(per_table)),
                *per_table[i % len(per_table)],
            )
            for i in range(devices)
        ]


@dataclass(frozen=True)
class Mixing:
    """How the air of a chamber exchanges with that of the house.

    Attributes
    ----------
    leak, leak_spread : float
        Exchange of a closed chamber, s-1, and the standard deviation of its
        logarithm between chambers.
    flush, pulses, still : float
        Time constant of an open chamber, s: fan at full speed, in pulses, off.
    transmission : float
        Share of the light that passes the closed lid.
    drift : float
        Random walk of the zero of a CO2 sensor, ppm per square root of a day.
    pressure_spread, temperature_spread : float
        Standard deviation between the pressure sensors, Pa, and their thermometers, K.
    """

    leak: float = 1e-4
    leak_spread: float = 0.4
    flush: float = 10.0
    pulses: float = 60.0
    # With a tenth of the time at full speed the pulses then take 60 s on average.
    still: float = 135.0
    transmission: float = 0.85
    drift: float = 1.0
    pressure_spread: float = 30.0
    temperature_spread: float = 0.2


#: Soils whose fluxes in the nights of July to December spread as those of the fleet of
#: 2023: quartiles 0.35, 0.53 and 0.98 umol m-2 s-1.
SOIL = Soil(flux=1.1, soil_spread=0.4, pot_spread=0.3, night_spread=0.3, feedback=4e-4)

#: An SCD30: noise 2-4 ppm, drift of up to 2.5 ppm K-1 (data sheet, taken as two
#: standard deviations).
SENSOR = Sensor(noise=3.0, ar_noise=1.0, drift_spread=1.25, temperature_noise=0.02)


@dataclass(frozen=True)
class Fleet:
    """Everything drawn once: the devices, their pots and their sensors.

    Attributes
    ----------
    names : tuple of str
        Device names, 12 hexadecimal digits.
    places : tuple of str
        Location codes, table.variant.replica.
    devices : numpy.ndarray
        One record per device of what stays with it; see `DEVICE`.
    soil_flux : numpy.ndarray
        Flux at ambient CO2 without uptake by plants, umol m-2 s-1, (device, slow).
    feedback : float
        Rate at which CO2 in the chamber above that in the top of the soil slows the
        flux, s-1.
    conductance : numpy.ndarray
        Flux lost per ppm above ambient, to the depth, mol m-2 s-1, (device, slow).
    uptake : numpy.ndarray
        Uptake by plants at ambient CO2, umol m-2 s-1, (slow,).
    """

    names: tuple[str, ...]
    places: tuple[str, ...]
    devices: np.ndarray
    soil_flux: np.ndarray
    feedback: float
    conductance: np.ndarray
    uptake: np.ndarray

    def table(self) -> pd.DataFrame:
        """Return the truth about every device, one row each."""
        parts = [place.split(".") for place in self.places]
        told: dict[str, Any] = {
            "device": self.names,
            "location": self.places,
            "table": [p[0] for p in parts],
            "variant": [p[1] for p in parts],
            "replica": [p[2] for p in parts],
        }
        told |= {name: self.devices[name] for name in self.devices.dtype.names or ()}
        return pd.DataFrame(told)


#: What stays with a device.
DEVICE = np.dtype(
    [
        ("height", "f8"),  # volume over area, m
        ("leak", "f8"),  # s-1
        ("flush", "f8"),  # rates of an open chamber, s-1
        ("pulses", "f8"),
        ("still", "f8"),
        ("transmission", "f8"),
        ("gain", "f8"),
        ("offset", "f8"),  # ppm
        ("per_kelvin", "f8"),  # ppm K-1
        ("response", "f8"),  # time constant of the sensor, s
        ("beat", "f8"),  # its own interval, ms
        ("noise", "f8"),  # ppm
        ("ar_noise", "f8"),
        ("ar", "f8"),
        ("heating", "f8"),  # K
        ("temperature_noise", "f8"),
        ("humidity_noise", "f8"),
        ("pressure_noise", "f8"),
        ("pressure_offset", "f8"),
        ("temperature_offset", "f8"),
        ("light_gain", "f8"),
        ("supply", "f8"),  # mV
        ("skew", "f8"),  # of the clock, ppm
    ]
)


def device_name(number: int, seed: int) -> str:
    """Return the name of a simulated device: an Espressif address.

    Examples
    --------
    >>> device_name(3, 0) != device_name(4, 0), len(device_name(3, 0))
    (True, 12)
    """
    # The low byte is the number, so that names never collide within 256 devices;
    # beyond, the middle ones count on.
    mixed = zlib.crc32(f"{seed}".encode()) & 0xFF
    return f"24a160{mixed:02x}{number:04x}"


def mistyped(place: str) -> str:
    """Return a legal location code that is the wrong one.

    Examples
    --------
    >>> mistyped("5.10.A")
    '5.10.B'
    """
    head, _, replica = place.rpartition(".")
    return f"{head}.{chr((ord(replica) - 64) % 26 + 65)}"


def draw_fleet(
    devices: int,
    climate: Climate,
    *,
    garden: Garden | None = None,
    soil: Soil | None = None,
    chamber: Chamber | None = None,
    sensor: Sensor | None = None,
    mixing: Mixing | None = None,
    seed: int = 0,
) -> Fleet:
    """Draw the devices of a fleet, their soils and their sensors.

    Parameters
    ----------
    devices : int
        How many.
    climate : Climate
        The air they stand in.
    garden, soil, chamber, sensor, mixing
        Settings; defaults where left out.
    seed : int
        Of the draws.

    Returns
    -------
    Fleet

    Raises
    ------
    InputError
        If there is no device, or more than the location codes can name.
    """
    if devices < 1:
        raise InputError(f"a fleet needs at least one device, got {devices}")
    garden, soil = garden or Garden(), soil or SOIL
    chamber, sensor = chamber or Chamber(), sensor or SENSOR
    mixing = mixing or Mixing()
    places = garden.places(devices)
    slow = climate.slow
    steps = len(slow["temperature"])
    seconds = np.arange(steps) * SLOW_STEP
    tables = tuple(dict.fromkeys(place[0] for place in places))
    layout = Layout(
        tables=tables,
        treatments=garden.treatments,
        replicas=garden.replicas,
        start=pd.Timestamp(climate.start, unit="ms").isoformat(),
        days=steps * SLOW_STEP / 86_400.0,
        period=SLOW_STEP,
    )
    pots = [(".".join(p), p[0], f"{p[0]}.{p[1]}", p[2]) for p in places]
    # Faults are laid over the soils later: here everything is in good order.
    idle = np.zeros((devices, steps), np.int8)
    healthy = {"code": idle, "since": idle}
    rng = np.random.default_rng([seed, 8])
    state = soil_state(layout, soil, slow, healthy, pots, seconds, rng)
    rng = np.random.default_rng([seed, 2])
    records = _devices(devices, chamber, sensor, mixing, rng)
    return Fleet(
        tuple(device_name(i, seed) for i in range(devices)),
        tuple(".".join(place) for place in places),
        records,
        state["soil_flux"],
        soil.feedback,
        state["conductance"],
        soil.photosynthesis * slow["light"] / (slow["light"] + 10_000.0),
    )


def _devices(n: int, chamber: Chamber, sensor: Sensor, mixing: Mixing, rng):
    """Draw what stays with each of n devices."""
    records = np.zeros(n, DEVICE)
    draw = rng.standard_normal((12, n))
    records["height"] = chamber.height * (1.0 + chamber.volume_spread * draw[0])
    records["leak"] = mixing.leak * np.exp(mixing.leak_spread * draw[1])
    records["flush"] = 1.0 / mixing.flush
    records["pulses"] = 1.0 / mixing.pulses
    records["still"] = 1.0 / mixing.still
    records["transmission"] = mixing.transmission
    records["gain"] = 1.0 + sensor.gain_spread * draw[2]
    records["offset"] = sensor.offset_spread * draw[3]
    records["per_kelvin"] = sensor.drift_spread * draw[4]
    records["response"] = sensor.response
    # The sensor keeps its own beat: no two run in step, and none with the sampling.
    records["beat"] = 1000.0 * sensor.update * (1.0 + 0.002 * draw[5])
    records["noise"] = sensor.noise
    records["ar_noise"] = sensor.ar_noise
    records["ar"] = sensor.ar
    records["heating"] = sensor.self_heating + 0.2 * draw[6]
    records["temperature_noise"] = sensor.temperature_noise
    records["humidity_noise"] = sensor.humidity_noise
    records["pressure_noise"] = sensor.pressure_noise
    records["pressure_offset"] = mixing.pressure_spread * draw[7]
    records["temperature_offset"] = mixing.temperature_spread * draw[8]
    records["light_gain"] = 1.0 + 0.05 * draw[9]
    records["supply"] = 5000.0 + 30.0 * draw[10]
    # A crystal of the kind in the controller: +-10 ppm, taken as two deviations.
    records["skew"] = 5.0 * draw[11]
    return records
