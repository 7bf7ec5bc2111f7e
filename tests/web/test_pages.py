"""Every page shows what the fleet is, at any state of the fleet."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from generated_fleet import NOW, VARIANTS, GeneratedFleet

from tilth.web import svg
from tilth.web.model import Effect, LedgerDay, Tile
from tilth.web.pages.fleet import by_place, completeness
from tilth.web.pages.ledger import cell, matrix

PAGES = [
    "/", "/variants", "/cycles", "/alarms", "/ledger", "/placement", "/commands",
    "/firmware", "/export", "/login", "/api/",
]  # fmt: skip

DEVICE = "a4cf1201017b"


@pytest.mark.parametrize("path", [*PAGES, f"/devices/{DEVICE}"])
def test_every_page_is_whole_html_with_one_heading_and_no_script_inside(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.text.count("<h1>") == 1
    assert answer.text.rstrip().endswith("</html>")
    assert not re.search(r"<script(?![^>]*(src=|application/json))", answer.text)
    assert not re.search(r"\son\w+=|style=", answer.text)
    identifiers = re.findall(r'\sid="([^"]+)"', answer.text)
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_works_for_a_fleet_without_devices(fleet, client, path):
    fleet.places_of.clear()
    fleet.variants = lambda *span: []
    fleet.effects = lambda *span: []
    assert client.get(path).status_code == 200


def test_the_fleet_page_shows_every_device_under_its_variant(client, fleet):
    text = client.get("/").text
    assert text.count('class="tile ') == len(fleet.places_of)
    order = re.findall(r'aria-label="Variant ([\d.]+)"', text)
    assert order == list(VARIANTS)  # 5.2 before 5.10
    assert "control</span>" in text


def test_a_device_without_a_legal_place_is_shown_apart(client, fleet):
    fleet.places_of["0123456789ab"] = ""
    assert "Without a place" in client.get("/").text


def test_tiles_are_ordered_as_numbers_not_as_text():
    tiles = [
        Tile(f"{i:012x}", loc) for i, loc in enumerate(("10.2.B", "2.10.A", "2.9.A"))
    ]
    tables = by_place(tiles)
    assert [table.name for table in tables] == ["Table 2", "Table 10"]
    assert [variant.name for variant in tables[0].variants] == ["2.9", "2.10"]


def test_an_alarm_is_told_by_shape_and_word_not_by_colour_alone(client, fleet):
    fleet.raise_alarm("stuck_closed", DEVICE, "critical", "does not open")
    text = client.get("/").text
    tile = text[text.index(f'data-device="{DEVICE}"') :]
    tile = tile[: tile.index("</li>")]
    assert 'aria-label="critical"' in tile
    assert "is-critical" in text
    assert "does not open" in client.get(f"/devices/{DEVICE}").text


def test_a_problem_of_the_service_is_on_the_first_page_and_in_its_health(client, fleet):
    assert client.get("/healthz").json() == {"ok": True, "problems": []}
    fleet.problems = ("The disk is full: nothing is acknowledged.",)
    assert "The disk is full" in client.get("/").text
    assert client.get("/healthz").status_code == 503


def test_pages_of_what_does_not_exist_are_not_found(client):
    for path in (
        "/devices/0123456789ab", "/devices/..%2f..%2fetc", "/nothing",
        f"/cycles/{DEVICE}/2a-9f3c1d77/999999", f"/cycles/{DEVICE}/x/1",
        "/firmware/9.9.9.bundle", "/export/secrets.csv",
    ):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "Not here" in answer.text or "no such page" in answer.text


@pytest.mark.parametrize(
    "query",
    ["start=tomorrow", "start=5&end=3", "start=0", "end=9999999999999999", "start=-5"],
)
def test_a_span_that_makes_no_sense_is_refused_in_words(client, query):
    answer = client.get(f"/devices/{DEVICE}?{query}")
    assert answer.status_code == 400
    assert "Traceback" not in answer.text
    assert "That does not work" in answer.text


def test_a_closure_is_shown_with_its_neighbours(client, fleet):
    cycle = fleet.cycles(NOW - 3_600_000, NOW, DEVICE)[2]
    text = client.get(f"/cycles/{DEVICE}/{cycle.boot}/{cycle.seq}").text
    assert 'rel="prev"' in text
    assert 'rel="next"' in text
    assert '"residual"' in text
    assert "chosen by AICc" in text


def test_a_flux_is_rounded_to_its_error(client, fleet):
    text = client.get("/").text
    shown = re.findall(r'data-f="flux">([^<]+)<', text)
    assert all(re.fullmatch(r"\d\.\d{3} ± 0\.052", one) for one in shown)


def test_an_effect_without_an_interval_claims_nothing(client, fleet):
    fleet.effects = lambda *span: [
        Effect("5.1", "5.0", 1.3, None, None, 3, 2, "no interval: 3 common hours"),
        Effect("5.2", "5.0", 0.7, 0.5, 0.9, 90, 2, "", 0.31, 1.62),
    ]
    text = client.get("/variants").text
    assert text.count('class="interval') == 1
    assert 'class="interval certain"' in text
    assert "no interval: 3 common hours" in text
    assert "0.31 … 1.62" in text  # what may be said of the treatment, not of the pots


def test_the_theme_is_taken_from_the_cookie_and_from_nothing_else(client):
    assert "data-theme" not in client.get("/").text
    client.cookies.set("theme", "dark")
    assert 'data-theme="dark"' in client.get("/").text
    client.cookies.set("theme", 'x" onload="y')
    assert "onload" not in client.get("/").text


class Fields(HTMLParser):
    """Finds fields and buttons that a screen reader could not name."""

    def __init__(self):
        super().__init__()
        self.labels, self.nameless, self.button = 0, [], None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "label":
            self.labels += 1
        elif tag in ("input", "select", "textarea"):
            named = self.labels or attrs.get("aria-label")
            if attrs.get("type") != "hidden" and not named:
                self.nameless.append(attrs)
        elif tag == "button":
            self.button = attrs.get("aria-label", "")

    def handle_data(self, data):
        if self.button is not None:
            self.button += data.strip()

    def handle_endtag(self, tag):
        if tag == "label":
            self.labels -= 1
        elif tag == "button":
            if not self.button:
                self.nameless.append("button")
            self.button = None


@pytest.mark.parametrize("path", [*PAGES, f"/devices/{DEVICE}"])
def test_every_field_and_button_has_a_name(client, fleet, log_in, path):
    fleet.raise_alarm("stuck_closed", DEVICE, "warning", "does not open")
    log_in("admin")
    fields = Fields()
    fields.feed(client.get(path).text)
    assert fields.nameless == []


def test_a_sparkline_keeps_its_gaps_its_zero_and_its_edges():
    scale = svg.spark_scale([Tile("a", spark=(-1.0, 0.5, None, 2.0))])
    assert scale[0] == pytest.approx(-1.05)
    drawn = svg.sparkline((-9.0, 0.0, None, 9.0), scale)
    zero = re.search(r'class="zero" d="M0 ([\d.]+)H', drawn)[1]
    line = re.search(r'class="line" d="([^"]+)"', drawn)[1]
    assert line.count("M") == 2
    assert f"L32 {zero}" in line
    assert line.startswith("M0 18.5")
    assert line.endswith(" 1.5")
    assert svg.spark_scale([]) == (0.0, 1.0)


# Completeness


def day(**values):
    usual = LedgerDay(DEVICE, "5.1.B", "2025-07-19", 100, 100, 0, 0, 0, 0, 0)
    return replace(usual, **values)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({}, "full"),
        ({"received": 99, "lost": 1}, "lost"),
        ({"received": 99, "dropped": 1}, "dropped"),
        ({"received": 60, "pending": 40, "lost": None}, "pending"),
        ({"lost": None}, "open"),
        ({"expected": 0, "received": 0}, "none"),
    ],
)
def test_a_day_is_drawn_as_what_is_known_of_it(values, kind):
    assert cell(day(**values)).kind == kind


def test_almost_complete_is_never_shown_as_complete():
    assert "100 %" not in cell(day(received=60, pending=40, lost=None)).text
    share = completeness([day(expected=10**7, received=10**7 - 1)])
    from tilth.web.render import percent_text

    assert percent_text(share) == "99.999 %"


def test_the_matrix_has_a_row_for_each_device_and_a_cell_for_each_day():
    names = ["2025-07-18", "2025-07-19"]
    rows = matrix([day(), day(device="0" * 12, loc="")], names)
    assert [(table, len(lines)) for table, lines in rows] == [("5", 1), ("", 1)]
    assert [one.kind for one in rows[0][1][0][2]] == ["none", "full"]


def test_the_ledger_of_a_device_has_its_proof_and_watermarks(client):
    text = client.get(f"/ledger?device={DEVICE}").text
    assert "without a hole" in text
    assert "Watermark of each boot" in text
    assert "3592" in text


def test_more_days_than_can_be_shown_are_refused(client):
    assert client.get("/ledger?first=2020-01-01&last=2025-01-01").status_code == 400


# How heavy


def test_every_page_with_all_it_needs_is_below_100_kB_on_the_wire(
    client, clock, control
):
    big = GeneratedFleet(control, clock=clock, replicas="ABCDEFG")  # 84 devices
    client.app.state.room.source = big
    size = {}

    def fetch(path):
        with client.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
            return sum(len(chunk) for chunk in answer.iter_raw())

    for path in (
        "/",
        f"/devices/{DEVICE}",
        "/variants",
        "/cycles",
        "/ledger",
        "/alarms",
    ):
        text = client.get(path).text
        needed = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
        modules = ["/static/page.js", "/static/chart.js"]
        size[path] = fetch(path) + sum(fetch(one) for one in {*needed, *modules})
    assert max(size.values()) < 100_000, size


def test_old_pages_are_never_kept_and_files_of_ours_for_long(client):
    assert client.get("/").headers["cache-control"] == "no-store"
    address = re.search(r'href="(/static/style.css[^"]+)"', client.get("/").text)[1]
    assert "immutable" in client.get(address).headers["cache-control"]


def test_the_vendored_files_are_those_of_the_note():
    import hashlib

    from tilth.web.render import STATIC

    note = (STATIC / "vendor" / "README.md").read_text()
    for name in ("uPlot.iife.min.js", "uPlot.min.css"):
        digest = hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest()
        assert digest in note


def test_the_ages_of_tiles_are_counted_from_the_servers_clock(client, fleet):
    assert f'data-now="{NOW}"' in client.get("/").text
    assert f'data-t="{NOW - 2_000}"' in client.get("/").text
