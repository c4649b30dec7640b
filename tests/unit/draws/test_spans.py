"""Many spans as few."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawsguard.draws.spans import joined_ranges, joined_windows
from drawsguard.draws.window import Window

T0 = datetime(2025, 10, 3, tzinfo=UTC)
RANGES = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 20)), max_size=30)


@pytest.mark.parametrize(
    ("hours", "windows"),
    [
        ([], []),
        ([1, 2, 3, 7], [(1, 4), (7, 8)]),
        ([1, 7, 30, 32], [(1, 8), (30, 33)]),  # three are one too many: the nearest are joined
        ([1, 4, 7, 10], [(1, 2), (4, 11)]),
        ([30, 0, 9, 1, 5], [(0, 10), (30, 31)]),
    ],
)
def test_neighbours_are_one_window_and_the_nearest_when_there_are_many(
    hours: list[int], windows: list[tuple[int, int]]
) -> None:
    def at(hour: int) -> datetime:
        return T0 + timedelta(hours=hour)

    assert joined_windows((Window(at(hour), at(hour + 1)) for hour in hours), 2) == [
        Window(at(start), at(end)) for start, end in windows
    ]


def test_ranges_that_touch_or_overlap_are_one_and_the_closest_are_joined() -> None:
    assert joined_ranges([range(5, 9), range(1, 5), range(2, 12)]) == [range(1, 12)]
    assert joined_ranges([range(1, 2), range(90, 91), range(80, 81)], 2) == [range(1, 2), range(80, 91)]
    assert joined_ranges([range(1, 2), range(6, 7), range(12, 13)], within=4) == [range(1, 7), range(12, 13)]
    assert joined_ranges([range(1, 2), range(9, 10)], 1) == [range(1, 10)]


@given(RANGES, st.integers(1, 8), st.integers(0, 5))
def test_they_hold_all_are_few_and_read_as_little_as_few_can(
    given_ranges: list[tuple[int, int]], at_most: int, within: int
) -> None:
    spans = [range(start, start + length) for start, length in given_ranges]
    all_apart, few = joined_ranges(spans, within=within), joined_ranges(spans, at_most, within)
    assert all(any(span[0] in one and span[-1] in one for one in few) for span in spans)
    assert all(before.stop + within < after.start for before, after in pairwise(all_apart))
    assert len(few) == min(at_most, len(all_apart))
    between = sorted(after.start - before.stop for before, after in pairwise(all_apart))
    read = sum(map(len, few)) - sum(map(len, all_apart))
    assert read == sum(between[: len(all_apart) - len(few)]), "what lies in the narrowest gaps, and no more"


def test_a_hundred_thousand_scattered_holes_are_joined_at_once() -> None:
    started = time.process_time()
    joined = joined_ranges((range(3 * n * n, 3 * n * n + 1) for n in range(100_000)), 20)
    assert len(joined) == 20
    assert time.process_time() - started < 5, "a pass for each join took hours"
