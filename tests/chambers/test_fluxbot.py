import numpy as np
import pytest

from tilth.chambers.quality.fluxbot import QAQC_FLAGS, QaqcLimits, flag_qaqc
from tilth.chambers.simulate.fleet import simulate_closures
from tilth.core.flags import is_flagged

SIX = tuple(QAQC_FLAGS.descriptions)


def five_minutes(n=1, **options):
    """Closures of five minutes at 1 Hz, as the fluxbot makes them."""
    return simulate_closures(n, 301, interval=1.0, noise=0.0, **options)


def reasons(closures, limits=None):
    flag = flag_qaqc(closures, limits)["qaqc_flag"]
    return [{m for m in SIX if is_flagged(flag, m).values[i]} for i in range(flag.size)]


def test_a_good_closure_has_no_digit():
    assert reasons(five_minutes(flux=2.0)) == [set()]


@pytest.mark.parametrize(
    ("name", "step", "digit"),
    [
        ("pressure", 1001.0, "pressure_change"),
        ("pressure", 999.0, None),
        ("temperature", 2.6, "temperature_change"),
        ("temperature", 2.4, None),
    ],
)
def test_a_jump_of_the_air_gives_its_digit_just_above_the_limit(name, step, digit):
    closures = five_minutes(flux=2.0)
    closures[name].values[0, 200:] += step
    assert reasons(closures) == [{digit} if digit else set()]


def test_each_trouble_of_co2_has_its_digit():
    assert reasons(five_minutes(flux=2.0, start_co2=2999.0)) == [{"high_co2"}]
    assert reasons(five_minutes(flux=0.1)) == [{"small_change"}]
    assert reasons(five_minutes(flux=-0.1)) == [{"small_change", "falling_co2"}]
    assert reasons(five_minutes(flux=-2.0)) == [{"falling_co2"}]
    short = five_minutes(flux=3.0)
    short["co2"].values[0, 269:] = np.nan
    assert reasons(short) == [{"few_records"}]
    short["co2"].values[0, 269] = 600.0
    assert reasons(short) == [set()]


def test_limits_fit_other_instruments_and_missing_ends_are_skipped():
    closures = simulate_closures(2, 61, flux=2.0, noise=0.0)
    closures["co2"].values[1, [0, 60]] = np.nan
    assert reasons(closures) == [{"few_records"}, {"few_records"}]
    assert reasons(closures, QaqcLimits(few_records=50)) == [set(), set()]


def test_records_before_closing_do_not_count():
    closures = five_minutes(flux=2.0)
    closures["elapsed"].values[0] -= 20.0
    closures["pressure"].values[0, :20] += 5000.0
    closures["co2"].values[0, :20] += 5000.0
    assert reasons(closures) == [set()]
