"""Signals and satellites: carriers, numbers, who sends what and when."""

import datetime

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.gnss.gps_time import gps_to_utc, leap_seconds
from tilth.gnss.reflectometry.signals import (
    SIGNALS,
    satellite_name,
    satellite_number,
    sends,
    signal_of,
    wavelength,
)

DAY = datetime.date(2025, 1, 11)


def test_carriers_are_those_of_the_interface_documents():
    # Multiples of 10.23 MHz: GPS 154, 120, 115; Galileo E6 125, E5b 118, E5 116.5.
    factors = {1: 154, 20: 120, 5: 115, 206: 125, 207: 118, 208: 116.5, 302: 152.6}
    for code, factor in factors.items():
        assert SIGNALS[code].frequency == pytest.approx(factor * 10.23e6, rel=1e-12)


def test_every_glonass_channel_has_its_own_wavelength():
    # GLONASS ICD 5.1: L1 1602 MHz + k 562.5 kHz; slot 2 sends on channel -4.
    assert wavelength(102, 101) == pytest.approx(299792458 / 1599.75e6, rel=1e-12)
    assert wavelength(102, 102) == pytest.approx(299792458 / 1244.25e6, rel=1e-12)


def test_the_channel_of_the_day_goes_before_the_usual_one():
    assert wavelength(102, 101, {2: 3}) == pytest.approx(299792458 / 1603.6875e6)


def test_a_glonass_slot_without_a_channel_has_no_wavelength():
    assert wavelength(132, 101) is None


def test_each_gps_satellite_sends_l2c_or_is_taken_for_l2_and_never_both():
    for satellite in range(1, 33):
        assert sends(satellite, 20, DAY) != sends(satellite, 2, DAY)


def test_l2c_begins_with_the_launch_and_l5_needs_a_later_block():
    # GPS III on PRN 18 was launched on 2019-08-22; PRN 7 is of block IIR-M.
    assert not sends(18, 20, datetime.date(2019, 8, 21))
    assert sends(18, 20, datetime.date(2019, 8, 22))
    assert sends(7, 20, DAY)
    assert not sends(7, 5, DAY)
    assert sends(25, 5, DAY)


def test_beidou_satellites_in_high_orbits_are_not_used():
    assert not sends(301, 302, DAY)
    assert not sends(338, 302, DAY)
    assert sends(319, 302, DAY)


def test_a_satellite_sends_only_signals_of_its_constellation():
    for code in SIGNALS:
        own = [s for s in (25, 105, 205, 325) if sends(s, code, DAY)]
        assert all(number // 100 == code // 100 for number in own)


@pytest.mark.parametrize(("number", "name"), [(5, "G05"), (124, "R24"), (333, "C33")])
def test_names_of_rinex_and_numbers_are_inverses(number, name):
    assert satellite_name(number) == name
    assert satellite_number(name) == number


@pytest.mark.parametrize("number", [0, 100, 400, -3])
def test_numbers_of_no_satellite_are_refused(number):
    with pytest.raises(InputError, match="is no satellite"):
        satellite_name(number)


def test_a_constellation_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="no satellite 'J03'"):
        satellite_number("J03")


def test_an_unknown_signal_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="20 GPS L2C"):
        signal_of(21)


def test_gps_time_is_ahead_by_the_leaps_since_1980():
    # IERS Bulletin C: 13 s from 1999, 16 s from July 2012, 18 s from 2017.
    days = ["1980-01-06", "1999-06-01", "2012-07-01", "2016-12-31", "2025-01-11"]
    assert leap_seconds(days).tolist() == [0, 13, 16, 17, 18]


def test_utc_is_exact_in_the_seconds_after_a_leap():
    # At GPS 2017-01-01T00:00:17.5 the leap second 2016-12-31T23:59:60 is under way;
    # half a second later UTC has counted all 18.
    gps = np.array(["2017-01-01T00:00:16", "2017-01-01T00:00:18"], "datetime64[s]")
    utc = gps_to_utc(gps).astype("datetime64[s]").astype(str).tolist()
    assert utc == ["2016-12-31T23:59:59", "2017-01-01T00:00:00"]
