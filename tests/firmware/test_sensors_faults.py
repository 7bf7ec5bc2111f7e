"""Sensors that misbehave: flagged, never taken for a value, and brought back."""

import pytest
from rig import Rig

REPEATED, CRC, MISSING, WARMUP, PRESSURE, LIGHT = 1, 2, 4, 8, 16, 32
LOW_SUPPLY = 128


def quiet(**kwargs):
    """A chamber without a place: it samples and does nothing else."""
    rig = Rig(label="", **kwargs)
    rig.hw.scd30.noise = 2.0
    return rig


def at(rig, times, change):
    rig.plan = sorted([*rig.plan, *((t, change) for t in times)], key=lambda p: p[0])
    return rig


def column(rig, i):
    return [row[i] for _, _, row, _ in rig.samples]


def flags(rig):
    return column(rig, 8)


def test_the_first_two_values_after_a_start_are_flagged_and_not_shown():
    rig = quiet().run(60_000)
    assert flags(rig)[:3] == [WARMUP, WARMUP, 0]
    assert column(rig, 0)[:2] == [None, None]
    assert column(rig, 1)[:2] == [None, None]
    assert column(rig, 0)[2] is not None


def test_zero_ppm_is_no_value_however_long_it_lasts():
    rig = quiet()
    rig.hw.scd30.first_zero = 40
    rig.run(180_000)
    co2 = column(rig, 0)
    # The value after a zero may still be low.
    assert co2[:41] == [None] * 41
    assert None not in co2[41:]
    assert all(f & (MISSING | WARMUP) for f in flags(rig)[:41])


def test_a_value_that_is_not_new_is_flagged_and_not_sent_again():
    rig = quiet()
    rig.hw.scd30.instant = False
    rig.hw.scd30.interval = 2
    rig.run(30_000)
    # At its own two seconds the sensor is always ready for a sample each three.
    assert not any(f & REPEATED for f in flags(rig)[3:])
    rig = quiet(changes={"co2_interval_s": 5})
    rig.hw.scd30.instant = False
    rig.run(120_000)
    fresh = [row for _, _, row, _ in rig.samples if row[0] is not None]
    stale = [row for _, _, row, _ in rig.samples if row[8] & REPEATED]
    assert 20 <= len(fresh) <= 24
    assert all(row[0] is None and row[1] is None for row in stale)
    assert len(stale) >= 15


@pytest.mark.parametrize("burst", [1, 5, 40])
def test_a_burst_of_broken_bytes_costs_those_samples_and_no_more(burst):
    rig = quiet()
    at(rig, [30_000], lambda rig: rig.hw.bus.corrupt.update({0x61: burst}))
    rig.run(400_000)
    bad = [f for f in flags(rig)[2:] if f & CRC]
    # Ready and value are two reads of which the first that breaks ends the sample.
    assert len(bad) == burst
    for _, _, row, _ in rig.samples:
        assert row[0] is None or 3_500 < row[0] < 5_000
    assert flags(rig)[-1] == 0


def test_a_bus_held_down_is_freed_by_nine_clocks_without_losing_a_sample():
    rig = quiet()
    at(rig, [30_100], lambda rig: setattr(rig.hw.bus, "stuck_clocks", 9))
    rig.run(60_000)
    assert rig.hw.bus.recoveries == 1
    assert flags(rig)[2:] == [0] * (len(rig.samples) - 2)


def test_a_bus_held_down_for_longer_comes_back_when_it_can():
    rig = quiet()
    at(rig, [30_100], lambda rig: setattr(rig.hw.bus, "stuck_clocks", 50))
    rig.run(120_000)
    lost = [f for f in flags(rig) if f & MISSING]
    assert 4 <= len(lost) <= 6
    assert all(f & PRESSURE and f & LIGHT for f in lost)
    assert flags(rig)[-1] == 0
    what = [(e["what"], e["chip"]) for e in rig.of("sensor") if "chip" in e]
    for chip in ("co2", "pressure", "light"):
        assert ("lost", chip) in what
        assert ("returned", chip) in what


@pytest.mark.parametrize(
    ("address", "flag", "columns"),
    [(0x61, MISSING, (0, 1, 2)), (0x76, PRESSURE, (3, 4)), (0x23, LIGHT, (5,))],
)
def test_one_dead_chip_leaves_the_others_alone(address, flag, columns):
    rig = quiet()
    at(rig, [30_100], lambda rig: rig.hw.bus.nak.update({address: -1}))
    at(rig, [90_100], lambda rig: rig.hw.bus.nak.clear())
    rig.run(150_000)
    dead = [row for t, _, row, _ in rig.samples if 30_100 < t < 90_100]
    alive = [row for t, _, row, _ in rig.samples if t > 100_000]
    for row in dead:
        assert row[8] == flag
        assert [i for i in range(6) if row[i] is None] == list(columns)
    assert all(None not in row and row[8] == 0 for row in alive)


def test_a_chip_missing_at_the_start_is_found_when_it_is_plugged_in():
    rig = quiet(pressure_chip=None)
    hw = rig.hw
    chip = hw.qmp6988
    at(rig, [60_100], lambda rig: hw.bus.chips.update({chip.ADDRESS: chip}))
    rig.run(90_000)
    assert {row[8] & PRESSURE for t, _, row, _ in rig.samples if t < 60_000} == {16}
    assert all(row[4] == 101_300 for t, _, row, _ in rig.samples if t > 66_000)


def test_either_barometer_is_found_by_itself():
    for chip in ("bmp280", "qmp6988"):
        rig = quiet(pressure_chip=chip).run(20_000)
        assert rig.app.sensors.barometer.name == chip
        assert set(column(rig, 4)) == {101_300}


def test_sensors_that_lost_their_supply_for_a_moment_measure_again():
    rig = quiet()

    def dip(rig):
        for chip in rig.hw.bus.chips.values():
            chip.power_up()

    at(rig, [30_100], dip)
    rig.run(120_000)
    late = [row for t, _, row, _ in rig.samples if t > 75_000]
    assert all(None not in row and row[8] == 0 for row in late)
    assert all(row[5] == 1_000 for row in late)


def test_a_frozen_sensor_is_reported_and_restarted_between_closures():
    rig = Rig(flux=None)
    rig.hw.scd30.noise = 2.0
    at(rig, [30_000], lambda rig: setattr(rig.hw.scd30, "frozen", True))
    soft = []

    def thaw(app):
        hw = rig.hw
        if hw.scd30.frozen and any(c[1] == 0xD304 for c in hw.scd30.commands):
            soft.append(hw.true_ms)
            hw.scd30.frozen = False

    rig.checks.append(thaw)
    rig.run(3_000_000)
    what = [e["what"] for e in rig.of("sensor")]
    assert "frozen" in what
    assert what.count("restarted") == 1
    assert len(soft) == 1
    assert rig.state_at(soft[0]) == "ambient"
    last = [row[0] for t, _, row, _ in rig.samples if t > soft[0] + 30_000]
    assert len(set(last)) > 10


def test_the_pressure_is_given_to_the_co2_sensor_only_while_the_lid_is_open():
    rig = Rig(flux=0.78)
    pressure = [101_300.0]
    rig.hw.air.at = lambda t, air=rig.hw.air: (420, 25, 50, 101_300 - t / 1000, 1000)
    rig.run(6 * 600_000)
    del pressure
    told = [(t, v) for t, code, v in rig.hw.scd30.commands if code == 0x0010]
    assert len(told) >= 6
    for t, mbar in told[1:]:
        assert rig.state_at(t) in ("idle", "ambient")
        assert abs(mbar - (101_300 - t / 1000) / 100) <= 0.6
    recorded = [e["mbar"] for e in rig.of("sensor") if e["what"] == "compensated"]
    assert recorded == [v for _, v in told[1:]]


def test_a_low_supply_is_flagged_and_reported_once_each_way():
    rig = quiet()
    supplies = {30_000: 4_500, 60_000: 4_650, 90_000: 4_550, 120_000: 5_000}
    for t, mv in supplies.items():
        at(rig, [t], lambda rig, mv=mv: setattr(rig.hw, "supply", mv))
    rig.run(150_000)
    assert rig.of("supply") == [{"mv": 4_500, "low": True}, {"mv": 5_000, "low": False}]
    low = [row[6] < 4_600 for _, _, row, _ in rig.samples]
    assert low == [bool(f & LOW_SUPPLY) for f in flags(rig)]


def test_a_board_without_a_voltmeter_sends_nothing_instead_of_zero():
    rig = quiet()
    rig.hw.supply = None
    rig.run(20_000)
    assert set(column(rig, 6)) == {None}


def test_rows_are_whole_numbers_in_the_units_of_the_protocol():
    rig = quiet()
    rig.hw.scd30.noise = 0.0
    air = rig.hw.air
    air.co2, air.temperature, air.humidity, air.pressure = 439.11, 24.61, 48.807, 98_765
    air.lux = 312
    rig.run(30_000)
    row = rig.samples[-1][2]
    assert row[:7] == (4391, 2611, 4881, 2461, 98_765, 312, 5050)
    assert all(type(value) is int for value in row)
