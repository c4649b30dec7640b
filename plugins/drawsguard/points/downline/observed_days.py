"""Which days an observation rests on, and when it has seen enough of them: what is missing prolongs it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from drawsguard.points.telemetry.evidence_days import EvidenceDays


class ObservedDays(NamedTuple):
    """The business days of an observation.

    :param first: the day of the last downline; :param last: the last day, if none is missing.
    :param missing: days between them that the statistics could hold whole and do not, up to what is expected now.
    :param end: the day that completes the observation; None while days are still to come.
    :param up_to_date: whether the newest day that has to be there is; a batch that is complete needs no newer one.
    """

    first: date
    last: date
    missing: tuple[str, ...]
    end: date | None
    up_to_date: bool


def observed_days(
    observe_from: datetime,
    observe_until: datetime,
    evidence: EvidenceDays,
    expected: date,
    business_timezone: str,
    *,
    window_days: int,
    least: int,
) -> ObservedDays:
    """Return what was observed of a batch: it takes as many whole days as lie between its first and its last.

    A release after a long halt leaves days behind that no evidence reaches any more. Those are not waited for: it takes
    as many as lie between the first that is within reach and the last, and not less than any observation takes.

    :param observe_from: begin, :param observe_until: end of the observation (naive UTC).
    :param evidence: the statistics' days, from the first on.
    :param expected: the last day whose evidence has to be there.
    :param window_days: how many days the evidence reaches back, its newest included.
    :param least: whole days that an observation takes, however much of it is out of reach.
    """
    last = last_observed_day(observe_until, business_timezone)
    first = min(last, observe_from.replace(tzinfo=UTC).astimezone(ZoneInfo(business_timezone)).date())
    reached = max(first, max(evidence.minutes, default=expected) - timedelta(days=window_days - 1))
    needed = max((last - reached).days + 1, min((last - first).days + 1, least))
    whole = evidence.whole_since(reached)
    end = whole[needed - 1] if len(whole) >= needed else None
    until = max(last, expected) if end is None else end
    newest = min(until, expected)
    up_to_date = newest < reached or evidence.whole(newest)
    return ObservedDays(first, last, tuple(evidence.missing(reached, newest)), end, up_to_date)


def days_from(observe_from: datetime, observe_until: datetime) -> date:
    """Return a day before an observation's first, from which its evidence is read (naive UTC; any time zone)."""
    return min(observe_from, observe_until).date() - timedelta(days=1)


def last_observed_day(observe_until: datetime, business_timezone: str) -> date:
    """Return the last business day of an observation.

    :param observe_until: its end (naive UTC, exclusive).
    """
    last = observe_until.replace(tzinfo=UTC) - timedelta(microseconds=1)
    return last.astimezone(ZoneInfo(business_timezone)).date()
