"""Runs, spans and patience of the repair."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.draws.collect.feed import FeedHttpError
from drawsguard.draws.model import MAX_PERIOD
from drawsguard.draws.repair.gaps import (
    Gap,
    cut_out,
    cut_to,
    describe_gaps,
    first_draws,
    span_of,
)
from drawsguard.draws.repair.repairer import (
    MOST_MERGES,
    NEIGHBOURHOOD,
    Repair,
    RepairIncompleteError,
    ask_again,
    grouped,
    ranges,
)
from drawsguard.draws.window import Window

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def minutes(count: float) -> datetime:
    return T0 + timedelta(minutes=count)


def gap(first: int, last: int, start: float, end: float, cause: str = "not_collected") -> Gap:
    return Gap(first, last, cause, minutes(start), minutes(end))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("periods", "at_most", "expected"),
    [
        ([], 8, []),
        ([5], 8, [range(5, 6)]),
        ([7, 5, 6, 6], 8, [range(5, 8)]),
        ([1, 3, 100], 8, [range(1, 2), range(3, 4), range(100, 101)]),
        ([1, 3, 100], 2, [range(1, 4), range(100, 101)]),
        ([1, 3, 100], 1, [range(1, 101)]),
    ],
)
def test_exact_runs_the_closest_of_which_are_joined(periods: list[int], at_most: int, expected: list[range]) -> None:
    assert ranges(periods, at_most) == expected


def test_more_draws_than_fit_between_two_are_not_missing_but_a_wrong_period() -> None:
    interval = timedelta(seconds=210)
    year = 365 * 24 * 60
    assert gap(2, 2, 10, -10).is_possible(interval), "a neighbour's time may be wrong"
    assert gap(1001, 11_000, 0, 1).is_possible(interval)
    assert gap(1001, 1000 + 150_000, 0, year).is_possible(interval), "a year of draws"
    assert not gap(1001, 11_001, 0, 1).is_possible(interval)
    assert not gap(3_342_901, 33_429_010, 0, year).is_possible(interval), "a digit too many"
    assert not gap(1, MAX_PERIOD - 1, 0, 100 * year).is_possible(interval)


def test_a_missing_draw_is_looked_for_between_the_draws_whose_times_are_beyond_doubt() -> None:
    second = timedelta(seconds=1)
    missing = gap(20, 20, 10, 12)
    assert span_of(missing, {}) == Window(minutes(10), minutes(12) + second), "nothing better is known"
    before = {15: minutes(-4), 16: minutes(-3), 17: minutes(0), 18: minutes(4)}
    around = before | {22: minutes(18), 23: minutes(21), 24: minutes(24), 25: minutes(28)}
    assert span_of(missing, around) == Window(minutes(-3), minutes(24) + second), "two of either side may be wrong"
    assert span_of(missing, {18: minutes(14)}) == Window(minutes(12), minutes(14) + second), "in whatever order"


def test_neighbouring_gaps_are_repaired_together_and_all_of_them_in_few_groups() -> None:
    near = [gap(1, 2, 0, 1), gap(2 + NEIGHBOURHOOD, 50, 2, 3)]
    assert grouped([near[1], near[0]]) == [near]
    far = [gap(1000 * n, 1000 * n, n, n) for n in range(1, 20)]
    groups = grouped([*far, *near])
    assert len(groups) == MOST_MERGES
    assert [item for group in groups for item in group] == [*near, *far]


def test_a_gap_is_cut_into_what_is_known_and_what_is_not() -> None:
    hole = gap(10, 19, 0, 1)
    known = {3, 10, 13, 14, 19, 40}
    assert [(one.first, one.last) for one in cut_out(hole, known)] == [(11, 12), (15, 18)]
    assert [(one.first, one.last) for one in cut_to(hole, known)] == [(10, 10), (13, 14), (19, 19)]
    assert (cut_out(hole, set()), cut_to(hole, set())) == ([hole], [])
    assert cut_out(hole, set(hole.periods)) == []


def test_one_failure_is_itself_and_several_are_named_together() -> None:
    repair = Repair([], T0, T0, repaired=[1], open=[3])
    assert repair.failure is None
    repair.failures.append(FeedHttpError("HTTP 500"))
    assert repair.failure is repair.failures[0]
    repair.failures.append(ValueError("no"))
    assert isinstance(repair.failure, RepairIncompleteError)
    assert "1 draws: [3]. FeedHttpError: HTTP 500 | ValueError: no" in str(repair.failure)


def test_a_repair_is_cut_off_after_its_most_draws() -> None:
    gaps = [gap(1, 3, 0, 10), gap(7, 16, 20, 60), gap(20, 20, 70, 80)]
    assert first_draws(gaps, 20) == gaps
    assert [item.periods for item in first_draws(gaps, 5)] == [range(1, 4), range(7, 9)]
    assert first_draws(gaps, 3) == gaps[:1]


@pytest.mark.parametrize(
    ("missing_for", "asked_ago", "again"), [(5, 5, True), (60, 5, False), (60, 15, True), (2880, 60, False)]
)
def test_patience_grows_with_the_age_of_the_hole(missing_for: float, asked_ago: float, again: bool) -> None:
    now = minutes(10_000)
    asked_at, detected_at = now - timedelta(minutes=asked_ago), now - timedelta(minutes=missing_for)
    assert ask_again(detected_at, asked_at, now) is again


def test_only_news_make_an_incident() -> None:
    repair = Repair([], T0, minutes(1), repaired=[1], nobody_has=[2, 3, 4], open=[5], known={2, 3, 4})
    assert (repair.news, repair.seconds) == (2, 60)


def test_neighbouring_gaps_of_one_cause_are_told_as_one() -> None:
    described = describe_gaps([gap(1, 1, 0, 0, "not_synced"), gap(2, 2, 3, 3, "not_synced"), gap(3, 9, 3, 30)])
    assert [(item["first_period"], item["last_period"], item["draws"], item["cause"]) for item in described] == [
        (1, 2, 2, "not_synced"),
        (3, 9, 7, "not_collected"),
    ]
