"""A bar is a rule that can be checked, and a number either meets it or does not."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.studies.result import Metric, StudyResult, Table, bar_holds

numbers = st.floats(-1e6, 1e6)


@given(value=numbers, limit=numbers)
def test_a_comparison_means_what_it_says(value, limit):
    assert bar_holds(f"<= {limit!r}", value) == (value <= limit)
    assert bar_holds(f">= {limit!r}", value) == (value >= limit)
    assert bar_holds(f"<{limit!r}", value) == (value < limit)
    assert bar_holds(f"> {limit!r}", value) == (value > limit)
    assert bar_holds(f"=={limit!r}", value) == (value == limit)


@given(value=numbers, ends=st.tuples(numbers, numbers))
def test_a_range_holds_its_ends_and_what_lies_between(value, ends):
    low, high = sorted(ends)
    assert bar_holds(f"{low!r}..{high!r}", value) == (low <= value <= high)
    assert bar_holds(f"{low!r} .. {high!r}", low)
    assert bar_holds(f"{low!r} .. {high!r}", high)


@pytest.mark.parametrize(
    ("bar", "value", "published", "holds"),
    [
        ("within 3 %", 0.80, 0.78, True),
        ("within 3 %", 0.81, 0.78, False),
        ("within 3%", -0.80, -0.78, True),
        ("within 3 %", 0.78, -0.78, False),
        ("within 0.1", 1.1, 1.0, True),  # the difference is 0.10000000000000009
        ("within 0.1", 1.101, 1.0, False),
        ("within 5 %", 0.0, 0.0, True),
        ("0.74..0.82", 0.78, None, True),
        ("1..2", 2.01, None, False),
        ("-2..-1", -1.5, None, True),
        ("< 1e-9", 3e-11, None, True),
        (".5..1.", 0.5, None, True),
    ],
)
def test_bars_of_the_literature_hold_or_do_not(bar, value, published, holds):
    assert bar_holds(bar, value, published) is holds


@pytest.mark.parametrize("bar", ["<= 1", "> -1", "== 0", "-1..1", "within 10 %"])
def test_what_is_not_a_number_meets_no_bar(bar):
    assert bar_holds(bar, math.nan, 1.0) is False


@pytest.mark.parametrize(
    ("bar", "why"),
    [
        ("about 3", "cannot read the bar"),
        ("", "cannot read the bar"),
        ("<= 3 ppm", "cannot read the bar"),
        ("=< 3", "cannot read the bar"),
        ("0.82..0.74", "its low end is above its high"),
        ("within 3 %", "needs a published number"),
    ],
)
def test_a_bar_that_cannot_be_checked_is_refused_when_the_metric_is_made(bar, why):
    with pytest.raises(InputError, match=why):
        Metric("flux", 1.0, bar=bar, published="20-40")


def test_without_a_bar_nothing_holds_and_nothing_fails():
    assert Metric("flux", 1.0).holds is None


def test_a_negative_standard_error_is_refused():
    with pytest.raises(InputError, match="negative"):
        Metric("flux", 1.0, se=-0.1)


def test_the_record_holds_what_any_json_reader_can_read():
    metric = Metric(
        "flux", np.float32(0.5), np.float64("nan"), "K", np.int64(2), "within 2"
    )
    text = json.dumps(metric.record(), allow_nan=False)
    assert json.loads(text) == {
        "name": "flux",
        "value": 0.5,
        "se": None,
        "unit": "K",
        "published": 2,
        "bar": "within 2",
        "holds": True,
    }


def test_a_number_that_could_not_be_had_is_null_and_does_not_hold():
    record = Metric("flux", math.nan, bar=">= 0").record()
    assert record["value"] is None
    assert record["holds"] is False


@pytest.mark.parametrize("what", ["metrics", "tables"])
def test_two_parts_of_one_name_are_refused(what):
    table = Table("t", pd.DataFrame({"x": [1]}), "")
    twice = {"metrics": [Metric("a", 1), Metric("a", 2)], "tables": [table, table]}
    parts = {"metrics": []} | {what: twice[what]}
    with pytest.raises(InputError, match=f"{what} of the same name"):
        StudyResult("Title", "Summary", **parts)
