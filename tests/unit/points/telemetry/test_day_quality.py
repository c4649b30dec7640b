"""Missing or lossy telemetry is refused, with the days named; whole telemetry passes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_quality import DayQuality, EvidenceIncompleteError, assess, refuse_unless_accepted

RULES = points_config().quality
DAYS = [f"2024-07-{day:02d}" for day in range(1, 11)]


def whole(day: str, **changes: Any) -> DayQuality:
    good = DayQuality(day, 10_000, 7000, 6993, 7, 600, 50, 1440, 9000, 9000, {"bad_time": 7})
    return good._replace(**changes)


def refusal(*days: DayQuality, expected: list[str] = DAYS) -> str:
    with pytest.raises(EvidenceIncompleteError) as caught:
        refuse_unless_accepted(assess(expected, days, RULES), "the window")
    return str(caught.value)


def test_whole_days_are_accepted() -> None:
    assessment = assess(DAYS, [whole(day) for day in DAYS], RULES)
    refuse_unless_accepted(assessment, "the window")
    assert assessment.expansion == pytest.approx(0.999)
    assert (assessment.raw_rows, assessment.rejected_rows) == (100_000, 70)


def test_missing_days_are_named() -> None:
    message = refusal(*[whole(day) for day in DAYS if day not in {"2024-07-03", "2024-07-09"}])
    assert "days_are_present: 2 day(s): 2024-07-03, 2024-07-09." in message
    assert "ask CMA to deliver these days" in message


def test_a_day_that_is_there_but_holds_nothing_is_missing() -> None:
    empty = whole("2024-07-03", minutes=0, base_rows=0, ts_rows=0, evt_rows=0, rejected_rows=0, base_eid=0, ts_eid=0,
                  rejected={})  # fmt: skip
    assert "days_are_present: 1 day(s): 2024-07-03" in refusal(*[whole(d) for d in DAYS if d != empty.day], empty)


def test_minutes_may_be_absent_up_to_the_tolerance() -> None:
    at_limit = [whole(day, minutes=RULES.minutes_a_day - RULES.minutes_tolerance) for day in DAYS]
    assert assess(DAYS, at_limit, RULES).accepted
    below = whole("2024-07-10", minutes=RULES.minutes_a_day - RULES.minutes_tolerance - 1)
    assert "minutes_are_complete: 1 day(s): 2024-07-10 (1434 of 1440 min)" in refusal(*at_limit[:-1], below)


def test_more_rows_than_the_source_has_are_refused() -> None:
    message = refusal(*[whole(day) for day in DAYS[:-1]], whole(DAYS[-1], base_rows=25_900, rejected_rows=-18_900))
    assert re.search(r"filter_does_not_expand: 1 day\(s\): 2024-07-10 \(25900 rows from 7000\)", message)


def test_lost_records_are_refused() -> None:
    message = refusal(*[whole(day) for day in DAYS[:-1]], whole(DAYS[-1], base_rows=0))
    assert "every_record_is_accounted_for: 1 day(s): 2024-07-10 (7000 read, 0 counted, 7 rejected)" in message


def test_counts_that_changed_between_the_steps_are_refused() -> None:
    message = refusal(*[whole(day) for day in DAYS[:-1]], whole(DAYS[-1], ts_eid=18000))
    assert "instances_sum_up: 1 day(s): 2024-07-10 (9000 by instance, 18000 by minute)" in message


@pytest.mark.parametrize("reason", ["unknown_oper_type", "absurd_count", "bad_time"])
def test_rejected_records_are_refused_by_reason_above_one_in_a_thousand(reason: str) -> None:
    """A new kind of metric would take a point from its users: Hive and the report read with the same pattern."""
    others = [whole(day) for day in DAYS[:-1]]
    at_limit = whole(DAYS[-1], rejected_rows=14, base_rows=6986, rejected={"bad_count": 7, reason: 7})
    assert assess(DAYS, [*others, at_limit], RULES).accepted
    message = refusal(*others, whole(DAYS[-1], rejected_rows=8, base_rows=6992, rejected={reason: 8}))
    assert f"few_records_are_rejected: 1 day(s): 2024-07-10 ({reason} 8 of 7000)" in message


def test_a_record_that_was_uploaded_twice_is_counted_once_and_not_lost() -> None:
    doubled = [whole(day, rejected_rows=700, base_rows=6300, rejected={"duplicate_upload": 700}) for day in DAYS]
    assert assess(DAYS, doubled, RULES).accepted


def test_rejected_records_without_a_reason_are_a_reason_of_their_own() -> None:
    message = refusal(*[whole(day) for day in DAYS[:-1]], whole(DAYS[-1], rejected_rows=15, base_rows=6985))
    assert "2024-07-10 (without_reason 8 of 7000)" in message


def test_a_long_list_of_days_is_cut_with_its_length() -> None:
    many = [f"2024-{month:02d}-{day:02d}" for month in (1, 2) for day in range(1, 21)]
    assert "40 day(s): 2024-01-01, " in refusal(expected=many)
    assert "and 20 more" in refusal(expected=many)
