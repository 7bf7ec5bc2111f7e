"""The chamber on real MicroPython does to the bit what it does on a computer."""

import io
from contextlib import redirect_stdout

import pytest
from test_micropython import FULL, micropython, pytestmark, run

__all__ = ["micropython", "pytestmark"]

SCRIPT = """
import json
from fakes import ClosedAir, FakeHardware, run
from tilth_chamber import keep, settings
from tilth_chamber.app import App

class Noted:
    dropped = 0
    loc = ""
    def __init__(self, fs, root, s, hw):
        pass
    def append_sample(self, row, tick, loc):
        print(tick, list(row), loc)
    def append_event(self, kind, body, tick, loc):
        print(tick, kind, json.dumps([[k, body[k]] for k in sorted(body)]), loc)
    def spill(self):
        pass
    def all_safe(self):
        return True
    def depth(self):
        return 0

class Clock:
    def __init__(self, hw, s):
        self.hw = hw
    def step(self, now):
        return now + 1000000
    def utc(self, tick):
        return self.hw.utc_ms() - self.hw.ticks_ms() + tick
    def source(self):
        return "ntp"

class Link:
    def __init__(self, hw, queue, clock, s):
        pass
    def step(self, now):
        return now + 1000000

class Bench(App):
    Queue, Clock, Link = Noted, Clock, Link

def play(flux, rule, chip, until):
    hw = FakeHardware(ticks_bits=30, ticks_start=(1 << 30) - 150000,
                      pressure_chip=chip, skew_ppm=-70)
    hw.air = ClosedAir(hw, flux, co2=431.37, temperature=17.31, pressure=98765.0)
    keep.save(hw.fs, "/state/label.json", "5.10.A")
    s = settings.defaults()
    s["rule"] = rule
    s["reboot_ms"] = 1200000
    s["reboot_jitter_ms"] = 0
    run(hw, lambda: Bench(hw, dict(s)), until)
    print(hw.servo_log, hw.fan_log)
"""


@pytest.mark.parametrize("chip", ["bmp280", "qmp6988"])
def test_the_whole_trace_is_the_same_number_by_number(micropython, chip):
    until = 7_200_000 if FULL else 1_900_000
    script = SCRIPT + f"\nplay(0.15, 'median', {chip!r}, {until})\n"
    here = io.StringIO()
    with redirect_stdout(here):
        exec(script, {})
    code, there = run(micropython, script)
    assert code == 0, there
    assert "extended" in there
    assert here.getvalue().count("\n") > until / 3_000
    assert there == here.getvalue()


def test_the_board_s_arithmetic_is_the_same_on_micropython(micropython):
    script = """
from tilth_chamber import bmp280, core2_chips, crc8, scd30
from tilth_chamber.schedule import calendar, jitter, unix_ms
frame = bytes.fromhex("43DBCB8C2E8F41D970E7FFF54243BF3A1B74")
data = crc8.checked(frame, 18)
print([scd30.thousandths(int.from_bytes(data[i:i + 4], "big")) for i in (0, 4, 8)])
print([scd30.thousandths(b) for b in (0, 1, 0x7F800000, 0xC2F6E979, 0x4B800000)])
t = (27504, 26435, -1000)
p = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
print(bmp280.compensate(t + p, 519888, 415148))
print(core2_chips.clock_ms(core2_chips.clock_bytes(1780000000000)))
print(calendar(1780000000000), unix_ms(2036, 2, 7, 6, 28, 16))
print(jitter("a4cf12000001", 600000))
caught = 0
for bit in range(144):
    broken = bytearray(frame)
    broken[bit // 8] ^= 1 << bit % 8
    try:
        crc8.checked(bytes(broken), 18)
    except crc8.CrcError:
        caught += 1
print(caught)
"""
    here = io.StringIO()
    with redirect_stdout(here):
        exec(script, {})
    code, there = run(micropython, script)
    assert (code, there) == (0, here.getvalue())
    assert there.splitlines()[0] == "[439095, 27238, 48807]"
    assert there.splitlines()[-1] == "144"
