"""Runs, spans and patience of the repair."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.draws.repair.gaps import MOST_SPANS, Gap, describe_gaps, first_draws, in_turn, spans_of
from drawsguard.draws.repair.repairer import Repair, ask_again, ranges
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


def test_the_feed_is_asked_once_for_what_overlaps() -> None:
    gaps = [gap(20, 25, 100, 120), gap(1, 2, 0, 10), gap(4, 4, 10, 17)]
    second = timedelta(seconds=1)
    assert spans_of(gaps) == [Window(T0, minutes(17) + second), Window(minutes(100), minutes(120) + second)]


def test_a_repair_is_cut_off_after_its_most_draws() -> None:
    gaps = [gap(1, 3, 0, 10), gap(7, 16, 20, 60), gap(20, 20, 70, 80)]
    assert first_draws(gaps, 20) == gaps
    assert [item.periods for item in first_draws(gaps, 5)] == [range(1, 4), range(7, 9)]
    assert first_draws(gaps, 3) == gaps[:1]


def test_every_span_has_its_turn() -> None:
    spans = [Window(minutes(10 * n), minutes(10 * n + 1)) for n in range(2 * MOST_SPANS + 5)]
    assert in_turn(spans[:MOST_SPANS], T0) == spans[:MOST_SPANS]
    turns = [in_turn(spans, minutes(5 * run)) for run in range(3)]
    assert {len(turn) for turn in turns} == {MOST_SPANS}
    assert {span.start for turn in turns for span in turn} == {span.start for span in spans}


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
