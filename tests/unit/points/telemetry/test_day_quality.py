"""Missing or lossy telemetry is refused, with the days named; whole telemetry passes."""

from __future__ import annotations

import re

import pytest

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_quality import DayQuality, EvidenceIncompleteError, assess, refuse_unless_accepted

RULES = points_config().quality
DAYS = [f"2024-07-{day:02d}" for day in range(1, 11)]


def whole(day: str, **changes: int) -> DayQuality:
    good = DayQuality(day, 1000, 700, 690, 10, 600, 50, 1440, 9000, 9000)
    return good._replace(**changes)


def refusal(*days: DayQuality, expected: list[str] = DAYS) -> str:
    with pytest.raises(EvidenceIncompleteError) as caught:
        refuse_unless_accepted(assess(expected, days, RULES), "the window")
    return str(caught.value)


def test_whole_days_are_accepted() -> None:
    assessment = assess(DAYS, [whole(day) for day in DAYS], RULES)
    refuse_unless_accepted(assessment, "the window")
    assert assessment.expansion == pytest.approx(0.9857, abs=1e-4)
    assert (assessment.raw_rows, assessment.rejected_rows) == (10_000, 100)


def test_missing_days_are_named() -> None:
    message = refusal(*[whole(day) for day in DAYS if day not in {"2024-07-03", "2024-07-09"}])
    assert "days_are_present: 2 day(s): 2024-07-03, 2024-07-09." in message
    assert "ask CMA to deliver these days" in message


def test_a_day_that_is_there_but_holds_nothing_is_missing() -> None:
    empty = whole("2024-07-03", minutes=0, base_rows=0, ts_rows=0, evt_rows=0, rejected_rows=0, base_eid=0, ts_eid=0)
    assert "days_are_present: 1 day(s): 2024-07-03" in refusal(*[whole(d) for d in DAYS if d != empty.day], empty)


def test_minutes_may_be_absent_up_to_the_tolerance() -> None:
    at_limit = [whole(day, minutes=RULES.minutes_a_day - RULES.minutes_tolerance) for day in DAYS]
    assert assess(DAYS, at_limit, RULES).accepted
    below = whole("2024-07-10", minutes=RULES.minutes_a_day - RULES.minutes_tolerance - 1)
    assert "minutes_are_complete: 1 day(s): 2024-07-10 (1434 of 1440 min)" in refusal(*at_limit[:-1], below)


def test_more_rows_than_the_source_has_are_refused() -> None:
    message = refusal(*[whole(day) for day in DAYS[:-1]], whole(DAYS[-1], base_rows=2590, rejected_rows=-1890))
    assert re.search(r"filter_does_not_expand: 1 day\(s\): 2024-07-10 \(2590 rows from 700\)", message)


def test_lost_records_are_refused() -> None:
    message = refusal(*[whole(day) for day in DAYS[:-1]], whole(DAYS[-1], base_rows=0))
    assert "every_record_is_accounted_for: 1 day(s): 2024-07-10 (700 read, 0 counted, 10 rejected)" in message


def test_counts_that_changed_between_the_steps_are_refused() -> None:
    message = refusal(*[whole(day) for day in DAYS[:-1]], whole(DAYS[-1], ts_eid=18000))
    assert "instances_sum_up: 1 day(s): 2024-07-10 (9000 by instance, 18000 by minute)" in message


def test_too_many_rejected_records_are_refused() -> None:
    message = refusal(*[whole(day) for day in DAYS[:-1]], whole(DAYS[-1], base_rows=600, rejected_rows=100))
    assert "few_records_are_rejected: 1 day(s): 2024-07-10 (100 of 700)" in message


def test_a_long_list_of_days_is_cut_with_its_length() -> None:
    many = [f"2024-{month:02d}-{day:02d}" for month in (1, 2) for day in range(1, 21)]
    assert "40 day(s): 2024-01-01, " in refusal(expected=many)
    assert "and 20 more" in refusal(expected=many)
