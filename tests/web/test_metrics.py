"""Metrics say how the service does; Grafana and Prometheus ask for what exists."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from real_fleet import POTS, batches

from conftest import HOST, TestClient, settle
from tilth.fleet.metrics import metric_names
from tilth.web.app import build_app
from tilth.web.metrics import WEB_METRICS

KNOWN = metric_names() | set(WEB_METRICS)


@pytest.fixture(scope="module")
def client_of_service(service):
    with TestClient(build_app(service), base_url=HOST) as client:
        yield client


def scrape(client):
    """Return every sample of a scrape: (name, labels) -> value."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def scraped(client_of_service):
    return scrape(client_of_service)


def test_what_is_scraped_is_what_is_documented(scraped):
    names = {key[0] for key in scraped}
    own = {name for name in names if name.startswith("tilth")}
    assert own - {"tilth_flux_delay_seconds"} == KNOWN - {"tilth_flux_delay_seconds"}
    assert "process_resident_memory_bytes" in names


def test_counters_hold_what_happened(client_of_service, service):
    before = scrape(client_of_service)
    device = min(POTS)
    again = list(batches(device, 1))[:2]
    for topic, payload in [*again, (f"tilth/v1/{device}/d", b"{broken")]:
        service.ingest.put(topic, payload)
    settle(lambda: service.journal.tally.quarantined == 1)
    settle(lambda: service.ingest.stats()["waiting"] == 0)
    after = scrape(client_of_service)
    change = {key[0]: after[key] - before.get(key, 0) for key in after if len(key) == 1}
    assert change["tilth_journal_records_total"] == 0
    assert change["tilth_journal_duplicates_total"] == 400
    assert change["tilth_journal_quarantined_total"] == 1
    assert change["tilth_ingest_dropped_total"] == 0
    assert change["tilth_ingest_received_total"] == 3


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
    up = [key for key in scraped if key[0] == "tilth_device_up" and scraped[key] == 1]
    for device in POTS:
        labels = next(set(key[1:]) for key in up if device in key)
        assert labels - {device} <= {"", "6.3.C", POTS[device][0]}
    assert scraped["tilth_devices",] == len(POTS)


# What Grafana and Prometheus ask for

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def metrics_in(expression):
    return set(re.findall(r"\btilth_\w+", expression))


@pytest.fixture(scope="module")
def sources():
    path = DEPLOY / "grafana" / "provisioning" / "datasources" / "tilth.yaml"
    content = yaml.safe_load(path.read_text())
    assert content["apiVersion"] == 1
    return {one["uid"]: one for one in content["datasources"]}


def test_every_source_is_of_a_type_grafana_has_and_holds_no_secret(sources):
    assert {one["type"] for one in sources.values()} == {
        "prometheus",
        "grafana-postgresql-datasource",
        "yesoreyeram-infinity-datasource",
    }
    for one in sources.values():
        assert one["access"] == "proxy"
        secrets = one.get("secureJsonData", {}).values()
        assert all(secret.startswith("$TILTH_") for secret in secrets)


def test_the_dashboards_are_where_the_provider_is_told_to_look():
    path = DEPLOY / "grafana" / "provisioning" / "dashboards" / "tilth.yaml"
    provider = yaml.safe_load(path.read_text())["providers"][0]
    assert provider["type"] == "file"
    assert provider["options"]["path"] in (DEPLOY / "grafana" / "README.md").read_text()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_a_fixed_name_and_panels_side_by_side(path, sources):
    board = json.loads(path.read_text())
    assert board["uid"] == path.stem
    assert board["timezone"] == "utc"
    panels = board["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
        for target in panel["targets"]:
            for source in (panel["datasource"], target["datasource"]):
                assert sources[source["uid"]]["type"] == source["type"]


def targets(kind):
    return [
        (path.stem, panel["title"], target)
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
        if target["datasource"]["type"] == kind
    ]


def test_every_metric_a_panel_asks_for_exists():
    asked = targets("prometheus")
    assert len(asked) > 15
    for board, title, target in asked:
        names = metrics_in(target["expr"])
        assert names or target["expr"].startswith("process_"), (board, title)
        assert names <= KNOWN, (board, title)


def test_every_field_a_panel_takes_from_the_interface_exists(client, fleet):
    fleet.raise_alarm("stuck_closed", "a4cf1201017b", "warning", "does not open")
    for board, title, target in targets("yesoreyeram-infinity-datasource"):
        answer = client.get(target["url"])
        assert answer.status_code == 200
        rows = answer.json()[target["root_selector"]]
        assert rows, (board, title)
        missing = {one["selector"] for one in target["columns"]} - set(rows[0])
        assert not missing, (board, title, missing)


def test_every_column_a_panel_takes_from_postgresql_exists():
    from tilth.fleet.archive.postgres_schema import VIEWS

    columns = {}
    for view in VIEWS:
        name = re.match(r"CREATE VIEW (\w+)", view)[1]
        columns[name] = set(re.findall(r'AS "?(\w+)"?', view)) | set(
            re.findall(r"r\.(\w+)", view)
        )
    words = {
        "SELECT", "FROM", "WHERE", "AND", "BETWEEN", "ORDER", "BY", "AS", "GROUP",
        "DESC", "LIMIT", "avg", "regexp_replace", "metric", "tilth",
    }  # fmt: skip
    asked = targets("grafana-postgresql-datasource")
    assert asked
    for _, title, target in asked:
        sql = target["rawSql"]
        view = re.search(r"FROM tilth\.(\w+)", sql)[1]
        bare = re.sub(r"'[^']*'|\$\w+|\b\d\w*", "", sql)
        used = set(re.findall(r"\w+", bare)) - words - {view}
        assert used <= columns[view], title


def test_prometheus_scrapes_us_and_watches_only_what_exists():
    folder = DEPLOY / "prometheus"
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    assert config["scrape_configs"][0]["metrics_path"] == "/metrics"
    rules = [
        rule
        for name in config["rule_files"]
        for group in yaml.safe_load((folder / name).read_text())["groups"]
        for rule in group["rules"]
    ]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 8
    for rule in rules:
        assert metrics_in(rule["expr"]) <= KNOWN, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
