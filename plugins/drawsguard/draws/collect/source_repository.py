"""Writing to the source: draws, quarantined rows and the log of polls, each by one parameterised statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from google.cloud.bigquery import Client

from drawsguard.draws.collect.feed import Rejected
from drawsguard.draws.model import Draw
from drawsguard.warehouse.parameters import StructArray, Typed
from drawsguard.warehouse.runner import StatementRunner

#: Draws per statement: about 360 bytes each as a parameter, and BigQuery takes requests of at most 10 MB.
BATCH_SIZE = 10_000

#: Rejected rows per statement: each holds up to RAW_LIMIT characters of up to six bytes in a request.
REJECTED_BATCH_SIZE = 300

#: A correction may move a draw's time; its older version is looked for this far around the batch.
RANGE_MARGIN = timedelta(days=1)

#: A row that comes back within this time is not quarantined twice.
QUARANTINE_MEMORY = timedelta(days=90)

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


class SourceRepository:
    """Writes to the source and monitor datasets; a statement's jobs carry the labels of ``dag_id`` and ``task_id``."""

    def __init__(self, client: Client, dag_id: str, task_id: str) -> None:
        self._runner = StatementRunner(client, dag_id, task_id)

    def insert_draws(self, draws: Sequence[Draw], polled_at: datetime) -> int:
        """Append the versions that the source does not have yet and return their number. Repeatable.

        :param draws: one a period, any number: each `BATCH_SIZE` of them is one statement.
        :param polled_at: when they were read from the feed.
        :raises drawsguard.warehouse.failures.StatementError: when a statement fails; earlier batches are written then.
        """
        ordered = sorted(draws, key=lambda draw: draw.timestamp)
        return sum(
            self._runner.affected(
                "collect/insert_draws.sql",
                draws=draws_array(batch),
                polled_at=polled_at,
                range_start=batch[0].timestamp - RANGE_MARGIN,
                range_end=batch[-1].timestamp + RANGE_MARGIN,
            )
            for batch in _batches(ordered, BATCH_SIZE)
        )

    def quarantine(self, rejected: Iterable[Rejected], source: str, seen_at: datetime) -> int:
        """Quarantine rejected rows that were not seen before and return their number. Repeatable.

        :param source: where the rows came from, e.g. ``latest``.
        :raises drawsguard.warehouse.failures.StatementError: when a statement fails.
        """
        distinct = list({row.row_id: row for row in rejected}.values())
        return sum(
            self._runner.affected(
                "collect/insert_quarantine.sql",
                rows=rejected_array(batch),
                source=source,
                seen_at=seen_at,
                known_since=seen_at - QUARANTINE_MEMORY,
            )
            for batch in _batches(distinct, REJECTED_BATCH_SIZE)
        )

    def log_poll(self, record: PollRecord) -> None:
        """Add a row to `collect_log`.

        :raises drawsguard.warehouse.failures.StatementError: when the statement fails.
        """
        optional = {"http_status": "INT64", "received": "INT64", "inserted": "INT64", "quarantined": "INT64"}
        values = asdict(record)
        typed = {name: Typed(kind, values.pop(name)) for name, kind in (optional | {"error": "STRING"}).items()}
        names = {"dag_id": self._runner.dag_id, "task_id": self._runner.task_id}
        self._runner.run("collect/insert_collect_log.sql", **names, **values, **typed)


def draws_array(draws: Sequence[Draw]) -> StructArray:
    """Return the draws as one bound value."""
    return StructArray(_DRAW_TYPES, draws)


def rejected_array(rejected: Sequence[Rejected]) -> StructArray:
    """Return the rejected rows as one bound value."""
    return StructArray(_REJECTED_TYPES, rejected)


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
