"""The pages over the real service: records go in, fluxes and proofs come out."""

import csv
import hashlib
import io
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from real_fleet import BOOT, HOURS, NOW, POTS, START

from conftest import HOST, PASSWORD, TestClient, send_login, settle
from tilth.fleet import accounts
from tilth.fleet.alarms.engine import Alarm, Change
from tilth.fleet.releases import trust
from tilth.web.app import build_app

DEVICE = "a4cf12000003"


def token(client):
    """Return the token of the page of whoever is logged in."""
    return re.search(r'data-csrf="([^"]+)"', client.get("/placement").text)[1]


@pytest.fixture(scope="module")
def client(service):
    with TestClient(
        build_app(service), base_url=HOST, follow_redirects=False
    ) as client:
        yield client


def test_the_first_page_shows_every_chamber_with_its_last_flux(client):
    tiles = client.get("/api/fleet").json()["devices"]
    assert {tile["device"]: tile["loc"] for tile in tiles} == {
        device: loc for device, (loc, _) in POTS.items()
    }
    for tile in tiles:
        assert tile["online"]
        assert tile["flux"] == pytest.approx(POTS[tile["device"]][1], abs=0.15)
        assert 0 < tile["flux_se"] < 0.3
        assert tile["co2"] == pytest.approx(430, abs=8)
        assert tile["fw"] == "1.0.0"
    assert "5.10" in client.get("/").text


@pytest.mark.parametrize(
    "path",
    ["/", f"/devices/{DEVICE}", "/variants?span=24h", "/cycles", "/alarms", "/ledger",
     f"/ledger?device={DEVICE}", "/placement", "/commands", "/firmware", "/export"],
)  # fmt: skip
def test_every_page_is_served(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("</html>")


def test_a_trace_holds_what_was_measured(client):
    answer = client.get(
        f"/api/devices/{DEVICE}/trace?channels=co2,p,mv&span=3h&columns=500"
    ).json()
    traces = answer["traces"]
    assert traces["p"]["low"][10] == 972.0
    assert traces["mv"]["low"][10] == 4.98
    high = [value for value in traces["co2"]["high"] if value is not None]
    assert 445 < max(high) < 480
    assert len(answer["closures"]) == HOURS * 6


def test_a_month_is_drawn_from_the_hourly_extremes(client):
    raw = client.get(f"/api/devices/{DEVICE}/trace?channels=co2,at&span=3h").json()
    month = client.get(f"/api/devices/{DEVICE}/trace?channels=co2,at&span=30d").json()
    both = [one["traces"]["co2"] for one in (raw, month)]
    assert both[1]["count"] == HOURS * 1200
    assert max(both[1]["high"]) == pytest.approx(
        max(v for v in both[0]["high"] if v is not None), abs=0.11
    )
    assert set(month["traces"]["at"]["low"]) == {18.0}


def test_a_closure_is_drawn_with_the_curve_that_gave_its_flux(client):
    cycle = client.get(f"/api/fluxes?device={DEVICE}").json()["fluxes"][0]
    shown = client.get(
        f"/api/devices/{DEVICE}/cycles/{cycle['boot']}/{cycle['seq']}"
    ).json()
    elapsed, co2 = np.array(shown["elapsed"]), np.array(shown["co2"])
    used = np.array(shown["used"])
    curve = np.interp(elapsed, shown["fit_elapsed"], shown["fit_co2"])
    assert used.sum() > 50
    assert np.std((co2 - curve)[used]) < 2.5
    assert abs(np.mean((co2 - curve)[used])) < 0.5
    assert "umol" not in str(shown["facts"])
    page = client.get(f"/cycles/{DEVICE}/{cycle['boot']}/{cycle['seq']}")
    assert page.status_code == 200
    assert "Straight line" in page.text


def test_variants_and_effects_know_the_control(client):
    variants = client.get("/api/variants?span=24h").json()["variants"]
    means = {one["variant"]: one["mean"] for one in variants}
    assert means["5.10"] / means["5.0"] == pytest.approx(1.05 / 0.63, rel=0.15)
    assert all(one["pots"] == 2 for one in variants)
    effect = client.get("/api/effects?span=24h").json()["effects"][0]
    assert (effect["variant"], effect["control"]) == ("5.10", "5.0")
    assert effect["ratio"] == pytest.approx(1.05 / 0.63, rel=0.15)
    assert effect["lower"] is None  # one day is no interval


def test_only_closures_of_the_night_are_compared_unless_asked(client, service):
    cycles = client.app.state.room.source.cycles(0, NOW, DEVICE)
    service.live.store.amend(
        ((DEVICE, BOOT, cycle.seq), {"night": 0}) for cycle in cycles
    )
    span = f"start={START}&end={NOW - 60_000}"
    night = client.get(f"/api/variants?{span}").json()["variants"]
    both = client.get(f"/api/variants?{span}&light=all").json()["variants"]
    pots = [{one["variant"]: one["pots"] for one in found} for found in (night, both)]
    assert pots == [{"5.0": 2, "5.10": 1}, {"5.0": 2, "5.10": 2}]
    assert client.get("/api/variants?light=dusk").status_code == 400
    service.control.write(
        "INSERT INTO variants(variant, treatment, control) VALUES"
        " ('5.10', 'basalt 40 t/ha', '5.0')"
    )
    assert "basalt 40 t/ha" in client.get("/").text
    assert "basalt 40 t/ha" in client.get("/variants").text


def test_the_ledger_proves_that_nothing_is_missing(client):
    days = client.get("/api/ledger?first=2026-07-06&last=2026-07-06").json()["days"]
    assert len(days) == len(POTS)
    records = HOURS * 1200 + HOURS * 6 + 1
    assert all(day["received"] == day["expected"] == records for day in days)
    text = client.get(f"/ledger?device={DEVICE}&first=2026-07-06&last=2026-07-06").text
    assert f"0 to {records - 1} without a hole" in text
    assert BOOT in text


def test_an_export_holds_every_reading_once(client):
    answer = client.get(f"/export/samples.csv?span=24h&start={START}&end={NOW}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == len(POTS) * HOURS * 1200
    assert len({(row["device"], row["seq"]) for row in rows}) == len(rows)
    assert rows[0]["p"] == "97200"
    assert rows[0]["location"] == "5.0.A"
    content = client.get(f"/export/fluxes.parquet?start={START}&end={NOW}").content
    table = pq.read_table(io.BytesIO(content))
    assert table.num_rows == len(POTS) * HOURS * 6
    assert set(table["location"].to_pylist()) == {loc for loc, _ in POTS.values()}


def signed(bundle, key, version="1.1.0", serial=3):
    """Return a manifest as the maker of the firmware signs it."""
    digest = hashlib.sha256(bundle).hexdigest()
    lines = ["tilth-firmware 1", version, serial, len(bundle), 1, digest, "-", ""]
    signature = key.sign("\n".join(map(str, lines)).encode()).hex()
    return json.dumps(
        {"version": version, "serial": serial, "size": len(bundle), "sha256": digest,
         "min_boot": 1, "downgrade": False, "url": "", "sig": signature}
    ).encode()  # fmt: skip


def test_only_firmware_of_the_trusted_key_is_kept_and_handed_out(client, service):
    accounts.add_user(service.control, "root", PASSWORD, "admin")
    send_login(client, "root", PASSWORD)
    key, other = (Ed25519PrivateKey.generate() for _ in range(2))
    trust(service.control, key.public_key().public_bytes_raw().hex())
    bundle = b"TILTHFW1" + bytes(5000)

    def upload(manifest):
        files = {"bundle": ("t.bundle", bundle), "manifest": ("t.json", manifest)}
        return client.post("/firmware", data={"csrf": token(client)}, files=files)

    assert upload(signed(bundle, other)).status_code == 400
    assert upload(signed(bundle + b"x", key)).status_code == 400
    assert client.get("/firmware/1.1.0.bundle").status_code == 404
    assert upload(signed(bundle, key)).status_code == 303
    assert client.get("/firmware/1.1.0.bundle").content == bundle

    form = {"csrf": token(client), "action": "start", "version": "1.1.0"}
    assert client.post("/firmware/rollout", data=form).status_code == 303
    service.rollouts.step()
    told = service.control.commands(limit=1)[0]
    assert (told["cmd"], told["args"]["url"]) == (
        "update",
        f"{HOST}/firmware/1.1.0.bundle",
    )
    assert "Roll-out of 1.1.0" in client.get("/firmware").text
    service.rollouts.cancel(service.rollouts.latest()[0].id)


def test_a_device_can_read_the_answer_to_its_request(client, service):
    # The firmware reads the head itself: status, then content-length, nothing packed.
    headers = {"accept": "*/*", "connection": "close", "accept-encoding": "gzip"}
    answer = client.get("/firmware/1.1.0.bundle", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "transfer-encoding" not in answer.headers
    head = sum(len(k) + len(v) + 4 for k, v in answer.headers.raw)
    assert head < 3_000


def test_an_alarm_is_acknowledged_with_the_engine(client, service):
    accounts.add_user(service.control, "ida", PASSWORD, "operator")
    send_login(client, "ida", PASSWORD)
    service.alarms.stop()  # no looks in between
    alarm = Alarm("device_lost", DEVICE, "5", "critical", "firing", START, START)
    service.alarms._engine.alarms[alarm.key] = alarm
    service.alarms._store.save([Change("fired", alarm)], NOW)
    form = {"csrf": token(client), "alarm": str(alarm.id), "note": "on my way"}
    assert client.post("/alarms/acknowledge", data=form).status_code == 303
    assert alarm.acked_by == "ida"
    assert "by ida" in client.get("/alarms").text
    form = {"csrf": token(client), "alarm": str(alarm.id), "span": "1 h"}
    assert client.post("/alarms/snooze", data=form).status_code == 303
    assert alarm.snoozed_until == NOW + 3_600_000
    form = {"csrf": token(client), "alarm": "999"}
    assert client.post("/alarms/acknowledge", data=form).status_code == 400


def test_a_corrected_place_is_shown_at_once(client, service):
    accounts.add_user(service.control, "ada", PASSWORD, "operator")
    send_login(client, "ada", PASSWORD)
    form = {"csrf": token(client), "device": DEVICE, "loc": "6.3.C",
            "start": str(START - 1000), "note": "mistyped"}  # fmt: skip
    assert client.post("/placement", data=form).status_code == 303
    settle(lambda: "6.3" in client.get("/").text, 10)
    assert "mistyped" in client.get(f"/placement?device={DEVICE}").text
    settle(
        lambda: {c["loc"] for c in client.get("/api/fluxes").json()["fluxes"]
                 if c["device"] == DEVICE} == {"6.3.C"}, 10,
    )  # fmt: skip


def test_what_is_committed_reaches_the_stream(client, service):
    hub = client.app.state.room.hub
    begun = hub.position("")
    service.control.write(
        "INSERT INTO alarms(rule, subject, severity, state, opened, fired, updated,"
        " message) VALUES ('x', ?, 'info', 'firing', 1, 1, 1, 'y')",
        DEVICE,
    )

    def heard():
        return "event: alarm" in hub.read(begun, ("alarm",))[0]

    settle(heard, 10)
