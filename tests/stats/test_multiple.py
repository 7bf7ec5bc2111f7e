"""Holm's method against statsmodels and its own promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from tilth.core.errors import InputError
from tilth.stats import holm


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-15)


def test_a_test_that_could_not_be_made_is_no_member_of_the_family():
    np.testing.assert_allclose(holm([0.01, np.nan, 0.03]), [0.02, np.nan, 0.03])


def test_one_test_alone_is_not_adjusted():
    assert holm([0.04]) == pytest.approx([0.04])


def test_impossible_p_values_are_refused():
    with pytest.raises(InputError, match=r"0\.\.1"):
        holm([0.5, 1.2])
