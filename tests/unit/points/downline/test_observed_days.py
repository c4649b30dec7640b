"""An observation takes as many whole days of evidence as it was to last; what is missing prolongs it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from drawsguard.points.downline.observed_days import observed_days
from drawsguard.points.telemetry.evidence_days import EvidenceDays, expected_until

FROM = datetime.fromisoformat("2024-08-02T06:00")  # 14:00 in Shanghai
UNTIL = FROM + timedelta(days=30)
FIRST, LAST = date(2024, 8, 2), date(2024, 9, 1)
ZONE = "Asia/Shanghai"


def days(first: date, last: date, **minutes: int) -> EvidenceDays:
    found = {first + timedelta(days=number): 1440 for number in range((last - first).days + 1)}
    return EvidenceDays(found | {date.fromisoformat(day): count for day, count in minutes.items()}, 1435)


def test_a_whole_observation_ends_with_its_last_day() -> None:
    found = observed_days(FROM, UNTIL, days(FIRST, LAST), LAST, ZONE)
    assert found == (FIRST, LAST, (), LAST, True)


def test_without_the_last_day_it_has_not_ended() -> None:
    found = observed_days(FROM, UNTIL, days(FIRST, LAST - timedelta(days=1)), LAST, ZONE)
    assert (found.end, found.missing, found.up_to_date) == (None, ("2024-09-01",), False)


@pytest.mark.parametrize("minutes", [0, 1434])
def test_each_missing_or_short_day_is_observed_after_the_end(minutes: int) -> None:
    short = {"2024-08-10": minutes, "2024-08-20": minutes}
    told = tuple(f"{day} (1434 min)" if minutes else day for day in short)
    for later, end in ((1, None), (2, LAST + timedelta(days=2))):
        newest = LAST + timedelta(days=later)
        found = observed_days(FROM, UNTIL, days(FIRST, newest, **short), newest, ZONE)
        assert (found.end, found.missing, found.up_to_date) == (end, told, True)


def test_days_from_before_the_downline_stand_for_none_of_its_own() -> None:
    early = days(date(2024, 5, 1), date(2024, 8, 20))
    found = observed_days(FROM, UNTIL, early, LAST, ZONE)
    assert (found.end, len(found.missing), found.up_to_date) == (None, 12, False)


def test_an_observation_that_was_shortened_still_needs_its_last_day() -> None:
    ended = FROM - timedelta(days=2)
    assert observed_days(FROM, ended, days(date(2024, 7, 1), date(2024, 7, 30)), LAST, ZONE).end is None
    assert observed_days(FROM, ended, days(date(2024, 7, 1), date(2024, 7, 31)), LAST, ZONE).end == date(2024, 7, 31)


def test_no_evidence_at_all_never_ends_an_observation() -> None:
    assert observed_days(FROM, FROM, days(LAST, FIRST), LAST, ZONE).end is None


def test_on_the_day_of_the_downline_nothing_is_missing_yet() -> None:
    found = observed_days(FROM, UNTIL, days(LAST, FIRST), FIRST - timedelta(days=1), ZONE)
    assert (found.missing, found.up_to_date) == ((), True)


@pytest.mark.parametrize(
    ("now", "expected"),
    [("2024-08-02T07:59+00:00", "2024-07-31"), ("2024-08-02T08:00+00:00", "2024-08-01"),
     ("2024-08-02T16:30+00:00", "2024-08-01")],
)  # fmt: skip
def test_yesterdays_evidence_is_expected_when_the_push_is_over(now: str, expected: str) -> None:
    found = expected_until(datetime.fromisoformat(now), time(16), ZONE)
    assert found == date.fromisoformat(expected)
