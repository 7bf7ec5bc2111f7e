"""Metrics say how the service does; Grafana and Prometheus ask for what exists."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from real_fleet import POTS, START, batches, fill

from conftest import HOST, Clock, TestClient
from tilth.fleet.config import FleetConfig
from tilth.fleet.metrics import metric_names
from tilth.fleet.service import FleetService
from tilth.web.app import build_app
from tilth.web.metrics import WEB_METRICS

NOW = START + 3_600_000
KNOWN = metric_names() | set(WEB_METRICS)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """Return every sample of a scrape: (name, labels) -> value."""
    folder = tmp_path_factory.mktemp("fleet") / "data"
    config = FleetConfig(mqtt_port=0)
    with FleetService(folder, config, Clock(NOW)) as service:
        fill(service, 1)
        device = min(POTS)
        for topic, payload in list(batches(device, 1))[:2]:
            service.ingest.put(topic, payload)
        service.ingest.put(f"tilth/v1/{device}/d", b"{broken")
        service.ingest.close()
        with TestClient(build_app(service), base_url=HOST) as client:
            answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_is_scraped_is_what_is_documented(scraped):
    names = {key[0] for key in scraped}
    own = {name for name in names if name.startswith("tilth")}
    assert own - {"tilth_flux_delay_seconds"} == KNOWN - {"tilth_flux_delay_seconds"}
    assert "process_resident_memory_bytes" in names


def test_counters_hold_what_happened(scraped):
    records = len(POTS) * (1200 + 6 + 1)
    assert scraped["tilth_journal_records_total",] == records
    assert scraped["tilth_journal_duplicates_total",] == 400
    assert scraped["tilth_journal_quarantined_total",] == 1
    assert scraped["tilth_ingest_dropped_total",] == 0
    assert (
        scraped["tilth_ingest_received_total",]
        == scraped["tilth_ingest_committed_total",]
    )


def test_the_latencies_are_a_histogram_of_every_message(scraped):
    buckets = {
        key[1]: value
        for key, value in scraped.items()
        if key[0] == "tilth_ingest_commit_seconds_bucket"
    }
    assert buckets["+Inf"] == scraped["tilth_ingest_committed_total",]
    ordered = [buckets[edge] for edge in sorted(buckets, key=float)]
    assert ordered == sorted(ordered)


def test_every_device_is_told_with_its_place(scraped):
    for device, (loc, _) in POTS.items():
        key = tuple(sorted((device, loc)))
        up = scraped.get(("tilth_device_up", *key))
        alone = scraped.get(("tilth_device_up", *sorted((device, ""))))
        assert 1 in (up, alone)
    assert scraped["tilth_devices",] == len(POTS)
