"""The firmware in the loop: many chambers in virtual time over one real broker."""

from __future__ import annotations

import heapq
import json
import selectors
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tilth.core.errors import InputError
from tilth.core.progress import progress
from tilth.fleet.simulate.endpoint import Endpoint
from tilth.fleet.simulate.firmware import firmware_module
from tilth.fleet.simulate.ledgers import BootLedger, Device, FleetRun
from tilth.fleet.simulate.network import SocketTransport, Transport
from tilth.fleet.simulate.plan import HOUR_MS, Episode
from tilth.fleet.simulate.twin import RESTART_MS, ChamberTwin, Reset
from tilth.fleet.simulate.world import FAR, FleetWorld, draw_world

#: Virtual time a device may run on while an answer is on its way, ms: below the 5 s
#: after which it would send again.
SLACK_MS = 4_000
#: How far devices may run ahead of one that waits, ms of virtual time.
SPREAD_MS = 30_000
#: Real time to wait for an answer before virtual time goes on without it, s.
PATIENCE_S = 5.0
#: Steps of devices between two looks at the sockets.
_STEPS = 16

Credentials = Callable[[str], Mapping[str, Any]] | Mapping[str, Mapping[str, Any]]


class FleetRunner:
    """Chambers in virtual time; `run_until` moves it on.

    A device's virtual time stands still while it waits for an answer that takes
    longer than `slack_ms` of it, so that no retransmission happens that a real fleet
    would not make; the others go on, at most `spread_ms` ahead of it. Use it as a
    context, or close it.

    Parameters
    ----------
    world : FleetWorld
        From `draw_world` with mode "loop".
    broker : tuple of (str, int) or Endpoint
        Host and port of an MQTT broker; or an endpoint in this process.
    credentials : callable or mapping, optional
        Device name to settings of the firmware: ``mqtt_user``, ``mqtt_password``,
        ``command_key`` (hexadecimal) and whatever else is its own.
    settings : mapping, optional
        Settings of the measurement that differ from the firmware's defaults, such as
        ``{"batch_ms": 60_000}``.
    slack_ms, spread_ms, patience_s
        See `SLACK_MS`, `SPREAD_MS` and `PATIENCE_S`.
    keep_records : bool
        Keep every sample that was generated in the ledgers, for comparison.

    Attributes
    ----------
    devices : list of Device
        The chambers; clones follow behind.
    now : int
        Virtual time, UTC ms.
    waited_s : float
        Real time spent waiting for answers.
    """

    def __init__(
        self,
        world: FleetWorld,
        broker: tuple[str, int] | Endpoint,
        credentials: Credentials | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        slack_ms: int = SLACK_MS,
        spread_ms: int = SPREAD_MS,
        patience_s: float = PATIENCE_S,
        keep_records: bool = False,
    ) -> None:
        made = firmware_module("clock").BUILD_MS
        if world.start < made:
            raise InputError(
                "the firmware takes times before it was made for errors: start on "
                f"{datetime.fromtimestamp(made / 1000, UTC):%Y-%m-%d} or later"
            )
        self.world, self.broker = world, broker
        self.slack_ms, self.spread_ms = slack_ms, spread_ms
        self.patience_s = patience_s
        self.keep_records = keep_records
        self.now = world.start
        self.waited_s = 0.0
        self._settings = dict(settings or {})
        self._selector = selectors.DefaultSelector()
        self._app = firmware_module("app").App
        self._heap: list[tuple[int, int, int]] = []
        self._parked: dict[int, tuple[int, int, float]] = {}
        self._count = 0
        self.devices: list[Device] = []
        for number in range(len(world.fleet.names)):
            twin = ChamberTwin(world, number, self._dial_for(number))
            self._prepare(twin, credentials)
            self._add(Device(twin, number))
        #: Episodes not over yet -> number of the clone, once it is there.
        self._clones: dict[Episode, int | None] = {
            e: None for e in world.episodes if e.kind == "cloned"
        }

    def __enter__(self) -> FleetRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def clock(self) -> int:
        """Return the virtual time of the foremost device: the clock for a server."""
        return self.now

    def run_until(self, t: int) -> None:
        """Run to a virtual time, UTC ms."""
        heap = self._heap
        while True:
            while heap and heap[0][2] != self.devices[heap[0][1]].version:
                heapq.heappop(heap)
            at, number, _ = heap[0] if heap else (FAR, -1, 0)
            last = min(t, self._parked_from() + self.spread_ms)
            if at >= last:
                if not self._parked:
                    break
                self._wait()
                continue
            heapq.heappop(heap)
            device = self.devices[number]
            since = device.twin.net.waiting.since()
            if since is not None and at - since > self.slack_ms:
                # Its time stands still until it has its answer.
                self._parked[number] = (at, device.version, time.monotonic())
                continue
            if at > self.now:
                self.now = at
                if self._clones:
                    self._handle_clones()
            self._step(device, at)
            self._count += 1
            if self._count >= _STEPS:
                self._poll(0.0)
        self.now = max(self.now, t)

    def settle(self, seconds: float = 5.0) -> bool:
        """Wait in real time, virtual time standing, until all answers are here.

        Returns
        -------
        bool
            Whether they are.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._poll(0.005)
            if all(d.twin.net.waiting.since() is None for d in self.devices):
                return True
            if time.monotonic() > deadline:
                return False

    def drain(self, limit_ms: int = 2 * HOUR_MS) -> bool:
        """Run on until the devices hold no more than what is newest.

        Returns
        -------
        bool
            Whether they do, after at most `limit_ms` of virtual time.
        """
        end = self.now + limit_ms
        while self.now < end:
            self.run_until(min(self.now + 60_000, end))
            self.settle()
            if all(d.pending() <= 25 for d in self.devices if not d.stopped):
                return True
        return False

    def power_cut(self, number: int) -> None:
        """Take a device's power away for a moment."""
        device = self.devices[number]
        device.twin.now = max(device.twin.now, self.now)
        self._went_off(device, "power")

    def switch_off(self, number: int) -> None:
        """Take a device's power away for good."""
        device = self.devices[number]
        device.twin.now = max(device.twin.now, self.now)
        self._went_off(device, "power")
        device.stopped = True
        self._plan(device, FAR)

    def close(self) -> None:
        """Break all connections."""
        for device in self.devices:
            device.note()
            device.twin.net.drop()
        self._selector.close()

    # --- devices

    def _prepare(self, twin: ChamberTwin, credentials: Credentials | None) -> None:
        """Write what a device has when it leaves the workshop into its flash."""
        keep, known = firmware_module("keep"), firmware_module("settings")
        host, port = self.broker if isinstance(self.broker, tuple) else ("endpoint", 0)
        own: dict[str, Any] = {
            "mqtt_host": host,
            "mqtt_port": port,
            "mqtt_tls": False,
            "ntp_host": "ntp",
        }
        if credentials is not None:
            own |= (
                credentials(twin.name)
                if callable(credentials)
                else credentials[twin.name]
            )
        twin.fs.put(known.SECRET, json.dumps(own).encode())
        twin.fs.put("/state/.folder", b"")
        twin.fs.remove("/state/.folder")
        if self._settings:
            try:
                changed = known.change(known.defaults(), self._settings)
            except ValueError as error:
                raise InputError(
                    f"the firmware refuses its settings: {error}"
                ) from None
            known.save(twin.fs, changed)
        keep.save(twin.fs, firmware_module("label").PATH, twin.location)

    def _add(self, device: Device) -> None:
        self.devices.append(device)
        heapq.heappush(self._heap, (device.at, device.number, device.version))

    def _plan(self, device: Device, at: int) -> None:
        """Wake a device next at this true time."""
        device.at = at
        device.version += 1
        self._parked.pop(device.number, None)
        heapq.heappush(self._heap, (at, device.number, device.version))

    def _step(self, device: Device, at: int) -> None:
        """Wake a device at a time, and again while something is there for it."""
        twin = device.twin
        twin.now = now = max(at, twin.now)
        try:
            twin.look()
            if twin.reset_at <= now and device.app is not None:
                raise Reset("brownout")
            if device.app is None:
                self._start(device)
            app = device.app
            while True:
                device.steps += 1
                tick = twin.ticks_ms()
                wake = app.step(tick)
                conn = twin.net.conn
                if conn is None or not conn.transport.readable:
                    break
        except Reset as reset:
            self._went_off(device, reset.cause)
            return
        at = max(twin.true_of(max(wake, tick + 1)), now + 1)
        self._plan(device, min(at, twin.reset_at, twin.edge))

    def _start(self, device: Device) -> None:
        """Start the chip: the firmware begins."""
        twin = device.twin
        twin.boot(device.cause)
        device.resets.append((twin.now, device.cause))
        device.app = app = self._app(twin)
        known = device.boots.setdefault(app.queue.boot, BootLedger())
        self._watch(device, app.queue, known)

    def _watch(self, device: Device, queue: Any, known: BootLedger) -> None:
        """Note what the queue generates, deletes and gives up."""
        delete, lose, keep = queue.ack, queue._notice, queue.append_sample
        boots = device.boots

        def ack(boot, seq):
            outcome = delete(boot, seq)
            if outcome == "progress":
                ledger = boots.setdefault(boot, BootLedger())
                ledger.deleted = max(ledger.deleted, seq)
            return outcome

        def notice(boot, first, last, reason):
            boots.setdefault(boot, BootLedger()).dropped.append((first, last))
            lose(boot, first, last, reason)

        def append_sample(row, tick, loc):
            seq = keep(row, tick, loc)
            known.rows[seq] = (tick, row)
            return seq

        queue.ack, queue._notice = ack, notice
        if self.keep_records:
            queue.append_sample = append_sample

    def _went_off(self, device: Device, cause: str) -> None:
        """Take note that a chip has stopped; it starts again."""
        device.note()
        device.app = None
        device.cause = cause
        device.twin.net.drop()
        device.twin.reset_at = FAR
        self._plan(device, device.twin.now + RESTART_MS)

    def _handle_clones(self) -> None:
        """Let the second devices of an address appear and vanish."""
        for episode in list(self._clones):
            number = self._clones[episode]
            if number is None and self.now >= episode.t_from:
                number = self._clones[episode] = len(self.devices)
                original = self.devices[episode.device].twin
                twin = original.clone(self._dial_for(number))
                twin.starts_at = self.now + RESTART_MS
                self._add(Device(twin, number, clone=True))
            elif number is not None and self.now >= episode.t_to:
                # What it still holds goes with it.
                del self._clones[episode]
                self.switch_off(number)

    # --- connections

    def _dial_for(self, number: int) -> Callable[[str, int], Transport]:
        """Return what makes the connections of one device."""
        broker = self.broker
        if isinstance(broker, Endpoint):
            return broker.dial

        def dial(host: str, port: int) -> Transport:
            transport = SocketTransport(host, port)
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.register(transport.socket, both, (number, transport))
            transport.on_close = lambda: self._forget(transport)
            return transport

        return dial

    def _forget(self, transport: SocketTransport) -> None:
        self._selector.unregister(transport.socket)

    def _poll(self, seconds: float) -> bool:
        """Wake the devices for which something has come; True if there was one."""
        self._count = 0
        if not self._selector.get_map():
            return False
        ready = self._selector.select(seconds)
        for key, events in ready:
            transport = key.data[1]
            if events & selectors.EVENT_WRITE:
                # Connected, or refused: from now on only what comes in matters.
                self._selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
            if events & selectors.EVENT_READ:
                transport.readable = True
        for key, _ in ready:
            device = self.devices[key.data[0]]
            conn = device.twin.net.conn
            if conn is not None and conn.transport is key.data[1]:
                # What comes while time goes on comes now; while it stands, at once.
                stands = device.number in self._parked
                at = device.twin.now if stands else min(self.now, device.at)
                self._step(device, at)
        return bool(ready)

    def _parked_from(self) -> int:
        """Return the time of the device that stands still furthest behind."""
        return min((at for at, _, _ in self._parked.values()), default=FAR)

    def _wait(self) -> None:
        """Wait in real time for an answer to one of the devices that stand still."""
        begun = time.monotonic()
        self._poll(0.002)
        now = time.monotonic()
        self.waited_s += now - begun
        # Without a socket nothing can come any more.
        alone = not self._selector.get_map()
        for number, (at, _, since) in list(self._parked.items()):
            if alone or now - since > self.patience_s:
                device = self.devices[number]
                device.twin.net.waiting.give_up()
                self._plan(device, at)


def run_fleet(
    devices: int = 10,
    days: float = 2.0,
    faults: Any = None,
    *,
    broker: tuple[str, int] | Endpoint,
    credentials: Credentials | None = None,
    settings: Mapping[str, Any] | None = None,
    start: str | int = "2026-07-06",
    seed: int = 0,
    on_hour: Callable[[FleetRunner], None] | None = None,
    on_start: Callable[[FleetRunner], None] | None = None,
    slack_ms: int = SLACK_MS,
    spread_ms: int = SPREAD_MS,
    patience_s: float = PATIENCE_S,
    keep_records: bool = False,
    **world_settings: Any,
) -> FleetRun:
    """Run the chambers' own firmware in virtual time over a real broker.

    Every byte is the firmware's: its cycle, its queue in flash, its MQTT client. Only
    the hardware is simulated, with the same physics and faults as in
    `simulate_fleet_records`, which is a thousand times faster where the firmware
    itself is not the question.

    Parameters
    ----------
    devices : int
        Number of chambers.
    days : float
        Virtual time.
    faults : FaultPlan, mapping, path or str, optional
        What fails; see `read_plan`. Nothing by default.
    broker : tuple of (str, int) or Endpoint
        Host and port of an MQTT broker with a server behind it that acknowledges;
        or an `Endpoint` in this process.
    credentials : callable or mapping, optional
        Device name to its secrets; see `FleetRunner`.
    settings : mapping, optional
        Settings of the measurement that differ from the defaults.
    start : str or int
        Begin, UTC; not before 2026, when the firmware was made: it takes earlier
        dates for errors.
    seed : int
        Same seed, same world.
    on_start, on_hour : callable, optional
        Called with the runner before the first step, and after every virtual hour;
        a server takes its clock from ``runner.clock``.
    slack_ms, spread_ms, patience_s, keep_records
        See `FleetRunner`.
    **world_settings
        Further settings of `draw_world`, such as ``garden`` or ``sensor``.

    Returns
    -------
    FleetRun
        Ledgers, truth and speed.

    Examples
    --------
    >>> run = run_fleet(1, 0.02, broker=Endpoint(), seed=1)
    >>> int(run.ledger().generated.iloc[0]) > 570
    True
    """
    world = draw_world(
        devices, days, faults, mode="loop", start=start, seed=seed, **world_settings
    )
    begun = time.perf_counter()
    with FleetRunner(
        world,
        broker,
        credentials,
        settings,
        slack_ms=slack_ms,
        spread_ms=spread_ms,
        patience_s=patience_s,
        keep_records=keep_records,
    ) as runner:
        if on_start is not None:
            on_start(runner)
        hours = range(world.start, world.end, HOUR_MS)
        with progress("running the firmware, virtual hours", len(hours)) as work:
            for hour in hours:
                runner.run_until(min(hour + HOUR_MS, world.end))
                if on_hour is not None:
                    on_hour(runner)
                work.advance()
        runner.settle()
    wall = time.perf_counter() - begun
    return FleetRun(
        world, runner.devices, world.end - world.start, wall, runner.waited_s
    )
