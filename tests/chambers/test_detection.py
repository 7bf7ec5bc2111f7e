"""Detection limits and curvature limits: known numbers and limits."""

import numpy as np
import pytest

from tilth.chambers.fits.detection import (
    kappa_max,
    minimum_detectable_flux,
    precision_over_time,
    simulated_detection_limit,
    time_spread,
)
from tilth.core.errors import InputError

AMOUNT = 6.48  # mol m-2, the fleet's pots: 16.5 cm, 972 hPa, 20 degC


def test_spread_of_even_samples_is_the_closed_form():
    t = np.arange(61) * 3.0
    assert time_spread(61, 3.0) == pytest.approx(np.sqrt(((t - t.mean()) ** 2).sum()))


@pytest.mark.parametrize(
    ("n", "sigma", "mdf"),
    [(60, 10.0, 0.32), (100, 10.0, 0.147), (60, 2.0, 0.063), (100, 2.0, 0.029)],
)
def test_scd30_detection_limits_at_three_and_five_minutes(n, sigma, mdf):
    # 1.96 sigma / sqrt(Sxx) phi by hand: 0.32 and 0.147 at 10 ppm, 0.063 and 0.029
    # at 2 ppm.
    ours = minimum_detectable_flux(sigma, time_spread(n, 3.0), AMOUNT)
    assert ours == pytest.approx(mdf, rel=0.03)


def test_five_minutes_see_twice_as_little_as_three():
    three, five = time_spread(60, 3.0), time_spread(100, 3.0)
    assert five / three == pytest.approx(2.15, abs=0.01)


def test_the_difference_of_two_readings_is_three_times_worse_than_the_line():
    line = 10.0 / time_spread(60, 3.0) * AMOUNT
    ends = np.sqrt(2) * 10.0 / 180.0 * AMOUNT
    assert line == pytest.approx(0.16, abs=0.005)
    assert ends == pytest.approx(0.51, abs=0.005)
    assert ends / line == pytest.approx(3.2, abs=0.05)


def test_precision_over_time_is_goflux_detection_limit():
    # goflux_reference_fluxes.csv, UGGA CO2: 0.00910554719700686.
    mdf = precision_over_time(0.2, 179.0, 8.14946474132114)
    assert mdf == pytest.approx(0.00910554719700686, rel=1e-12)


def test_kappa_max_is_the_slope_over_the_precision_with_that_limit():
    limit = precision_over_time(0.2, 179.0, AMOUNT)
    k = kappa_max(np.array([-0.4, 0.4]) * AMOUNT, limit, 179.0)
    np.testing.assert_allclose(k, 0.4 / 0.2)


def test_simulated_limit_of_a_nearly_straight_design_exceeds_the_line_alone():
    t = np.arange(60) * 3.0
    line = 1.96 * 2.0 / time_spread(60, 3.0) * AMOUNT
    curve = simulated_detection_limit(t, 450.0, 2.0, AMOUNT, n_simulations=400)
    # A free curve reads more flux into noise than a line does.
    assert curve > 2 * line
    again = simulated_detection_limit(t, 450.0, 2.0, AMOUNT, n_simulations=400)
    assert curve == again


def test_a_confidence_that_is_no_probability_is_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        minimum_detectable_flux(1.0, 100.0, AMOUNT, confidence=95)
