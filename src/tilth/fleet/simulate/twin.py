"""A chamber made of physics: the hardware layer that the real firmware runs on."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from tilth.fleet.simulate.air import catch_up, move_lid, sense, supply
from tilth.fleet.simulate.chips import Bh1750, Bmp280, Bus, Scd30
from tilth.fleet.simulate.flash import MemoryFlash
from tilth.fleet.simulate.layouts import FULL, STILL
from tilth.fleet.simulate.network import Net, Transport
from tilth.fleet.simulate.plan import DAY_MS, MINUTE_MS, WHOLE_FLEET, Episode
from tilth.fleet.simulate.pots import mistyped
from tilth.fleet.simulate.world import FAR, FleetWorld

#: A servo this near to the pulse of the closed lid holds it shut, us.
_SHUT_WITHIN = 60
#: How long a blocked servo takes to pull the supply down, ms.
_STALL_MS = 700
#: From a reset to the firmware's first line, ms.
RESTART_MS = 2_000
#: 8 February 2036, 06:28:16 UTC: one second after the time of the network's protocol
#: has run over.
_YEAR_2036 = 2_086_072_096_000


class Reset(BaseException):
    """The chip has been reset; the runner starts it again.

    Not an `Exception`: the firmware must not catch it.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class ChamberTwin:
    """One chamber: `hw` for the firmware, with the physics of its pot behind.

    Time moves only when the runner sets `now`. The air is integrated in closed form
    when somebody asks for it or the lid or the fan changes.

    Parameters
    ----------
    world : FleetWorld
        What is true.
    device : int
        Number in the fleet.
    dial : callable
        Called with host and port; returns a `Transport` to the broker.
    lid_closed_us : int
        Pulse of the closed lid, as the firmware is set.

    Attributes
    ----------
    now : int
        True time, UTC ms.
    fs : MemoryFlash
        The flash.
    net : Net
        The network.
    bus : Bus
        The I2C bus with its chips.
    keys : list of str
        Touches to come.
    screen : list of str
        What the display shows.
    reset_at : int
        True time at which the supply fails next; far if it does not.
    edge : int
        True time at which the next fault begins or ends.
    lid_log : list of (int, int)
        True time and position, 1 shut, of every change of the lid.
    """

    def __init__(
        self,
        world: FleetWorld,
        device: int,
        dial: Callable[[str, int], Transport],
        lid_closed_us: int = 1_167,
    ) -> None:
        self.world, self.device = world, device
        self.name = world.fleet.names[device]
        self.location = world.fleet.places[device]
        self.random = random.Random(f"{world.seed} {device} chip")
        self.now = world.start
        self.state = world.first_state(device)
        self._s = self.state[0]
        self._d = world.fleet.devices[device : device + 1]
        self._seen = np.zeros(6)
        self._draught = self._s["draught"] = STILL
        self.episodes: list[Episode] = [
            e for e in world.episodes if e.device in (device, WHOLE_FLEET)
        ]
        self.edge = 0
        self._on: set[str] = set()
        self._begin = self._end = self._integrated = world.start
        self.lid = 0
        self._n_beat = self._n = self._taken = -1
        self._new_day()
        self.fs = MemoryFlash(seed=device)
        self.scd30 = Scd30(self, self.random)
        self.bh1750 = Bh1750(self)
        self.bus = Bus({0x61: self.scd30, 0x76: Bmp280(self), 0x23: self.bh1750})
        self.net = Net(self, dial, self.episodes, self.random)
        self.lid_closed_us = lid_closed_us
        self.servo = 0
        self._moving_until = 0
        self.keys: list[str] = []
        self._typed = self.location
        self.screen: list[str] = []
        self.lid_log: list[tuple[int, int]] = []
        self.slot = ""
        self._cause = "power"
        self._rtc_error = 0
        self._rtc_empty = False
        self.reset_at = FAR
        self.fed_at = 0
        self._tick_base, self._t_base, self._rate = 0.0, float(world.start), 1.0
        self._sampled = -1
        self._shown = [0.0] * 6
        # Switched on when `run_fleet` first starts it.
        self.starts_at = int(self._s["restart_at"]) + RESTART_MS

    # --- what the firmware calls

    def ticks_ms(self) -> int:
        """Return ms since the start of the chip, by its own clock."""
        return round(self._tick_base + (self.now - self._t_base) * self._rate)

    def mac(self) -> str:
        """Return the address."""
        return self.name

    def random32(self) -> int:
        """Return 32 random bits."""
        return self.random.getrandbits(32)

    def rtc_read(self) -> int | None:
        """Return UTC ms of the battery clock, whole seconds; None if it is empty."""
        if "year_2036" in self._on:
            return _YEAR_2036 + self.now - self.world.start
        if self._rtc_empty or "no_rtc" in self._on:
            return None
        return (self.now + self._rtc_error) // 1000 * 1000

    def rtc_write(self, utc: int) -> None:
        """Set the battery clock."""
        self._rtc_error = utc - self.now
        self._rtc_empty = False

    def cause(self) -> str:
        """Return why the chip started."""
        return self._cause

    def i2c_write(self, address: int, data: bytes) -> None:
        """Write to a chip on the bus."""
        self.bus.write(address, data, self.now)

    def i2c_read(self, address: int, n: int) -> bytes:
        """Read from a chip on the bus."""
        return self.bus.read(address, n, self.now)

    def i2c_recover(self) -> None:
        """Give nine clock pulses; a bus that hangs here does not care."""

    def servo_us(self, us: int) -> None:
        """Move the servo, and the lid with it."""
        if us == 0 or us == self.servo:
            return
        self._air_now()
        if self._minutes["supply"][self._at()] > 0.0 and self.servo:
            # Blocked: the motor draws what it can until the chip gives up.
            self.reset_at = min(self.reset_at, self.now + _STALL_MS)
            return
        # 0.9 s for 2000 us (270 degrees).
        self._moving_until = self.now + abs(us - self.servo) * 9 // 20
        self.servo = us
        shut = int(abs(us - self.lid_closed_us) <= _SHUT_WITHIN)
        if shut != int(self._s["wanted"]):
            move_lid(self.state, self._minutes, self._at(), shut)
        if int(self._s["lid"]) != self.lid:
            self.lid = int(self._s["lid"])
            self.lid_log.append((self.now, self.lid))

    def fan(self, on: bool) -> None:
        """Switch the fan."""
        draught = FULL if on else STILL
        if draught != self._draught:
            self._air_now()
            self._draught = self._s["draught"] = draught

    def supply_mv(self) -> int | None:
        """Return the supply, mV."""
        if self.reset_at <= self.now + _STALL_MS:
            sag = int(self._minutes["supply"][self._at()])
            if sag:
                return sag
        moving = self.now < self._moving_until
        blowing = self._draught == FULL
        z = self._noise[max(self._n, 0), 5]
        return int(supply(self._d, self._minutes, self._at(), z, moving, blowing))

    def wdt_feed(self) -> None:
        """Feed the watchdog."""
        self.fed_at = self.now

    def reset(self) -> None:
        """Reset the chip; does not return."""
        raise Reset("soft")

    def show(self, lines) -> None:
        """Show lines of text."""
        self.screen = list(lines)

    def touch(self) -> str | None:
        """Return the next touched key."""
        return self.keys.pop(0) if self.keys else None

    # --- what the chips measure

    def fresh(self, t: int) -> bool:
        """Tell whether the CO2 sensor has taken a value since the last was read."""
        self._look_at_air()
        return self._n_beat != self._taken

    def co2(self, t: int) -> tuple[float, float, float]:
        """Return CO2 (ppm), temperature (degC), humidity (%) as their sensor does."""
        self._look_at_air()
        self._taken = self._n_beat
        return self._shown[0], self._shown[1], self._shown[2]

    def air(self, t: int) -> tuple[float, float]:
        """Return temperature (degC) and pressure (Pa) as the barometer does."""
        self._look_at_air()
        return self._shown[3], self._shown[4]

    def light(self, t: int) -> float:
        """Return light as its sensor does, lux."""
        self._look_at_air()
        return self._shown[5]

    # --- what the runner calls

    def boot(self, cause: str) -> None:
        """Start the chip `now`: ticks from zero, outputs off."""
        self._air_now()
        self._cause = cause
        self._tick_base, self._t_base = 0.0, float(self.now)
        self.reset_at = FAR
        self.fed_at = self.now
        self.servo = 0
        self._draught = self._s["draught"] = STILL
        if cause in ("power", "brownout"):
            self.bus.power_up()
        self.fs.power_cut()
        self.net.booted()
        self.edge = 0
        self.look()

    def true_of(self, tick: int) -> int:
        """Return the first true time at which `ticks_ms` shows at least `tick`."""
        if tick >= FAR:
            return FAR
        t = int(self._t_base + (tick - self._tick_base) / self._rate)
        while round(self._tick_base + (t - self._t_base) * self._rate) < tick:
            t += 1
        return t

    def look(self) -> None:
        """Let the faults begin and end that do so by `now`."""
        now = self.now
        if now < self.edge:
            return
        on = {e.kind: e for e in self.episodes if e.t_from <= now < e.t_to}
        edges = [t for e in self.episodes for t in (e.t_from, e.t_to) if t > now]
        self.edge = min(edges, default=FAR)
        began, self._on = set(on) - self._on, set(on)
        self._set_clock()
        self.bus.hung = "i2c_hang" in on
        self.bus.away = {Bh1750.ADDRESS} if "light_error" in on else set()
        self.scd30.frozen = "frozen" in on
        self.scd30.zero = "zero_ppm" in on
        self.scd30.damaged = min(on["crc_errors"].size, 1) if "crc_errors" in on else 0
        self.bh1750.saturated = "light_saturation" in on
        self.fs.full = "flash_full" in on
        if "brownout_loop" in on:
            wait = int(1000 * max(on["brownout_loop"].size, 5.0))
            self.reset_at = min(self.reset_at, now + wait)
        elif "servo_stall" not in on:
            self.reset_at = FAR
        if "flash_corrupt" in began:
            self.fs.flip(max(1, int(on["flash_corrupt"].size)), "/data")
        if "no_rtc" in began:
            self._rtc_empty = True
        if "seq_reset" in began:
            self.forget_boots()
        place = self.place_now()
        if place != self._typed:
            self._typed = place
            self.keys += ["ok", *place, "ok"]

    def clone(self, dial: Callable[[str, int], Transport]) -> ChamberTwin:
        """Return a second device with the same address and the same flash."""
        other = ChamberTwin(self.world, self.device, dial, self.lid_closed_us)
        other.random = random.Random(f"{self.world.seed} {self.device} clone")
        other.fs = self.fs.copy(seed=self.device + 1)
        other.now = self.now
        other._air_now()
        return other

    def forget_boots(self) -> None:
        """Forget how often the chip has started, and restart it."""
        for name in ("/data/boots", "/data/boots.old"):
            if self.fs.read(name) is not None:
                self.fs.remove(name)
        self.reset_at = self.now

    def place_now(self) -> str:
        """Return the location code its keeper believes the chamber to have."""
        wrong = "wrong_location" in self._on
        return mistyped(self.location) if wrong else self.location

    # --- the physics behind

    def _at(self) -> int:
        return min((self.now - self._begin) // MINUTE_MS, self._last)

    def _air_now(self) -> None:
        """Integrate the air up to now."""
        while self.now >= self._end:
            self._catch_up(self._end)
            self._new_day()
        if self.now > self._integrated:
            self._catch_up(self.now)

    def _catch_up(self, until: int) -> None:
        self._n_beat = catch_up(
            self.state, self._d, self._minutes, self._begin, until, self._beats,
            self._n_beat,
        )  # fmt: skip
        self._integrated = until
        lid = int(self._s["lid"])
        if lid != self.lid:
            self.lid = lid
            self.lid_log.append((until, lid))

    def _new_day(self) -> None:
        """Take the weather and the noise of the next day."""
        world = self.world
        self._begin = self._end
        self._end = min((self._begin // DAY_MS + 1) * DAY_MS, world.end + 7 * DAY_MS)
        # One minute more: what it brings is needed at midnight.
        self._minutes = world.forcing.minutes(
            self.device, self._begin, self._end + MINUTE_MS
        )
        self._last = len(self._minutes) - 1
        self._beats, self._noise, self._chance = world.noise(
            self.device, self._begin // DAY_MS
        )
        self._n_beat, self._n, self._taken = 0, -1, -1

    def _look_at_air(self) -> None:
        """Integrate up to now, and let all sensors see it, once for each moment."""
        if self.now == self._sampled:
            return
        self._air_now()
        self._sampled = self.now
        self._n = (self._n + 1) % len(self._noise)
        sense(
            self.state, self._d, self._minutes, self._at(), self._noise, self._n,
            self._seen,
        )  # fmt: skip
        self._shown = self._seen.tolist()

    def _set_clock(self) -> None:
        """Let the chip's clock run at the rate it has now."""
        skew = float(self._d["skew"][0])
        for episode in self.episodes:
            if (
                episode.kind == "clock_skew"
                and episode.t_from <= self.now < episode.t_to
            ):
                skew += float(np.clip(episode.size, -300.0, 300.0))
        rate = 1.0 + 1e-6 * skew
        if rate != self._rate:
            self._tick_base += (self.now - self._t_base) * self._rate
            self._t_base = float(self.now)
            self._rate = rate
