"""What the web room needs of a fleet: one protocol, so that pages never see a store.

`tilth.web.adapter.ServiceSource` gives it for the running service; tests give it
with generated data. Methods block (they read files), so the pages call them in
worker threads; every one may be called from several threads at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from prometheus_client import CollectorRegistry

from tilth.fleet.rollout import Rollouts
from tilth.web.model import (
    Alarm,
    Boot,
    Command,
    Cycle,
    CycleReadings,
    Effect,
    Event,
    Firmware,
    Health,
    LedgerDay,
    Maintenance,
    Placement,
    Tile,
    Trace,
    VariantSeries,
)


class Subscription(Protocol):
    """A queue of live updates that forgets its oldest when nobody reads it."""

    def get(self, timeout: float | None = None) -> Mapping[str, Any] | None:
        """Return the next update, or None after `timeout` seconds without one."""

    def close(self) -> None:
        """Receive no more; a `get` under way returns None at once."""


class FleetSource(Protocol):
    """The fleet as the pages read and steer it. All times are UTC milliseconds."""

    @property
    def rollouts(self) -> Rollouts:
        """Roll-outs of firmware; the service moves them on."""

    @property
    def registry(self) -> CollectorRegistry:
        """Metrics of the service, for Prometheus."""

    def clock(self) -> int:
        """Return the time now."""

    # What is there now
    def tiles(self) -> Sequence[Tile]:
        """Return every device as it is now."""

    def health(self) -> Health:
        """Return how the service does."""

    def subscribe(self) -> Subscription:
        """Return a queue of updates: mappings with ``kind`` and what changed."""

    # One device
    def boots(self, device: str) -> Sequence[Boot]:
        """Return the boots of a device, newest first."""

    def events(self, device: str, start: int, end: int) -> Sequence[Event]:
        """Return what a device reported, newest first."""

    def traces(
        self, device: str, channels: Sequence[str], start: int, end: int, columns: int
    ) -> Sequence[Trace]:
        """Return channels of a device, reduced to so many columns of a screen."""

    def closures(self, device: str, start: int, end: int) -> Sequence[tuple[int, int]]:
        """Return when the lid was closed: intervals."""

    # Fluxes
    def cycles(
        self, start: int, end: int, device: str | None = None
    ) -> Sequence[Cycle]:
        """Return closures with their fluxes, newest first."""

    def readings(self, device: str, boot: str, seq: int) -> CycleReadings | None:
        """Return the readings of one closure and the curve fitted to them."""

    def variants(
        self, start: int, end: int, night: bool = True
    ) -> Sequence[VariantSeries]:
        """Return the fluxes of every variant by the hour, of the night or of all day.

        By day plants in a clear chamber take up what the soil gives off.
        """

    def effects(self, start: int, end: int, night: bool = True) -> Sequence[Effect]:
        """Return every variant against its control."""

    def treatments(self) -> Mapping[str, str]:
        """Return what each variant is, such as "basalt" or "control"."""

    # Completeness
    def ledger(
        self, first_day: str, last_day: str, device: str | None = None
    ) -> Sequence[LedgerDay]:
        """Return the ledger of UTC days, both ends included."""

    # Alarms
    def alarms(self, past_since: int | None = None) -> Sequence[Alarm]:
        """Return open alarms and, if asked, those that ended since."""

    def acknowledge(self, alarm: str, by: str, note: str) -> None:
        """Note that someone knows of an alarm."""

    def snooze(self, alarm: str, until: int, by: str) -> None:
        """Keep an alarm quiet for a while."""

    def maintenance(self) -> Sequence[Maintenance]:
        """Return maintenance windows that have not ended, and the last ones."""

    def add_maintenance(
        self, scope: str, start: int, end: int, reason: str, by: str
    ) -> None:
        """Keep the alarms of a device, a table or all (``*``) quiet for a time."""

    def end_maintenance(self, window: str, by: str) -> None:
        """End a maintenance window now."""

    # Commands
    def commands(self, limit: int = 200) -> Sequence[Command]:
        """Return the newest commands."""

    def send(
        self,
        device: str,
        cmd: str,
        args: Mapping[str, Any],
        not_before: int,
        not_after: int,
        by: str,
    ) -> str:
        """Sign and send a command; return its id."""

    # Firmware
    def firmware(self) -> Sequence[Firmware]:
        """Return the versions that are held."""

    def add_firmware(
        self, bundle: bytes, manifest: bytes, by: str, address: str
    ) -> Firmware:
        """Check the signature of a bundle and keep it.

        `address` is where this service was reached, for devices to fetch it.
        """

    def bundle(self, version: str) -> Path | None:
        """Return the file of a version, as devices fetch it."""

    # Placement
    def placements(self, device: str | None = None) -> Sequence[Placement]:
        """Return where devices stood, newest first."""

    def place(
        self,
        device: str,
        loc: str,
        start: int,
        end: int | None,
        by: str,
        note: str,
    ) -> None:
        """Say where a device stood; the rows before stay as they were."""

    # Export
    def sample_batches(
        self, start: int, end: int, devices: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield samples in physical units, in order of device and time."""

    def flux_batches(
        self, start: int, end: int, devices: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield fluxes in order of time."""
