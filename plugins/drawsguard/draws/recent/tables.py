"""The newest days of a table of draws, row by row and free of charge, and what is known of everything older.

A draw is found by its period wherever it lies in time. What a look at the newest days says is therefore worth
something only for periods above every period of the older days, and as long as these have not changed. Both are known
without a query: BigQuery tells when each partition changed last, and the highest period of the older days, asked for
once, holds until one of them changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.bigquery import SchemaField

from drawsguard.draws.recent.memory import Memory, NoMemory
from drawsguard.draws.retention import EARLIEST
from drawsguard.settings import get_settings
from drawsguard.warehouse.partitions import Changes, day_id, partition_changes, partition_rows
from drawsguard.warehouse.partitions import stamp as stamp_of
from drawsguard.warehouse.runner import StatementRunner

_DAY = timedelta(days=1)

#: Another number when a rule by which something is remembered changes: what was remembered before counts as unknown.
FORM = 2

#: Days before these are too old for the features of a new draw to read: their horizon is 13 days of draws.
LEAD_IN = timedelta(days=20)

_VERSION = (
    SchemaField("period", "INTEGER"),
    SchemaField("timestamp", "TIMESTAMP"),
    SchemaField("numbers", "INTEGER", mode="REPEATED"),
    SchemaField("sum_value", "INTEGER"),
    SchemaField("big_small", "STRING"),
    SchemaField("odd_even", "STRING"),
    SchemaField("created_at", "TIMESTAMP"),
    SchemaField("updated_at", "TIMESTAMP"),
)


@dataclass(frozen=True)
class DrawTable:
    """A table that is partitioned by day and has one or more rows a period.

    :param hours: its hourly counts, and ``last`` their column of the highest period.
    """

    dataset: str
    name: str
    period: str
    time: str
    hours: str
    last: str
    fields: tuple[SchemaField, ...]


SOURCE = DrawTable(
    "source", "draws", "period", "timestamp", "draw_versions_hourly_mv", "last_period",
    (*_VERSION, SchemaField("ingested_at", "TIMESTAMP")),
)  # fmt: skip
TARGET = DrawTable("target", "draws", "period", "timestamp", "draws_hourly_mv", "last_period", _VERSION)
FEATURES = DrawTable(
    "target", "draws_14w", "issue", "ts_utc", "draws_14w_hourly_mv", "last_issue",
    tuple(SchemaField(name, kind) for name, kind in [
        ("issue", "INTEGER"), ("ts_utc", "TIMESTAMP"), ("a", "INTEGER"), ("b", "INTEGER"), ("c", "INTEGER"),
        ("sum", "INTEGER"),
    ]),
)  # fmt: skip


@dataclass(frozen=True)
class Recent:
    """The newest days of a table.

    :param since: the start of the first of them (UTC); all later rows are in ``rows``.
    :param highest: the highest period of the older days; below every period when there are none.
    :param cut: a day so long ago that no feature of a draw of ``rows`` reads a draw from before it.
    :param highest_before_cut: the highest period of the days before ``cut``.
    :param stamp: another one when an older day has changed since.
    """

    table: DrawTable
    since: datetime
    rows: Sequence[dict[str, Any]]
    highest: int
    cut: datetime
    highest_before_cut: int
    stamp: list[Any]

    def holds(self, period: int) -> bool:
        """Whether every row of a period is in ``rows``, if there is one at all."""
        return period > self.highest

    @property
    def end(self) -> datetime:
        """A time after that of every row."""
        return max((row[self.table.time] for row in self.rows), default=self.since) + timedelta(seconds=1)


def recent_rows(statements: StatementRunner, memory: Memory, table: DrawTable, now: datetime) -> Recent | None:
    """Return the draws of yesterday and today (UTC); None when they cannot be had for nothing.

    It takes two requests. What is known of the older days is asked for (one statement) when one of them has changed.

    :param memory: of this table; without one nothing can be had for nothing.
    """
    if isinstance(memory, NoMemory):
        return None
    changes = partition_changes(statements.client, table.dataset, table.name)
    if changes is None:
        return None
    since = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - _DAY
    rest = _rest(statements, memory, table, since, changes)
    recent = sorted(each for each in changes if each.isdigit() and each >= day_id(since))
    rows = partition_rows(statements.client, table.dataset, table.name, recent, table.fields)
    return None if rows is None else Recent(table, since, rows, *rest)


def _rest(
    statements: StatementRunner, memory: Memory, table: DrawTable, since: datetime, changes: Changes
) -> tuple[int, datetime, int, list[Any]]:
    older = {each: changed for each, changed in changes.items() if not each.isdigit() or each < day_id(since)}
    name = f"rest of {table.dataset}.{table.name}"
    known = memory.recall(name)
    cut = since - LEAD_IN
    stamp = [FORM, day_id(since), day_id(cut), stamp_of(older)]
    if not known or known["stamp"] != stamp:
        (row,) = statements.rows(
            "recent/rest.sql",
            {"dataset": getattr(get_settings(), f"{table.dataset}_dataset"), "view": table.hours, "last": table.last},
            earliest=EARLIEST,
            cut=cut,
            since=since,
        )
        known = {"stamp": stamp, **{key: -1 if row[key] is None else row[key] for key in ("highest", "before_cut")}}
        memory.keep(name, known)
    return known["highest"], cut, known["before_cut"], stamp


def draw_version(row: dict[str, Any]) -> str:
    """Return the version key of a row, as the SQL function ``draw_version`` gives it (R__010_draw_version.sql)."""
    created, updated = row["created_at"], row["updated_at"]
    return " ".join(
        [
            f"{_micros(updated or created):020d}",
            f"{_micros(created):020d}",
            "original" if updated is None else "updated",
            f"{_micros(row['timestamp']):020d}",
            f"[{','.join(map(str, row['numbers']))}]",
            f"{row['sum_value']:03d}",
            row["big_small"],
            row["odd_even"],
        ]
    )


def newest_versions(rows: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the newest version of each period, by period in order."""
    newest: dict[int, tuple[str, dict[str, Any]]] = {}
    for row in rows:
        version = draw_version(row)
        if row["period"] not in newest or version > newest[row["period"]][0]:
            newest[row["period"]] = version, row
    return {period: newest[period][1] for period in sorted(newest)}


def _micros(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
