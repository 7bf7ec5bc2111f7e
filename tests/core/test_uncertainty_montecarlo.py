import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.constants import MOLAR_GAS_CONSTANT, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.core.uncertainty import (
    Input,
    average_se,
    propagate_linear,
    propagate_monte_carlo,
)

CYCLE, DEVICE, COMMON = 0.30, 0.05, 0.04


def fleet(n_devices, n_cycles):
    """Relative errors of fluxes of several devices, with the group of each cycle."""
    inputs = {
        "flux": Input(1.0, CYCLE),
        "volume": Input(1.0, DEVICE, level="device"),
        "pressure": Input(1.0, COMMON, level="common"),
    }
    labels = np.repeat([f"{i}.A" for i in range(n_devices)], n_cycles)
    return inputs, labels.reshape(n_devices, n_cycles)


def mean_flux(flux, volume, pressure):
    return (flux * volume * pressure).mean(axis=(-1, -2))


@pytest.mark.parametrize(("n_devices", "n_cycles"), [(1, 1), (1, 100), (20, 25)])
def test_averaging_reduces_only_what_is_not_shared(n_devices, n_cycles):
    inputs, labels = fleet(n_devices, n_cycles)
    result = propagate_monte_carlo(
        mean_flux, inputs, groups={"device": labels}, n_draws=20_000, seed=1
    )
    law = average_se(
        {"cycle": CYCLE, "device": DEVICE, "common": COMMON},
        {"cycle": n_devices * n_cycles, "device": n_devices},
    )
    assert result.levels["cycle"] == pytest.approx(law["cycle"], rel=0.03)
    assert result.levels["device"] == pytest.approx(law["device"], rel=0.03)
    assert result.levels["common"] == pytest.approx(COMMON, rel=0.03)
    assert result.se == pytest.approx(law["total"], rel=0.03)
    assert result.value == pytest.approx(1.0)


def test_in_a_ratio_of_two_groups_the_common_error_cancels():
    inputs, labels = fleet(2, 50)

    def ratio(flux, volume, pressure):
        means = (flux * volume * pressure).mean(axis=-1)
        return means[..., 0] / means[..., 1]

    result = propagate_monte_carlo(ratio, inputs, groups={"device": labels}, seed=2)
    expected = np.sqrt(2 * (CYCLE**2 / 50 + DEVICE**2))
    assert result.contributions["pressure"] == pytest.approx(0.0, abs=1e-12)
    assert result.se == pytest.approx(expected, rel=0.03)


def test_two_pots_of_one_device_share_its_error_and_two_devices_do_not():
    inputs = {"volume": Input(1.0, 0.1, level="device")}
    groups = {"device": ["a", "a", "b"]}
    samples = propagate_monte_carlo(
        lambda volume: volume, inputs, groups=groups, seed=3
    ).samples
    np.testing.assert_array_equal(samples[:, 0], samples[:, 1])
    assert np.corrcoef(samples[:, 0], samples[:, 2])[0, 1] == pytest.approx(0, abs=0.03)


@given(
    slope=st.floats(0.05, 5), volume=st.floats(0.005, 0.05), celsius=st.floats(-20, 40)
)
@settings(max_examples=15, deadline=None)
def test_small_errors_give_the_same_by_monte_carlo_and_to_first_order(
    slope, volume, celsius
):
    inputs = {
        "slope": Input(slope, 0.01 * slope),
        "volume": Input.from_half_width(volume, 0.02 * volume),
        "celsius": Input.from_half_width(celsius, 2.0, "triangular"),
        "span": Input(1.0, 0.015, "lognormal"),
    }

    def flux(slope, volume, celsius, span):
        return span * slope * volume / (celsius + ZERO_CELSIUS)

    linear = propagate_linear(flux, inputs)
    drawn = propagate_monte_carlo(flux, inputs, n_draws=40_000)
    # 1 / sqrt(2 * 40000) = 0.35 %: five of these
    assert drawn.se == pytest.approx(linear.se, rel=0.018)
    assert drawn.value == pytest.approx(linear.value, rel=1e-12)
    for name, contribution in linear.contributions.items():
        assert drawn.contributions[name] == pytest.approx(contribution, rel=0.018)


def test_the_systematic_budget_of_a_chamber_flux_is_five_percent():
    """Volume SD 4.5 %, pressure +-3.9 kPa, temperature +-2 K, span +-3 %: 5.4 %."""

    def flux(volume, pressure, temperature, span):
        kelvin = temperature + ZERO_CELSIUS
        return 0.1 * span * volume * pressure / (MOLAR_GAS_CONSTANT * kelvin) / 0.07

    inputs = {
        "volume": Input(0.0115, 0.045 * 0.0115, level="device"),
        "pressure": Input.from_half_width(97.2e3, 3.9e3, level="common"),
        "temperature": Input.from_half_width(20.0, 2.0, level="common"),
        "span": Input.from_half_width(1.0, 0.03, level="device"),
    }
    groups = {"device": [f"device {i}" for i in range(4)]}
    result = propagate_monte_carlo(flux, inputs, groups=groups, n_draws=50_000)
    percent = 100 * result.se / result.value
    np.testing.assert_allclose(percent, 5.4, atol=0.1)
    half_width = 50 * (result.upper - result.lower) / result.value
    assert ((half_width > 10) & (half_width < 15)).all()  # as the article states

    mean = result.samples.mean(axis=-1)
    shared = result.levels["common"].mean()
    own = result.levels["device"].mean()
    assert mean.std() == pytest.approx(np.hypot(shared, own / 2), rel=0.02)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Simulated devices: fluxes of many cycles, truth known, 90 % intervals."""
    rng = np.random.default_rng(5)
    truth, n_cycles, n_trials = 2.0, 12, 400
    held = 0
    for trial in range(n_trials):
        gain = rng.uniform(0.9, 1.1)
        seen = truth / gain + rng.normal(0, 0.3, n_cycles)
        result = propagate_monte_carlo(
            lambda flux, gain: (flux * gain).mean(axis=-1),
            {
                "flux": Input(seen, 0.3),
                "gain": Input.from_half_width(1.0, 0.1, level="device"),
            },
            groups={"device": "a"},
            n_draws=2_000,
            confidence=0.90,
            seed=trial,
        )
        held += result.lower <= truth <= result.upper
    # binomial: SD of the fraction is 1.5 %
    assert held / n_trials == pytest.approx(0.90, abs=0.045)


@pytest.mark.parametrize("trust_cycles_only", [True, False])
def test_an_error_of_the_device_taken_for_noise_of_the_cycles_breaks_the_interval(
    trust_cycles_only,
):
    rng = np.random.default_rng(6)
    level = "cycle" if trust_cycles_only else "device"
    held = 0
    for trial in range(200):
        seen = 1.0 / rng.normal(1, 0.05) + rng.normal(0, 0.05, 100)
        result = propagate_monte_carlo(
            lambda flux, gain: (flux * gain).mean(axis=-1),
            {"flux": Input(seen, 0.05), "gain": Input(1.0, 0.05, level=level)},
            groups=None if trust_cycles_only else {"device": "a"},
            n_draws=500,
            seed=trial,
        )
        held += result.lower <= 1.0 <= result.upper
    assert held < 80 if trust_cycles_only else held > 180


@pytest.mark.parametrize(
    ("distribution", "excess_kurtosis", "reach"),
    [
        ("normal", 0.0, np.inf),
        ("rectangular", -1.2, np.sqrt(3)),
        ("triangular", -0.6, np.sqrt(6)),
    ],
)
def test_every_distribution_has_its_mean_spread_and_shape(
    distribution, excess_kurtosis, reach
):
    samples = propagate_monte_carlo(
        lambda x: x, {"x": Input(10.0, 2.0, distribution)}, n_draws=200_000
    ).samples
    errors = (samples - 10) / 2
    assert errors.mean() == pytest.approx(0, abs=0.01)
    assert errors.std() == pytest.approx(1, abs=0.01)
    assert (errors**4).mean() - 3 == pytest.approx(excess_kurtosis, abs=0.06)
    assert np.abs(errors).max() <= reach


def test_a_lognormal_input_is_positive_and_has_the_mean_it_was_given():
    result = propagate_monte_carlo(
        lambda x: x, {"x": Input(1.0, 0.8, "lognormal")}, n_draws=200_000
    )
    assert result.samples.min() > 0
    assert result.mean == pytest.approx(1.0, abs=0.01)
    assert result.se == pytest.approx(0.8, abs=0.02)
    assert np.log(result.samples).std() == pytest.approx(
        np.sqrt(np.log(1.64)), abs=0.01
    )


def test_draws_with_a_covariance_have_it_even_if_it_is_singular():
    covariance = np.array([[0.04, 0.018, 0.0], [0.018, 0.0081, 0.0], [0.0, 0.0, 0.25]])
    inputs = {
        "a": Input(1.0, 0.2, level="device"),
        "b": Input(2.0, 0.09, level="device"),
        "c": Input(3.0, 0.5, "rectangular"),
    }
    result = propagate_monte_carlo(
        lambda a, b, c: np.stack([a, b, c], axis=-1),
        inputs,
        covariance=covariance,
        groups={"device": ["x", "y"]},
        n_draws=100_000,
    )
    seen = np.cov(result.samples[:, 1].T)
    np.testing.assert_allclose(seen, covariance, atol=0.003)
    between = np.corrcoef(result.samples[:, 0, 0], result.samples[:, 1, 0])[0, 1]
    assert between == pytest.approx(0.0, abs=0.02)


def test_a_strongly_curved_function_gets_the_skewed_interval_first_order_cannot_give():
    inputs = {"x": Input(1.0, 0.3)}
    result = propagate_monte_carlo(
        lambda x: np.exp(x), inputs, n_draws=200_000, confidence=0.95
    )
    # exact: quantiles go through a monotonic function
    exact = np.exp(1.0 + 0.3 * 1.959964 * np.array([-1, 1]))
    np.testing.assert_allclose([result.lower, result.upper], exact, rtol=0.01)
    assert result.mean == pytest.approx(np.exp(1 + 0.045), rel=0.005)


def test_the_same_seed_gives_the_same_draws_and_another_seed_does_not():
    inputs, labels = fleet(2, 3)
    runs = [
        propagate_monte_carlo(
            mean_flux, inputs, groups={"device": labels}, n_draws=100, seed=seed
        )
        for seed in (7, 7, 8)
    ]
    np.testing.assert_array_equal(runs[0].samples, runs[1].samples)
    assert (runs[0].samples != runs[2].samples).all()
    assert runs[0].seed == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": None}, "Give groups={'device'"),
        ({"groups": {"device": ["a", "b"]}}, "do not broadcast"),
        ({"shape": (2,)}, r"do not broadcast to the shape \(2,\)"),
        ({"groups": {"device": "a", "cycle": "a"}}, "takes no groups"),
        ({"n_draws": 1}, "at least 2 draws"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"covariance": [[0.04, 0.004], [0.004, 0.01]]}, "only normal inputs"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    inputs = {
        "flux": Input(np.ones(3), 0.2, level="device"),
        "gain": Input(1.0, 0.1, "rectangular", level="device"),
    }
    if "covariance" in arguments:
        inputs["flux"] = Input(1.0, 0.2, level="device")
    with pytest.raises(InputError, match=message):
        propagate_monte_carlo(
            lambda flux, gain: flux * gain,
            inputs,
            **{"groups": {"device": "a"}, **arguments},
        )


def test_a_function_that_averages_over_the_draws_is_refused():
    with pytest.raises(InputError, match="must keep the first axis"):
        propagate_monte_carlo(np.mean, {"a": Input(1.0, 0.1)})
    with pytest.raises(InputError, match="must keep the first axis"):
        propagate_monte_carlo(lambda x: x.mean(axis=0), {"x": Input(np.ones(3), 0.1)})
