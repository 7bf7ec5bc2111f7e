"""Quantiles and probabilities of one sample are each other's inverse."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.forcing.adjust.samples import probabilities_of, quantiles_of

values = st.lists(st.integers(-20, 20), min_size=1, max_size=30)


@settings(deadline=None)
@given(values)
def test_the_probability_of_a_value_leads_back_to_it(numbers):
    ordered = np.sort(np.array(numbers, float))
    found = quantiles_of(ordered, probabilities_of(ordered, ordered))
    np.testing.assert_allclose(found, ordered, atol=1e-9)


@settings(deadline=None)
@given(values, st.lists(st.floats(-30.0, 30.0), min_size=2, max_size=10))
def test_probabilities_rise_with_values_and_stay_off_zero_and_one(numbers, asked):
    ordered = np.sort(np.array(numbers, float))
    p = probabilities_of(ordered, np.sort(np.array(asked)))
    half = 0.5 / ordered.size
    assert (np.diff(p) >= -1e-12).all()
    assert (p >= half).all()
    assert (p <= 1.0 - half).all()


def test_equal_values_share_the_middle_of_their_probabilities():
    ordered = np.array([0.0, 0.0, 0.0, 4.0])
    found = probabilities_of(ordered, np.array([-1.0, 0.0, 3.0, 4.0, 5.0]))
    # Half way from the third zero (5/8) to four (7/8), and a quarter beyond.
    np.testing.assert_allclose(found, [0.125, 0.375, 0.8125, 0.875, 0.875])
