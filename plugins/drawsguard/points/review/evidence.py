"""Whether the usage statistics are complete enough: missing telemetry must not look like non-use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from drawsguard.points.policy import Evidence
from drawsguard.points.review.usage import UnknownMetrics
from drawsguard.points.telemetry.config import QualityRules
from drawsguard.refusal import RefusedError


class EvidenceRefusedError(RefusedError, ValueError):
    """The statistics are incomplete or unreadable; nobody may conclude non-use from them."""


class Window(NamedTuple):
    """The days of the statistics, both inclusive, in business time."""

    first: date
    last: date

    @classmethod
    def ending(cls, last: date, days: int) -> Window:
        """Return the window of ``days`` days that ends with ``last``."""
        return cls(last - timedelta(days=days - 1), last)

    @property
    def start(self) -> datetime:
        """First moment of the window (naive business time)."""
        return datetime.combine(self.first, time.min)

    @property
    def days(self) -> list[date]:
        """Every day of the window."""
        return [self.first + timedelta(days=offset) for offset in range((self.last - self.first).days + 1)]


def check_days(minutes_by_day: Mapping[date, int], window: Window, rules: QualityRules) -> None:
    """Refuse a window with missing or incomplete days.

    :param minutes_by_day: distinct minutes that CMA reported on each day.
    :raises EvidenceRefusedError: naming the days.
    """
    least = rules.minutes_a_day - rules.minutes_tolerance
    missing = [day for day in window.days if day not in minutes_by_day]
    short = [f"{day} ({minutes_by_day[day]} min)" for day in window.days if minutes_by_day.get(day, least) < least]
    if len(missing) > rules.missing_days_allowed or short:
        raise EvidenceRefusedError(
            f"Usage evidence for {window.first} to {window.last} is incomplete: {len(missing)} day(s) missing"
            f" [{_listed(missing)}], {len(short)} day(s) with fewer than {least} minutes [{_listed(short)}]. "
            "Missing telemetry is not non-use: load these days (points_hive_aggregation), then run the report again."
        )


def check_readable(unknown: UnknownMetrics, rules: Evidence) -> None:
    """Refuse statistics with too many unreadable oper_types.

    :raises EvidenceRefusedError: with the share and samples.
    """
    if unknown.total == 0:
        raise EvidenceRefusedError("The usage statistics are empty: run points_push, then run the report again.")
    if unknown.percent > rules.unknown_metrics_percent:
        raise EvidenceRefusedError(
            f"{unknown.rows} of {unknown.total} oper_types ({unknown.percent:.2f} %) are unreadable, limit "
            f"{rules.unknown_metrics_percent} %: {unknown.samples}. Each could be use of a point: extend the "
            "oper_type pattern in include/config/points.yaml, then run the report again."
        )


def admitted_until(window_last: date, rules: Evidence) -> date:
    """Return the last business day on which a plan may rest on evidence whose window ended on ``window_last``."""
    return window_last + timedelta(days=rules.max_age_days)


def check_age(window_last: date, today: date, rules: Evidence) -> None:
    """Refuse evidence that is too old to act on.

    :raises EvidenceRefusedError: when the window ended more than ``max_age_days`` ago.
    """
    if today > admitted_until(window_last, rules):
        age = (today - window_last).days
        raise EvidenceRefusedError(
            f"The evidence is stale: its window ended on {window_last}, {age} days ago; limit {rules.max_age_days}. "
            "Run points_usage_report again and have the new workbook confirmed."
        )


def _listed(items: list[date] | list[str], most: int = 20) -> str:
    shown = ", ".join(str(item) for item in items[:most])
    return f"{shown}, and {len(items) - most} more" if len(items) > most else shown
