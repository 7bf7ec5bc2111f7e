"""How the service does, for Prometheus: health, never science.

Prometheus keeps what it scrapes at the moment of scraping and cannot take what comes
late, so no reading and no flux is here. Everything is read when it is asked for, from
counters that the parts keep anyway; a scrape that fails costs nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

import tilth
from tilth.fleet import placement

if TYPE_CHECKING:
    from tilth.fleet.service import FleetService

#: Counter -> what it counts. The names without ``tilth_`` and ``_total`` are keys of
#: `Ingest.stats`.
INGEST_COUNTERS = {
    "received": "Messages received from the broker.",
    "dropped": "Messages dropped because too much waited; the devices send them again.",
    "committed": "Messages that are on disk.",
    "groups": "Transactions.",
    "acks": "Acknowledgements sent.",
    "acks_failed": "Acknowledgements that could not be sent; devices ask again.",
    "storage_errors": "Transactions that failed: disk full or failing.",
    "missed": "Happenings dropped because a listener was too slow.",
}

#: Attribute of `Journal.tally` -> what it counts.
JOURNAL_COUNTERS = {
    "batches": "Batches read.",
    "records": "Records stored, each once.",
    "duplicates": "Records that came again and were not stored twice.",
    "conflicts": "Records that came again with another content; the first was kept.",
    "quarantined": "Messages that could not be read and were put aside.",
    "forgotten": "Records a restored journal no longer has.",
    "statuses": "Statuses of devices.",
}

#: Gauge -> what it is.
GAUGES = {
    "tilth_device_up": "Whether the broker holds the device's connection.",
    "tilth_device_seen_timestamp_seconds": "When the device was last heard of.",
    "tilth_device_queue_records": "Records on the device that are not acknowledged, "
    "as it last said.",
    "tilth_device_unacknowledged_records": "Numbers above the watermark of the newest "
    "boot.",
    "tilth_devices": "Devices that have ever reported.",
    "tilth_ingest_waiting_messages": "Messages that wait to be committed.",
    "tilth_ingest_waiting_bytes": "Their size.",
    "tilth_ingest_trouble": "1 while nothing can be stored.",
    "tilth_broker_connected": "Whether the broker is ours or connected.",
    "tilth_journal_bytes": "Size of the journal and of its log.",
    "tilth_flux_waiting_cycles": "Closures that wait for their flux.",
    "tilth_flux_delay_seconds": "From the arrival of a closure to its flux, of the "
    "last thousand.",
    "tilth_alarms_open": "Alarms that are given.",
    "tilth_commands_open": "Commands without a final answer.",
}


class ServiceCollector(Collector):
    """Reads the state of a service at each scrape.

    Parameters
    ----------
    service : FleetService
        Started.
    """

    def __init__(self, service: FleetService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield InfoMetricFamily("tilth", "The program.", {"version": tilth.__version__})
        yield from self._ingest()
        yield from self._journal()
        yield from self._devices()
        yield from self._fluxes()
        yield from self._control()

    def _ingest(self) -> Iterator[Metric]:
        stats = self._service.ingest.stats()
        for name, about in INGEST_COUNTERS.items():
            yield CounterMetricFamily(f"tilth_ingest_{name}", about, stats[name])
        total, buckets = 0, []
        for edge, count in stats["latency_ms"].items():
            total += count
            seconds = "+Inf" if edge == "inf" else str(int(edge) / 1000)
            buckets.append((seconds, total))
        family = HistogramMetricFamily(
            "tilth_ingest_commit_seconds", "From receipt to acknowledgement."
        )
        # Classes are counted, not the times themselves: there is no sum.
        family.add_metric([], buckets, None)
        yield family
        yield _gauge("tilth_ingest_waiting_messages", stats["waiting"])
        yield _gauge("tilth_ingest_waiting_bytes", stats["waiting_bytes"])
        trouble = self._service.ingest.trouble is not None
        yield _gauge("tilth_ingest_trouble", int(trouble))
        link = self._service.link
        yield _gauge("tilth_broker_connected", int(link is None or link.connected))

    def _journal(self) -> Iterator[Metric]:
        tally = self._service.journal.tally
        for name, about in JOURNAL_COUNTERS.items():
            yield CounterMetricFamily(
                f"tilth_journal_{name}", about, getattr(tally, name)
            )
        sizes = self._service.journal.sizes()
        yield _gauges("tilth_journal_bytes", ("file",), _labelled(sizes.items()))

    def _devices(self) -> Iterator[Metric]:
        with closing(self._service.journal.reader()) as reader:
            rows = _device_rows(reader)
        now = self._service.clock()
        places = {
            held.device: held.loc
            for held in placement.intervals(self._service.control)
            if held.t_from <= now < held.end
        }
        names = ("device", "location")
        labels = {name: (name, places.get(name, "")) for name, *_ in rows}
        up, seen, queue, behind = [], [], [], []
        for name, last, online, body, unacknowledged in rows:
            key = labels[name]
            up.append((key, int(bool(online))))
            seen.append((key, last / 1000))
            waiting = json.loads(body).get("q") if body else None
            if waiting:
                queue.append((key, waiting[0]))
            behind.append((key, unacknowledged))
        yield _gauges("tilth_device_up", names, up)
        yield _gauges("tilth_device_seen_timestamp_seconds", names, seen)
        yield _gauges("tilth_device_queue_records", names, queue)
        yield _gauges("tilth_device_unacknowledged_records", names, behind)
        yield _gauge("tilth_devices", len(rows))

    def _fluxes(self) -> Iterator[Metric]:
        live = self._service.live
        yield _gauge("tilth_flux_waiting_cycles", live.waiting)
        delays = sorted(live.delays)
        values = [
            (
                (str(share),),
                delays[min(int(share * len(delays)), len(delays) - 1)] / 1e3,
            )
            for share in (0.5, 0.99)
            if delays
        ]
        yield _gauges("tilth_flux_delay_seconds", ("quantile",), values)

    def _control(self) -> Iterator[Metric]:
        rows = self._service.control.rows(
            "SELECT severity, count(*) AS n FROM alarms"
            " WHERE resolved IS NULL AND state <> 'pending' GROUP BY severity"
        )
        counts = {"info": 0, "warning": 0, "critical": 0} | {
            row["severity"]: row["n"] for row in rows
        }
        yield _gauges("tilth_alarms_open", ("severity",), _labelled(counts.items()))
        waiting = self._service.control.commands(open_only=True, limit=10_000)
        yield _gauge("tilth_commands_open", len(waiting))


def _device_rows(reader: sqlite3.Connection) -> list[tuple]:
    """Return name, last receipt, online, status and unacknowledged of every device."""
    return reader.execute(
        "SELECT d.name, d.last_recv, s.online, s.body,"
        " max(b.known, b.seq_last) - coalesce(r.last, -1)"
        " FROM devices d LEFT JOIN status s ON s.device = d.id"
        " JOIN boots b ON b.id = (SELECT id FROM boots WHERE device = d.id"
        "  ORDER BY last_recv DESC, id DESC LIMIT 1)"
        " LEFT JOIN ranges r ON r.boot = b.id AND r.first = 0 ORDER BY d.name"
    ).fetchall()


def _labelled(
    items: Iterable[tuple[str, float]],
) -> list[tuple[tuple[str, ...], float]]:
    return [((name,), value) for name, value in items]


def _gauge(name: str, value: float) -> Metric:
    return GaugeMetricFamily(name, GAUGES[name], value)


def _gauges(
    name: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = GaugeMetricFamily(name, GAUGES[name], labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def fleet_registry(service: FleetService) -> CollectorRegistry:
    """Return a registry of its own with everything about a service and its process.

    Parameters
    ----------
    service : FleetService
        Started.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServiceCollector(service))
    ProcessCollector(registry=registry)
    return registry


def exposition(*registries: CollectorRegistry) -> bytes:
    """Return the text that Prometheus scrapes."""
    return b"".join(generate_latest(registry) for registry in registries)


def metric_names() -> set[str]:
    """Return the names a query can use, without those of the process.

    Examples
    --------
    >>> "tilth_ingest_dropped_total" in metric_names()
    True
    """
    return {
        "tilth_info",
        "tilth_ingest_commit_seconds_bucket",
        *(f"tilth_ingest_{name}_total" for name in INGEST_COUNTERS),
        *(f"tilth_journal_{name}_total" for name in JOURNAL_COUNTERS),
        *GAUGES,
    }
