"""What drives one chamber minute by minute: weather, soil and the faults laid on."""

from __future__ import annotations

import numpy as np

from tilth.chambers.air import air_moles_per_area
from tilth.fleet.simulate.climate import SLOW_STEP, Climate
from tilth.fleet.simulate.faults import FAULT_BITS
from tilth.fleet.simulate.layouts import MINUTE
from tilth.fleet.simulate.plan import DAY_MS, MINUTE_MS, WHOLE_FLEET, Episode
from tilth.fleet.simulate.pots import Fleet

#: CO2 at which the uptake by plants is given, ppm; it is taken as proportional.
UPTAKE_AT = 450.0
#: Soil surface to chamber air, mol m-2 s-1, at night and more by day: stomata.
VAPOUR_CONDUCTANCE = 0.004
#: Faults that leave the air, the sensors or the lid otherwise than without them.
_LIDS = {"stuck_closed": 1, "stuck_open": 2}
_SENSORS = {"frozen": 1, "zero_ppm": 2, "i2c_hang": 3}
_EYES = {"light_saturation": 1, "light_error": 2}


class Forcing:
    """The forcing of every chamber of a fleet.

    Parameters
    ----------
    climate : Climate
        The air outside.
    fleet : Fleet
        The devices and their soils.
    episodes : sequence of Episode
        What fails when.
    drift : float
        Random walk of the zero of a CO2 sensor, ppm per square root of a day.
    seed : int
        Of the draws made here: the drift, and how near a person stands.
    """

    def __init__(self, climate: Climate, fleet: Fleet, episodes, drift, seed) -> None:
        self.climate, self.fleet, self.seed = climate, fleet, seed
        devices = len(fleet.names)
        self.episodes: list[list[Episode]] = [[] for _ in range(devices)]
        for episode in episodes:
            hit = range(devices) if episode.device == WHOLE_FLEET else [episode.device]
            for device in hit:
                self.episodes[device].append(episode)
        days = len(climate.co2) // 1440 + 2
        rng = np.random.default_rng([seed, 3])
        steps = drift * rng.standard_normal((devices, days))
        self.drift = np.cumsum(steps, axis=1) - steps[:, :1]
        self.nearness = np.exp(0.5 * rng.standard_normal(devices))

    def minutes(self, device: int, begin: int, end: int) -> np.ndarray:
        """Return the forcing of one chamber from `begin` to `end`.

        Parameters
        ----------
        device : int
            Number of the device.
        begin, end : int
            UTC ms; `begin` a whole minute of the climate.

        Returns
        -------
        numpy.ndarray
            `MINUTE`, one record per minute.
        """
        climate, fleet = self.climate, self.fleet
        first = (begin - climate.start) // MINUTE_MS
        last = -(-(end - climate.start) // MINUTE_MS)
        part = slice(first, min(last, len(climate.co2)))
        out = np.zeros(part.stop - part.start, MINUTE)
        slow = (np.arange(part.start, part.stop) * 60 // int(SLOW_STEP)).astype(int)
        vapour, light = climate.vapour[part], climate.light[part]
        height = float(fleet.devices["height"][device])
        moist = air_moles_per_area(
            height, 1.0, climate.pressure[part], climate.temperature[part]
        )
        moles = moist * (1.0 - vapour)
        out["moles"] = moles
        out["ambient"] = climate.co2[part]
        out["source"] = fleet.soil_flux[device, slow] / moles
        out["feedback"] = fleet.feedback
        out["conductance"] = fleet.conductance[device, slow] / moles
        out["uptake"] = fleet.uptake[slow] / moles / UPTAKE_AT
        out["leak"] = fleet.devices["leak"][device]
        out["vapour"] = vapour
        out["saturated"] = climate.saturated[part]
        out["moistening"] = VAPOUR_CONDUCTANCE * (1.0 + light / 10_000.0) / moist
        out["temperature"] = climate.temperature[part]
        out["pressure"] = climate.pressure[part]
        out["light"] = light
        out["slower"] = 1.0
        day = (begin - climate.start) / DAY_MS + np.arange(len(out)) / 1440.0
        out["offset"] = np.interp(
            day, np.arange(self.drift.shape[1]), self.drift[device]
        )
        for episode in self.episodes[device]:
            if episode.t_to > begin and episode.t_from < end:
                self._lay(episode, device, begin, out)
        return out

    def _lay(self, episode: Episode, device: int, begin: int, out: np.ndarray) -> None:
        """Lay one episode on the minutes it touches."""
        first = max(0, (episode.t_from - begin) // MINUTE_MS)
        rows = out[first : max(0, -(-(episode.t_to - begin) // MINUTE_MS))]
        if not len(rows):
            return
        kind, size = episode.kind, episode.size
        rows["faults"] |= FAULT_BITS[kind]
        lasted = (
            begin + (first + np.arange(len(rows))) * MINUTE_MS - episode.t_from
        ) / DAY_MS
        if kind in _LIDS:
            rows["lid"] = _LIDS[kind]
        elif kind in _SENSORS:
            rows["sensor"] = _SENSORS[kind]
        elif kind in _EYES:
            rows["eye"] = _EYES[kind]
        elif kind == "half_open":
            rows["leak"] *= size
        elif kind == "servo_stall":
            rows["supply"] = size
        elif kind == "clogged":
            for name in ("source", "feedback", "conductance", "uptake", "moistening"):
                rows[name] *= size
        elif kind == "offset_drift":
            rows["offset"] += size * lasted
        elif kind == "gain_drift":
            rows["gain"] += size * lasted
        elif kind == "crc_errors":
            rows["damaged"] = min(size, 1.0)
        elif kind == "fan_dead":
            rows["slower"] = max(size, 1.0)
        elif kind == "clock_skew":
            rows["skew"] += float(np.clip(size, -300.0, 300.0))
        elif kind == "brownout_loop":
            rows["restart"] = max(size, 5.0)
        elif kind == "wrong_location":
            rows["misplaced"] = 1
        elif kind == "person_breathing":
            rng = np.random.default_rng([self.seed, 4, device, episode.t_from // 1000])
            puffs = rng.gamma(2.0, 0.5, len(rows))
            rows["ambient"] += size * self.nearness[device] * puffs
