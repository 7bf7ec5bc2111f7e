"""The twin's chips, flash and network, as the firmware meets them."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import TilthError
from tilth.fleet.simulate.chips import Bh1750, Bmp280, Bus, Scd30
from tilth.fleet.simulate.endpoint import Endpoint
from tilth.fleet.simulate.firmware import firmware_module, firmware_path, load_firmware
from tilth.fleet.simulate.flash import MemoryFlash
from tilth.fleet.simulate.layouts import FULL
from tilth.fleet.simulate.packets import Packets, Waiting
from tilth.fleet.simulate.plan import HOUR_MS, MINUTE_MS, utc_ms
from tilth.fleet.simulate.twin import ChamberTwin, Reset
from tilth.fleet.simulate.world import draw_world

START = utc_ms("2026-07-06")


class Air:
    """What the chips measure: constants."""

    new = True

    def fresh(self, t):
        return self.new

    def co2(self, t):
        # The example of the data sheet: 439.09 ppm, 27.2 degC, 48.8 %.
        return struct.unpack(">fff", bytes.fromhex("43DB8C2E41D9E7FF42433A1B"))

    def air(self, t):
        return 25.08, 100_653.0

    def light(self, t):
        return 1234.0


class Wire:
    """The firmware's view of a bus: `hw.i2c_write` and `hw.i2c_read`."""

    def __init__(self, bus):
        self.bus = bus

    def i2c_write(self, address, data):
        self.bus.write(address, data, 0)

    def i2c_read(self, address, n):
        return self.bus.read(address, n, 0)


@pytest.fixture
def bus():
    air = Air()
    chips = {0x61: Scd30(air, random.Random(1)), 0x76: Bmp280(air), 0x23: Bh1750(air)}
    return Bus(chips)


def twin(faults=None, devices=1, days=1.0, seed=1):
    world = draw_world(devices, days, faults, mode="loop", start=START, seed=seed)
    return ChamberTwin(world, 0, Endpoint().dial)


# --- chips


def test_the_co2_sensor_sends_the_frame_of_its_data_sheet(bus):
    bus.write(0x61, bytes.fromhex("0010000081"), 0)
    bus.write(0x61, b"\x03\x00", 0)
    assert bus.read(0x61, 18, 0) == bytes.fromhex("000081") * 6
    bus.write(0x61, b"\x03\x00", 0)
    frame = bytes.fromhex("43DBCB8C2E8F41D970E7FFF54243BF3A1B74")
    assert bus.read(0x61, 18, 0) == frame


def test_the_firmwares_driver_reads_what_the_chip_measures(bus):
    driver = firmware_module("scd30").Scd30(Wire(bus))
    driver.start()
    assert driver.ready()
    driver.read()
    assert driver.read() == (439_095, 27_238, 48_807)
    bus.chips[0x61].readings.new = False
    assert not driver.ready()


def test_the_barometer_is_that_of_its_data_sheets_example(bus):
    driver = firmware_module("bmp280").Bmp280(Wire(bus))
    driver.start()
    assert driver.read() == (2508, 100_653)
    for pressure in (30_000.0, 84_321.0, 97_200.0, 110_000.0):
        for temperature in (-20.0, 0.0, 21.37, 60.0):
            bus.chips[0x76].readings.air = lambda t, x=temperature, p=pressure: (x, p)
            t, p = driver.read()
            assert t == pytest.approx(100 * temperature, abs=1)
            assert p == pytest.approx(pressure, abs=2)


def test_the_light_sensor_counts_in_steps_of_1_2(bus):
    driver = firmware_module("bh1750").Bh1750(Wire(bus))
    assert driver.read() == (0, False)
    driver.start()
    assert driver.read()[0] == 1233
    bus.chips[0x23].saturated = True
    assert driver.read() == (54_613, True)


def test_commands_with_a_wrong_checksum_are_not_taken(bus):
    for wrong in (bytes.fromhex("5204019100"), b"\x12\x34"):
        with pytest.raises(OSError, match="5"):
            bus.write(0x61, wrong, 0)


def test_a_recalibration_is_kept_only_after_two_more_values(bus):
    chip = bus.chips[0x61]
    driver = firmware_module("scd30").Scd30(Wire(bus))
    driver.start()
    driver.read()
    for values, shown in ((1, 439_095), (2, 420_000)):
        driver.recalibrate(420)
        for _ in range(values):
            assert driver.read()[0] == pytest.approx(420_000, abs=1)
        chip.power_up()
        driver.read()
        assert driver.read()[0] == pytest.approx(shown, abs=1)


def test_a_bus_that_hangs_or_lacks_a_chip_answers_with_an_error(bus):
    with pytest.raises(OSError, match="19"):
        bus.read(0x44, 1, 0)
    bus.hung = True
    with pytest.raises(OSError, match="110"):
        bus.write(0x23, b"\x10", 0)


def test_damaged_frames_never_pass_the_drivers_checksum(bus):
    bus.chips[0x61].damaged = 1.0
    crc = firmware_module("crc8")
    driver = firmware_module("scd30").Scd30(Wire(bus))
    driver.start()
    for _ in range(200):
        with pytest.raises(crc.CrcError):
            driver.read()


# --- flash


def test_a_power_cut_leaves_what_was_synchronised_and_a_torn_end():
    lengths = set()
    for seed in range(30):
        flash = MemoryFlash(seed=seed)
        with flash.open("/log", "ab") as file:
            file.write(b"abcd")
            file.sync()
        file = flash.open("/log", "ab")
        file.write(b"efgh")
        flash.power_cut()
        left = flash.read("/log")
        assert left >= b"abcd"
        assert b"abcdefgh".startswith(left)
        lengths.add(len(left))
        assert flash.free() == flash.capacity - len(left)
    assert lengths == {4, 5, 6, 7, 8}


def test_a_file_written_anew_is_old_or_new_but_never_a_mixture():
    flash = MemoryFlash()
    flash.put("/state", b"old")
    file = flash.open("/state", "wb")
    file.write(b"brand new")
    flash.power_cut()
    assert flash.read("/state") == b"old"
    with flash.open("/state.new", "wb") as file:
        file.write(b"brand new")
    flash.rename("/state.new", "/state")
    flash.power_cut()
    assert flash.read("/state") == b"brand new"
    assert flash.listdir("/") == ["state"]


def test_a_place_in_the_middle_can_be_written_and_survives_only_if_synchronised():
    flash = MemoryFlash()
    flash.put("/data", b"0123456789")
    file = flash.open("/data", "r+b")
    file.seek(3)
    file.write(b"abc")
    assert flash.read("/data") == b"012abc6789"
    flash.power_cut()
    assert flash.read("/data") == b"0123456789"
    with flash.open("/data", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"XY")
    flash.power_cut()
    assert flash.read("/data") == b"012345678XY"


def test_folders_hold_what_was_put_into_them():
    flash = MemoryFlash()
    flash.mkdir("/a")
    flash.put("/a/b/c", b"1")
    assert flash.listdir("/a") == ["b"]
    assert flash.listdir("/a/b") == ["c"]
    assert flash.size("/a/b/c") == 1
    for code, wrong in (
        (17, lambda: flash.mkdir("/a")),
        (2, lambda: flash.open("/none/x", "wb")),
        (2, lambda: flash.open("/none", "rb")),
        (21, lambda: flash.open("/a", "rb")),
        (39, lambda: flash.remove("/a")),
        (2, lambda: flash.remove("/x")),
        (2, lambda: flash.listdir("/x")),
        (2, lambda: flash.size("/x")),
        (2, lambda: flash.rename("/x", "/y")),
    ):
        with pytest.raises(OSError, match=f"^{code}$"):
            wrong()
    flash.remove("/a/b/c")
    flash.remove("/a/b")
    assert flash.listdir("/a") == []


def test_a_full_flash_takes_nothing_more_but_can_be_emptied():
    flash = MemoryFlash(capacity=100)
    flash.put("/x", bytes(90))
    with pytest.raises(OSError, match="28"), flash.open("/y", "wb") as file:
        file.write(bytes(11))
    flash.full = True
    assert flash.free() == 0
    flash.remove("/x")
    flash.full = False
    assert flash.free() == 100
    flash.read_only = True
    with pytest.raises(OSError, match="30"):
        flash.open("/z", "wb")


def test_flipped_bits_are_as_many_as_asked_for():
    flash = MemoryFlash()
    assert flash.flip(3) == 0
    flash.put("/data/q", bytes(1000))
    flash.put("/other", bytes(10))
    flash.flip(3, "/data")
    ones = sum(bin(byte).count("1") for byte in flash.read("/data/q"))
    assert ones in (1, 3)
    assert flash.read("/other") == bytes(10)


# --- the packets of the network


@given(st.lists(st.integers(0, 400), max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_packets_are_found_however_the_stream_is_cut(sizes, data):
    packets = []
    for size in sizes:
        head, length = bytearray((0x30,)), size
        while True:
            head.append(length & 127 | (128 if length > 127 else 0))
            length >>= 7
            if not length:
                break
        packets.append(bytes(head) + bytes(size))
    stream, cutter, found = b"".join(packets), Packets(), []
    while stream:
        n = data.draw(st.integers(1, len(stream)))
        found += cutter.feed(stream[:n])
        stream = stream[n:]
    assert found == packets


def test_a_device_waits_for_the_answers_it_has_not_got():
    wire = firmware_module("mqtt")
    waiting = Waiting()
    assert waiting.since() is None
    topic = wire.text("tilth/v1/24a160000001/d")
    payload = b'{"v":1,"boot":"1-0000000a","seq":5,"n":3,"low":0}'
    waiting.sent(wire.packet(0x32, topic, b"\x00\x07", payload), 1000)
    waiting.sent(b"\xc0\x00", 1500)
    assert waiting.since() == 1000
    waiting.received(b"\x40\x02\x00\x07")
    assert waiting.since() == 1000
    ack = wire.text("tilth/v1/24a160000001/ack")
    for boot, since in ((b"2-0000000b", 1000), (b"1-0000000a", 1500)):
        text = b'{"v":1,"boot":"%s","seq":7,"have":[]}' % boot
        waiting.received(wire.packet(0x30, ack, text))
        assert waiting.since() == since
    waiting.received(b"\xd0\x00")
    assert waiting.since() is None


def test_the_answer_to_a_hello_is_not_taken_for_that_to_a_batch():
    wire = firmware_module("mqtt")
    waiting = Waiting()
    hello = b'{"v":1,"online":true,"pending":[["1-0000000a",0,2]]}'
    batch = b'{"v":1,"boot":"1-0000000a","seq":0,"n":3,"low":0}'
    status, data, ack = (
        wire.text("tilth/v1/24a160000001/" + leaf) for leaf in ("s", "d", "ack")
    )
    waiting.sent(wire.packet(0x31, status, hello), 1000)
    waiting.sent(wire.packet(0x30, data, batch), 1001)
    for seq, since in ((-1, 1001), (2, None)):
        text = b'{"v":1,"boot":"1-0000000a","seq":%d,"have":[]}' % seq
        waiting.received(wire.packet(0x30, ack, text))
        assert waiting.since() == since


def test_an_answer_that_settles_nothing_is_an_answer():
    wire = firmware_module("mqtt")
    waiting = Waiting()
    topic = wire.text("tilth/v1/24a160000001/d")
    for seq, t in ((10, 1000), (13, 2000)):
        batch = b'{"v":1,"boot":"1-0000000a","seq":%d,"n":3,"low":0}' % seq
        waiting.sent(wire.packet(0x30, topic, batch), t)
    ack = wire.text("tilth/v1/24a160000001/ack")
    # Number 9 is missing at the server: its watermark stays where it is.
    for since in (2000, None):
        text = b'{"v":1,"boot":"1-0000000a","seq":8,"have":[]}'
        waiting.received(wire.packet(0x30, ack, text))
        assert waiting.since() == since


def test_a_server_that_does_not_answer_is_not_waited_for_again_until_it_does():
    wire = firmware_module("mqtt")
    waiting = Waiting()
    topic = wire.text("tilth/v1/24a160000001/d")
    batch = b'{"v":1,"boot":"1-0000000a","seq":0,"n":3,"low":0}'
    waiting.sent(wire.packet(0x30, topic, batch), 1000)
    waiting.give_up()
    waiting.sent(wire.packet(0x30, topic, batch), 2000)
    assert waiting.since() is None
    ack = wire.text("tilth/v1/24a160000001/ack")
    waiting.received(wire.packet(0x30, ack, b'{"boot":"1-0000000a","seq":-1}'))
    waiting.sent(wire.packet(0x30, topic, batch), 3000)
    assert waiting.since() == 3000


# --- the whole


def test_the_firmware_is_found_and_hides_nothing_of_the_standard_library():
    import queue

    package = load_firmware()
    assert (firmware_path() / "tilth_chamber" / "app.py").is_file()
    assert firmware_module("queue").__name__ == "tilth_chamber.queue"
    assert hasattr(queue, "SimpleQueue")
    assert load_firmware() is package


def test_another_firmware_in_the_same_process_is_refused(tmp_path):
    load_firmware()
    other = tmp_path / "tilth_chamber"
    other.mkdir()
    (other / "__init__.py").write_text("")
    with pytest.raises(TilthError, match="another firmware is loaded already"):
        load_firmware(tmp_path)


def test_ticks_and_true_time_agree_both_ways():
    chip = twin({"episodes": [
        {"device": 0, "kind": "clock_skew", "from": START + HOUR_MS, "hours": 2,
         "size": 250.0},
    ]})  # fmt: skip
    chip.now = START + 5_000
    chip.boot("power")
    for minute in range(0, 300, 7):
        chip.now = START + 5_000 + minute * MINUTE_MS
        chip.look()
        tick = chip.ticks_ms()
        assert chip.true_of(tick) <= chip.now
        for ahead in (1, 3_000, 777):
            when = chip.true_of(tick + ahead)
            before, chip.now = chip.now, when
            assert chip.ticks_ms() >= tick + ahead
            chip.now = when - 1
            assert chip.ticks_ms() < tick + ahead
            chip.now = before
    # Two hours at 250 ppm are 1.8 s.
    gained = chip.ticks_ms() - (chip.now - START - 5_000)
    assert gained == pytest.approx(1_800, abs=250)


def test_the_lid_follows_the_servo_and_the_air_the_lid():
    chip = twin()
    chip.now = START + 1000
    chip.boot("power")
    chip.servo_us(500)
    assert chip.lid == 0
    chip.now += 60_000
    before = chip.co2(chip.now)[0]
    chip.servo_us(2_500)
    assert chip.lid == 0
    chip.servo_us(1_167)
    assert chip.lid == 1
    chip.now += 600_000
    closed = chip.co2(chip.now)[0]
    assert closed > before + 15
    chip.servo_us(500)
    chip.fan(True)
    assert chip._s["draught"] == FULL
    chip.now += 120_000
    assert chip.co2(chip.now)[0] < closed - 10
    assert [lid for _, lid in chip.lid_log] == [1, 0]


def test_sensors_see_one_moment_once():
    chip = twin()
    chip.now = START + 50_000
    first = chip.co2(chip.now), chip.air(chip.now), chip.light(chip.now)
    again = chip.co2(chip.now), chip.air(chip.now), chip.light(chip.now)
    assert first == again
    assert not chip.fresh(chip.now)
    chip.now += 3_000
    assert chip.fresh(chip.now)
    assert chip.co2(chip.now) != first[0]


def test_the_battery_clock_shows_seconds_loses_them_and_lies():
    plan = {"episodes": [
        {"device": 0, "kind": "no_rtc", "from": START + HOUR_MS, "hours": 1},
        {"device": 0, "kind": "year_2036", "from": START + 3 * HOUR_MS, "hours": 1},
    ]}  # fmt: skip
    chip = twin(plan)
    chip.now = START + 1_999
    chip.look()
    assert chip.rtc_read() == START + 1_000
    chip.rtc_write(START + 2_500)
    assert chip.rtc_read() == START + 2_000
    chip.now = START + HOUR_MS
    chip.look()
    assert chip.rtc_read() is None
    chip.now = START + 2 * HOUR_MS
    chip.look()
    assert chip.rtc_read() is None  # empty until it is set again
    chip.rtc_write(chip.now)
    assert chip.rtc_read() == chip.now
    chip.now = START + 3 * HOUR_MS
    chip.look()
    assert chip.rtc_read() // (365 * 24 * HOUR_MS) == 66  # 1970 + 66


def test_the_time_server_answers_with_the_true_time_unless_it_jumps():
    clock = firmware_module("clock")
    jump = {"kind": "ntp_jump", "from": START + HOUR_MS, "hours": 1, "size": 3600}
    chip = twin({"episodes": [jump]})
    chip.now = START + 10_000
    chip.boot("power")
    assert not chip.net.up()
    for after, error in ((20_000, 0), (HOUR_MS + 5_000, HOUR_MS)):
        chip.now = START + after
        chip.look()
        server = chip.net.udp("ntp", 123)
        server.send(b"\x23" + bytes(39) + b"noncenon")
        utc, rtt = clock.read_reply(server.recv(128), b"noncenon", 7, 7)
        assert utc == chip.now + error
        assert rtt == 0
        assert server.recv(128) is None


def test_while_the_network_is_away_nothing_goes_out():
    loss = {"device": 0, "kind": "wifi_loss", "from": START + HOUR_MS, "hours": 1}
    chip = twin({"episodes": [loss]})
    chip.now = START + 10_000
    chip.boot("power")
    chip.now += 10_000
    conn = chip.net.connect("broker", 1883, False)
    assert conn.ready()
    chip.now = START + HOUR_MS
    with pytest.raises(OSError, match="104"):
        conn.send(b"\xc0\x00")
    assert not chip.net.up()
    with pytest.raises(OSError, match="113"):
        chip.net.connect("broker", 1883, False)
    chip.now = START + 2 * HOUR_MS
    assert chip.net.up()


def test_a_broker_that_is_down_refuses_and_a_name_that_fails_is_not_found():
    plan = {"episodes": [
        {"kind": "broker_down", "from": START + HOUR_MS, "hours": 1},
        {"kind": "dns_failure", "from": START + 3 * HOUR_MS, "hours": 1},
    ]}  # fmt: skip
    chip = twin(plan)
    chip.boot("power")
    for hour, code in ((1, 111), (3, -2)):
        chip.now = START + hour * HOUR_MS + 5_000
        assert chip.net.up()
        with pytest.raises(OSError, match=f"^{code}$"):
            chip.net.connect("broker", 1883, False)


def test_a_blocked_servo_pulls_the_supply_down():
    stall = {"device": 0, "kind": "servo_stall", "from": START, "hours": 1}
    chip = twin({"episodes": [stall]})
    chip.now = START + 5_000
    chip.boot("power")
    chip.servo_us(500)
    assert chip.reset_at > chip.now + HOUR_MS
    chip.servo_us(2_500)
    assert chip.reset_at == chip.now + 700
    assert chip.supply_mv() < 4_600
    assert chip.servo == 500


def test_a_reset_is_nothing_a_firmware_can_catch_by_mistake():
    chip = twin()
    with pytest.raises(Reset):
        chip.reset()
    assert not issubclass(Reset, Exception)


def test_a_clone_has_the_address_and_the_flash_of_its_original():
    chip = twin()
    chip.fs.put("/data/boots", b"5")
    other = chip.clone(Endpoint().dial)
    assert other.mac() == chip.mac()
    assert other.fs.read("/data/boots") == b"5"
    other.fs.put("/data/boots", b"6")
    assert chip.fs.read("/data/boots") == b"5"
    assert other.random32() != chip.random32()


def test_numbers_of_the_air_are_floats_a_frame_can_hold():
    chip = twin()
    chip.now = START + 3_000
    assert len(struct.pack(">fff", *chip.co2(chip.now))) == 12
