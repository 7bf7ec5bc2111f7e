"""A fleet's service: broker or connection to one, ingest, fluxes, archive, commands.

Everything but the pages, in one object that starts and stops as a whole. Each part
works alone and is told of the others only by functions, so the order here is the
only place where they meet.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilth.chambers.geometry import geometry_from_dict
from tilth.core.errors import InputError, TilthError
from tilth.fleet import placement
from tilth.fleet.alarms.rules import Reading
from tilth.fleet.alarms.service import AlarmService
from tilth.fleet.archive.query import Archive
from tilth.fleet.archive.seal import Sealer
from tilth.fleet.archive.store import Store
from tilth.fleet.broker import BrokerSettings, EmbeddedBroker
from tilth.fleet.clock import Clock, now_ms
from tilth.fleet.commands import Dispatcher, queue_command
from tilth.fleet.config import FleetConfig, read_config
from tilth.fleet.control import CONTROL_FILE, Control, master_secret
from tilth.fleet.credentials import Credentials
from tilth.fleet.ingest import Ingest
from tilth.fleet.journal import Journal
from tilth.fleet.journal_messages import Committed, Happening, Reported, Retimed
from tilth.fleet.live import LiveFluxes
from tilth.fleet.live_settings import LiveSettings
from tilth.fleet.mqtt import MqttLink
from tilth.fleet.rollout import DeviceNow, Rollouts
from tilth.fleet.summary import devices_now

if TYPE_CHECKING:
    from tilth.fleet.archive.postgres import PostgresStore

_log = logging.getLogger(__name__)

#: How often the housekeeper looks, s, and what it does how often, s.
_LOOK_S = 1.0
ROLLOUT_S, SEAL_S = 15.0, 600.0


class FleetService:
    """Runs a fleet from its data folder.

    Parameters
    ----------
    folder : path
        The data folder; made when absent, readable for its owner alone.
    config : FleetConfig, optional
        Settings; those of the folder's ``tilth.yaml`` by default.
    clock : callable, optional
        Gives utc ms; another than the machine's for virtual time.
    watched : bool
        Whether fluxes are computed and alarms watched for as time goes by. Not in
        virtual time, of which hours pass between two looks.

    Attributes
    ----------
    control, journal, ingest, archive, live, credentials, dispatcher, rollouts, alarms
        The parts, once started.
    broker : EmbeddedBroker or None
        The embedded broker, where the settings want one.
    link : MqttLink or None
        The connection to another broker, where they name one.

    Examples
    --------
    ::

        with FleetService("fleet") as service:
            print(service.mqtt_port, service.live.fluxes(0, service.clock()))
    """

    control: Control
    journal: Journal
    ingest: Ingest
    archive: Archive
    live: LiveFluxes
    credentials: Credentials
    dispatcher: Dispatcher
    rollouts: Rollouts
    alarms: AlarmService

    def __init__(
        self,
        folder: str | os.PathLike[str],
        config: FleetConfig | None = None,
        clock: Clock = now_ms,
        *,
        watched: bool = True,
    ) -> None:
        self.watched = watched
        self.folder = Path(folder)
        self.config = config or read_config(folder)
        self.clock = clock
        self.broker: EmbeddedBroker | None = None
        self.link: MqttLink | None = None
        self._running: ExitStack | None = None
        self._stopping = threading.Event()
        self._held: Mapping[str, Sequence[placement.Placement]] = {}
        self._said = -1
        self._postgres: PostgresStore | None = None

    # Starting and stopping

    def start(self) -> None:
        """Start everything; on an error nothing is left running.

        Raises
        ------
        TilthError
            If another service writes this folder, a port is taken, or a setting
            makes no sense.
        """
        if self._running is not None:
            raise InputError("this service runs already")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as stack:
            self._open(stack)
            self._listen(stack)
            self._running = stack.pop_all()
        _log.info("the fleet in %s is served", self.folder)

    def _open(self, stack: ExitStack) -> None:
        """Open the files and the parts that need no network."""
        config, clock = self.config, self.clock
        secret = master_secret(self.folder)
        self.control = stack.enter_context(Control(self.folder / CONTROL_FILE, clock))
        self.journal = stack.enter_context(
            Journal(self.folder / "journal.sqlite", clock)
        )
        self.credentials = Credentials(self.control, secret)
        store = self._store(stack)
        self._sealer = stack.enter_context(
            Sealer(self.folder, store, clock, config.keep_days)
        )
        self.archive = stack.enter_context(Archive(self.folder, store))
        geometry = geometry_from_dict(config.geometry)
        self._refresh_placements()
        self.live = LiveFluxes(
            self.folder, self.locate, clock, LiveSettings(geometry=geometry)
        )
        stack.callback(self.live.stop)
        if self.watched:
            self.live.start()
        self.dispatcher = Dispatcher(self.control, secret, self._send, clock)
        self.rollouts = Rollouts(self.control, self.command, self.devices_now, clock)

    def _store(self, stack: ExitStack) -> Store | None:
        """Return the archive on another machine, if the settings name one."""
        if not self.config.postgres:
            return None
        from tilth.fleet.archive.postgres import PostgresStore

        self._postgres = PostgresStore(self.config.postgres)
        stack.callback(self._postgres.close)
        return self._postgres

    def _listen(self, stack: ExitStack) -> None:
        """Start ingest, then what feeds it, then what watches."""
        config = self.config
        self.ingest = Ingest(
            self.journal, self._acknowledge, self.clock, settled=self._settled
        )
        stack.callback(self.ingest.close)
        self.ingest.on_committed(self._heard)
        if config.embedded:
            self.journal.disconnect_all()
            self.broker = EmbeddedBroker(
                BrokerSettings(
                    host=config.listen,
                    port=config.mqtt_port,
                    certificate=config.certificate or None,
                    key=config.key or None,
                    plain_lan=config.plain_lan,
                ),
                self.credentials,
                self._take,
            )
            stack.enter_context(self.broker)
        else:
            self.link = stack.enter_context(self._connect())
        self.alarms = AlarmService(
            self.folder,
            self.control,
            self.live.store,
            self.clock,
            rules=config.alarm_rules or None,
            outputs=config.alarm_outputs or None,
            service=self._own_facts,
            publish=self._send,
            url=f"{config.public_url.rstrip('/')}/alarms" if config.public_url else "",
        )
        stack.callback(self.alarms.stop)
        if self.watched:
            self.alarms.start()
        self._stopping.clear()
        keeper = threading.Thread(target=self._keep_house, name="housekeeper")
        keeper.start()
        stack.callback(keeper.join)
        stack.callback(self._stopping.set)

    def _connect(self) -> MqttLink:
        """Prepare the connection to a broker that is not ours."""
        config = self.config
        host, port, tls = config.address
        password = None
        if config.broker_password_file:
            file = self.folder / config.broker_password_file
            password = file.read_text("utf-8").strip()
        context = None
        if tls:
            context = ssl.create_default_context(cafile=config.broker_ca or None)
        return MqttLink(
            self._put_with_token,
            host,
            port,
            user=config.broker_user if password is not None else None,
            password=password,
            tls=context,
        )

    def stop(self) -> None:
        """Stop everything, the last started first; a second call does nothing."""
        running, self._running = self._running, None
        if running is not None:
            running.close()
            self.broker = self.link = None

    def __enter__(self) -> FleetService:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def mqtt_port(self) -> int:
        """Port of the embedded broker, or of the other one."""
        return self.broker.port if self.broker else self.config.address[1]

    # Messages

    def _take(self, topic: str, payload: bytes, retained: bool) -> bool:
        return self.ingest.put(topic, payload, retained)

    def _put_with_token(self, *message: Any, **named: Any) -> bool:
        return self.ingest.put(*message, **named)

    def _settled(self, tokens: list[Any]) -> None:
        if self.link is not None:
            self.link.settle(tokens)

    def _acknowledge(self, topic: str, payload: bytes) -> None:
        self._publish(topic, payload, 0)

    def _send(self, topic: str, payload: bytes) -> None:
        self._publish(topic, payload, 1)

    def _publish(self, topic: str, payload: bytes, qos: int) -> None:
        sender = self.broker or self.link
        if sender is not None:
            sender.publish(topic, payload, qos)

    def _own_facts(self) -> dict[str, float | Reading | None]:
        """Return what only the running service knows, for the alarms."""
        trouble = self.ingest.trouble
        return {
            "store_errors": Reading(float(trouble is not None), trouble or ""),
            "fluxes_waiting": float(self.live.waiting),
        }

    # What was committed

    def _heard(self, happenings: Sequence[Happening]) -> None:
        """Pass on what is on disk to those whom it concerns."""
        for one in happenings:
            if isinstance(one, Committed):
                self._heard_batch(one)
            elif isinstance(one, Retimed):
                self.live.notify(one.device, one.boot, one.first, one.last)
                with closing(self.journal.reader()) as reader:
                    placement.place_retimed(self.control, reader, *one)
            elif isinstance(one, Reported) and one.status.online:
                self.dispatcher.hello(one.device)

    def _heard_batch(self, one: Committed) -> None:
        for first, last in one.new:
            self.live.notify(one.device, one.boot, first, last)
        for event in one.batch.events:
            seq = one.batch.seq + event.i
            if not any(first <= seq <= last for first, last in one.new):
                continue
            if event.kind == "result":
                self.dispatcher.result(one.device, event.body)
            elif event.kind == "loc":
                at = None if one.t is None else one.t + event.dt
                placement.place_event(
                    self.control, one.device, at, event.body, one.batch.fw
                )

    # Placement

    def locate(self, device: str, t: int) -> str | None:
        """Return where a device stood at a time (utc ms), if anybody said."""
        for held in self._held.get(device, ()):
            if held.t_from <= t < held.end:
                return held.loc
        return None

    def _refresh_placements(self) -> bool:
        """Read the placements if there are new statements; whether there were."""
        row = self.control.row("SELECT coalesce(max(rowid), 0) AS n FROM placements")
        said = int(row["n"]) if row else 0
        if said == self._said:
            return False
        held: dict[str, list[placement.Placement]] = {}
        for interval in placement.intervals(self.control):
            held.setdefault(interval.device, []).append(interval)
        self._held, self._said = held, said
        if self._postgres is not None:
            self._postgres.mirror([one for those in held.values() for one in those])
        return True

    # Devices and commands

    def devices_now(self) -> dict[str, DeviceNow]:
        """Return version and connection of every device that has reported."""
        return devices_now(self.folder)

    def command(
        self,
        device: str,
        cmd: str,
        args: Mapping[str, Any],
        not_before: int,
        not_after: int,
        by: str,
    ) -> str:
        """Queue a command and send it at once; return its id."""
        name = queue_command(
            self.control, device, cmd, args, after=not_before, before=not_after, by=by
        )
        self.dispatcher.step()
        return name

    # Housekeeping

    def _keep_house(self) -> None:
        due = dict.fromkeys(("rollouts", "sealing"), 0.0)
        jobs: dict[str, tuple[float, Callable[[], object]]] = {
            "rollouts": (ROLLOUT_S, self.rollouts.step),
            "sealing": (SEAL_S, self._sealer.seal_pending),
        }
        elapsed = 0.0
        while not self._stopping.wait(_LOOK_S):
            elapsed += _LOOK_S
            self._safely("commands", self.dispatcher.step)
            self._safely("placements", self._follow_placements)
            for name, (every, job) in jobs.items():
                if elapsed >= due[name]:
                    due[name] = elapsed + every
                    self._safely(name, job)

    def _follow_placements(self) -> None:
        if self._refresh_placements():
            self.live.relocate()

    @staticmethod
    def _safely(name: str, job: Callable[[], object]) -> None:
        """Run a job; a failure is logged and the next round tries again."""
        try:
            job()
        except (TilthError, OSError) as error:
            _log.error("%s: %s", name, error)
        except Exception:
            _log.exception("%s failed", name)
