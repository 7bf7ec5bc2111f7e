"""Fixtures of the fleet's tests: brokers, credentials, certificates."""

import os
import sys
from pathlib import Path

import pytest

# The helpers beside this file (devices, radios, oracle, brokers) are plain modules; so
# are the firmware and its fake hardware.
_HERE = Path(__file__).resolve().parent
for _folder in (_HERE, _HERE.parent / "firmware", _HERE.parents[1] / "firmware"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))


@pytest.fixture
def mosquitto(tmp_path):
    """Return a function that starts a Mosquitto: "deployed" or "stock".

    Skips where Mosquitto is not installed, unless ``TILTH_REQUIRE_DATA`` is set: then
    it fails, so that CI cannot skip in silence.
    """
    from brokers import Mosquitto, find_mosquitto

    if find_mosquitto() is None:
        text = "this test starts a real Mosquitto: apt-get install mosquitto"
        if os.environ.get("TILTH_REQUIRE_DATA"):
            pytest.fail(text)
        pytest.skip(text)
    started = []

    def start(kind="stock", folder=None):
        folder = folder or tmp_path / f"mosquitto{len(started)}"
        folder.mkdir(exist_ok=True)
        broker = Mosquitto.deployed(folder) if kind == "deployed" else Mosquitto(folder)
        started.append(broker)
        return broker.start()

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def credentials(tmp_path):
    """Return the credentials of an empty fleet in a folder of its own."""
    from tilth.fleet.control import master_secret, open_control
    from tilth.fleet.credentials import Credentials

    with open_control(tmp_path) as control:
        yield Credentials(control, master_secret(tmp_path))


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Return a folder with an authority and the certificate of this machine."""
    from tilth.fleet.certificates import create_authority, issue_server

    folder = tmp_path_factory.mktemp("authority")
    create_authority(folder)
    issue_server(folder, ["localhost", "127.0.0.1"])
    return folder
