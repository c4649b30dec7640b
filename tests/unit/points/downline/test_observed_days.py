"""An observation takes as many whole days of evidence as it was to last; what is missing prolongs it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from drawsguard.points.downline.observed_days import ObservedDays, observed_days
from drawsguard.points.telemetry.evidence_days import EvidenceDays, expected_until

FROM = datetime.fromisoformat("2024-08-02T06:00")  # 14:00 in Shanghai
UNTIL = FROM + timedelta(days=30)
FIRST, LAST = date(2024, 8, 2), date(2024, 9, 1)
ZONE = "Asia/Shanghai"


def days(first: date, last: date, **minutes: int) -> EvidenceDays:
    found = {first + timedelta(days=number): 1440 for number in range((last - first).days + 1)}
    return EvidenceDays(found | {date.fromisoformat(day): count for day, count in minutes.items()}, 1435)


def observed(observe_from: datetime, observe_until: datetime, evidence: EvidenceDays, expected: date) -> ObservedDays:
    return observed_days(observe_from, observe_until, evidence, expected, ZONE, window_days=180, least=30)


def kept(today: date, *missing: date) -> EvidenceDays:
    """What is kept until yesterday: the windows of 180 days that were pushed in the last week."""
    found = days(today - timedelta(days=187), today - timedelta(days=1))
    return EvidenceDays({day: minutes for day, minutes in found.minutes.items() if day not in missing}, found.least)


def test_a_whole_observation_ends_with_its_last_day() -> None:
    found = observed(FROM, UNTIL, days(FIRST, LAST), LAST)
    assert found == (FIRST, LAST, (), LAST, True)


def test_without_the_last_day_it_has_not_ended() -> None:
    found = observed(FROM, UNTIL, days(FIRST, LAST - timedelta(days=1)), LAST)
    assert (found.end, found.missing, found.up_to_date) == (None, ("2024-09-01",), False)


@pytest.mark.parametrize("minutes", [0, 1434])
def test_each_missing_or_short_day_is_observed_after_the_end(minutes: int) -> None:
    short = {"2024-08-10": minutes, "2024-08-20": minutes}
    told = tuple(f"{day} (1434 min)" if minutes else day for day in short)
    for later, end in ((1, None), (2, LAST + timedelta(days=2))):
        newest = LAST + timedelta(days=later)
        found = observed(FROM, UNTIL, days(FIRST, newest, **short), newest)
        assert (found.end, found.missing, found.up_to_date) == (end, told, True)


def test_days_from_before_the_downline_stand_for_none_of_its_own() -> None:
    early = days(date(2024, 5, 1), date(2024, 8, 20))
    found = observed(FROM, UNTIL, early, LAST)
    assert (found.end, len(found.missing), found.up_to_date) == (None, 12, False)


def test_an_observation_that_was_shortened_still_needs_its_last_day() -> None:
    ended = FROM - timedelta(days=2)
    assert observed(FROM, ended, days(date(2024, 7, 1), date(2024, 7, 30)), LAST).end is None
    assert observed(FROM, ended, days(date(2024, 7, 1), date(2024, 7, 31)), LAST).end == date(2024, 7, 31)


def test_no_evidence_at_all_never_ends_an_observation() -> None:
    assert observed(FROM, FROM, days(LAST, FIRST), LAST).end is None


def test_on_the_day_of_the_downline_nothing_is_missing_yet() -> None:
    found = observed(FROM, UNTIL, days(LAST, FIRST), FIRST - timedelta(days=1))
    assert (found.missing, found.up_to_date) == ((), True)


#: Released after a halt of 200 days, and watched for two days more.
RELEASED_UNTIL = FROM + timedelta(days=202)
RELEASED_LAST = date(2025, 2, 20)


def test_an_observation_that_is_longer_than_the_evidence_ends_with_its_last_day() -> None:
    """No evidence is kept of its first days: they are neither needed nor missing for ever."""
    eve = observed(FROM, RELEASED_UNTIL, kept(RELEASED_LAST), RELEASED_LAST - timedelta(days=1))
    assert (eve.end, eve.missing, eve.up_to_date) == (None, (), True)
    for later in (1, 2, 30, 179, 400):
        today = RELEASED_LAST + timedelta(days=later)
        found = observed(FROM, RELEASED_UNTIL, kept(today), today - timedelta(days=1))
        assert found.missing == ()
        assert found.end is not None
        assert found.end >= RELEASED_LAST


def test_an_observation_that_has_ended_stays_so_however_old_its_evidence_is() -> None:
    assert observed(FROM, UNTIL, days(FIRST, LAST), LAST + timedelta(days=400)).end == LAST


@pytest.mark.parametrize("number", [1, 9])
def test_a_day_that_could_still_arrive_is_observed_after_the_end_of_a_long_one(number: int) -> None:
    missing = [RELEASED_LAST - timedelta(days=7 * n) for n in range(number)]
    for later in range(1, number + 1):
        today = RELEASED_LAST + timedelta(days=later)
        assert observed(FROM, RELEASED_UNTIL, kept(today, *missing), today - timedelta(days=1)).end is None
    today = RELEASED_LAST + timedelta(days=number + 1)
    found = observed(FROM, RELEASED_UNTIL, kept(today, *missing), today - timedelta(days=1))
    assert (found.end, len(found.missing)) == (today - timedelta(days=1), number)


@pytest.mark.parametrize("later", [1, 29])
def test_what_is_kept_of_a_long_observation_holds_as_many_whole_days_as_any_takes(later: int) -> None:
    """Nothing was pushed since the release, until everything before it was out of reach."""
    again = RELEASED_LAST + timedelta(days=200)
    today = again + timedelta(days=later)
    assert observed(FROM, RELEASED_UNTIL, days(again, today - timedelta(days=1)), today).end is None
    today = again + timedelta(days=30)
    found = observed(FROM, RELEASED_UNTIL, days(again, today - timedelta(days=1)), today)
    assert found.end == today - timedelta(days=1)


@pytest.mark.parametrize(
    ("now", "expected"),
    [("2024-08-02T07:59+00:00", "2024-07-31"), ("2024-08-02T08:00+00:00", "2024-08-01"),
     ("2024-08-02T16:30+00:00", "2024-08-01")],
)  # fmt: skip
def test_yesterdays_evidence_is_expected_when_the_push_is_over(now: str, expected: str) -> None:
    found = expected_until(datetime.fromisoformat(now), time(16), ZONE)
    assert found == date.fromisoformat(expected)
