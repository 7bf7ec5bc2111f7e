"""A generated fleet behind the real web application."""

import re
import sys
import time
import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # Starlette's client would rather have a successor of httpx.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

from tilth.fleet import accounts
from tilth.fleet.control import Control
from tilth.web.app import make_app
from tilth.web.settings import WebSettings

# Beside this file; tests are imported without their folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

PASSWORD = "correct horse battery"
HOST = "http://127.0.0.1"


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture(scope="session", autouse=True)
def light_scrypt():
    """Hash passwords at a thousandth of the cost: what it costs is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_N", 16)
        patch.setattr(accounts, "_P", 1)
        patch.setattr(accounts, "_NOBODY", accounts.hash_password("nobody"))
        yield


@pytest.fixture
def clock():
    from generated_fleet import NOW

    return Clock(NOW)


@pytest.fixture
def control(tmp_path, clock):
    with Control(tmp_path / "control.sqlite", clock) as control:
        yield control


@pytest.fixture
def fleet(control, clock):
    from generated_fleet import GeneratedFleet

    return GeneratedFleet(control, clock=clock, replicas="AB")


@pytest.fixture
def settings():
    return WebSettings()


@pytest.fixture
def client(fleet, control, settings):
    with TestClient(
        make_app(fleet, control, settings), base_url=HOST, follow_redirects=False
    ) as client:
        yield client


@pytest.fixture
def log_in(client, control):
    """Return a function that logs the client in with a role."""

    def enter(role="operator", name="ada"):
        accounts.add_user(control, name, PASSWORD, role)
        answer = send_login(client, name, PASSWORD)
        assert answer.status_code == 303, answer.text
        return name

    return enter


def send_login(client, name, password, target="/"):
    """Fill in the log-in form as a browser does."""
    form = client.get(f"/login?next={target}").text
    visit = re.search(r'name="visit" value="([0-9a-f]+)"', form)[1]
    return client.post(
        "/login",
        data={"user": name, "password": password, "visit": visit, "next": target},
    )


def settle(condition, seconds=30.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """The real service, filled with some hours of a few chambers."""
    from real_fleet import CYCLE_MS, HOURS, NOW, POTS, fill

    from tilth.fleet.config import FleetConfig
    from tilth.fleet.service import FleetService

    folder = tmp_path_factory.mktemp("fleet") / "data"
    with FleetService(folder, FleetConfig(mqtt_port=0), Clock(NOW)) as service:
        fill(service, HOURS)
        cycles = len(POTS) * HOURS * 3_600_000 // CYCLE_MS
        settle(lambda: len(service.live.fluxes(0, NOW, usable=True)) == cycles)
        yield service


@pytest.fixture
def post(client):
    """Return a function that posts a form with the token of the page."""

    def send(path, data=None, **more):
        token = re.search(r'data-csrf="([^"]*)"', client.get("/alarms").text)[1]
        return client.post(path, data={"csrf": token, **(data or {})}, **more)

    return send


@pytest.fixture
def login_form():
    return send_login
