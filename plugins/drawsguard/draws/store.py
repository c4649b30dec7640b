"""Writing to the source: draws, quarantined rows and the log of polls, each by one parameterised statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from google.cloud.bigquery import (
    ArrayQueryParameter,
    ArrayQueryParameterType,
    Client,
    ScalarQueryParameter,
    ScalarQueryParameterType,
    StructQueryParameter,
    StructQueryParameterType,
)

from drawsguard.draws.feed import Rejected
from drawsguard.draws.model import Draw
from drawsguard.settings import get_settings
from drawsguard.sql import Typed, query_config, render

#: Draws a statement: about 360 bytes each as a parameter, and BigQuery takes requests of at most 10 MB.
BATCH_SIZE = 10_000

#: Rejected rows a statement: each holds up to RAW_LIMIT characters of up to six bytes in a request.
REJECTED_BATCH_SIZE = 300

#: A correction may move a draw's time; its older version is looked for this far around the batch.
RANGE_MARGIN = timedelta(days=1)

#: A row that comes back within this time is not quarantined twice.
QUARANTINE_MEMORY = timedelta(days=90)

#: A statement that takes longer has failed (seconds).
STATEMENT_TIMEOUT = 300

_DRAW_TYPES = {
    "period": "INT64",
    "timestamp": "TIMESTAMP",
    "sum_value": "INT64",
    "big_small": "STRING",
    "odd_even": "STRING",
    "created_at": "TIMESTAMP",
    "updated_at": "TIMESTAMP",
}
_REJECTED_TYPES = {"row_id": "STRING", "period": "INT64", "raw": "STRING", "reason": "STRING", "detail": "STRING"}

Item = TypeVar("Item")


@dataclass(frozen=True)
class PollRecord:
    """One row of `collect_log`. ``seconds`` is the length of the poll; counts are None where it did not get so far."""

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


class DrawStore:
    """Writes to the source and monitor datasets; a statement's jobs carry the labels of ``dag_id`` and ``task_id``."""

    def __init__(self, client: Client, dag_id: str, task_id: str) -> None:
        self._client = client
        self._dag_id = dag_id
        self._task_id = task_id

    def insert_draws(self, draws: Sequence[Draw], polled_at: datetime) -> int:
        """Append the versions that the source does not have yet and return their number. Repeatable.

        :param draws: one a period, any number: each `BATCH_SIZE` of them is one statement.
        :param polled_at: when they were read from the feed.
        :raises google.api_core.exceptions.GoogleAPIError: when a statement fails; earlier batches are written then.
        """
        ordered = sorted(draws, key=lambda draw: draw.timestamp)
        return sum(
            self._run(
                "bigquery/collect/insert_draws.sql",
                [draws_parameter(batch)],
                polled_at=polled_at,
                range_start=batch[0].timestamp - RANGE_MARGIN,
                range_end=batch[-1].timestamp + RANGE_MARGIN,
            )
            for batch in _batches(ordered, BATCH_SIZE)
        )

    def quarantine(self, rejected: Iterable[Rejected], source: str, seen_at: datetime) -> int:
        """Keep rejected rows that were not seen before and return their number. Repeatable.

        :param source: where the rows came from, e.g. ``latest``.
        :raises google.api_core.exceptions.GoogleAPIError: when a statement fails.
        """
        distinct = list({row.row_id: row for row in rejected}.values())
        return sum(
            self._run(
                "bigquery/collect/insert_quarantine.sql",
                [rejected_parameter(batch)],
                source=source,
                seen_at=seen_at,
                known_since=seen_at - QUARANTINE_MEMORY,
            )
            for batch in _batches(distinct, REJECTED_BATCH_SIZE)
        )

    def log_poll(self, record: PollRecord) -> None:
        """Add a row to `collect_log`.

        :raises google.api_core.exceptions.GoogleAPIError: when the statement fails.
        """
        optional = {"http_status": "INT64", "received": "INT64", "inserted": "INT64", "quarantined": "INT64"}
        values = asdict(record)
        typed = {name: Typed(kind, values.pop(name)) for name, kind in (optional | {"error": "STRING"}).items()}
        names = {"dag_id": self._dag_id, "task_id": self._task_id}
        self._run("bigquery/collect/insert_collect_log.sql", [], **names, **values, **typed)

    def _run(self, path: str, arrays: list[ArrayQueryParameter], **values: Any) -> int:
        config = query_config(self._dag_id, self._task_id, **values)
        config.query_parameters = [*arrays, *config.query_parameters]
        job = self._client.query(render(path), job_config=config, location=get_settings().location)
        job.result(timeout=STATEMENT_TIMEOUT)
        return job.num_dml_affected_rows or 0


def draws_parameter(draws: Sequence[Draw]) -> ArrayQueryParameter:
    """Return the draws as the parameter ``@draws``."""

    def element(draw: Draw) -> StructQueryParameter:
        scalars = [ScalarQueryParameter(name, kind, getattr(draw, name)) for name, kind in _DRAW_TYPES.items()]
        return StructQueryParameter(None, *scalars, ArrayQueryParameter("numbers", "INT64", list(draw.numbers)))

    numbers = ArrayQueryParameterType(ScalarQueryParameterType("INT64"), name="numbers")
    return ArrayQueryParameter("draws", _struct_type(_DRAW_TYPES, numbers), [element(draw) for draw in draws])


def rejected_parameter(rejected: Sequence[Rejected]) -> ArrayQueryParameter:
    """Return the rejected rows as the parameter ``@rows``."""

    def element(row: Rejected) -> StructQueryParameter:
        scalars = [ScalarQueryParameter(name, kind, getattr(row, name)) for name, kind in _REJECTED_TYPES.items()]
        return StructQueryParameter(None, *scalars)

    return ArrayQueryParameter("rows", _struct_type(_REJECTED_TYPES), [element(row) for row in rejected])


def _struct_type(scalars: dict[str, str], *others: ArrayQueryParameterType) -> StructQueryParameterType:
    return StructQueryParameterType(*(ScalarQueryParameterType(k, name=n) for n, k in scalars.items()), *others)


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
