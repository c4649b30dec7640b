"""A result follows from the keno draw; a draw that contradicts itself cannot exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawsguard.draws.collect.continuity import holes
from drawsguard.draws.keno import digits_of
from drawsguard.draws.model import MAX_PERIOD, Draw

BALLS = [7, 8, 14, 16, 17, 22, 26, 34, 39, 41, 42, 48, 54, 58, 63, 64, 69, 72, 73, 79]
NOW = datetime(2025, 10, 1, tzinfo=UTC)

keno_draws = st.lists(st.integers(1, 80), min_size=20, max_size=20, unique=True)
digits = st.integers(0, 9)
periods = st.integers(1, MAX_PERIOD)


def test_known_draw() -> None:
    assert digits_of(BALLS) == (8, 8, 4)


@given(keno_draws, st.randoms())
def test_order_of_balls_does_not_matter(balls: list[int], random: Any) -> None:
    shuffled = list(balls)
    random.shuffle(shuffled)
    assert digits_of(shuffled) == digits_of(balls)
    assert all(0 <= digit <= 9 for digit in digits_of(balls))


@pytest.mark.parametrize(
    "balls",
    [BALLS[:-1], [*BALLS, 80], [*BALLS[:-1], BALLS[0]], [0, *BALLS[1:]], [*BALLS[:-1], 81], []],
    ids=["19 balls", "21 balls", "a ball twice", "ball 0", "ball 81", "none"],
)
def test_what_is_no_keno_draw_is_refused(balls: list[int]) -> None:
    with pytest.raises(ValueError, match="20 distinct numbers"):
        digits_of(balls)


@pytest.mark.parametrize(
    ("numbers", "sum_value", "big_small", "odd_even"),
    [
        ((8, 8, 4), 20, "big", "even"),
        ((4, 5, 5), 14, "big", "even"),
        ((4, 4, 5), 13, "small", "odd"),
        ((0, 0, 0), 0, "small", "even"),
        ((9, 9, 9), 27, "big", "odd"),
    ],
)
def test_derived_values(numbers: Any, sum_value: int, big_small: str, odd_even: str) -> None:
    draw = Draw.derive(1, NOW, numbers, NOW)
    assert (draw.sum_value, draw.big_small, draw.odd_even) == (sum_value, big_small, odd_even)


@given(periods, st.tuples(digits, digits, digits), st.integers(0, 27), st.booleans(), st.booleans())
def test_a_draw_exists_only_with_what_follows_from_its_digits(
    period: int, numbers: Any, stated: int, big: bool, odd: bool
) -> None:
    fields: Any = (period, NOW, numbers, stated, "big" if big else "small", "odd" if odd else "even", NOW)
    if (stated, big, odd) == (sum(numbers), sum(numbers) > 13, sum(numbers) % 2 == 1):
        assert Draw(*fields) == Draw.derive(period, NOW, numbers, NOW)
    else:
        with pytest.raises(ValueError, match="disagrees"):
            Draw(*fields)


@pytest.mark.parametrize("period", [0, -1, MAX_PERIOD + 1])
def test_a_period_is_a_positive_int64(period: int) -> None:
    with pytest.raises(ValueError, match=f"is not from 1 to {MAX_PERIOD}"):
        Draw.derive(period, NOW, (1, 2, 3), NOW)


@pytest.mark.parametrize("numbers", [(1, 2), (1, 2, 10), (1, 2, -1)])
def test_numbers_are_three_digits(numbers: Any) -> None:
    with pytest.raises(ValueError, match="three digits"):
        Draw.derive(1, NOW, numbers, NOW)


def test_times_have_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Draw.derive(1, NOW.replace(tzinfo=None), (1, 2, 3), NOW)


def at(period: int) -> datetime:
    return NOW + period * timedelta(seconds=210)


def missing(draws: list[Draw]) -> set[int]:
    found = holes(draws, timedelta(seconds=210))
    return {p for before, after in found for p in range(before.period + 1, after.period)}


@given(st.sets(st.integers(1, 60), max_size=40))
def test_holes_enclose_every_missing_period(present: set[int]) -> None:
    draws = [Draw.derive(period, at(period), (1, 2, 3), NOW) for period in sorted(present, reverse=True)]
    assert missing(draws) == (set(range(min(present), max(present))) - present if present else set())


def test_a_hole_does_not_begin_at_a_draw_whose_time_is_wrong() -> None:
    draws = [Draw.derive(period, at(period), (1, 2, 3), NOW) for period in (1, 2, 3, 5, 6, 7)]
    draws[2] = Draw.derive(3, at(3) - timedelta(days=3), (1, 2, 3), NOW)
    assert missing(draws) == {3, 4}
