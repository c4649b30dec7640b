"""Writing to the source: draws and quarantined rows by a statement each, the log of polls by streaming."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from google.cloud.bigquery import Client

from drawsguard.draws.collect.feed import Rejected
from drawsguard.draws.model import Draw
from drawsguard.draws.recent.memory import Memory, NoMemory
from drawsguard.draws.recent.tables import SOURCE, Recent, newest_versions, recent_rows
from drawsguard.draws.retention import EARLIEST, LATEST
from drawsguard.warehouse.parameters import StructArray
from drawsguard.warehouse.runner import StatementRunner
from drawsguard.warehouse.streaming import stream

#: Draws per statement: about 360 bytes each as a parameter, and BigQuery takes requests of at most 10 MB.
BATCH_SIZE = 10_000

#: Rejected rows per statement: each holds up to RAW_LIMIT characters of up to six bytes in a request.
REJECTED_BATCH_SIZE = 300

#: Stored draws are read in blocks of this many consecutive periods: those of an answer and the next ones around.
BLOCK = 64

#: What names a row of `collect_log`.
POLL_KEY = ("run_id", "try_number", "poll_number", "polled_at")

#: A row that comes back within this time is not quarantined twice.
QUARANTINE_MEMORY = timedelta(days=90)

#: What was quarantined this lately need not be sent again; how many rows are remembered at most.
MEMORY_OF_QUARANTINED = timedelta(days=1)
MOST_REMEMBERED = 200
_QUARANTINED = "quarantined rows"

_DRAW_TYPES = {
    "period": "INT64",
    "timestamp": "TIMESTAMP",
    "sum_value": "INT64",
    "big_small": "STRING",
    "odd_even": "STRING",
    "created_at": "TIMESTAMP",
    "updated_at": "TIMESTAMP",
    "numbers": "ARRAY<INT64>",
}
_REJECTED_TYPES = {"row_id": "STRING", "period": "INT64", "raw": "STRING", "reason": "STRING", "detail": "STRING"}

Item = TypeVar("Item")


@dataclass(frozen=True)
class PollRecord:
    """One row of `collect_log`. ``seconds`` is the length of the poll; counts are None where it failed earlier."""

    run_id: str
    try_number: int
    poll_number: int
    polled_at: datetime
    seconds: float
    status: str
    http_status: int | None = None
    received: int | None = None
    inserted: int | None = None
    quarantined: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class StoredDraw:
    """What the newest stored version of a draw says."""

    timestamp: datetime
    numbers: tuple[int, ...]


class SourceRepository:
    """Writes to the source and monitor datasets; a statement's jobs carry the labels of ``dag_id`` and ``task_id``.

    :param memory: of the source; with one, what lies in the newest days is looked at without a query.
    """

    def __init__(self, client: Client, dag_id: str, task_id: str, memory: Memory | None = None) -> None:
        self._runner = StatementRunner(client, dag_id, task_id)
        self._memory = memory or NoMemory()
        self._recent: Recent | None = None

    def insert_draws(self, draws: Sequence[Draw], polled_at: datetime) -> int:
        """Append the versions that the source does not have yet and return their number. Repeatable.

        Stored versions are found by period, wherever they lie; times are not judged here.

        :param draws: one a period, any number: each `BATCH_SIZE` of them is one statement.
        :param polled_at: when they were read from the feed.
        :raises drawsguard.warehouse.failures.StatementError: when a statement fails; earlier batches are written then.
        """
        ordered = sorted(draws, key=lambda draw: draw.period)
        return sum(
            self._runner.affected(
                "collect/insert_draws.sql",
                draws=draws_array(batch),
                polled_at=polled_at,
                **self._read_bounds(batch),
            )
            for batch in _batches(ordered, BATCH_SIZE)
        )

    def stored(self, draws: Sequence[Draw], now: datetime) -> dict[int, StoredDraw]:
        """Return the newest stored version of these draws and of those around them, by period, oldest first.

        :param now: the present (aware).
        :raises drawsguard.warehouse.failures.StatementError: when a statement fails.
        """
        if not draws:
            return {}
        self._recent = self._look(min(draw.period for draw in draws), now)
        if self._recent:
            newest = newest_versions(self._recent.rows)
            return {period: StoredDraw(row["timestamp"], tuple(row["numbers"])) for period, row in newest.items()}
        bounds = self._bounds(draws)
        if bounds["read_from"] is None:
            return {}
        edges = (bounds["period_from"], bounds["period_until"] - 1)
        around = {period // BLOCK + step for draw in draws for period in [draw.period] for step in (-1, 0, 1)}
        rows = self._runner.rows(
            "collect/stored_draws.sql",
            **bounds,
            blocks=sorted(around | {edge // BLOCK for edge in edges}),
            block_size=BLOCK,
        )
        return {row["period"]: StoredDraw(row["timestamp"], tuple(row["numbers"])) for row in rows}

    def _bounds(self, draws: Sequence[Draw]) -> dict[str, Any]:
        """Return where the source holds these draws and the next ones around; None each when it is empty."""
        periods = [draw.period for draw in draws]
        (row,) = self._runner.rows(
            "collect/stored_bounds.sql", first_period=min(periods), last_period=max(periods), earliest=EARLIEST
        )
        return dict(row)

    def _look(self, first: int, now: datetime) -> Recent | None:
        """Return the newest days if they hold the draws from ``first`` on and enough of those before; None: ask."""
        recent = recent_rows(self._runner, self._memory, SOURCE, now)
        if recent is None or not recent.holds(first):
            return None
        before = sum(row["period"] < first for row in recent.rows)
        return recent if recent.highest < 0 or before >= BLOCK else None

    def _read_bounds(self, draws: Sequence[Draw]) -> dict[str, datetime]:
        if self._recent and self._recent.holds(draws[0].period):
            # To the end of time, which costs nothing: the first try of this statement may have inserted them.
            return {"read_from": self._recent.since, "read_until": LATEST}
        bounds = self._bounds(draws)
        if bounds["read_from"] is None:
            bounds = {"read_from": draws[0].timestamp, "read_until": draws[0].timestamp}  # there is nothing to read
        return {name: bounds[name] for name in ("read_from", "read_until")}

    def quarantine(self, rejected: Iterable[Rejected], source: str, seen_at: datetime) -> int:
        """Quarantine rejected rows that were not seen before and return their number. Repeatable.

        :param source: where the rows came from, e.g. ``latest``.
        :raises drawsguard.warehouse.failures.StatementError: when a statement fails.
        """
        known = self._memory.recall(_QUARANTINED) or {}
        since = (seen_at - MEMORY_OF_QUARANTINED).isoformat()
        lately = {row_id: at for row_id, at in known.items() if at > since}
        distinct = list({row.row_id: row for row in rejected if row.row_id not in lately}.values())
        if not distinct:
            return 0
        count = sum(
            self._runner.affected(
                "collect/insert_quarantine.sql",
                rows=rejected_array(batch),
                source=source,
                seen_at=seen_at,
                known_since=seen_at - QUARANTINE_MEMORY,
            )
            for batch in _batches(distinct, REJECTED_BATCH_SIZE)
        )
        remembered = lately | {row.row_id: seen_at.isoformat() for row in distinct}
        self._memory.keep(_QUARANTINED, dict(list(remembered.items())[-MOST_REMEMBERED:]))
        return count

    def log_poll(self, record: PollRecord) -> None:
        """Add a row to `collect_log`, by streaming: a repeated poll is a poll of its own.

        :raises drawsguard.warehouse.failures.StatementError: when it cannot be added.
        """
        names = {"dag_id": self._runner.dag_id, "task_id": self._runner.task_id}
        stream(self._runner.client, "collect_log", [names | asdict(record)], POLL_KEY)


def draws_array(draws: Sequence[Draw]) -> StructArray:
    """Return the draws as one bound value."""
    return StructArray(_DRAW_TYPES, draws)


def rejected_array(rejected: Sequence[Rejected]) -> StructArray:
    """Return the rejected rows as one bound value."""
    return StructArray(_REJECTED_TYPES, rejected)


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
