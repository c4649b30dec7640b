"""The days that pushed usage statistics rest on. A day that is missing here is unknown: never a day without use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from drawsguard.points.database import fetch
from drawsguard.points.telemetry.config import QualityRules

_DAYS_SHOWN = 20


@dataclass(frozen=True)
class EvidenceDays:
    """Days with telemetry in the statistics that are kept.

    :param minutes: distinct minutes with telemetry of each day.
    :param least: minutes that a whole day has at least.
    """

    minutes: Mapping[date, int]
    least: int

    def whole(self, day: date) -> bool:
        """Return whether the statistics hold a day whole."""
        return self.minutes.get(day, 0) >= self.least

    def whole_since(self, first: date) -> list[date]:
        """Return the whole days from ``first`` on, oldest first."""
        return [day for day in sorted(self.minutes) if day >= first and self.whole(day)]

    def missing(self, first: date, last: date) -> list[str]:
        """Return the days between two (both included) that are not whole: yyyy-MM-dd, with the minutes that it has."""
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        return [
            f"{day} ({self.minutes[day]} min)" if self.minutes.get(day) else str(day)
            for day in days
            if not self.whole(day)
        ]


def evidence_days(governance: Any, first: date, rules: QualityRules) -> EvidenceDays:
    """Return the days from ``first`` on that the kept batches of the window flow rest on.

    :param governance: a prepared connection to rsp_datagovern.
    """
    rows = fetch(governance, "telemetry/quality/days_of_evidence.sql", {"first": first})
    governance.rollback()
    return EvidenceDays({day: int(minutes) for day, minutes in rows}, rules.minutes_a_day - rules.minutes_tolerance)


def expected_until(now: datetime, arrives_by: time, business_timezone: str) -> date:
    """Return the last day whose evidence has to be there: yesterday, once today's push is over.

    :param now: aware.
    :param arrives_by: business time of day when the day before is in MySQL.
    """
    local = now.astimezone(ZoneInfo(business_timezone))
    return local.date() - timedelta(days=1 if local.time() >= arrives_by else 2)


def listed(days: Sequence[str]) -> str:
    """Return days as one line of a message."""
    shown = ", ".join(days[:_DAYS_SHOWN])
    return f"{shown} and {len(days) - _DAYS_SHOWN} more" if len(days) > _DAYS_SHOWN else shown
