"""The draws page: how far the newest draws have come, which days are complete, what became of each interval."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from drawsguard.draws.cadence import Cadence
from drawsguard.monitoring.inspection import OBJECTIVE_LATENCY, OBJECTIVE_SUCCESS
from drawsguard.pages.completeness import DAYS, HourRow
from drawsguard.pages.look import Words
from drawsguard.pages.objectives_view import KEPT_DAYS, KeptDays, LatencyDay, SyncDay
from drawsguard.settings import Settings, get_settings
from drawsguard.warehouse.limits import WATCH
from drawsguard.warehouse.runner import StatementRunner
from drawsguard.warehouse.table_facts import TableFacts, newest_change, table_facts

#: What is read of the draws and of the sync: a day, and what it takes to judge its first hours.
SPAN = timedelta(hours=26)
#: What is read of the dead letters.
LETTERS = timedelta(days=30)
#: Rows of the table of newest draws.
SHOWN_DRAWS = 20
SLOT = timedelta(minutes=5)
#: An interval may take so long before nobody takes it for done, as sync_success_rate_v has it.
GRACE = timedelta(minutes=10)


class StageTable(NamedTuple):
    """A table on a draw's way.

    :param allowance: time that a draw may take to it, as the view cloud_freshness_v has it.
    """

    key: str
    name: Words
    dataset: str
    table: str
    dag_id: str
    allowance: timedelta


STAGES = (
    StageTable("source", Words("源表", "Source"), "source", "draws", "draw_collect", timedelta(seconds=180)),
    StageTable("target", Words("业务表", "Target"), "target", "draws", "draw_sync", timedelta(seconds=540)),
    StageTable(
        "features", Words("特征表", "Features"), "target", "draws_14w", "feature_refresh", timedelta(seconds=1200)
    ),
)
#: The DAGs that the page tells of.
DAGS = (*(stage.dag_id for stage in STAGES), "draw_repair", "draw_sync_replay", "monitoring_checks")

#: What the parts read, for the news of the tables.
NEWEST_TABLES = tuple((stage.dataset, stage.table) for stage in STAGES)


class DrawRow(NamedTuple):
    """A draw and how far it has come; times are aware."""

    period: int
    draw_time: datetime
    ingested_at: datetime
    newest_write: datetime
    corrected: bool
    numbers: Sequence[int] | None
    sum_value: int | None
    big_small: str | None
    odd_even: str | None
    synced_at: datetime | None
    computed_at: datetime | None
    rolling_avg_10: float | None
    streak_big_small: int | None
    streak_odd_even: int | None
    same_sum_gap: int | None

    @property
    def latency(self) -> float | None:
        """Seconds from the draw to the business table; None while it is not there."""
        return None if self.synced_at is None else (self.synced_at - self.draw_time).total_seconds()


@dataclass(frozen=True)
class Stage:
    """A stage of the live picture.

    :param status: fresh, late, stale or empty.
    """

    table: StageTable
    status: str
    newest: DrawRow | None
    written_at: datetime | None
    overdue: int
    facts: TableFacts | None


class Percentiles(NamedTuple):
    """Latency of the draws of one hour (seconds)."""

    hour: datetime
    p50: float
    p95: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True)
class Newest:
    """The newest draws and what the tables say of themselves."""

    rows: tuple[DrawRow, ...]
    facts: Mapping[str, TableFacts | None]

    def stages(self, now: datetime, cadence: Cadence) -> list[Stage]:
        """Judge each table at a time (aware)."""
        written = {
            "source": max((row.newest_write for row in self.rows), default=None),
            "target": max((row.synced_at for row in self.rows if row.synced_at), default=None),
            "features": max((row.computed_at for row in self.rows if row.computed_at), default=None),
        }
        there = {
            "source": self.rows,
            "target": [row for row in self.rows if row.synced_at],
            "features": [row for row in self.rows if row.computed_at],
        }
        found = []
        for table in STAGES:
            newest = max(there[table.key], key=lambda row: row.draw_time, default=None)
            overdue = cadence.overdue_draws(newest.draw_time, now, table.allowance) if newest else 0
            status = "empty" if newest is None else "stale" if overdue >= 3 else "late" if overdue else "fresh"
            found.append(Stage(table, status, newest, written[table.key], overdue, self.facts.get(table.key)))
        return found

    def latencies(self) -> list[float]:
        """Seconds from draw to business table; a corrected draw's newest write is not its first arrival."""
        return [row.latency for row in self.rows if row.latency is not None and not row.corrected]

    def by_hour(self) -> list[Percentiles]:
        """Return the latency of each hour with draws, oldest first."""
        hours: dict[datetime, list[float]] = defaultdict(list)
        for row in self.rows:
            if row.latency is not None and not row.corrected:
                hours[row.draw_time.replace(minute=0, second=0, microsecond=0)].append(row.latency)
        return [
            Percentiles(hour, percentile(values, 0.5), percentile(values, 0.95))
            for hour, values in sorted(hours.items())
        ]


@dataclass(frozen=True)
class LatencyChart:
    """Latency by hour as lines; the objective is a line of its own."""

    width: int
    height: int
    p50: str
    p95: str
    objective_y: float
    top: float
    hours: tuple[tuple[float, datetime], ...]
    points: tuple[tuple[float, float, Percentiles], ...]


def latency_chart(hours: Sequence[Percentiles], width: int = 720, height: int = 150) -> LatencyChart | None:
    """Return the drawing, or None when there is nothing to draw."""
    if not hours:
        return None
    left, right, top, bottom = 34, 8, 8, 18
    ceiling = max(OBJECTIVE_LATENCY * 1.2, *(one.p95 for one in hours))
    first, span = hours[0].hour, max(1.0, (hours[-1].hour - hours[0].hour).total_seconds())

    def x(hour: datetime) -> float:
        return round(left + (width - left - right) * (hour - first).total_seconds() / span, 1)

    def y(value: float) -> float:
        return round(top + (height - top - bottom) * (1 - value / ceiling), 1)

    return LatencyChart(
        width, height,
        " ".join(f"{x(one.hour)},{y(one.p50)}" for one in hours),
        " ".join(f"{x(one.hour)},{y(one.p95)}" for one in hours),
        y(OBJECTIVE_LATENCY), ceiling,
        tuple((x(one.hour), one.hour) for one in hours if one.hour.hour % 3 == 0),
        tuple((x(one.hour), y(one.p95), one) for one in hours),
    )  # fmt: skip


# --- the sync's intervals -------------------------------------------------------------------------------------
class IntervalRow(NamedTuple):
    """An attempt to sync an interval; times are aware."""

    interval_start: datetime
    interval_end: datetime
    dag_id: str
    run_id: str
    status: str
    affected: int | None
    finished_at: datetime
    error: str | None


class LetterRow(NamedTuple):
    """A dead letter; times are aware."""

    dlq_id: str
    dag_id: str | None
    interval_start: datetime | None
    interval_end: datetime | None
    reason: str
    message: str
    attempts: int
    first_failure: datetime
    next_attempt_at: datetime
    status: str
    settled_at: datetime | None


class Interval(NamedTuple):
    """An interval of the grid: ``kind`` is done, late, replayed, failed, or unrun."""

    start: datetime
    kind: str
    attempt: IntervalRow | None


@dataclass(frozen=True)
class Strip:
    """The grid of the last day, oldest first."""

    intervals: tuple[Interval, ...]

    def count(self, *kinds: str) -> int:
        """How many intervals are of some kinds."""
        return sum(one.kind in kinds for one in self.intervals)

    @property
    def success(self) -> float | None:
        """Share of the intervals that were synced (percent)."""
        return 100 * self.count("done", "late", "replayed") / len(self.intervals) if self.intervals else None

    @property
    def budget(self) -> float | None:
        """Failures that the objective still allows in as many intervals; below 0 it is missed."""
        allowed = len(self.intervals) * (100 - OBJECTIVE_SUCCESS) / 100
        return allowed - self.count("failed", "unrun") if self.intervals else None


def strip_of(rows: Sequence[IntervalRow], replayed: Iterable[datetime], now: datetime, deadline: timedelta) -> Strip:
    """Judge the five-minute grid of the last day, which begins with the first interval that was ever tried.

    :param rows: attempts, oldest first.
    :param replayed: starts of intervals that failed and were replayed.
    :param deadline: how long after its end an interval may be done.
    """
    attempts: dict[datetime, IntervalRow] = {}
    for row in rows:
        known = attempts.get(row.interval_start)
        if known is None or known.status != "success":
            attempts[row.interval_start] = row
    if not attempts:
        return Strip(())
    again = set(replayed)
    last = now - GRACE
    begin = max(now - timedelta(days=1), min(attempts))
    seconds = SLOT.total_seconds()
    slot = datetime.fromtimestamp(math.ceil(begin.timestamp() / seconds) * seconds, UTC)
    found = []
    while slot <= last:
        attempt = attempts.get(slot)
        if attempt is None:
            kind = "unrun"
        elif slot in again or (attempt.status == "success" and attempt.dag_id != "draw_sync"):
            kind = "replayed"
        elif attempt.status != "success":
            kind = "failed"
        else:
            kind = "late" if attempt.finished_at - attempt.interval_end > deadline else "done"
        found.append(Interval(slot, kind, attempt))
        slot += SLOT
    return Strip(tuple(found))


# --- reading --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class DrawsReader:
    """Reads the parts of the page, each by one statement.

    :param client: BigQuery client of the warehouse.
    """

    client: Any

    def _rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        runner = StatementRunner(self.client, "operations_pages", "draws", WATCH)
        return runner.rows(f"pages/{name}.sql", **values)

    def between(self, since: datetime, until: datetime) -> tuple[DrawRow, ...]:
        """Read the draws of a span (until is exclusive), newest first."""
        return tuple(DrawRow(**row) for row in self._rows("newest_draws", since=since, until=until))

    def newest(self, now: datetime) -> Newest:
        """Read the newest draws."""
        rows = self.between(now - SPAN, now + timedelta(days=1))
        return Newest(rows, {one.key: table_facts(self.client, one.dataset, one.table) for one in STAGES})

    def intervals(self, now: datetime) -> tuple[IntervalRow, ...]:
        """Read the attempts of the last day."""
        return tuple(IntervalRow(**row) for row in self._rows("sync_intervals", since=now - SPAN))

    def letters(self, now: datetime) -> tuple[LetterRow, ...]:
        """Read the dead letters."""
        return tuple(LetterRow(**row) for row in self._rows("dead_letters", since=now - LETTERS))

    def hours(self, today: date) -> tuple[HourRow, ...]:
        """Read the hours of a year, oldest first."""
        since = datetime.combine(today - timedelta(days=DAYS), time.min, UTC)
        return tuple(HourRow(**row) for row in self._rows("hours", since=since))

    def kept(self, today: date) -> KeptDays:
        """Read how the objectives were kept on each of the last days."""
        zone = ZoneInfo(get_settings().business_timezone)
        since = datetime.combine(today - timedelta(days=KEPT_DAYS - 1), time.min, zone)
        latency = self._rows("latency_days", since=since)
        synced = self._rows("sync_days", since=since)
        return KeptDays(tuple(LatencyDay(**row) for row in latency), tuple(SyncDay(**row) for row in synced))

    def news(self, *tables: tuple[str, str]) -> tuple[datetime, ...] | None:
        """Return when each of some tables changed last, free of charge."""
        return newest_change(self.client, tables)


def deadline_of(settings: Settings) -> timedelta:
    """How long after its end an interval may be done."""
    return timedelta(seconds=settings.sync_deadline_seconds)
