"""What the registers of the Core2's own chips mean: power, clock, touch, display.

Pure arithmetic, so that it can be tested without the board.
"""

from .schedule import calendar, unix_ms

AXP192 = 0x34
BM8563 = 0x51
FT6336U = 0x38

# Chip id in register 3; the Core2 1.1 has an AXP2101 there, which starts with the
# rails it needs.
AXP192_ID = 0x03

# (register, bits to keep, bits to set), from the AXP192's data sheet and the Core2's
# circuit.
POWER_UP = (
    (0x30, 0x04, 0x02),  # no current limit from USB
    (0x35, 0x1C, 0xA3),  # charge the cell of the clock chip
    (0x26, 0x80, 0x6A),  # DCDC1, the ESP32: 3.35 V
    (0x27, 0x80, 0x54),  # DCDC3, back light: 2.8 V
    (0x28, 0x0F, 0xF0),  # LDO2, display and card: 3.3 V
    (0x12, 0xFF, 0x06),  # LDO2 and DCDC3 on
    (0x95, 0x72, 0x84),  # GPIO4, the display's reset, is an output
    (0x82, 0x00, 0xFF),  # all voltages are measured
    (0x91, 0x0F, 0xF0),  # GPIO0 to 3.3 V: the bus is not fed from outside
    (0x90, 0xF8, 0x02),
    (0x10, 0xFF, 0x04),  # 5 V boost for the ports: sensors, servo, fan
)
# The display's reset: this bit of this register.
LCD_RESET = (0x96, 0x02)
VBUS = 0x5A
BATTERY = 0x78

# Milliseconds to wait after a command, for those that need it (data sheet ILI9342C).
DISPLAY_UP = (
    (0x01, b"", 120),  # software reset
    (0x11, b"", 120),  # sleep out
    (0x3A, b"\x55", 0),  # 16 bits per pixel
    (0x36, b"\x08", 0),  # blue first
    (0x21, b"", 0),  # this panel shows colours inverted
    (0x29, b"", 10),  # on
)


def vbus_mv(data):
    """Return the voltage at USB, mV, of the two bytes from `VBUS` on: 1.7 mV steps."""
    return (data[0] << 4 | data[1] & 15) * 17 // 10


def battery_mv(data):
    """Return the battery's voltage, mV, of the two bytes from `BATTERY`: 1.1 mV."""
    return (data[0] << 4 | data[1] & 15) * 11 // 10


def clock_ms(data):
    """Return UTC in ms of the clock chip's registers 2 to 8; None if it had stopped.

    The century bit is not used: years are 2000 to 2099.
    """
    if data[0] & 0x80:
        return None
    masks = (0x7F, 0x7F, 0x3F, 0x3F, 0x07, 0x1F, 0xFF)
    second, minute, hour, day, _, month, year = (
        (data[i] & masks[i]) // 16 * 10 + (data[i] & masks[i]) % 16 for i in range(7)
    )
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60):
        return None
    return unix_ms(2000 + year, month, day, hour, minute, second)


def clock_bytes(utc_ms):
    """Return the clock chip's registers 2 to 8 of a time in 2000 to 2099."""
    year, month, day, hour, minute, second = calendar(utc_ms)
    weekday = (utc_ms // 86_400_000 + 4) % 7
    fields = (second, minute, hour, day, weekday, month, year % 100)
    return bytes([n // 10 * 16 + n % 10 for n in fields])


def touched(data):
    """Return x and y of the touch chip's registers 2 to 6; None without a finger.

    Below the display (y from 240 on) are three printed buttons, which do nothing.
    """
    if data[0] & 15 not in (1, 2):
        return None
    x = (data[1] & 15) << 8 | data[2]
    y = (data[3] & 15) << 8 | data[4]
    return (x, y) if x < 320 and y < 240 else None
