"""A fleet that exists in numbers only: everything the pages need, without a store.

Readings follow from device and time alone, so that any span can be asked for. People's
decisions lie in a real control file.
"""

import contextlib
import queue

import numpy as np
import pyarrow as pa
from prometheus_client import CollectorRegistry

from tilth.core.errors import InputError
from tilth.fleet.clock import DAY_MS, day_name, day_of
from tilth.fleet.rollout import DeviceNow, Rollouts
from tilth.web.adapter_control import ControlPart, require_device
from tilth.web.decimate import columns_of
from tilth.web.model import (
    Boot,
    Cycle,
    CycleReadings,
    Effect,
    Event,
    Firmware,
    Health,
    LedgerDay,
    Tile,
    Trace,
    VariantSeries,
)

#: 2025-07-20 08:26:40 UTC.
NOW = 1_753_000_000_000
CYCLE_MS = 600_000
CLOSED_MS = 180_000
SAMPLE_MS = 3_000

#: What a hostile device might call itself and say.
HOSTILE = '"><script>alert(1)</script>'

VARIANTS = {
    "5.0": 0.62, "5.1": 0.78, "5.2": 0.66, "5.10": 1.02,
    "6.0": 0.55, "6.3": 0.47, "6.7": 0.91,
    "9.0": 0.71, "9.1": 0.83, "9.4": 0.60, "9.10": 0.38, "9.12": 0.74,
}  # fmt: skip


class Queue:
    """A bounded queue of updates that forgets its oldest."""

    def __init__(self):
        self.items = queue.Queue(maxsize=1000)

    def put(self, update):
        while True:
            try:
                return self.items.put_nowait(update)
            except queue.Full:
                with contextlib.suppress(queue.Empty):  # the reader was faster
                    self.items.get_nowait()

    def get(self, timeout=None):
        try:
            return self.items.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self):
        self.items.put_nowait(None)


class GeneratedFleet(ControlPart):
    """See the module. `hostile` adds a device whose texts are attacks."""

    def __init__(self, control, *, clock=lambda: NOW, hostile=False, replicas="ABCD"):
        super().__init__(control)
        self.clock = clock
        self.places_of = {}
        for i, variant in enumerate(VARIANTS):
            for j, replica in enumerate(replicas):
                self.places_of[f"a4cf12{i:02x}{j:02x}7b"] = f"{variant}.{replica}"
        if hostile:
            self.places_of["ffffffffffff"] = HOSTILE
        self._settle(NOW - 40 * DAY_MS)
        self.queues = []
        self.sent = []
        self.problems = ()
        self.registry = CollectorRegistry()
        self.rollouts = Rollouts(control, self.send, self.devices_now, self.clock)
        self.bundles = {}

    def _settle(self, t):
        """Enter all devices and their placements, in one transaction."""
        with self.control.transaction() as run:
            for i, (device, loc) in enumerate(self.places_of.items(), 1):
                run.execute(
                    "INSERT OR IGNORE INTO devices(device, enrolled_at, changed_at)"
                    " VALUES (?, ?, ?)",
                    (device, t, t),
                )
                said = (device, loc, t, "touch", t)
                run.execute(
                    "INSERT INTO placement_log(device, loc, t_from, source, entered_at,"
                    " entered_by) VALUES (?, ?, ?, ?, ?, '')",
                    said,
                )
                run.execute(
                    "INSERT INTO placements(device, loc, t_from, source, entered_at,"
                    " statement) VALUES (?, ?, ?, ?, ?, ?)",
                    (*said, i),
                )

    # Physics, as far as a page can tell

    def _rate(self, device):
        loc = self.places_of[device]
        base = VARIANTS.get(loc.rsplit(".", 1)[0], 0.5)
        return base * (1 + 0.12 * np.sin(int(device, 16) % 97))

    def _flux(self, device, t):
        hours = np.asarray(t) / 3_600_000.0
        day = 1 + 0.35 * np.sin(2 * np.pi * (hours - 9) / 24)
        noise = np.sin(np.asarray(t) / 600_000.0 * 12.9898 + int(device, 16) % 89)
        return self._rate(device) * (day + 0.06 * noise)

    def _samples(self, device, start, end):
        first = -(-start // SAMPLE_MS) * SAMPLE_MS
        t = np.arange(first, min(end, self.clock()), SAMPLE_MS, dtype=np.int64)
        phase = t % CYCLE_MS
        closed = phase < CLOSED_MS
        hours = t / 3_600_000.0
        ambient = 430 + 25 * np.sin(2 * np.pi * (hours - 3) / 24)
        rise = (
            self._flux(device, t - phase) * 0.148 * np.minimum(phase, CLOSED_MS) / 1e3
        )
        decay = np.where(closed, 1.0, np.exp(-(phase - CLOSED_MS) / 25_000.0))
        noise = 1.8 * np.sin(t * 0.7318 + int(device, 16) % 101)
        light = np.clip(np.sin(2 * np.pi * (hours - 6) / 24), 0, None)
        warm = 17 + 7 * np.sin(2 * np.pi * (hours - 9) / 24)
        return t, {
            "co2": ambient + rise * decay + noise,
            "at": warm + 0.05 * noise,
            "st": warm + 1.6 + 0.05 * noise,
            "rh": 62 - 1.3 * (warm - 17) + np.where(closed, phase / 60_000.0, 0),
            "p": 981 + 4 * np.sin(2 * np.pi * hours / 80) + 0.02 * noise,
            "lux": 21_000 * light + 5 * noise * light,
            "mv": 4.98 + 0.01 * np.sin(hours) - np.where(phase < 3000, 0.12, 0),
        }

    # What is there now

    def tiles(self):
        now = self.clock()
        alarms = {}
        for alarm in self.alarms():
            alarms.setdefault(alarm.device, []).append(alarm.severity)
        out = []
        for i, (device, loc) in enumerate(self.places_of.items()):
            offline = i == 17
            t, values = self._samples(device, now - 60_000, now)
            closed_at = now // CYCLE_MS * CYCLE_MS - CYCLE_MS
            hours = now - np.arange(24, 0, -1) * 3_600_000
            spark = [float(value) for value in self._flux(device, hours)]
            if offline:
                spark[-7:] = [None] * 7
            own = alarms.get(device, [])
            order = ("info", "warning", "critical")
            worst = max(own, key=order.index, default="none")
            out.append(
                Tile(
                    device=device,
                    loc=loc,
                    co2=float(values["co2"][-1]),
                    co2_t=int(t[-1]),
                    state="closed" if now % CYCLE_MS < CLOSED_MS else "ambient",
                    online=not offline,
                    seen=now - (7 * 3_600_000 if offline else 2_000 + 700 * (i % 15)),
                    flux=float(self._flux(device, closed_at)),
                    flux_se=0.052,
                    flux_t=closed_at,
                    severity=worst,
                    alarms=len(own),
                    queued=812 if offline else 5,
                    fw="1.0.0",
                    spark=tuple(spark),
                )
            )
        return out

    def devices_now(self):
        return {tile.device: DeviceNow(tile.fw, tile.online) for tile in self.tiles()}

    def health(self):
        return Health(
            started=self.clock() - 3 * DAY_MS,
            queue_depth=0,
            commit_p99_ms=31.0,
            received=4_320_117,
            duplicates=2_114,
            quarantined=1,
            conflicts=0,
            problems=self.problems,
        )

    def subscribe(self):
        self.queues.append(Queue())
        return self.queues[-1]

    def say(self, **update):
        """Send an update to everybody who listens."""
        for listening in self.queues:
            listening.put(update)

    # One device

    def boots(self, device):
        require_device(list(self.places_of), device)
        now = self.clock()
        return [
            Boot("2a-9f3c1d77", now - 3 * 3_600_000, now, "1.0.0", "soft", "ntp",
                 -12.4, 3_592, 3_605, 0),
            Boot("29-aa55e210", now - 9 * 3_600_000, now - 3 * 3_600_000, "1.0.0",
                 "power", "mapped", -12.9, 7_214, 7_214, 0),
        ]  # fmt: skip

    def events(self, device, start, end):
        now = self.clock()
        body = HOSTILE if device == "ffffffffffff" else '{"to":"closed","why":"swept"}'
        return [
            Event(now - i * 200_000, device, "2a-9f3c1d77", 3_600 - 40 * i, kind, body)
            for i, kind in enumerate(("state", "cycle", "state", "sync", "boot"))
        ]

    def traces(self, device, channels, start, end, columns):
        t, values = self._samples(device, start, end)
        return [
            Trace(name, *columns_of(t, values[name], start, end, columns), len(t))
            for name in channels
        ]

    def closures(self, device, start, end):
        first = start // CYCLE_MS * CYCLE_MS
        return [
            (t, t + CLOSED_MS)
            for t in range(first, min(end, self.clock()), CYCLE_MS)
            if t + CLOSED_MS > start
        ]

    # Fluxes

    def cycles(self, start, end, device=None):
        out = []
        last = min(end, self.clock()) // CYCLE_MS * CYCLE_MS
        for one in [device] if device else self.places_of:
            for t in range(last - CYCLE_MS, start, -CYCLE_MS):
                low = (t // CYCLE_MS) % 37 == 5
                flux = float(self._flux(one, t)) * (0.02 if low else 1)
                out.append(
                    Cycle(one, "2a-9f3c1d77", t // CYCLE_MS % 10_000, t,
                          self.places_of[one], flux, 0.052, 0.11,
                          "exponential" if t % 7 else "linear",
                          "longest" if low else "normal", 300.0 if low else 180.0,
                          ("below detection",) if low else ()),
                )  # fmt: skip
        return sorted(out, key=lambda cycle: -cycle.t)

    def readings(self, device, boot, seq):
        now = self.clock()
        span = now - 2 * DAY_MS, now
        found = [c for c in self.cycles(*span, device) if c.seq == seq]
        if not found or boot != "2a-9f3c1d77":
            return None
        cycle = found[0]
        t, values = self._samples(device, cycle.t - 15_000, cycle.t + CLOSED_MS)
        elapsed = (t - cycle.t) / 1000.0
        fit = np.linspace(0, 180, 61)
        start = values["co2"][elapsed >= 0][0]
        return CycleReadings(
            cycle, elapsed, values["co2"], elapsed > 20, fit,
            start + cycle.flux * 0.148 * fit,
            {"Curve": "exponential, chosen by AICc", "Residual": "1.3 ppm",
             "Air": "21.3 °C, 981 hPa"},
        )  # fmt: skip

    def variants(self, start, end, night=True):
        hour = 3_600_000
        t = np.arange(-(-start // hour) * hour, min(end, self.clock()), hour)
        out = []
        for variant in VARIANTS:
            devices = [d for d, loc in self.places_of.items()
                       if loc.rsplit(".", 1)[0] == variant]  # fmt: skip
            table = np.array([self._flux(device, t) for device in devices])
            mean = table.mean(axis=0)
            se = table.std(axis=0, ddof=1) / np.sqrt(len(devices))
            out.append(
                VariantSeries(variant, len(devices), 6 * table.size,
                              float(mean.mean()), float(se.mean()), t, mean, se)
            )  # fmt: skip
        return out

    def effects(self, start, end, night=True):
        out = []
        for variant, level in VARIANTS.items():
            control = variant.split(".")[0] + ".0"
            if variant == control:
                continue
            ratio = level / VARIANTS[control]
            out.append(Effect(variant, control, ratio, ratio * 0.84, ratio * 1.19,
                              140, 4, ""))  # fmt: skip
        out.append(Effect("6.9", "6.0", None, None, None, 3, 1,
                          "no interval: 3 common hours on 1 day"))  # fmt: skip
        return out

    # Completeness

    def ledger(self, first_day, last_day, device=None):
        today = day_of(self.clock())
        out = []
        for i, (one, loc) in enumerate(self.places_of.items()):
            if device and one != device:
                continue
            for day in range(today - 13, today + 1):
                name = day_name(day)
                if not first_day <= name <= last_day:
                    continue
                open_day = day == today
                expected = 28_800 if not open_day else 10_100
                late = 9_000 if i % 11 == 3 and day % 4 == 1 else 0
                dropped = 40 if i == 9 and day == today - 3 else 0
                pending = 812 if i == 17 and open_day else 0
                out.append(
                    LedgerDay(one, loc, name, expected,
                              expected - dropped - pending, late, 3 * (i % 5),
                              dropped, pending, None if open_day else 0,
                              "boot 29-aa55e210: 0 to 7214 without a hole"),
                )  # fmt: skip
        return out

    # Alarms: see the control file

    def acknowledge(self, alarm, by, note):
        if not self.control.write(
            "UPDATE alarms SET acked_at = ?, acked_by = ? WHERE id = ?",
            *(self.clock(), by, alarm),
        ):
            raise InputError(f"no alarm {alarm!r}")

    def snooze(self, alarm, until, by):
        self.control.write(
            "UPDATE alarms SET snoozed_until = ? WHERE id = ?", until, alarm
        )

    def raise_alarm(self, rule, device, severity, message, age_ms=600_000):
        """Enter an alarm as the engine would."""
        t = self.clock() - age_ms
        self.control.write(
            "INSERT INTO alarms(rule, subject, severity, state, opened, fired, updated,"
            " message) VALUES (?, ?, ?, 'firing', ?, ?, ?, ?)",
            *(rule, device, severity, t, t, t, message),
        )

    # Commands

    def send(self, device, cmd, args, not_before, not_after, by):
        name = super().send(device, cmd, args, not_before, not_after, by)
        self.control.set_command_state(name, "sent")
        self.sent.append((device, cmd, dict(args), not_before, not_after, name))
        return name

    # Firmware

    def add_firmware(self, bundle, manifest, by, address):
        if not manifest.startswith(b"{"):
            raise InputError("the manifest is not JSON")
        version = "1.1.0"
        self.bundles[version] = self.control.folder / f"{version}.bundle"
        self.bundles[version].write_bytes(bundle)
        self.control.write(
            "INSERT INTO firmware(version, file, size, sha256, manifest, added,"
            " added_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(version, "x", len(bundle), "0" * 64, manifest.decode(), self.clock(), by),
        )
        return Firmware(version, len(bundle), "0" * 64, self.clock(), by)

    def bundle(self, version):
        return self.bundles.get(version)

    # Export

    def sample_batches(self, start, end, devices):
        for device in devices or self.places_of:
            for day in range(start, end, DAY_MS):
                t, values = self._samples(device, day, min(day + DAY_MS, end))
                yield pa.record_batch(
                    {
                        "time": pa.array(t, pa.timestamp("ms", "UTC")),
                        "device": pa.array([device] * len(t)),
                        "location": pa.array([self.places_of[device]] * len(t)),
                        **{name: pa.array(values[name]) for name in values},
                    }
                )

    def flux_batches(self, start, end, devices):
        rows = [
            c for c in self.cycles(start, end) if not devices or c.device in devices
        ]
        rows.reverse()
        yield pa.record_batch(
            {
                "time": pa.array([c.t for c in rows], pa.timestamp("ms", "UTC")),
                "device": pa.array([c.device for c in rows]),
                "location": pa.array([c.loc for c in rows]),
                "flux": pa.array([c.flux for c in rows], pa.float64()),
                "flux_se": pa.array([c.flux_se for c in rows], pa.float64()),
            }
        )
