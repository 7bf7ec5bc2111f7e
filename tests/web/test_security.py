"""What nobody may do: read as a stranger, change without a log-in, forge, inject."""

import html
import re

import pytest
from generated_fleet import HOSTILE, GeneratedFleet
from starlette.routing import Route

from conftest import HOST, PASSWORD, send_login
from tilth.fleet import accounts
from tilth.web.auth import FREE_TRIES, SESSION_COOKIE, LoginLimiter
from tilth.web.settings import FORM_LIMIT, UPLOAD_LIMIT, WebSettings

DEVICE = "a4cf1201017b"

#: Every address that changes something, and a form that would be accepted.
CHANGES = {
    "/alarms/acknowledge": {"alarm": "1"},
    "/alarms/snooze": {"alarm": "1", "span": "1 h"},
    "/maintenance": {"scope": "5", "end": "2025-07-20T10:00", "reason": "soil"},
    "/maintenance/end": {"window": "1"},
    "/placement": {"device": DEVICE, "loc": "5.10.A", "start": "2025-07-20T08:00"},
    "/commands": {"cmd": "identify", "to": DEVICE},
    "/firmware": {},
    "/firmware/rollout": {"action": "start", "version": "1.1.0"},
}


def audit(control):
    return control.rows("SELECT user, action FROM audit ORDER BY id")


# The headers of every answer


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/fleet", "/login", "/healthz"])
def test_every_answer_forbids_inline_scripts_frames_and_guessing(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


def test_an_unknown_host_is_turned_away(client):
    for host in ("evil.example", "127.0.0.1.evil.example", "", "localhost.evil:80"):
        assert client.get("/", headers={"host": host}).status_code == 421, host
        # but for firmware, which devices fetch under any address they were told
        other = client.get("/firmware/1.1.0.bundle", headers={"host": host})
        assert other.status_code == 404
    for host in ("localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8000"):
        assert client.get("/", headers={"host": host}).status_code == 200, host


# Changing needs a log-in, a role, a token, and our own page


def test_every_change_is_in_the_list_of_this_test(client):
    changing = {
        route.path
        for route in client.app.routes
        if isinstance(route, Route) and "POST" in (route.methods or ())
    }
    assert changing == {*CHANGES, "/login", "/logout"}
    for route in client.app.routes:
        if (
            isinstance(route, Route)
            and route.path in CHANGES
            and "POST" in route.methods
        ):
            assert getattr(route.endpoint, "role", None) in accounts.ROLES


@pytest.mark.parametrize("path", CHANGES)
def test_without_a_login_nothing_changes(client, control, fleet, path):
    assert client.post(path, data=CHANGES[path]).status_code == 401
    assert audit(control) == []
    assert fleet.sent == []


@pytest.mark.parametrize("path", CHANGES)
def test_a_viewer_changes_nothing(client, control, fleet, log_in, post, path):
    log_in("viewer")
    assert post(path, CHANGES[path]).status_code == 403
    assert fleet.sent == []


@pytest.mark.parametrize("path", ["/firmware", "/firmware/rollout"])
def test_an_operator_rolls_out_no_firmware(log_in, post, path):
    log_in("operator")
    assert post(path, CHANGES[path]).status_code == 403


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("token", [None, "", "x" * 43, "ä"])
def test_without_the_token_of_the_session_nothing_changes(
    client, control, fleet, log_in, path, token
):
    log_in("admin")
    before = audit(control)
    data = CHANGES[path] | ({} if token is None else {"csrf": token})
    assert client.post(path, data=data).status_code == 403
    assert audit(control) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_page_of_another_site_changes_nothing(log_in, post, headers):
    log_in("admin")
    answer = post("/commands", CHANGES["/commands"], headers=headers)
    assert answer.status_code == 403


def test_our_own_page_does(log_in, post, fleet):
    log_in("operator")
    headers = {"origin": HOST, "sec-fetch-site": "same-origin"}
    answer = post("/commands", CHANGES["/commands"], headers=headers)
    assert answer.status_code == 303
    assert len(fleet.sent) == 1


def test_reading_addresses_never_change_anything(client, log_in, control, fleet):
    log_in("admin")
    before = audit(control)
    for path, data in CHANGES.items():
        client.get(path, params=data)
    assert audit(control) == before
    assert fleet.sent == []


# Log-in


def test_a_login_gives_a_cookie_that_scripts_and_other_sites_do_not_get(
    client, control
):
    accounts.add_user(control, "ada", PASSWORD, "operator")
    cookie = send_login(client, "ada", PASSWORD).headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # plain HTTP on this machine


@pytest.mark.parametrize("settings", [WebSettings(https=True)])
def test_behind_https_cookies_travel_encrypted_only(client, control):
    form = client.get("/login")
    assert "Secure" in form.headers["set-cookie"]
    assert "max-age" in form.headers["strict-transport-security"]


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(client, control):
    accounts.add_user(control, "ada", PASSWORD, "operator")
    answers = [send_login(client, *pair) for pair in (("ada", "no"), ("eve", "no"))]
    assert {answer.status_code for answer in answers} == {401}
    bodies = {re.sub(r'value="[^"]*"', "", answer.text) for answer in answers}
    assert len(bodies) == 1


def test_guessing_is_slowed_down_and_the_right_password_then_waits_too(
    client, control, clock
):
    accounts.add_user(control, "ada", PASSWORD, "operator")
    codes = [send_login(client, "ada", f"guess {i}").status_code for i in range(8)]
    assert codes == [401] * FREE_TRIES["pair"] + [429] * 3
    answer = send_login(client, "ada", PASSWORD)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    clock.now += 31_000
    assert send_login(client, "ada", PASSWORD).status_code == 303


def test_waiting_grows_but_never_beyond_a_quarter_of_an_hour(clock):
    limiter = LoginLimiter(clock)
    waits = []
    for _ in range(20):
        limiter.failed("ada", "10.0.0.9")
        waits.append(limiter.wait_ms("ada", "10.0.0.9"))
        clock.now += waits[-1]
    assert waits[: FREE_TRIES["pair"] - 1] == [0] * (FREE_TRIES["pair"] - 1)
    assert waits == sorted(waits)
    assert waits[-1] == 15 * 60_000


def test_guessing_from_elsewhere_does_not_lock_a_person_out(clock):
    limiter = LoginLimiter(clock)
    for _ in range(10):
        limiter.failed("ada", "10.0.0.9")
    assert limiter.wait_ms("ada", "10.0.0.9") > 0
    assert limiter.wait_ms("ada", "192.168.1.2") == 0


def test_an_account_of_ones_own_does_not_wash_an_address_clean(clock):
    limiter = LoginLimiter(clock)
    for i in range(2 * FREE_TRIES["address"]):
        limiter.failed(f"name {i}", "10.0.0.9")
        limiter.failed("mallory", "10.0.0.9")
        limiter.succeeded("mallory", "10.0.0.9")
    assert limiter.wait_ms("someone", "10.0.0.9") > 0


def test_logging_in_often_is_no_failure(clock):
    limiter = LoginLimiter(clock)
    for _ in range(100):
        limiter.failed("ada", "10.0.0.9")
        limiter.succeeded("ada", "10.0.0.9")
    assert limiter.wait_ms("ada", "10.0.0.9") == 0


def test_the_login_form_of_another_site_does_not_log_anyone_in(client, control):
    accounts.add_user(control, "ada", PASSWORD, "operator")
    data = {"user": "ada", "password": PASSWORD, "next": "/", "visit": "0" * 64}
    assert client.post("/login", data=data).status_code == 403


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:1"],
)
def test_a_login_leads_to_our_own_pages_only(client, control, target):
    accounts.add_user(control, "ada", PASSWORD, "operator")
    answer = send_login(client, "ada", PASSWORD, target)
    assert answer.headers["location"] == "/"


def test_logging_out_ends_the_session_on_the_server(client, log_in, post):
    log_in()
    token = client.cookies[SESSION_COOKIE]
    assert post("/logout").status_code == 303
    client.cookies.set(SESSION_COOKIE, token)
    assert "Log in" in client.get("/").text


def test_logging_out_needs_the_token_too(client, log_in):
    log_in()
    client.post("/logout", data={"csrf": "x"})
    client.cookies.set(SESSION_COOKIE, client.cookies.get(SESSION_COOKIE) or "")
    # The cookie of this browser is gone, the session itself is not ended by others.
    assert client.get("/healthz").status_code == 200


def test_a_login_ends_after_its_time(client, log_in, clock):
    log_in()
    assert "Log out" in client.get("/").text
    clock.now += accounts.IDLE_MS + 1
    assert "Log in" in client.get("/").text


def test_the_session_changes_at_every_login(client, control):
    accounts.add_user(control, "ada", PASSWORD, "operator")
    client.cookies.set(SESSION_COOKIE, "chosen-by-somebody-else")
    send_login(client, "ada", PASSWORD)
    values = [c.value for c in client.cookies.jar if c.name == SESSION_COOKIE]
    assert any(value != "chosen-by-somebody-else" for value in values)


# Reading with a log-in


READING = [
    "/", "/variants", "/cycles", "/alarms", "/ledger", "/placement", "/commands",
    "/firmware", "/export", "/export/samples.csv", "/metrics", "/api/", "/api/fleet",
    "/api/live", f"/devices/{DEVICE}", f"/api/devices/{DEVICE}/trace",
]  # fmt: skip


@pytest.fixture
def closed_settings():
    return WebSettings(read_needs_login=True, read_token="t" * 40)


@pytest.mark.parametrize("settings", [WebSettings(read_needs_login=True)])
@pytest.mark.parametrize("path", READING)
def test_where_reading_needs_a_login_nothing_is_read_without(client, path):
    answer = client.get(path)
    assert answer.status_code in (303, 401)
    assert DEVICE not in answer.text
    assert "5.10" not in answer.text


@pytest.mark.parametrize(
    "settings", [WebSettings(read_needs_login=True, read_token="t" * 40)]
)
def test_programs_read_with_the_token_and_people_with_their_login(client, log_in):
    assert client.get("/healthz").status_code == 200
    for given in ("", "Bearer wrong", "Bearer " + "t" * 39, "Basic dDp0"):
        headers = {"authorization": given}
        assert client.get("/api/fleet", headers=headers).status_code == 401
    headers = {"authorization": "Bearer " + "t" * 40}
    assert client.get("/api/fleet", headers=headers).status_code == 200
    assert client.post("/commands", headers=headers).status_code == 401
    log_in("viewer")
    assert client.get("/").status_code == 200


def test_the_token_is_shown_nowhere(closed_settings):
    assert "t" * 40 not in repr(closed_settings)


# What devices say is hostile


@pytest.fixture
def hostile(control, clock):
    return GeneratedFleet(control, clock=clock, hostile=True, replicas="A")


@pytest.mark.parametrize(
    "path",
    ["/", "/devices/ffffffffffff", "/placement", "/ledger", "/cycles", "/commands",
     "/export", "/alarms", "/ledger?device=ffffffffffff"],
)  # fmt: skip
def test_what_a_device_says_never_becomes_part_of_a_page(client, hostile, path, log_in):
    client.app.state.room.source = hostile
    hostile.raise_alarm(HOSTILE, "ffffffffffff", "critical", HOSTILE)
    log_in("admin", "eve")
    text = client.get(path).text
    assert "<script>alert" not in text
    assert html.escape(HOSTILE)[:20] in text or "&#34;" in text or "&gt;" in text


def test_json_inside_a_page_cannot_end_its_element():
    from tilth.web.render import json_block

    shown = json_block({"a": "</script><script>alert(1)</script>&"})
    assert "<" not in shown
    assert ">" not in shown
    assert "&" not in shown


def test_a_hostile_name_in_an_address_is_no_page(client):
    answer = client.get("/devices/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


def test_what_stands_in_an_address_is_never_shown_as_it_is(client):
    attack = "%3Cscript%3Ealert(1)%3C/script%3E"
    for path in (
        f"/?said={attack}", f"/login?next=/{attack}", f"/cycles?device={attack}",
        f"/cycles?span={attack}", f"/ledger?first={attack}", f"/export?what={attack}",
        f"/api/fluxes?start={attack}", f"/{attack}",
    ):  # fmt: skip
        answer = client.get(path)
        is_page = answer.headers["content-type"].startswith("text/html")
        assert is_page or answer.headers["content-type"] == "application/json"
        assert not is_page or "<script>alert" not in answer.text, path


def test_a_formula_from_a_device_is_harmless_in_a_spreadsheet(client, control, clock):
    fleet = GeneratedFleet(control, clock=clock, replicas="A")
    fleet.places_of["ffffffffffff"] = "=HYPERLINK(1)"
    client.app.state.room.source = fleet
    lines = client.get("/export/samples.csv?device=ffffffffffff").text.splitlines()
    assert '"\'=HYPERLINK(1)"' in lines[1]


# Sizes and paths


def test_a_body_beyond_its_limit_is_refused(log_in, client, post):
    log_in("operator")
    answer = post("/placement", {"note": "x" * (FORM_LIMIT + 1)})
    assert answer.status_code == 413

    def endless():
        for _ in range(100):
            yield b"x" * 4096

    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/login", content=endless(), headers=headers)
    assert answer.status_code == 413


def test_an_upload_has_a_limit_of_its_own(log_in, post):
    log_in("admin")
    files = {"bundle": ("x.bundle", b"x" * (FORM_LIMIT * 2))}
    manifest = {"manifest": ("m.json", b"{}")}
    assert post("/firmware", files=files | manifest).status_code == 303
    files = {"bundle": ("x.bundle", b"x" * (UPLOAD_LIMIT + 1))}
    assert post("/firmware", files=files).status_code == 413


@pytest.mark.parametrize(
    "version",
    ["../control", "..", "%2e%2e%2fcontrol", "..%5ccontrol", "a/../../control.sqlite",
     ".hidden", "x" * 40, "1.0%00", "1.1.0\u202e"],
)  # fmt: skip
def test_no_path_leads_out_of_the_firmware(client, fleet, version):
    fleet.bundles = dict.fromkeys([version], fleet.control.folder / "control.sqlite")
    answer = client.get(f"/firmware/{version}.bundle")
    assert answer.status_code == 404


def test_static_files_are_those_of_the_folder_only(client):
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        assert client.get(path).status_code == 404


def test_control_characters_and_long_texts_are_refused(log_in, post):
    log_in("operator")
    form = CHANGES["/placement"]
    assert post("/placement", form | {"note": "a\x00b"}).status_code == 400
    assert post("/placement", form | {"note": "x" * 300}).status_code == 400


def test_an_unforeseen_error_tells_the_page_nothing(fleet, control):
    from conftest import TestClient
    from tilth.web.app import make_app

    def broken():
        raise RuntimeError("/secret/path and a password")

    app = make_app(fleet, control)
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        fleet.tiles = broken
        for path in ("/", "/api/fleet"):
            answer = client.get(path)
            assert answer.status_code == 500
            assert "secret" not in answer.text
            assert "content-security-policy" in answer.headers


def test_no_secret_is_in_pages_or_in_the_record_of_changes(
    client, control, log_in, caplog
):
    log_in("admin")
    token = client.cookies[SESSION_COOKIE]
    for path in ("/", "/commands", "/firmware", "/alarms", "/api/fleet"):
        text = client.get(path).text
        assert token not in text
        assert PASSWORD not in text
        assert "scrypt" not in text
    assert PASSWORD not in caplog.text
    assert token not in caplog.text
    rows = str(
        control.rows("SELECT * FROM audit") + control.rows("SELECT * FROM logins")
    )
    assert token not in rows
    assert PASSWORD not in rows
