"""The pages in a real browser: live, on a telephone, by keyboard, without strangers."""

import json
import os
import shutil
import time
from urllib.parse import urlsplit

import pytest
from generated_fleet import NOW, GeneratedFleet

from conftest import PASSWORD
from tilth.fleet import accounts
from tilth.fleet.control import Control
from tilth.web.app import make_app
from tilth.web.server import WebServer

DEVICE = "a4cf1201017b"
PAGES = [
    "/", f"/devices/{DEVICE}", "/variants", "/cycles", "/alarms", "/ledger",
    f"/ledger?device={DEVICE}", "/placement", "/commands", "/firmware", "/export",
    "/api/", "/login",
]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A fleet with an alarm, its pages served; time goes on from the fleet's own."""
    begun = time.monotonic()

    def clock():
        return NOW + round(1000 * (time.monotonic() - begun))

    folder = tmp_path_factory.mktemp("pages")
    with Control(folder / "control.sqlite", clock) as control:
        accounts.add_user(control, "ada", PASSWORD, "operator")
        fleet = GeneratedFleet(control, clock=clock, replicas="AB")
        fleet.raise_alarm("stuck_closed", DEVICE, "critical", "does not open")
        app = make_app(fleet, control)
        with WebServer(app, port=0) as server:
            fleet.url = server.url
            fleet.hub_clients = lambda: app.state.room.hub.clients
            yield fleet


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        text = "needs a browser: apt-get install chromium chromium-driver"
        if os.environ.get("TILTH_REQUIRE_DATA"):
            pytest.fail(text)
        pytest.skip(text)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update",
        "--disable-dev-shm-usage", "--window-size=1280,900",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.fixture
def at(browser, served):
    """Return a function that opens a page at a width and tells of its mistakes."""

    def show(path, width=1280, dark=False):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1,
             "mobile": width < 500},
        )  # fmt: skip
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        browser.get(served.url + path)
        return browser

    yield show
    errors = [
        entry["message"]
        for entry in browser.get_log("browser")
        if entry["level"] == "SEVERE"
        # A form that is refused is a failed request to the console.
        and "status of 40" not in entry["message"]
    ]
    assert errors == []


def until(condition, seconds=8.0):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def find(browser, selector):
    return browser.find_element("css selector", selector)


def is_live(browser):
    return find(browser, "#live").get_attribute("data-state") == "live"


def enter(browser):
    find(browser, '[name="user"]').send_keys("ada")
    find(browser, '[name="password"]').send_keys(PASSWORD, "\n")
    until(lambda: "Log out" in browser.page_source)


def test_a_tile_follows_its_chamber(at, served):
    browser = at("/")
    tile = f'[data-device="{DEVICE}"]'
    until(lambda: is_live(browser))
    served.say(kind="device", device=DEVICE, co2=987.4, state="closed", online=True,
               seen=served.clock())  # fmt: skip
    served.say(kind="flux", device=DEVICE, flux=-0.1234, flux_se=0.034)
    until(lambda: find(browser, f'{tile} [data-f="co2"]').text == "987")
    until(lambda: find(browser, f'{tile} [data-f="flux"]').text == "−0.123 ± 0.034")
    assert find(browser, f'{tile} [data-f="state"]').text == "closed"
    served.say(kind="device", device=DEVICE, online=False)
    until(lambda: find(browser, f'{tile} [data-f="state"]').text == "offline")


def test_an_alarm_changes_the_tile_by_itself(at, served):
    other = "a4cf1202007b"
    browser = at("/")
    until(lambda: is_live(browser))
    served.raise_alarm("frozen", other, "warning", "the sensor repeats itself")
    served.say(kind="alarm")
    until(
        lambda: (
            find(browser, f'[data-device="{other}"]').get_attribute("data-severity")
            == "warning"
        )
    )
    mark = find(browser, f'[data-device="{other}"] .mark')
    assert mark.get_attribute("aria-label") == "warning"
    assert find(browser, "#alarm-count").text == "2"


def test_a_page_that_lost_the_stream_goes_on_where_it_was(at, served):
    browser = at("/")
    until(lambda: is_live(browser))
    served.say(kind="device", device=DEVICE, co2=601.0, online=True)
    co2 = f'[data-device="{DEVICE}"] [data-f="co2"]'
    until(lambda: find(browser, co2).text == "601")
    browser.execute_script(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'));"
    )
    until(lambda: not served.hub_clients())
    served.say(kind="device", device=DEVICE, co2=602.0)
    time.sleep(0.4)
    assert find(browser, co2).text == "601"
    browser.execute_script(
        "Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'));"
    )
    until(lambda: find(browser, co2).text == "602")


def test_tiles_are_found_by_place_and_by_alarm(at):
    browser = at("/")
    shown = "return document.querySelectorAll('.tile:not([hidden])').length"
    find(browser, "#find").send_keys("5.10")
    until(lambda: browser.execute_script(shown) == 2)
    find(browser, "#find").clear()
    find(browser, "#find").send_keys("9")
    find(browser, "#only-alarms").click()
    until(lambda: browser.execute_script(shown) == 0)
    assert find(browser, "#none-found").is_displayed()


def test_traces_are_drawn_read_out_and_looked_at_closely(at):
    browser = at(f"/devices/{DEVICE}")
    canvases = "return document.querySelectorAll('.plot-place canvas').length"
    until(lambda: browser.execute_script(canvases) == 8)
    readout = find(browser, 'figure[data-channel="co2"] .readout')
    until(lambda: "last" in readout.text)
    requests = (
        "return performance.getEntriesByType('resource')"
        ".filter((e) => e.name.includes('/trace')).length"
    )
    before = browser.execute_script(requests)
    from selenium.webdriver import ActionChains

    over = find(browser, 'figure[data-channel="co2"] .u-over')
    ActionChains(browser).move_to_element_with_offset(over, -200, 0).perform()
    until(lambda: "2025-07-" in readout.text)
    ActionChains(browser).drag_and_drop_by_offset(over, 150, 0).perform()
    until(lambda: browser.execute_script(requests) > before)
    until(lambda: find(browser, "#whole").is_displayed())


def test_a_closure_is_drawn_with_its_curve(at, served):
    cycle = served.cycles(served.clock() - 7_200_000, served.clock(), DEVICE)[0]
    browser = at(f"/cycles/{DEVICE}/{cycle.boot}/{cycle.seq}")
    until(lambda: len(browser.find_elements("css selector", "canvas")) == 2)
    assert "fitted" in find(browser, "#co2-readout").text
    find(browser, '[rel="prev"]').click()
    until(lambda: f"/{cycle.seq - 1}" in browser.current_url)


@pytest.mark.parametrize(("width", "dark"), [(375, True), (1280, False)])
def test_no_page_scrolls_sideways_or_jumps(at, width, dark):
    for path in PAGES:
        browser = at(path, width, dark)
        wide = browser.execute_script(
            "return document.documentElement.scrollWidth - innerWidth"
        )
        assert wide <= 0, f"{path} is {wide} px too wide"
        shift = browser.execute_async_script(
            "const done = arguments[0]; let sum = 0;"
            "new PerformanceObserver((list) => { for (const e of list.getEntries())"
            " if (!e.hadRecentInput) sum += e.value; })"
            ".observe({type: 'layout-shift', buffered: true});"
            "requestAnimationFrame(() => setTimeout(() => done(sum), 60));"
        )
        assert shift < 0.05, f"{path} jumps: {shift}"


def test_hostile_text_of_a_device_neither_runs_nor_breaks_the_page(at, served):
    attack = "<img src=x onerror='window.pwned=1'>" + "W" * 120
    served.places_of["ffffffffffff"] = attack
    served.raise_alarm(attack, "ffffffffffff", "info", attack)
    try:
        for path in ("/", "/devices/ffffffffffff", "/alarms", "/ledger", "/export"):
            browser = at(path, 375)
            wide = (
                "return [...document.querySelectorAll('main *')]"
                ".filter((e) => e.getBoundingClientRect().right > innerWidth + 1"
                " && !e.closest('.scroll, .tile-head, .unseen, pre'))"
                ".map((e) => e.tagName + '.' + e.className)"
            )
            found = browser.execute_script(wide)
            assert found == [], path
            assert browser.execute_script("return window.pwned") is None
            assert not browser.find_elements("css selector", "img")
    finally:
        del served.places_of["ffffffffffff"]
        served.control.write("DELETE FROM alarms WHERE subject = 'ffffffffffff'")


def test_text_stands_out_from_its_ground_in_light_and_dark(at):
    script = """
      const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      const channel = (c) => linear(c / 255);
      const light = (rgb) => { const [r, g, b] = rgb.match(/[\\d.]+/g).map(Number);
        return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
      const ground = (e) => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor;
        if (!/, 0\\)$|transparent/.test(c)) return c; } return 'rgb(255,255,255)'; };
      const low = [];
      for (const e of document.querySelectorAll('main *, header *, footer *')) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        const box = e.getBoundingClientRect();
        if (!own || box.width < 3) continue;
        const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) low.push(`${e.tagName}.${e.className} ${ratio.toFixed(2)}`);
      }
      return [...new Set(low)];
    """
    for path in ("/", "/alarms", "/ledger", "/commands", f"/devices/{DEVICE}"):
        for dark in (False, True):
            assert at(path, dark=dark).execute_script(script) == [], (path, dark)


def test_a_person_logs_in_acknowledges_an_alarm_and_sends_a_command(at, served):
    browser = at("/alarms")
    find(browser, 'a[href="/login?next=/alarms"]').click()
    until(lambda: "/login" in browser.current_url)
    enter(browser)
    assert browser.current_url.endswith("/alarms")
    alarm = until(lambda: find(browser, ".alarm.is-critical"))
    alarm.find_element("css selector", "button.primary").click()
    until(lambda: "said=acknowledged" in browser.current_url)
    assert "by ada" in find(browser, ".alarm.is-critical").text
    assert find(browser, ".notice").text == "Acknowledged."

    browser = at(f"/commands?device={DEVICE}", 375)
    find(browser, '[value="label"]').click()
    find(browser, '[name="loc"]').send_keys("5.10")
    find(browser, ".command-form button.primary").click()
    note = until(lambda: browser.find_elements("css selector", ".form-note"))[0]
    until(lambda: "is no location code" in note.text)
    assert served.sent == []
    find(browser, '[name="loc"]').send_keys(".B")
    find(browser, ".command-form button.primary").click()
    until(lambda: "said=sent" in browser.current_url)
    assert served.sent[0][:3] == (DEVICE, "label", {"loc": "5.10.B"})
    assert "sent" in find(browser, "#follow").text
    served.control.set_command_state(served.sent[0][5], "done", {})
    served.say(kind="command")
    until(lambda: "done" in find(browser, "#follow").text)


def test_the_menu_opens_by_keyboard_and_closes_by_escape(at):
    browser = at("/", 375)
    menu = find(browser, "#menu")
    assert not menu.is_displayed()
    find(browser, ".menu-button").send_keys("\n")
    until(menu.is_displayed)
    from selenium.webdriver.common.keys import Keys

    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(lambda: not menu.is_displayed())
    browser = at("/")
    browser.find_element("css selector", "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"


def test_light_and_dark_are_chosen_and_kept(at):
    ground = "return getComputedStyle(document.body).backgroundColor"
    browser = at("/api/")
    light = browser.execute_script(ground)
    find(browser, "#theme").click()
    assert browser.execute_script(ground) != light
    assert at("/export").execute_script(ground) != light
    browser.delete_cookie("theme")


def test_nothing_is_asked_of_any_other_host(browser, served):
    asked = set()
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(urlsplit(message["params"]["request"]["url"]))
    hosts = {one.netloc for one in asked if one.scheme.startswith(("http", "ws"))}
    assert hosts == {urlsplit(served.url).netloc}
