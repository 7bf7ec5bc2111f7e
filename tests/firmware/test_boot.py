"""Changing the firmware: whatever happens, the device starts and runs a whole one."""

import hashlib
import json
import os
import struct

import pytest
from boot import build, slots
from fakes import FakeHardware, PowerCut, Reset, run
from fakes_flash import FakeFlash
from fakes_http import FakeWeb
from hypothesis import given, settings
from hypothesis import strategies as st
from tilth_chamber import app, bundle, commands, http, link, start, update
from tilth_chamber.update import Updater
from whole import Whole

from tilth.fleet.protocol import Command, encode_command

FULL = bool(os.environ.get("TILTH_FULL"))
KEY = build.new_key()
PUBLIC = build.public_key(KEY)
URL = "http://fleet:8080/firmware/tilth.bundle"
MINUTE = 60_000


def small_firmware(folder, version, files=3):
    """A firmware of a few short files, as a bundle."""
    place = folder / version
    place.mkdir()
    (place / "__init__.py").write_text(f'__version__ = "{version}"\n')
    for i in range(files - 1):
        (place / f"part{i}.py").write_text(f"# {version}\n" * 300 * (i + 1))
    assert build.version_of(place) == version
    return build.make_bundle(place)


def install(fs, slot, data, version, serial=0):
    """Fill a slot as over the cable."""
    for name, content in build.slot_files(data, version, serial).items():
        fs.put(f"/{slot}/{name}", content)


def is_intact(fs, slot, data):
    """Whether a slot holds exactly the files of a bundle."""
    for name, content in build.slot_files(data, "1.0.0").items():
        path = f"/{slot}/{name}"
        if name != "slot.json" and (path not in fs.live or fs.read(path) != content):
            return False
    return True


@pytest.fixture
def bundles(tmp_path):
    return {v: small_firmware(tmp_path, v) for v in ("1.0.0", "1.1.0")}


# --- slots


def test_a_fresh_device_runs_the_slot_that_was_filled(bundles):
    fs = FakeFlash()
    assert slots.Slots(fs).choose() is None
    install(fs, "b", bundles["1.0.0"], "1.0.0")
    assert slots.Slots(fs).choose() == "b"
    install(fs, "a", bundles["1.0.0"], "1.0.0")
    assert slots.Slots(fs).choose() == "b"


def on_trial(fs, bundles):
    install(fs, "a", bundles["1.0.0"], "1.0.0", 1)
    first = slots.Slots(fs)
    assert first.choose() == "a"
    install(fs, "b", bundles["1.1.0"], "1.1.0", 2)
    assert first.try_spare()
    return first


def test_a_firmware_on_trial_gets_two_starts_then_the_good_one_runs(bundles):
    fs = FakeFlash()
    on_trial(fs, bundles)
    assert [slots.Slots(fs).choose() for _ in range(4)] == ["b", "b", "a", "a"]
    assert slots.Slots(fs).failed() == "1.1.0"
    assert slots.Slots(fs).serial() == 1


def test_a_confirmed_firmware_stays_and_its_serial_counts(bundles):
    fs = FakeFlash()
    on_trial(fs, bundles)
    now = slots.Slots(fs)
    assert now.choose() == "b"
    assert now.on_trial()
    now.confirm()
    assert [slots.Slots(fs).choose() for _ in range(4)] == ["b"] * 4
    assert slots.Slots(fs).serial() == 2
    assert slots.Slots(fs).spare() == "a"


def test_a_crash_on_trial_rolls_back_at_once(bundles):
    fs = FakeFlash()
    on_trial(fs, bundles)
    now = slots.Slots(fs)
    assert now.choose() == "b"
    now.crashed()
    assert slots.Slots(fs).choose() == "a"


def test_a_good_firmware_that_crashes_three_times_gives_way_and_gets_back(bundles):
    fs = FakeFlash()
    install(fs, "a", bundles["1.0.0"], "1.0.0")
    install(fs, "b", bundles["1.1.0"], "1.1.0")
    chosen = []
    for _ in range(8):
        now = slots.Slots(fs)
        chosen.append(now.choose())
        now.crashed()
    assert chosen == ["a", "a", "a", "b", "b", "b", "a", "a"]
    fs.remove("/b/slot.json")
    for _ in range(5):
        now = slots.Slots(fs)
        assert now.choose() == "a"
        now.crashed()
    now.settled()
    assert slots.Slots(fs)._crashes == 0


def test_a_slot_with_a_missing_or_shortened_file_is_not_run(bundles):
    fs = FakeFlash()
    on_trial(fs, bundles)
    fs.put("/b/tilth_chamber/part0.py", b"short")
    assert slots.Slots(fs).choose() == "a"
    fs.remove("/a/tilth_chamber/part1.py")
    install(fs, "b", bundles["1.1.0"], "1.1.0")
    assert slots.Slots(fs).choose() == "b"


@pytest.mark.parametrize("damage", [b"", b"x", b"00000000{}", b"\xff" * 50])
def test_a_damaged_pointer_still_starts_a_whole_firmware(bundles, damage):
    fs = FakeFlash()
    install(fs, "b", bundles["1.0.0"], "1.0.0", 7)
    fs.put("/slots.json", damage)
    now = slots.Slots(fs)
    assert now.choose() == "b"
    assert now.serial() == 7


def test_a_flash_that_cannot_count_the_tries_runs_the_good_firmware(bundles):
    fs = FakeFlash()
    on_trial(fs, bundles)
    fs.read_only = True
    assert slots.Slots(fs).choose() == "a"


# --- what a device takes


def manifest(data, version="1.1.0", serial=2, **more):
    return build.make_manifest(data, version, serial, KEY, URL, **more)


def judge(description, running="1.0.0", serial=1, boot=1, key=PUBLIC):
    bundle.check(description, bytes.fromhex(key), running, serial, boot)


def test_what_the_tool_signs_is_taken(bundles):
    judge(manifest(bundles["1.1.0"]))
    judge({**manifest(bundles["1.1.0"]), "url": "http://elsewhere/x"})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "1.2.0"}, "signature"),
        ({"serial": 3}, "signature"),
        ({"size": 1}, "signature"),
        ({"sha256": "0" * 64}, "signature"),
        ({"min_boot": 0}, "signature"),
        ({"downgrade": True}, "signature"),
        ({"sig": "00" * 64}, "signature"),
        ({"sig": "xyz"}, "signature"),
        ({"sig": None}, "signature"),
        ({"sig": ""}, "signature"),
        ({"version": "1.1"}, "version"),
        ({"version": "1.1.x"}, "version"),
        ({"version": "1.1.0\n1"}, "version"),
        ({"version": None}, "manifest"),
        ({"serial": -1}, "manifest"),
        ({"serial": True}, "manifest"),
        ({"size": 1.5}, "manifest"),
        ({"sha256": "00"}, "manifest"),
        ({"downgrade": 1}, "manifest"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(bundles, change, why):
    with pytest.raises(bundle.Refused, match=why):
        judge({**manifest(bundles["1.1.0"]), **change})


def test_unsigned_firmware_and_that_of_another_fleet_are_refused(bundles):
    unsigned = manifest(bundles["1.1.0"])
    del unsigned["sig"]
    with pytest.raises(bundle.Refused, match="signature"):
        judge(unsigned)
    other = build.make_manifest(bundles["1.1.0"], "1.1.0", 2, build.new_key())
    with pytest.raises(bundle.Refused, match="signature"):
        judge(other)
    with pytest.raises(bundle.Refused, match="key"):
        judge(manifest(bundles["1.1.0"]), key="")


def test_an_older_manifest_is_refused_and_an_older_version_needs_a_pin(bundles):
    data = bundles["1.1.0"]
    for serial in (0, 1):
        with pytest.raises(bundle.Refused, match="serial"):
            judge(manifest(data, serial=serial))
    with pytest.raises(bundle.Refused, match=r"older than 1\.10\.0"):
        judge(manifest(data), running="1.10.0")
    judge(manifest(data, downgrade=True), running="1.10.0")
    with pytest.raises(bundle.Refused, match="serial"):
        judge(manifest(data, serial=1, downgrade=True), running="1.10.0")


def test_a_firmware_that_needs_a_newer_loader_or_is_too_large_is_refused(bundles):
    with pytest.raises(bundle.Refused, match="min_boot"):
        judge(manifest(bundles["1.1.0"], min_boot=2))
    with pytest.raises(bundle.Refused, match="size"):
        judge(manifest(bytes(bundle.MAX_SIZE + 1)))


def test_the_real_firmware_fits(tmp_path):
    data = build.make_bundle()
    assert len(data) < bundle.MAX_SIZE // 2
    path = tmp_path / "bundle"
    path.write_bytes(data)
    with path.open("rb") as f:
        names = [name for name, _, _ in bundle.read_index(f)]
    assert "tilth_chamber/app.py" in names


def test_a_bundle_may_be_compiled_for_the_chip(tmp_path):
    for name in ("__init__", "one"):
        (tmp_path / f"{name}.py").write_text(f'__version__ = "1.0.0"\nx = "{name}"\n')
    data = build.make_bundle(tmp_path, compiled=True)
    files = build.slot_files(data, "1.0.0")
    assert set(files) == {
        "tilth_chamber/__init__.mpy",
        "tilth_chamber/one.mpy",
        "slot.json",
    }
    assert files["tilth_chamber/one.mpy"][:2] == b"M\x06"


def entry(name, size=0, digest=bytes(32)):
    return bytes([len(name)]) + name + struct.pack("<I", size) + digest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"TILTHFW2\1\0",
        b"TILTHFW1\0\0",
        b"TILTHFW1\xff\xff",
        b"TILTHFW1\1\0",
        *[
            b"TILTHFW1\1\0" + entry(name)
            for name in (
                b"../main.py",
                b"tilth_chamber/../x.py",
                b"/main.py",
                b"tilth_boot/loader.py",
                b"tilth_chamber/x.txt",
                b"tilth_chamber/.py",
                b"tilth_chamber/X.py",
                b"tilth_chamber/\xff.py",
                b"main.py",
                b"tilth_chamber/" + b"x" * 60 + b".py",
            )
        ],
    ],
)
def test_a_bundle_that_leads_elsewhere_is_refused(data, tmp_path):
    path = tmp_path / "bundle"
    path.write_bytes(data)
    with path.open("rb") as f, pytest.raises(bundle.Refused):
        bundle.read_index(f)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(list(manifest(b"x"))),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.text(max_size=80),
            st.lists(st.none()),
        ),
    )
)
def test_any_manifest_is_judged_without_another_exception(change):
    with pytest.raises(bundle.Refused):
        judge({**manifest(b"x", serial=2), "sig": "", **change})


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://h/x", (False, "h", 80, "/x")),
        ("https://h:8443/a/b?c", (True, "h", 8443, "/a/b?c")),
        ("http://10.0.0.1:80", (False, "10.0.0.1", 80, "/")),
        ("ftp://h/x", None),
        ("http:///x", None),
        ("h/x", None),
        ("http://h:p/x", None),
        ("http://h/x\r\nHost: evil", None),
        ("", None),
    ],
)
def test_addresses(url, parts):
    if parts is None:
        with pytest.raises(http.Failed):
            http.split(url)
    else:
        assert http.split(url) == parts


# --- fetching and installing


class Bench:
    """A device that changes its firmware, without the chamber around."""

    def __init__(self, bundles, fault=None, faults=10**9):
        self.hw = FakeHardware()
        self.bundles = bundles
        self.web = FakeWeb(bundles["1.1.0"], fault, faults)
        self.hw.net.peers[("fleet", 8080)] = self.web
        install(self.hw.fs, "a", bundles["1.0.0"], "1.0.0", 1)
        self.events, self.restarts = [], 0
        self.ended = []
        self.start()

    def start(self):
        """Boot and choose a slot."""
        self.slots = slots.Slots(self.hw.fs)
        self.running = self.slots.choose()
        self.updater = Updater(
            self.hw,
            self.slots,
            {"firmware_key": PUBLIC},
            slots.VERSION,
            lambda kind, body: self.events.append((kind, body)),
            self._restart,
        )

    def _restart(self):
        self.restarts += 1

    def begin(self, **more):
        """Give the command."""
        description = {**manifest(self.bundles["1.1.0"]), **more}
        self.updater.begin(description, lambda how, why: self.ended.append((how, why)))

    def run(self, ms):
        """Let time pass until the new firmware is ready."""
        end = self.hw.true_ms + ms
        while self.hw.true_ms < end and not self.restarts:
            wake = self.updater.step(self.hw.ticks_ms())
            arrival = self.hw.net.next_arrival()
            when = wake if arrival is None else min(wake, arrival)
            self.hw.true_ms = max(min(when, end), self.hw.true_ms + 1)


@pytest.mark.parametrize("segment", [None, 1, 500])
def test_a_firmware_is_fetched_laid_out_and_put_on_trial(bundles, segment):
    bench = Bench(bundles)
    bench.hw.net.segment = segment
    bench.begin()
    bench.run(10 * MINUTE)
    assert bench.restarts == 1
    assert is_intact(bench.hw.fs, "b", bundles["1.1.0"])
    assert is_intact(bench.hw.fs, "a", bundles["1.0.0"])
    assert bench.events == [("update", {"state": "installed", "version": "1.1.0"})]
    assert (
        b"GET /firmware/tilth.bundle HTTP/1.1\r\nHost: fleet:8080\r\n"
        in (bench.web.requests[0])
    )
    assert "/b/bundle" not in bench.hw.fs.live
    bench.start()
    assert bench.running == "b"
    with pytest.raises(bundle.Refused, match="on trial"):
        bench.begin()


@pytest.mark.parametrize(
    "fault",
    [
        "truncated",
        "longer",
        "other_size",
        "no_size",
        "missing",
        "redirect",
        "silent",
        "garbage",
        "flipped",
        "endless_head",
    ],
)
def test_a_bad_download_is_tried_again_then_given_up_and_changes_nothing(
    bundles, fault
):
    bench = Bench(bundles, fault)
    bench.begin()
    bench.run(60 * MINUTE)
    assert bench.restarts == 0
    assert len(bench.web.requests) == update.ATTEMPTS
    assert [how for how, _ in bench.ended] == ["failed"]
    assert bench.events[-1][1]["state"] == "failed"
    assert is_intact(bench.hw.fs, "a", bundles["1.0.0"])
    bench.start()
    assert bench.running == "a"
    again = Bench(bundles, fault, faults=2)
    again.begin()
    again.run(60 * MINUTE)
    assert again.restarts == 1
    assert len(again.web.requests) == 3


def test_a_server_that_is_away_is_waited_for_only_so_long(bundles):
    bench = Bench(bundles)
    bench.hw.net.online = False
    bench.begin()
    with pytest.raises(bundle.Refused, match="busy"):
        bench.begin()
    bench.run(60 * MINUTE)
    assert [how for how, _ in bench.ended] == ["failed"]
    bench.hw.net.online = True
    bench.begin()
    bench.run(MINUTE)
    assert bench.restarts == 1


def test_a_flash_without_room_refuses_before_it_is_full(bundles):
    bench = Bench(bundles)
    bench.hw.fs.capacity = bench.hw.fs._used + 50_000
    bench.begin()
    bench.run(MINUTE)
    assert bench.ended[0][1]["why"] == "flash: full"
    assert bench.hw.fs.free() == 50_000


def test_the_same_manifest_may_be_tried_again_after_it_was_rolled_back(bundles):
    bench = Bench(bundles)
    bench.begin()
    bench.run(MINUTE)
    bench.start()
    bench.slots.crashed()
    bench.start()
    assert bench.running == "a"
    assert bench.slots.failed() == "1.1.0"
    bench.restarts = 0
    bench.begin()
    bench.run(MINUTE)
    bench.start()
    assert bench.running == "b"


@pytest.mark.parametrize("torn", ["none", "prefix", "garbage"])
def test_a_power_cut_at_any_change_of_the_flash_leaves_a_device_that_starts(
    bundles, torn
):
    k, cut = 1, True
    while cut:
        bench = Bench(bundles)
        fs = bench.hw.fs
        fs.torn = torn
        install(fs, "b", bundles["1.0.0"], "1.0.0", 0)  # an old one is in the way
        bench.begin()
        fs.crash_at = fs.writes + k
        cut = False
        try:
            bench.run(10 * MINUTE)
            bench.start()
            bench.slots.confirm()
        except PowerCut:
            cut = True
            bench.hw.boot("power")
            bench.start()
        running = bench.running
        version = bench.slots.about(running)["version"]
        assert is_intact(fs, running, bundles[version])
        if not cut:
            assert version == "1.1.0"
        elif not bench.slots.on_trial() and bench.slots._good == "a":
            bench.restarts = 0
            bench.begin()  # the command comes again: it goes through
            bench.run(10 * MINUTE)
            bench.start()
            assert bench.running == "b"
        k += 1
    assert k > 25


# --- the whole device


class Device(Whole):
    """A whole chamber whose slots decide which version it believes to be.

    `broken` maps a version to what is wrong with it.
    """

    def __init__(self, broken=(), **hardware):
        super().__init__(**hardware)
        self.broken = dict(broken)
        secret = json.loads(self.hw.fs.read("/secret.json"))
        secret["firmware_key"] = PUBLIC
        self.hw.fs.put("/secret.json", json.dumps(secret).encode())
        self.data = build.make_bundle()
        self.web = FakeWeb(self.data)
        self.hw.net.peers[("fleet", 8080)] = self.web
        install(self.hw.fs, "a", self.data, "1.0.0", 1)
        self.versions = []
        self.machine = None
        self.commands = 0

    def boot(self):
        """Do what the loader does."""
        self.slots = slots.Slots(self.hw.fs)
        slot = self.slots.choose()
        version = self.slots.about(slot)["version"]
        self.versions.append((self.hw.true_ms, version))
        for module in (app, commands, link, update):
            module.__version__ = version
        self.fault = self.broken.get(version)
        try:
            if self.fault == "import":
                raise ImportError("no module named nothing")
            self.machine = start.Machine(self.hw, self.slots, slots.VERSION)
        except Exception:
            self.slots.crashed()
            raise Reset("soft") from None
        self.app = self.machine.app
        self.born = self.hw.true_ms
        return self

    def step(self, now):
        """Do one round, with the fault of this version."""
        age = self.hw.true_ms - self.born
        if self.fault == "crash" and age > 40_000:
            self.slots.crashed()
            raise Reset("soft")
        if self.fault == "hang" and age > 40_000:
            return now + 10**9
        if self.fault == "blind":
            self.hw.bus.chips.pop(0x61, None)
        if self.fault == "mute":
            self.hw.net.peers.pop(("broker", 8883), None)
        return self.machine.step(now)

    def live(self, ms):
        """Let time pass, restarts and all."""
        end = self.hw.true_ms + ms
        running = self if self.machine is not None else None
        run(self.hw, self.boot, end, running)

    def order(self, version, serial, **more):
        """Give the command to change the firmware."""
        self.commands += 1
        args = build.make_manifest(self.data, version, serial, KEY, URL, **more)
        name = f"c-{self.commands:016x}"
        now = self.hw.utc_ms()
        command = Command(name, "update", args, 0, now + 30 * MINUTE)
        payload = encode_command(bytes(range(32)), command)
        self.broker.send(f"tilth/v1/{self.hw.mac()}/cmd", payload, qos=1)

    def result(self):
        """Return the latest state of the latest command."""
        name = f"c-{self.commands:016x}"
        states = [
            body["state"]
            for kind, body in self.server.events
            if kind == "result" and body["id"] == name
        ]
        return states[-1] if states else None


@pytest.fixture(autouse=True)
def versions():
    """Put the versions back that a test has changed."""
    modules = (app, commands, link, update)
    before = [module.__version__ for module in modules]
    yield
    for module, version in zip(modules, before, strict=True):
        module.__version__ = version


def test_an_update_by_command_is_fetched_tried_confirmed_and_reported():
    device = Device()
    device.live(5 * MINUTE)
    device.order("1.1.0", 2)
    device.live(40 * MINUTE)
    assert [v for _, v in device.versions] == ["1.0.0", "1.1.0"]
    assert not device.slots.on_trial()
    assert device.slots.serial() == 2
    states = [b["state"] for kind, b in device.server.events if kind == "update"]
    assert states == ["installed", "confirmed"]
    assert device.result() == "done"
    assert device.server.statuses[-1].fw == "1.1.0"
    device.hw.boot("power")
    device.machine = None
    device.live(5 * MINUTE)
    assert device.versions[-1][1] == "1.1.0"


@pytest.mark.parametrize("fault", ["import", "crash", "hang", "blind", "mute"])
def test_a_bad_firmware_is_rolled_back_and_the_failure_reported(fault):
    device = Device({"1.1.0": fault})
    chip = device.hw.bus.chips[0x61]
    device.live(5 * MINUTE)
    device.order("1.1.0", 2)
    while [v for _, v in device.versions[-2:]] != ["1.1.0", "1.0.0"]:
        device.live(10_000)
        assert device.hw.true_ms < 60 * MINUTE
        if device.versions[-1][1] == "1.0.0":
            device.hw.bus.chips[0x61] = chip
            device.hw.net.peers[("broker", 8883)] = device.broker
    tried = [t for t, v in device.versions if v == "1.1.0"]
    assert 1 <= len(tried) <= slots.TRIES
    assert device.versions[-1][0] - tried[0] < 8 * MINUTE
    device.hw.bus.chips[0x61] = chip
    device.hw.net.peers[("broker", 8883)] = device.broker
    device.live(20 * MINUTE)
    assert device.versions[-1][1] == "1.0.0"
    assert device.result() == "failed"
    updates = [b for kind, b in device.server.events if kind == "update"]
    assert {"state": "rolled_back", "version": "1.1.0"} in updates
    assert {"state": "confirmed", "version": "1.1.0"} not in updates


def test_an_older_or_unsigned_firmware_is_refused_by_the_whole_device():
    device = Device()
    device.live(5 * MINUTE)
    for version, serial, more in (
        ("1.1.0", 1, {}),
        ("0.9.0", 2, {}),
        ("1.1.0", 2, {"min_boot": 9}),
    ):
        device.order(version, serial, **more)
        device.live(12 * MINUTE)
        assert device.result() == "failed"
    assert device.web.requests == []
    device.order("0.9.0", 2, downgrade=True)
    device.live(40 * MINUTE)
    assert device.versions[-1][1] == "0.9.0"
    assert device.result() == "done"


def test_without_a_network_the_last_good_firmware_runs():
    device = Device()
    device.hw.net.online = False
    for _ in range(5):
        device.live(3 * MINUTE)
        device.hw.boot("power")
        device.machine = None
    assert {v for _, v in device.versions} == {"1.0.0"}
    assert device.slots.running == "a"


def test_an_update_loses_no_record():
    device = Device()
    device.live(30 * MINUTE)
    device.order("1.1.0", 2)
    device.live(40 * MINUTE)
    for boot in device.server.records:
        numbers = device.server.settled(boot)
        assert numbers == set(range(len(numbers)))
    assert len(device.server.records) == 2
    assert device.app.queue.boots() == [device.app.queue.boot]


def test_no_version_is_confirmed_without_the_server():
    device = Device()
    device.live(5 * MINUTE)
    device.order("1.1.0", 2)
    while ("update", {"state": "installed", "version": "1.1.0"}) not in (
        device.server.events
    ):
        device.live(1000)
    device.server.running = False
    while device.versions[-1][1] != "1.1.0":
        device.live(1000)
    device.live(3 * MINUTE)
    assert device.slots.on_trial()
    assert device.result() == "running"


# --- the tool


def test_the_tool_writes_a_key_a_bundle_and_a_first_slot(tmp_path, capsys):
    key = tmp_path / "key.pem"
    build.main(["--new-key", str(key)])
    assert build.public_key(key.read_text()) in capsys.readouterr().out
    assert key.stat().st_mode & 0o077 == 0
    with pytest.raises(SystemExit):
        build.main(["--new-key", str(key)])
    out = tmp_path / "out"
    build.main(["--key", str(key), "--serial", "4", "--out", str(out)])
    version = build.version_of()
    description = json.loads((out / f"tilth-{version}.json").read_text())
    data = (out / f"tilth-{version}.bundle").read_bytes()
    assert description["sha256"] == hashlib.sha256(data).hexdigest()
    judge(description, "0.0.1", key=build.public_key(key.read_text()))
    build.main(["--slot", str(tmp_path / "a")])
    fs = FakeFlash()
    for path in (tmp_path / "a").rglob("*.*"):
        fs.put("/a/" + str(path.relative_to(tmp_path / "a")), path.read_bytes())
    assert slots.Slots(fs).choose() == "a"
    with pytest.raises(SystemExit):
        build.main(["--out", str(out)])


def test_the_tool_says_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="no firmware in"):
        build.make_bundle(tmp_path)
    (tmp_path / "__init__.py").write_text("")
    with pytest.raises(ValueError, match="has no line __version__"):
        build.version_of(tmp_path)
    with pytest.raises(ValueError, match="three numbers"):
        build.make_manifest(b"", "1.1", 1, KEY)
    (tmp_path / "big.py").write_text("#" * bundle.MAX_SIZE)
    with pytest.raises(ValueError, match="at most"):
        build.make_bundle(tmp_path)
