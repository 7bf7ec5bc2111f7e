"""Settled numbers: ranges against a plain set, whatever is done to them."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from tilth.fleet.journal_ranges import RangeSet

numbers = st.integers(0, 60)


class Ranges(RuleBasedStateMachine):
    """A `RangeSet` beside a set of numbers and a table that follows its changes."""

    @initialize(kept=st.lists(st.tuples(numbers, st.integers(0, 9)), max_size=5))
    def begin(self, kept):
        filled = RangeSet()
        for first, length in kept:
            filled.add(first, first + length)
        filled.changes()
        self.table = dict(filled)
        self.ranges = RangeSet(filled)
        self.model = {n for a, b in filled for n in range(a, b + 1)}

    @rule(first=numbers, length=st.integers(0, 12))
    def add(self, first, length):
        self.ranges.add(first, first + length)
        self.model |= set(range(first, first + length + 1))

    @rule(length=st.integers(0, 5))
    def add_at_the_end(self, length):
        first = max(self.model, default=-1) + 1
        self.ranges.add(first, first + length)
        self.model |= set(range(first, first + length + 1))

    @rule()
    def save(self):
        removed, changed = self.ranges.changes()
        for first in removed:
            self.table.pop(first, None)
        self.table |= dict(changed)
        assert self.table == dict(self.ranges)

    @rule(first=numbers, length=st.integers(0, 20))
    def ask(self, first, length):
        last = first + length
        asked = set(range(first, last + 1))
        missing = self.ranges.missing(first, last)
        assert {n for a, b in missing for n in range(a, b + 1)} == asked - self.model
        assert all(b + 1 < c for (_, b), (c, _) in pairwise(missing))
        assert self.ranges.covers(first, last) == (asked <= self.model)
        assert self.ranges.is_free(first, last) == (not asked & self.model)

    @rule(most=st.integers(1, 4))
    def hint(self, most):
        watermark = self.ranges.watermark
        hints = self.ranges.above(watermark, most)
        assert len(hints) == min(most, sum(a > watermark for a, _ in self.ranges))
        assert all(self.ranges.covers(*hint) for hint in hints)
        assert hints == sorted(hints)
        if len(hints) > 1:
            assert hints[-1][1] == self.ranges.last

    @invariant()
    def the_ranges_are_the_set(self):
        if not hasattr(self, "ranges"):
            return
        pairs = list(self.ranges)
        assert {n for a, b in pairs for n in range(a, b + 1)} == self.model
        assert all(b + 1 < c for (_, b), (c, _) in pairwise(pairs))
        watermark = -1
        while watermark + 1 in self.model:
            watermark += 1
        assert self.ranges.watermark == watermark
        assert self.ranges.last == max(self.model, default=-1)
        assert self.ranges.count() == len(self.model)


TestRanges = Ranges.TestCase
TestRanges.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


@given(st.permutations(range(40)))
@settings(max_examples=30, deadline=None)
def test_numbers_in_any_order_end_as_one_range(order):
    ranges = RangeSet()
    for number in order:
        ranges.add(number, number)
    assert list(ranges) == [(0, 39)]


def test_the_largest_numbers_are_no_special_case():
    ranges = RangeSet([(0, 5)])
    ranges.add(2**32 - 200, 2**32 - 1)
    assert ranges.missing(0, 2**32 - 1) == [(6, 2**32 - 201)]
    ranges.add(6, 2**32 - 201)
    assert ranges.watermark == 2**32 - 1


@pytest.mark.parametrize("step", [1, 7])
def test_growing_at_the_end_changes_one_row(step):
    ranges = RangeSet([(0, 9)])
    for first in range(10, 10 + 50 * step, step):
        ranges.add(first, first + step - 1)
    assert ranges.changes() == ([], [(0, 9 + 50 * step)])
