"""What CMA recorded and when it was delivered, and what Hive makes of it: computed, where Hive would need seconds.

The rules are those of docs/points-evidence.md: a window is summed by metric; a record that cannot be read and holds a
number is one use under its own text; a day counts with the minutes that were delivered of it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from drawsguard.points.telemetry.day_quality import DayQuality
from drawsguard.points.telemetry.push_guard import Facts, Stamp

ZONE = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)
WINDOW_DAYS = 180

#: Metrics of other points, used every day: what is unreadable is a small part of them, as in production.
OTHERS = tuple(f"{operation}_eid_{number}" for operation in ("que", "upd") for number in range(800_000, 800_300))
#: Records of one day of these.
RECORDS = 1_000_000

_READABLE = re.compile(r"(que|upd|err)_(eid|tag)_([0-9]{1,18})", re.ASCII)
_NUMBER = re.compile(r"[0-9]+", re.ASCII)


@dataclass(eq=False)
class Use:
    """One record: a metric in a minute of business time.

    :param delivered: when CMA delivered it (aware); :param known: when a push that has it was published; None: never.
    """

    at: datetime
    metric: str
    delivered: datetime
    known: datetime | None = None

    @property
    def day(self) -> date:
        return self.at.date()

    @property
    def operation(self) -> str:
        """Return que, upd or err; empty when the metric cannot be read: it may be any use."""
        read = _READABLE.fullmatch(self.metric)
        return read[1] if read else ""

    def concerns(self, point: int, tags: frozenset[int]) -> bool:
        """Return whether it is, or may be, of a point or one of its tags."""
        read = _READABLE.fullmatch(self.metric)
        if read:
            return int(read[3]) in (tags if read[2] == "tag" else {point})
        return any(int(digits) in {point, *tags} for digits in _NUMBER.findall(self.metric))

    def __str__(self) -> str:
        return f"{self.metric} of {self.at:%Y-%m-%d %H:%M}, delivered {self.delivered:%Y-%m-%d %H:%M}"


@dataclass
class RawDay:
    """What CMA has of a day: its minutes, when the bulk of it was delivered, and records that nobody can read."""

    minutes: int
    delivered: datetime
    rejected: int = 0


@dataclass(frozen=True)
class Build:
    """A result of Hive: the window, the moment of the telemetry that it has, and its rows."""

    first: date
    last: date
    at: datetime
    rows: dict[str, tuple[datetime, int]]
    minutes: dict[date, int]

    @property
    def facts(self) -> Facts:
        return facts_of(self.rows)


def facts_of(rows: dict[str, tuple[datetime, int]]) -> Facts:
    """Return rows, sum and checksum as both sides of the push compute them."""
    lines = (f"{metric}|{seen:%Y-%m-%d %H:%M:%S}|{count}" for metric, (seen, count) in rows.items())
    return Facts(len(rows), sum(n for _, n in rows.values()), sum(zlib.crc32(line.encode()) for line in lines))


@dataclass
class Telemetry:
    """CMA's history, and Hive's tables.

    :param every_day: metrics that are used every day, at 23:59.
    """

    every_day: tuple[str, ...] = ()
    days: dict[date, RawDay] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    #: What the quality table of Hive says, by day: refreshed by each build of days.
    quality: dict[date, tuple[int, int]] = field(default_factory=dict)
    #: Hive's table of the window flow; None: empty. The stamp is that of the last build that came to its end.
    table: Build | None = None
    stamp: Stamp | None = None
    builds: list[Build] = field(default_factory=list)
    _plain: dict[date, Facts] = field(default_factory=dict)

    def deliver(self, day: date, at: datetime, minutes: int = 1440, rejected: int = 0) -> None:
        """Let CMA deliver a day, or the rest of one."""
        self.days[day] = RawDay(minutes, at, rejected)

    def refresh_days(self, now: datetime) -> None:
        """Build the days that are new or changed, as the tasks before the evidence check do."""
        for day, raw in self.days.items():
            if raw.delivered <= now:
                self.quality[day] = (raw.minutes, raw.rejected)

    def summed(self, first: date, last: date, now: datetime) -> Build:
        """Return the window as Hive sums it from what was delivered by now."""
        latest = datetime.combine(last, time(23, 59))
        present = [day for day in _days(first, last) if day in self.quality and self.days[day].delivered <= now]
        rows: dict[str, tuple[datetime, int]] = {}
        if present:
            seen = datetime.combine(present[-1], latest.time())
            rows = {metric: (seen, len(present)) for metric in (*OTHERS, *self.every_day)}
        there = set(present)
        for use in self.uses:
            if use.day in there and use.delivered <= now:
                before = rows.get(_carried(use.metric))
                seen = max(use.at, before[0]) if before else use.at
                # Every unreadable record counts once, a readable one as often as it was used: once, too.
                rows[_carried(use.metric)] = (seen, (before[1] if before else 0) + 1)
        return Build(first, last, now, rows, {day: self.quality[day][0] for day in present})

    def quality_of(self, first: date, last: date) -> list[DayQuality]:
        """Return what the quality table has of a window."""
        found = []
        for day in _days(first, last):
            if day in self.quality:
                minutes, rejected = self.quality[day]
                counted = RECORDS - rejected
                by_reason = {"unknown_oper_type": rejected} if rejected else {}
                found.append(
                    DayQuality(
                        f"{day}", RECORDS, RECORDS, counted, rejected, counted, len(OTHERS), minutes, counted, counted,
                        by_reason,
                    )
                )  # fmt: skip
        return found


def _carried(metric: str) -> str:
    """Return a metric as Hive carries it on: what is no plain character becomes a question mark."""
    return re.sub("[^!-~]", "?", metric)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + offset * DAY for offset in range((last - first).days + 1))
