"""The service as a whole: a chamber's records become a flux, an answer a result."""

import threading
import time

import pytest

from tilth.core.errors import TilthError
from tilth.fleet.config import FleetConfig
from tilth.fleet.service import FleetService


def settle(condition, seconds=10.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


@pytest.fixture
def service(tmp_path):
    with FleetService(tmp_path / "fleet", FleetConfig(mqtt_port=0)) as service:
        yield service


def test_a_service_leaves_no_thread_and_can_start_again(tmp_path):
    before = threading.active_count()
    service = FleetService(tmp_path / "fleet", FleetConfig(mqtt_port=0))
    for _ in range(2):
        with service:
            assert service.mqtt_port > 0
        service.stop()
        settle(lambda: threading.active_count() <= before)


def test_two_services_never_write_one_folder(service):
    other = FleetService(service.folder, FleetConfig(mqtt_port=0))
    with pytest.raises(TilthError):
        other.start()
    assert service.journal.commit([]) == []


def test_the_folder_is_for_its_owner_alone(service):
    assert service.folder.stat().st_mode & 0o077 == 0
    assert (service.folder / "secret.key").stat().st_mode & 0o077 == 0
