"""Which sequence numbers are settled: closed ranges that never touch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """A set of whole numbers kept as merged closed ranges.

    Remembers which ranges changed since `changes` was last asked for, so that a
    table of ranges can follow it without being rewritten.

    Parameters
    ----------
    ranges : iterable of (int, int)
        First and last number of each, neither overlapping nor touching.

    Examples
    --------
    >>> numbers = RangeSet([(0, 4)])
    >>> numbers.add(6, 9)
    >>> numbers.missing(0, 12)
    [(5, 5), (10, 12)]
    >>> numbers.add(5, 5)
    >>> numbers.watermark
    9
    """

    __slots__ = ("_changed", "_firsts", "_lasts", "_removed")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        ordered = sorted(ranges)
        self._firsts = [first for first, _ in ordered]
        self._lasts = [last for _, last in ordered]
        self._changed: set[int] = set()
        self._removed: set[int] = set()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        """Return the number of ranges, not of numbers."""
        return len(self._firsts)

    @property
    def watermark(self) -> int:
        """The highest number such that all from 0 to it are in; -1 if 0 is not."""
        return self._lasts[0] if self._firsts and self._firsts[0] == 0 else -1

    @property
    def last(self) -> int:
        """The highest number that is in; -1 if there is none."""
        return self._lasts[-1] if self._lasts else -1

    def count(self) -> int:
        """Return how many numbers are in."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def covers(self, first: int, last: int) -> bool:
        """Tell whether all of ``first .. last`` is in."""
        at = bisect_right(self._firsts, first) - 1
        return at >= 0 and last <= self._lasts[at]

    def is_free(self, first: int, last: int) -> bool:
        """Tell whether none of ``first .. last`` is in."""
        lasts = self._lasts
        if not lasts or first > lasts[-1]:
            return True
        at = bisect_right(self._firsts, last) - 1
        return at < 0 or lasts[at] < first

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return the parts of ``first .. last`` that are not in."""
        gaps = []
        at = max(bisect_right(self._firsts, first) - 1, 0)
        for k in range(at, len(self._firsts)):
            if self._firsts[k] > last:
                break
            if self._firsts[k] > first:
                gaps.append((first, self._firsts[k] - 1))
            first = max(first, self._lasts[k] + 1)
        if first <= last:
            gaps.append((first, last))
        return gaps

    def above(self, seq: int, most: int) -> list[tuple[int, int]]:
        """Return at most `most` ranges above a number: the lowest, and the highest.

        What is missing first matters to a device that sends its oldest records, the
        highest range to one that sends its newest.
        """
        at = bisect_right(self._firsts, seq)
        if len(self._firsts) - at <= most:
            chosen = list(range(at, len(self._firsts)))
        else:
            chosen = [*range(at, at + most - 1), len(self._firsts) - 1]
        return [(self._firsts[k], self._lasts[k]) for k in chosen]

    def add(self, first: int, last: int) -> None:
        """Put ``first .. last`` in, whatever of it is in already."""
        firsts, lasts = self._firsts, self._lasts
        if lasts and first == lasts[-1] + 1:  # what nearly always happens
            lasts[-1] = last
            self._changed.add(firsts[-1])
            return
        # The ranges from `start` to before `end` overlap or touch the new one.
        start = bisect_right(firsts, first) - 1
        if start < 0 or lasts[start] < first - 1:
            start += 1
        end = bisect_right(firsts, last + 1)
        if start < end:
            first = min(first, firsts[start])
            last = max(last, lasts[end - 1])
            self._removed.update(firsts[start:end])
            self._changed.difference_update(firsts[start:end])
        firsts[start:end] = [first]
        lasts[start:end] = [last]
        self._removed.discard(first)
        self._changed.add(first)

    def changes(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the firsts to delete and the ranges to write, and forget both."""
        removed = sorted(self._removed)
        changed = []
        for first in sorted(self._changed):
            at = bisect_right(self._firsts, first) - 1
            changed.append((first, self._lasts[at]))
        self._removed = set()
        self._changed = set()
        return removed, changed
