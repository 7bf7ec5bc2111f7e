"""The hardware layer on an M5Stack Core2 (2020) with MicroPython.

This file and `esp32_net` run on the board only: the tests of this repository reach
the arithmetic of `core2_chips` and the calls made here to a board that is played, not
the board itself. Where it meets yours first, try `App.do_report` and a servo test.

Wiring, all in this file: sensors on Port A, servo on Port B, fan switch on Port C.
The Core2 1.1 has another power chip: its rails are left as they start, and no supply
voltage is measured.
"""

import os
import time

import machine
from framebuf import MONO_HLSB, RGB565, FrameBuffer

from . import core2_chips as chips
from .esp32_net import Net
from .label import key_at
from .schedule import Ticks64
from .settings import load

SENSOR_SDA, SENSOR_SCL = 32, 33  # Port A
INNER_SDA, INNER_SCL = 21, 22
SERVO_PIN = 26  # Port B
FAN_PIN = 14  # Port C
TOUCH_PIN = 39
LCD = {"sck": 18, "mosi": 23, "miso": 38}
LCD_CS, LCD_DC = 5, 15
# The SCD30 wants 3 ms between a command and its answer.
SLOW_CHIP = 0x61
WATCHDOG_MS = 8_000
ALIVE = b"alive"


class File:
    """A file with `sync`; on littlefs what is flushed is durable."""

    def __init__(self, file):
        self.read, self.write, self.seek = file.read, file.write, file.seek
        self.flush, self.sync, self.close = file.flush, file.flush, file.close


class Flash:
    """The chip's littlefs."""

    def __init__(self):
        self.listdir, self.rename, self.mkdir = os.listdir, os.rename, os.mkdir

    def open(self, path, mode):
        """Open a file."""
        return File(open(path, mode))

    def remove(self, path):
        """Remove a file or an empty folder."""
        (os.rmdir if os.stat(path)[0] & 0x4000 else os.remove)(path)

    def size(self, path):
        """Return bytes of a file."""
        return os.stat(path)[6]

    def free(self):
        """Return bytes left."""
        info = os.statvfs("/")
        return info[0] * info[3]


class Board:
    """The hardware layer."""

    def __init__(self):
        self._servo = machine.PWM(machine.Pin(SERVO_PIN), freq=50, duty_ns=0)
        self._fan = machine.Pin(FAN_PIN, machine.Pin.OUT, value=0)
        self._ticks = Ticks64(30, time.ticks_ms())
        self._cause = self._find_cause()
        self._inner = machine.I2C(
            0, sda=machine.Pin(INNER_SDA), scl=machine.Pin(INNER_SCL), freq=400_000
        )
        self._sensors()
        self._power()
        self._touch = machine.Pin(TOUCH_PIN, machine.Pin.IN)
        self._held = False
        self._lines = []
        self._screen = None
        self._watchdog = None
        self.fs = Flash()
        self.net = Net(self.ticks_ms, load(self.fs))
        now = self.rtc_read()
        if now is not None:
            self._set_system(now)

    # --- time and identity

    def ticks_ms(self):
        """Return ms since the start."""
        return self._ticks.extend(time.ticks_ms())

    def mac(self):
        """Return 12 hex digits."""
        return "".join(["%02x" % byte for byte in machine.unique_id()])

    def random32(self):
        """Return 32 random bits."""
        return int.from_bytes(os.urandom(4), "big")

    def cause(self):
        """Return why the chip started."""
        return self._cause

    def rtc_read(self):
        """Return UTC ms of the clock chip, or None."""
        try:
            data = self._inner.readfrom_mem(chips.BM8563, 2, 7)
        except OSError:
            return None
        return chips.clock_ms(data)

    def rtc_write(self, utc_ms):
        """Set the clock chip, and the system's clock, by which TLS judges."""
        self._inner.writeto_mem(chips.BM8563, 2, chips.clock_bytes(utc_ms))
        self._set_system(utc_ms)

    def _set_system(self, utc_ms):
        year, month, day, hour, minute, second = chips.calendar(utc_ms)
        machine.RTC().datetime((year, month, day, 0, hour, minute, second, 0))

    def _find_cause(self):
        """Tell the brown-out, which MicroPython calls a power-on, by what memory kept.

        The clock domain keeps its memory through a short dip of the supply.
        """
        memory = machine.RTC()
        kept = memory.memory() == ALIVE
        memory.memory(ALIVE)
        cause = machine.reset_cause()
        if cause == machine.PWRON_RESET:
            return "brownout" if kept else "power"
        return "wdt" if cause == machine.WDT_RESET else "soft"

    def reset(self):
        """Reset the chip."""
        machine.reset()

    def wdt_feed(self):
        """Feed the watchdog, which begins with the first meal and never ends."""
        if self._watchdog is None:
            self._watchdog = machine.WDT(timeout=WATCHDOG_MS)
        self._watchdog.feed()

    # --- the sensors' bus

    def _sensors(self):
        self._bus = machine.I2C(
            1,
            sda=machine.Pin(SENSOR_SDA),
            scl=machine.Pin(SENSOR_SCL),
            freq=50_000,
            timeout=200_000,
        )

    def i2c_write(self, address, data):
        """Write to a chip."""
        self._bus.writeto(address, data)

    def i2c_read(self, address, n):
        """Read from a chip."""
        if address == SLOW_CHIP:
            time.sleep_ms(3)
        return self._bus.readfrom(address, n)

    def i2c_recover(self):
        """Give nine clock pulses and a stop, so that a chip lets go of the bus."""
        scl = machine.Pin(SENSOR_SCL, machine.Pin.OPEN_DRAIN, value=1)
        sda = machine.Pin(SENSOR_SDA, machine.Pin.OPEN_DRAIN, value=1)
        for _ in range(9):
            scl(0)
            time.sleep_us(10)
            scl(1)
            time.sleep_us(10)
        sda(0)
        time.sleep_us(10)
        sda(1)
        self._sensors()

    # --- what moves

    def servo_us(self, us):
        """Set the servo's pulse; 0 for none."""
        self._servo.duty_ns(us * 1000)

    def fan(self, on):
        """Switch the fan."""
        self._fan(1 if on else 0)

    # --- power

    def _power(self):
        self._has_axp192 = False
        try:
            if self._inner.readfrom_mem(chips.AXP192, 3, 1)[0] != chips.AXP192_ID:
                return
            for register, keep, bits in chips.POWER_UP:
                self._change(register, keep, bits)
            register, bit = chips.LCD_RESET
            self._change(register, 0xFF & ~bit, 0)
            time.sleep_ms(20)
            self._change(register, 0xFF, bit)
            self._has_axp192 = True
        except OSError:
            pass

    def _change(self, register, keep, bits):
        old = self._inner.readfrom_mem(chips.AXP192, register, 1)[0]
        self._inner.writeto_mem(chips.AXP192, register, bytes((old & keep | bits,)))

    def supply_mv(self):
        """Return the voltage at USB, or of the battery without it; None if unknown."""
        if not self._has_axp192:
            return None
        try:
            mv = chips.vbus_mv(self._inner.readfrom_mem(chips.AXP192, chips.VBUS, 2))
            if mv < 1000:
                data = self._inner.readfrom_mem(chips.AXP192, chips.BATTERY, 2)
                mv = chips.battery_mv(data)
            return mv
        except OSError:
            return None

    # --- the screen

    def touch(self):
        """Return the key under a finger, once per touch."""
        if self._touch.value():
            self._held = False
            return None
        if self._held:
            return None
        try:
            point = chips.touched(self._inner.readfrom_mem(chips.FT6336U, 2, 5))
        except OSError:
            return None
        if point is None:
            return None
        self._held = True
        return key_at(self._lines, point[0], point[1])

    def show(self, lines):
        """Show lines of text; only those that changed are drawn."""
        if self._screen is None:
            self._screen = Screen()
        same = len(lines) == len(self._lines)
        keypad = any("ok" in line.split() for line in lines)
        for i in range(len(lines)):
            if not same or lines[i] != self._lines[i]:
                self._screen.row(i, len(lines), lines[i], keypad and i > 0)
        self._lines = list(lines)


class Screen:
    """The ILI9342C: rows of letters of 16 x 16 pixels, white on black."""

    def __init__(self):
        self._spi = machine.SPI(
            2,
            baudrate=40_000_000,
            sck=machine.Pin(LCD["sck"]),
            mosi=machine.Pin(LCD["mosi"]),
            miso=machine.Pin(LCD["miso"]),
        )
        self._cs = machine.Pin(LCD_CS, machine.Pin.OUT, value=1)
        self._dc = machine.Pin(LCD_DC, machine.Pin.OUT, value=1)
        for code, data, wait in chips.DISPLAY_UP:
            self._send(code, data)
            time.sleep_ms(wait)

    def _send(self, code, data):
        self._cs(0)
        self._dc(0)
        self._spi.write(bytes((code,)))
        self._dc(1)
        if data:
            self._spi.write(data)
        self._cs(1)

    def row(self, i, n, text, keypad):
        """Draw row `i` of `n`: one line, or keys in cells of equal width."""
        height = 240 // n
        pixels = bytearray(320 * height * 2)
        frame = FrameBuffer(pixels, 320, height, RGB565)
        top = (height - 16) // 2
        if keypad:
            keys = text.split()
            for k in range(len(keys)):
                middle = (2 * k + 1) * 320 // (2 * len(keys))
                _text(frame, keys[k], middle - 8 * len(keys[k]), top)
        else:
            _text(frame, text, 4, top)
        self._send(0x2A, b"\x00\x00\x01\x3f")
        first, last = i * height, (i + 1) * height - 1
        self._send(0x2B, bytes((0, first, 0, last)))
        self._send(0x2C, pixels)


def _text(frame, text, x, y):
    """Draw letters at twice the size of the only font there is."""
    width = (8 * len(text) + 7) & ~7
    small = FrameBuffer(bytearray(width), width, 8, MONO_HLSB)
    small.text(text, 0, 0, 1)
    for row in range(8):
        for column in range(8 * len(text)):
            if small.pixel(column, row):
                frame.fill_rect(x + 2 * column, y + 2 * row, 2, 2, 0xFFFF)
