"""A look at the newest days of source and target: the comparison of ``draws_match_source.sql`` without a query."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.cloud.bigquery import Client, SchemaField

from drawsguard.draws.recent.memory import Memory
from drawsguard.draws.recent.tables import SOURCE, TARGET, Recent, draw_version, recent_rows
from drawsguard.draws.sync.difference import Difference
from drawsguard.draws.window import Window
from drawsguard.warehouse.partitions import day_id, partition_changes, partition_rows
from drawsguard.warehouse.runner import StatementRunner

_SYNC_LOG = (
    SchemaField("interval_end", "TIMESTAMP"),
    SchemaField("mode", "STRING"),
    SchemaField("status", "STRING"),
)


@dataclass(frozen=True)
class Look:
    """The newest days of both tables. What it says of periods that it `holds` is true of the whole history."""

    source: Recent
    target: Recent

    def holds(self, periods: range) -> bool:
        """Whether every row of these periods, on both sides, is among the newest days."""
        return self.source.holds(periods.start) and self.target.holds(periods.start)

    def window(self, window: Window) -> range | None:
        """Return the periods that a window touches; None when the look does not hold all of them."""
        touched = [
            row["period"]
            for side in (self.source, self.target)
            for row in side.rows
            if window.start <= row["timestamp"] < window.end
        ]
        periods = range(min(touched), max(touched) + 1) if touched else range(0)
        return periods if window.start >= self.source.since and (not touched or self.holds(periods)) else None

    def read(self, window: Window) -> Window:
        """Return a span that holds the window and the newest days of both sides."""
        return Window(min(window.start, self.source.since), max(window.end, self.source.end, self.target.end))

    def differences(self, periods: range, settled_before: datetime | None = None) -> list[Difference]:
        """Return what is wrong in the target.

        :param periods: which it has to hold.
        :param settled_before: versions collected from then on are not required; None: all are.
        """
        versions: dict[int, list[tuple[str, datetime]]] = defaultdict(list)
        for row in self.source.rows:
            versions[row["period"]].append((draw_version(row), row["ingested_at"]))
        rows: dict[int, list[str]] = defaultdict(list)
        for row in self.target.rows:
            rows[row["period"]].append(draw_version(row))
        found = []
        for period in sorted(period for period in versions.keys() | rows.keys() if period in periods):
            known = [version for version, _ in versions.get(period, [])]
            expected = max(
                (v for v, at in versions.get(period, []) if settled_before is None or at < settled_before), default=None
            )
            actual = rows.get(period, [])
            if problem := _problem(known, expected, actual):
                found.append(Difference(period, problem, expected, min(actual, default=None)))
        return found


def _problem(known: list[str], expected: str | None, actual: list[str]) -> str | None:
    if not actual:
        return "missing" if expected is not None else None
    if len(actual) > 1:
        return "duplicate"
    if actual[0] not in known:
        return "foreign"
    return "stale" if expected is not None and expected > actual[0] else None


def look(statements: StatementRunner, memory: Memory, now: datetime) -> Look | None:
    """Return a look at yesterday and today (UTC); None when it cannot be had for nothing (see `recent_rows`)."""
    source = recent_rows(statements, memory, SOURCE, now)
    target = source and recent_rows(statements, memory, TARGET, now)
    return Look(source, target) if source and target else None


def recent_watermark(client: Client, now: datetime) -> datetime | None:
    """Return the watermark that the log of yesterday and today tells; None when it tells none.

    It is never later than the one that the whole log tells.
    """
    changes = partition_changes(client, "monitor", "sync_log")
    if not changes:
        return None
    ids = [each for each in (day_id(now - timedelta(days=1)), day_id(now)) if each in changes]
    rows = partition_rows(client, "monitor", "sync_log", ids, _SYNC_LOG) or []
    ends = [row["interval_end"] for row in rows if (row["mode"], row["status"]) == ("interval", "success")]
    return max(ends, default=None)
