"""Where satellites are, from the messages they broadcast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.gnss.rinex.kepler import glonass_states, kepler_states
from tilth.gnss.rinex.navigation import ELEMENTS, STATES
from tilth.gnss.rinex.times import WEEK

#: Furthest from their time that Kepler's elements are used, s. They are fitted to 4
#: or 6 hours around it (IS-GPS-200, table 20-XI); the file of one station has gaps.
KEPLER_REACH = 14_400.0

#: The same of GLONASS states, s. They hold for 15 minutes on either side (GLONASS ICD
#: 5.1, A.3.1.2), and are off by tens of m, 1e-4 degrees, after an hour.
GLONASS_REACH = 3600.0

#: BeiDou satellites in geostationary orbits: their elements are of another frame.
_BEIDOU_STILL = np.array([301, 302, 303, 304, 305, 359, 360, 361, 362, 363])

_ORDER = (
    "element_time", "root_of_axis", "mean_motion_difference", "mean_anomaly",
    "eccentricity", "perigee", "latitude_cosine", "latitude_sine", "radius_cosine",
    "radius_sine", "inclination_cosine", "inclination_sine", "inclination",
    "inclination_rate", "node", "node_rate", "time_of_elements",
)  # fmt: skip

_STATE_ORDER = (
    "x", "y", "z", "x_velocity", "y_velocity", "z_velocity", "x_acceleration",
    "y_acceleration", "z_acceleration",
)  # fmt: skip


class BroadcastOrbits:
    """Orbits of broadcast messages: GPS, GLONASS, Galileo and BeiDou.

    Of each satellite the message nearest in time is used, up to `KEPLER_REACH` and
    `GLONASS_REACH`; BeiDou satellites in geostationary orbits, which are of no use
    here, have none. Good to a few m (Montenbruck et al. 2015, GPS Solutions 19, 321).

    Parameters
    ----------
    messages : xarray.Dataset or sequence of them
        Of `tilth.gnss.rinex.navigation.read_navigation`, such as of several stations
        or constellations.

    Raises
    ------
    InputError
        If these are no messages.
    """

    def __init__(self, messages: xr.Dataset | Sequence[xr.Dataset]) -> None:
        tables = [messages] if isinstance(messages, xr.Dataset) else list(messages)
        if not tables:
            raise InputError("broadcast orbits need at least one table of messages")
        for table in tables:
            names = ("satellite", "element_time", *ELEMENTS, *STATES)
            require_variables(table, names, "a table of navigation messages")
        every = tables[0] if len(tables) == 1 else xr.concat(tables, "record")
        order = np.lexsort((every["element_time"].values, every["satellite"].values))
        every = every.isel(record=order)
        self.satellite = every["satellite"].values.astype("int64")
        self.time = every["element_time"].values
        self._constellation = self.satellite // 100
        self._elements = np.column_stack([every[name].values for name in _ORDER])
        states = np.column_stack([every[name].values for name in _STATE_ORDER])
        self._states = states * 1e3  # km to m
        #: GLONASS slot -> frequency channel, of the messages.
        self.glonass_channels: Mapping[int, int] = {
            int(one) % 100: int(channel)
            for one, channel in zip(
                self.satellite, every["channel"].values, strict=True
            )
            if one // 100 == 1
        }

    def states(
        self, satellite: npt.ArrayLike, time: npt.ArrayLike
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return where satellites are and how they move.

        Parameters
        ----------
        satellite : array_like of int, shape (n)
            Their numbers.
        time : array_like, shape (n)
            Seconds of GPS time.

        Returns
        -------
        position, velocity : numpy.ndarray, shape (n, 3)
            Earth-centred earth-fixed, m and m s-1; NaN where no message is near.
        """
        wanted = np.asarray(satellite, "int64")
        moment = np.asarray(time, float)
        record = self._nearest(wanted, moment)
        out = np.full((wanted.size, 6), np.nan)
        glonass = wanted // 100 == 1
        kepler_states(
            np.where(glonass, -1, record), moment, self._elements,
            self._constellation, out,
        )  # fmt: skip
        if glonass.any():
            glonass_states(
                np.where(glonass, record, -1), moment, self.time, self._states, out
            )
        return out[:, :3], out[:, 3:]

    def _nearest(self, satellite: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Return the record nearest in time of every satellite, or -1."""
        # Records are sorted by satellite and time: one search finds both, with a
        # satellite's number worth more than any time (1e4 weeks are 190 years).
        span = 1e4 * WEEK
        keys = self.satellite * span + self.time
        after = np.searchsorted(keys, satellite * span + time)
        best = np.full(satellite.size, -1)
        distance = np.full(satellite.size, np.inf)
        reach = np.where(satellite // 100 == 1, GLONASS_REACH, KEPLER_REACH)
        for candidate in (after - 1, after):
            there = np.clip(candidate, 0, self.satellite.size - 1)
            gap = np.abs(self.time[there] - time)
            good = (self.satellite[there] == satellite) & (gap <= reach)
            good &= gap < distance
            best = np.where(good, there, best)
            distance = np.where(good, gap, distance)
        return np.where(np.isin(satellite, _BEIDOU_STILL), -1, best)
