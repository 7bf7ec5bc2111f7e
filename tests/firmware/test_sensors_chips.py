"""The drivers against the data sheets' vectors and against broken bytes."""

import math
import struct

import pytest
from fakes import FakeHardware
from hypothesis import given
from hypothesis import strategies as st
from tilth_chamber import bmp280, crc8, qmp6988, scd30
from tilth_chamber.bh1750 import Bh1750
from tilth_chamber.bmp280 import Bmp280
from tilth_chamber.qmp6988 import Qmp6988
from tilth_chamber.scd30 import Scd30

# A frame of Sensirion's interface description: 439.095 ppm, 27.238 degC, 48.807 %.
FRAME = bytes.fromhex("43DBCB8C2E8F41D970E7FFF54243BF3A1B74")
BOSCH = (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)


class Frames:
    """A chip that answers the same bytes to everything."""

    def __init__(self, data):
        self.data = data

    def i2c_write(self, address, data):
        self.written = bytes(data)

    def i2c_read(self, address, n):
        return self.data[:n]


@pytest.mark.parametrize(
    ("word", "crc"),
    [(0xBEEF, 0x92), (0x0000, 0x81), (0x0002, 0xE3), (0x01A4, 0x4D), (0x03EC, 0x10)],
)
def test_the_checksum_is_sensirions(word, crc):
    assert crc8.word_crc(word >> 8, word & 255) == crc


def test_the_example_frame_reads_as_the_data_sheet_says():
    assert Scd30(Frames(FRAME)).read() == (439_095, 27_238, 48_807)


@pytest.mark.parametrize("bit", range(144))
def test_no_single_flipped_bit_of_a_frame_is_believed(bit):
    broken = bytearray(FRAME)
    broken[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(crc8.CrcError):
        Scd30(Frames(bytes(broken))).read()


@given(st.integers(0, 16), st.integers(1, 255))
def test_no_burst_within_a_word_and_its_checksum_is_believed(start, pattern):
    # CRC-8 finds every burst of up to eight bits.
    word = int.from_bytes(FRAME[:3], "big") ^ pattern << start
    if word >> 24 == 0:
        with pytest.raises(crc8.CrcError):
            crc8.checked(word.to_bytes(3, "big"), 3)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 12, 17])
def test_a_cut_frame_is_never_a_value(n):
    with pytest.raises(crc8.CrcError):
        Scd30(Frames(FRAME[:n])).read()


@given(st.integers(0, 2**32 - 1))
def test_singles_become_thousandths_without_floating_point(bits):
    (value,) = struct.unpack(">f", bits.to_bytes(4, "big"))
    got = scd30.thousandths(bits)
    if not math.isfinite(value):
        assert got is None
    elif abs(value) < 1e15:
        # Half away from zero, exactly.
        exact = abs(value) * 1000
        assert abs(abs(got) - exact) <= 0.5
        assert got == 0 or (got < 0) == (value < 0)


@pytest.mark.parametrize(
    ("code", "argument", "written"),
    [
        (scd30.START, 0, "0010000081"),
        (scd30.START, 1004, "001003EC10"),
        (scd30.INTERVAL, 2, "46000002E3"),
        (scd30.RECALIBRATE, 420, "520401A44D"),
        (scd30.SELF_CALIBRATION, 0, "5306000081"),
        (scd30.SOFT_RESET, None, "D304"),
    ],
)
def test_commands_are_written_as_the_data_sheet_says(code, argument, written):
    chip = Frames(b"")
    Scd30(chip).send(code, argument)
    assert chip.written == bytes.fromhex(written)


def test_the_sensor_starts_without_self_calibration_at_two_seconds():
    hw = FakeHardware()
    Scd30(hw).start(2, 1013)
    chip = hw.scd30
    assert (chip.asc, chip.interval, chip.pressure, chip.measuring) == (
        0,
        2,
        1013,
        True,
    )


def test_bosch_s_example_is_met_to_the_hundredth():
    t, p = bmp280.compensate(BOSCH, 519888, 415148)
    assert t == 2508
    assert abs(p / 256 - 100653.27) < 0.05


@given(st.floats(-30, 60), st.floats(60_000, 110_000))
def test_the_bmp280_reads_what_the_air_is(temperature, pressure):
    hw = FakeHardware()
    hw.air.temperature, hw.air.pressure = temperature, pressure
    chip = Bmp280(hw)
    chip.start()
    t, p = chip.read()
    assert abs(t - temperature * 100) <= 1
    # One step of the converter is 0.2 Pa; the integer formula adds its own.
    assert abs(p - pressure) <= 1


@given(st.floats(-30, 60), st.floats(60_000, 110_000))
def test_the_qmp6988_reads_what_the_air_is(temperature, pressure):
    hw = FakeHardware(pressure_chip="qmp6988")
    hw.air.temperature, hw.air.pressure = temperature, pressure
    chip = Qmp6988(hw)
    chip.start()
    t, p = chip.read()
    assert abs(t - temperature * 100) <= 1
    assert abs(p - pressure) <= 1


@given(
    st.lists(st.integers(-32768, 32767), min_size=10, max_size=10),
    st.integers(-(2**19), 2**19 - 1),
    st.integers(-(2**19), 2**19 - 1),
    st.integers(-(2**23), 2**23 - 1),
    st.integers(-(2**23), 2**23 - 1),
)
def test_the_qmp6988_is_the_polynomial_whatever_its_trimming(words, a0, b00, dt, dp):
    fake = FakeHardware(pressure_chip="qmp6988").qmp6988
    names = (*fake.ORDER, "a1", "a2")
    fake.raw = dict(zip(names, words, strict=True)) | {"a0": a0, "b00": b00}
    fake.store()
    fake.write(b"\xa0")
    k = qmp6988.coefficients(fake.read(25))
    t, p = qmp6988.compensate(k, dt, dp)
    exact_t, exact_p = fake.compensate(dt, dp)
    assert abs(t - exact_t * 100) <= 0.51
    assert abs(p - exact_p) <= 0.51 + 1e-9 * abs(exact_p)


def test_a_sleeping_pressure_sensor_is_an_error_and_not_a_value():
    for name, kind in (("bmp280", Bmp280), ("qmp6988", Qmp6988)):
        hw = FakeHardware(pressure_chip=name)
        chip = kind(hw)
        chip.start()
        getattr(hw, name).power_up()
        with pytest.raises(OSError, match="5"):
            chip.read()


def test_another_chip_at_the_address_is_not_taken_for_a_barometer():
    hw = FakeHardware()
    hw.bmp280._memory[0xD0] = 0x60  # a BME280: other registers, other formula
    with pytest.raises(OSError, match="19"):
        Bmp280(hw).start()


@pytest.mark.parametrize(
    ("lux", "shown", "bright"),
    [(0, 0, False), (100, 100, False), (54_613, 54_613, True), (99_999, 54_613, True)],
)
def test_light_is_lux_and_saturation_is_told(lux, shown, bright):
    hw = FakeHardware()
    hw.air.lux = lux
    chip = Bh1750(hw)
    chip.start()
    value, saturated = chip.read()
    assert abs(value - shown) <= 1
    assert saturated == bright
