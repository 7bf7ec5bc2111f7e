"""The board's file against a board that is played; the real one is not here."""

import datetime
import importlib
import struct
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tilth_chamber import core2_chips as chips

UTC = datetime.UTC


class Registers:
    """Chips on the inner bus: address to 256 registers."""

    def __init__(self):
        self.chips = {a: bytearray(256) for a in (0x34, 0x38, 0x51)}
        self.chips[0x34][3] = chips.AXP192_ID
        self.dead = False
        self.log = []

    def readfrom_mem(self, address, register, n):
        if self.dead or address not in self.chips:
            raise OSError(19)
        return bytes(self.chips[address][register : register + n])

    def writeto_mem(self, address, register, data):
        self.log.append((address, register, bytes(data)))
        self.chips[address][register : register + len(data)] = data


class Played:
    """What the chip's own modules offer, played."""

    def __init__(self):
        self.inner = Registers()
        self.sensors = []
        self.pins = {}
        self.pulses = []
        self.slept = []
        self.memory = b""
        self.cause = 1
        self.ticks = (1 << 30) - 5
        self.feeds = 0
        self.datetime = None
        self.spi = []

    def modules(self):
        played = self

        class Pin:
            IN, OUT, OPEN_DRAIN = 0, 1, 2

            def __init__(self, number, mode=0, value=0):
                self.number = number
                played.pins.setdefault(number, []).append(value)

            def __call__(self, value):
                played.pins[self.number].append(value)

            def value(self):
                return played.pins[self.number][-1]

        class PWM:
            def __init__(self, pin, freq, duty_ns):
                played.pulses.append((freq, duty_ns))

            def duty_ns(self, ns):
                played.pulses.append(ns)

        class Sensors:
            def __init__(self, **how):
                self.how = how

            def writeto(self, address, data):
                played.sensors.append(("w", address, bytes(data)))

            def readfrom(self, address, n):
                played.sensors.append(("r", address, n))
                return bytes(n)

        def i2c(number, **how):
            if number == 0:
                return played.inner
            played.sensors.append(how)
            return Sensors(**how)

        class RTC:
            def memory(self, value=None):
                if value is not None:
                    played.memory = value
                return played.memory

            def datetime(self, value):
                played.datetime = value

        class WDT:
            def __init__(self, timeout):
                played.timeout = timeout

            def feed(self):
                played.feeds += 1

        class SPI:
            def __init__(self, number, **how):
                pass

            def write(self, data):
                played.spi.append(bytes(data))

        machine = types.ModuleType("machine")
        machine.Pin, machine.PWM, machine.I2C, machine.RTC = Pin, PWM, i2c, RTC
        machine.WDT, machine.SPI = WDT, SPI
        machine.PWRON_RESET, machine.HARD_RESET, machine.WDT_RESET = 1, 2, 3
        machine.SOFT_RESET = 5
        machine.reset_cause = lambda: played.cause
        machine.unique_id = lambda: bytes.fromhex("a4cf12abcdef")
        network = types.ModuleType("network")
        network.STA_IF = 0
        network.WLAN = lambda which: played.station
        framebuf = types.ModuleType("framebuf")
        framebuf.MONO_HLSB, framebuf.RGB565 = 3, 1
        framebuf.FrameBuffer = Frame
        return {"machine": machine, "network": network, "framebuf": framebuf}


class Frame:
    """A frame that counts what is drawn."""

    def __init__(self, data, width, height, kind):
        self.data, self.width, self.height = data, width, height

    def text(self, text, x, y, colour):
        self.letters = text

    def pixel(self, x, y):
        return x % 8 == 0 and self.letters[x // 8] != " "

    def fill_rect(self, x, y, w, h, colour):
        assert x >= 0
        assert x + w <= self.width
        assert y + h <= self.height
        self.data[(y * self.width + x) * 2] = 0xFF


class Station:
    """The radio."""

    def __init__(self):
        self.joined = False
        self.log = []

    def isconnected(self):
        return self.joined

    def active(self, on):
        self.log.append(on)

    def connect(self, name, password):
        self.log.append(name)

    def ifconfig(self):
        return ("10.0.0.7", "", "", "")


@pytest.fixture
def played(monkeypatch):
    board = Played()
    board.station = Station()
    for name, module in board.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    time = types.ModuleType("time")
    time.ticks_ms = lambda: board.ticks & ((1 << 30) - 1)
    time.sleep_ms = lambda ms: board.slept.append(ms)
    time.sleep_us = lambda us: None
    monkeypatch.setitem(sys.modules, "time", time)
    for name in ("board_core2", "esp32_net"):
        monkeypatch.delitem(sys.modules, "tilth_chamber." + name, raising=False)
    board.module = importlib.import_module("tilth_chamber.board_core2")
    monkeypatch.undo()  # the board holds what it needs
    yield board
    for name in ("board_core2", "esp32_net"):
        sys.modules.pop("tilth_chamber." + name, None)


def start(played, wifi=()):
    played.module.load = lambda fs: {"wifi": list(wifi)}
    return played.module.Board()


# --- arithmetic


@given(st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2099, 12, 31)))
def test_the_clock_chip_keeps_every_second_of_its_century(when):
    utc = int(when.replace(tzinfo=UTC, microsecond=0).timestamp()) * 1000
    data = chips.clock_bytes(utc)
    assert chips.clock_ms(data) == utc
    # Bits the data sheet leaves open do not disturb.
    noisy = bytes(b | m for b, m in zip(data, (0, 0x80, 0xC0, 0xC0, 0xF8, 0x60, 0)))  # noqa: B905
    assert chips.clock_ms(noisy) == utc


def test_the_clock_chip_s_weekday_is_right():
    # A Thursday.
    assert chips.clock_bytes(1_780_000_000_000)[4] == 4


def test_a_clock_chip_that_had_stopped_or_talks_nonsense_knows_no_time():
    data = bytearray(chips.clock_bytes(1_780_000_000_000))
    data[0] |= 0x80
    assert chips.clock_ms(data) is None
    assert chips.clock_ms(bytes(7)) is None
    assert chips.clock_ms(b"\x7f" * 7) is None


def test_voltages_are_the_data_sheet_s_steps():
    assert chips.vbus_mv(bytes((0xB8, 0x05))) == (0xB85 * 17) // 10
    assert chips.battery_mv(bytes((0xEC, 0x0F))) == (0xECF * 11) // 10
    assert chips.vbus_mv(b"\xff\xff") == 6961


@pytest.mark.parametrize(
    ("data", "point"),
    [
        (b"\x00\x00\x00\x00\x00", None),
        (b"\x01\x80\x0a\x00\x14", (10, 20)),
        (b"\x01\x01\x3f\x00\xef", (319, 239)),
        (b"\x01\x00\x64\x01\x04", None),
        (b"\x02\x00\x05\x10\x06", (5, 6)),
        (b"\xff\xff\xff\xff\xff", None),
    ],
)
def test_touches_are_points_of_the_display(data, point):
    assert chips.touched(data) == point


# --- the board, played


def test_the_power_chip_is_set_up_and_the_supply_measured(played):
    hw = start(played)
    power = played.inner.chips[0x34]
    assert power[0x12] & 0x06 == 0x06
    assert power[0x10] & 0x04
    assert power[0x96] & 0x02
    power[0x5A:0x5C] = bytes((0xB8, 0x05))
    assert hw.supply_mv() == 5013
    power[0x5A:0x5C] = bytes(2)
    power[0x78:0x7A] = bytes((0xEC, 0x0F))
    assert hw.supply_mv() == 4170


def test_another_power_chip_is_left_alone(played):
    played.inner.chips[0x34][3] = 0x4A
    hw = start(played)
    assert not [entry for entry in played.inner.log if entry[0] == 0x34]
    assert hw.supply_mv() is None


def test_a_board_whose_inner_bus_is_dead_still_measures(played):
    played.inner.dead = True
    hw = start(played)
    assert hw.rtc_read() is None
    assert hw.supply_mv() is None
    assert hw.touch() is None
    hw.i2c_write(0x61, b"\x03\x00")


def test_the_sensors_bus_waits_for_a_stretched_clock(played):
    hw = start(played)
    how = played.sensors[0]
    assert (how["freq"], how["timeout"]) == (50_000, 200_000)
    played.slept.clear()
    hw.i2c_read(0x61, 18)
    assert played.slept == [3]
    hw.i2c_read(0x76, 6)
    assert played.slept == [3]


def test_a_held_bus_gets_nine_pulses_and_a_stop(played):
    hw = start(played)
    played.pins.pop(33)
    played.pins.pop(32)
    hw.i2c_recover()
    assert played.pins[33][:19] == [1] + [0, 1] * 9
    assert played.pins[32][:3] == [1, 0, 1]
    assert len([s for s in played.sensors if isinstance(s, dict)]) == 2


def test_servo_pulses_are_microseconds_at_fifty_hertz(played):
    hw = start(played)
    for us in (500, 1167, 2500, 0):
        hw.servo_us(us)
    assert played.pulses == [(50, 0), 500_000, 1_167_000, 2_500_000, 0]


def test_ticks_go_on_over_the_wrap_of_the_chip_s_counter(played):
    hw = start(played)
    assert hw.ticks_ms() == 0
    played.ticks += 10
    assert hw.ticks_ms() == 10
    played.ticks += (1 << 30) - 1
    assert hw.ticks_ms() == (1 << 30) + 9


def test_a_brown_out_is_told_from_a_power_on_by_what_memory_kept(played):
    assert start(played).cause() == "power"
    assert start(played).cause() == "brownout"
    played.cause = 3
    assert start(played).cause() == "wdt"
    played.cause = 5
    assert start(played).cause() == "soft"


def test_setting_the_clock_sets_the_one_tls_judges_by_too(played):
    hw = start(played)
    hw.rtc_write(1_780_000_000_000)
    assert hw.rtc_read() == 1_780_000_000_000
    assert played.datetime == (2026, 5, 28, 0, 20, 26, 40, 0)
    played.datetime = None
    start(played)
    assert played.datetime == (2026, 5, 28, 0, 20, 26, 40, 0)


def test_the_watchdog_begins_with_the_first_meal(played):
    hw = start(played)
    assert not hasattr(played, "timeout")
    hw.wdt_feed()
    hw.wdt_feed()
    assert (played.timeout, played.feeds) == (8_000, 2)


def test_a_touch_is_one_key_until_the_finger_is_lifted(played):
    hw = start(played)
    hw.show(["place _", "1 2 3 del", "4 5 6 .", "7 8 9 ok", "0"])
    played.inner.chips[0x38][2:7] = struct.pack(">BHH", 1, 100, 60)
    played.pins[39].append(0)
    assert hw.touch() == "2"
    assert hw.touch() is None
    played.pins[39].append(1)
    assert hw.touch() is None
    played.pins[39].append(0)
    assert hw.touch() == "2"


def test_only_rows_that_changed_are_drawn(played):
    hw = start(played)
    hw.show(["5.10.A  idle", "CO2 420 ppm", "waiting 3"])
    played.spi.clear()
    hw.show(["5.10.A  idle", "CO2 421 ppm", "waiting 3"])
    rows = [data for data in played.spi if len(data) == 320 * 80 * 2]
    assert len(rows) == 1
    assert any(rows[0])
    played.spi.clear()
    hw.show(["place _", "A B C D E F G", "V W X Y Z del ok"])
    assert len([data for data in played.spi if len(data) > 1000]) == 3


def test_the_radio_tries_the_networks_it_knows_in_turn(played):
    hw = start(played, wifi=[["house", "a"], ["field", "b"]])
    assert not hw.net.up()
    assert not hw.net.up()
    assert played.station.log == [False, True, "house"]
    played.ticks += 31_000
    hw.net.up()
    assert played.station.log[-1] == "field"
    played.station.joined = True
    assert hw.net.up()
    assert hw.net.ip() == "10.0.0.7"


def test_a_name_is_looked_up_beside_the_loop_and_a_failure_is_tried_again(played):
    import threading

    hw = start(played)
    asked, wait = [], threading.Event()

    def slow(host, port):
        asked.append(host)
        wait.wait(5)
        if len(asked) == 1:
            raise OSError(-2)
        return [(2, 1, 0, "", ("192.0.2.1", port))]

    module = importlib.import_module("tilth_chamber.esp32_net")
    module.socket = types.SimpleNamespace(getaddrinfo=slow)
    assert hw.net.address("broker") is None
    assert hw.net.address("broker") is None
    wait.set()
    for _ in range(500):
        try:
            if hw.net.address("broker"):
                break
        except OSError:
            asked.append("failed")
        threading.Event().wait(0.002)
    assert hw.net.address("broker") == "192.0.2.1"
    assert asked == ["broker", "failed", "broker"]


def test_plain_connections_and_datagrams_never_wait(played):
    import socket
    import time

    hw = start(played)
    server = socket.create_server(("127.0.0.1", 0))
    conn = hw.net.connect("127.0.0.1", server.getsockname()[1], False)
    try:
        until = time.monotonic() + 5
        while not conn.ready() and time.monotonic() < until:
            time.sleep(0.005)
        assert conn.ready()
    finally:
        conn.close()
        server.close()
