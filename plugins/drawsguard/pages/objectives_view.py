"""How the objectives of the draws were kept on the last days: latency, synced intervals, what is left of the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from drawsguard.monitoring.inspection import OBJECTIVE_LATENCY, OBJECTIVE_SUCCESS
from drawsguard.settings import get_settings

#: Days that are looked at: a month and its first day.
KEPT_DAYS = 31
SLOT = timedelta(minutes=5)
#: An interval may take so long before nobody takes it for done, as sync_success_rate_v has it.
GRACE = timedelta(minutes=10)


class LatencyDay(NamedTuple):
    """Latency of a day's draws to the business table (seconds)."""

    beijing_day: date
    draws: int
    p50: int | None
    p95: int | None
    p99: int | None


class SyncDay(NamedTuple):
    """Intervals of a day that were synced; :param first_interval: the first that was tried (aware)."""

    beijing_day: date
    succeeded: int
    first_interval: datetime
    bytes_billed: int


@dataclass(frozen=True)
class KeptDays:
    """What is known of the last days, oldest first."""

    latency: tuple[LatencyDay, ...]
    synced: tuple[SyncDay, ...]


class KeptDay(NamedTuple):
    """A day against the objectives."""

    day: date
    expected: int
    succeeded: int
    latency: LatencyDay | None

    @property
    def failed(self) -> int:
        """Intervals that were not synced."""
        return max(0, self.expected - self.succeeded)

    @property
    def success(self) -> float | None:
        """Share of its intervals that were synced (percent)."""
        return 100 * min(self.succeeded, self.expected) / self.expected if self.expected else None

    @property
    def late(self) -> bool:
        """Whether its latency missed the objective."""
        return bool(self.latency and self.latency.p95 is not None and self.latency.p95 > OBJECTIVE_LATENCY)


@dataclass(frozen=True)
class Kept:
    """The days since the first sync, at most `KEPT_DAYS`, oldest first."""

    days: tuple[KeptDay, ...]
    billed_this_month: int

    @property
    def expected(self) -> int:
        """Intervals that were due."""
        return sum(day.expected for day in self.days)

    @property
    def failed(self) -> int:
        """Intervals that were not synced."""
        return sum(day.failed for day in self.days)

    @property
    def success(self) -> float | None:
        """Share of the intervals that were synced (percent)."""
        return 100 * (self.expected - self.failed) / self.expected if self.expected else None

    @property
    def allowed(self) -> float:
        """Failures that the objective allows in as many intervals."""
        return self.expected * (100 - OBJECTIVE_SUCCESS) / 100

    @property
    def left(self) -> float:
        """Failures that are left of them; below 0 the objective is missed."""
        return self.allowed - self.failed

    @property
    def share_left(self) -> float:
        """The same as a share of what is allowed (0 to 100)."""
        return max(0.0, min(100.0, 100 * self.left / self.allowed)) if self.allowed else 0.0


def kept_of(known: KeptDays, now: datetime) -> Kept:
    """Judge the days from the first sync up to now (aware): what counts is the grid, not the log."""
    zone = ZoneInfo(get_settings().business_timezone)
    today = now.astimezone(zone).date()
    month = today.replace(day=1)
    billed = sum(day.bytes_billed for day in known.synced if day.beijing_day >= month)
    if not known.synced:
        return Kept((), billed)
    begun = min(day.first_interval for day in known.synced)
    succeeded = {day.beijing_day: day.succeeded for day in known.synced}
    latency = {day.beijing_day: day for day in known.latency}
    first = max(begun.astimezone(zone).date(), today - timedelta(days=KEPT_DAYS - 1))
    days = []
    for offset in range((today - first).days + 1):
        day = first + timedelta(days=offset)
        start = max(begun, datetime.combine(day, time.min, zone))
        end = min(now - GRACE + SLOT, datetime.combine(day + timedelta(days=1), time.min, zone))
        expected = max(0, int((end - start) / SLOT))
        days.append(KeptDay(day, expected, succeeded.get(day, 0), latency.get(day)))
    return Kept(tuple(days), billed)


# --- drawing --------------------------------------------------------------------------------------------------
class Bar(NamedTuple):
    """A day in a chart of days; a height of 0 is drawn as a line."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    day: KeptDay


@dataclass(frozen=True)
class DayChart:
    """Bars by day with the line of an objective."""

    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, date], ...]
    top: float
    objective_y: float | None
    width: int = 720
    height: int = 130


def _chart(days: Sequence[KeptDay], values: Sequence[float | None], bad: Sequence[bool], objective: float) -> DayChart:
    left, right, top, bottom, width, height = 34, 8, 8, 18, 720, 130
    ceiling = max([objective * 1.2, 1.0, *(value for value in values if value is not None)])
    step = (width - left - right) / max(1, len(days))
    bars = []
    for number, (day, value) in enumerate(zip(days, values, strict=True)):
        tall = (height - top - bottom) * (value or 0) / ceiling
        kind = "unknown" if value is None else "failed" if bad[number] else "done"
        bars.append(
            Bar(round(left + number * step, 1), round(height - bottom - tall, 1), round(step * 0.8, 1),
                round(max(tall, 1.0), 1), kind, day)
        )  # fmt: skip
    ticks = tuple((bar.x, bar.day.day) for number, bar in enumerate(bars) if number % 5 == 0)
    line = round(top + (height - top - bottom) * (1 - objective / ceiling), 1) if objective else None
    return DayChart(tuple(bars), ticks, ceiling, line)


def latency_by_day(kept: Kept) -> DayChart:
    """Return the p95 of each day against its objective."""
    values = [None if day.latency is None or day.latency.p95 is None else float(day.latency.p95) for day in kept.days]
    return _chart(kept.days, values, [day.late for day in kept.days], OBJECTIVE_LATENCY)


def failures_by_day(kept: Kept) -> DayChart:
    """Return the intervals of each day that were not synced."""
    failed = [day.failed for day in kept.days]
    return _chart(kept.days, [float(one) if day.expected else None for one, day in zip(failed, kept.days, strict=True)],
                  [one > 0 for one in failed], 0.0)  # fmt: skip
