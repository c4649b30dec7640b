"""The one way to run a checked-in statement on BigQuery."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from google.api_core.exceptions import BadRequest, NotFound
from google.cloud.bigquery import DEFAULT_RETRY, Client, QueryJob

from drawsguard.settings import get_settings
from drawsguard.sql import Identifiers, render
from drawsguard.warehouse.adoption import explained
from drawsguard.warehouse.failures import CLIENT_ERRORS, StatementError, is_transient
from drawsguard.warehouse.job_configuration import FOLDER, query_config
from drawsguard.warehouse.limits import ROUTINE, TimeLimit
from drawsguard.warehouse.references import minimum_bytes, named_tables, referenced_tables

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StatementResult:
    """What became of one statement: its rows, and the job for the log.

    `seconds` are those of the last attempt's job as the caller saw it, with all attempts before. `affected` is 0 for a
    statement that changes no rows; `inserted` and `updated` are None where the engine does not say.
    """

    rows: list[dict[str, Any]]
    job_id: str | None
    affected: int
    inserted: int | None
    updated: int | None
    bytes_billed: int | None
    slot_ms: int | None
    seconds: float
    references: frozenset[str]


@dataclass
class StatementUsage:
    """What the runs of one statement add up to, for the bill.

    :param references: table references of all runs together.
    :param minimum_bytes: the least that they are billed for together (bytes).
    """

    runs: int = 0
    references: int = 0
    minimum_bytes: int = 0
    bytes_billed: int = 0
    slot_ms: int = 0
    seconds: float = 0.0

    def add(self, result: StatementResult) -> None:
        """Count one more run."""
        self.runs += 1
        self.references += len(result.references)
        self.minimum_bytes += minimum_bytes(len(result.references))
        self.bytes_billed += result.bytes_billed or 0
        self.slot_ms += result.slot_ms or 0
        self.seconds += result.seconds


@dataclass(frozen=True)
class StatementRunner:
    """Runs files of ``include/sql/bigquery`` as one task; threads may share it.

    A run is repeated when its failure is transient, within the time limit. Whatever the client raises becomes a
    `StatementError`, a time-out as well: callers that record failures catch that one type.

    :param client: of the project and location that hold the datasets.
    :param dag_id: labels the jobs, for cost by DAG.
    :param task_id: labels the jobs.
    :param limit: see `drawsguard.warehouse.limits`.
    :param usage: what was run so far, by file.
    :param explains: whether a refusal is held against the layout of the tables, see `drawsguard.warehouse.adoption`.
    """

    client: Client
    dag_id: str
    task_id: str
    limit: TimeLimit = ROUTINE
    usage: dict[str, StatementUsage] = field(default_factory=dict, compare=False)
    explains: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def within(self, limit: TimeLimit) -> StatementRunner:
        """Return a runner with another time limit; both count together."""
        return replace(self, limit=limit)

    def plain(self) -> StatementRunner:
        """Return a runner that passes refusals on as they are; both count together."""
        return replace(self, explains=False)

    def run(
        self, statement: str, identifiers: dict[str, Identifiers] | None = None, /, **values: Any
    ) -> StatementResult:
        """Run ``include/sql/bigquery/<statement>`` to its end and return its rows and its job.

        :param identifiers: names for the file's placeholders, beyond the settings.
        :param values: bound parameters, see `drawsguard.warehouse.parameters.bind`.
        :raises StatementError: when it failed, or did not end within its time limit.
        :raises drawsguard.warehouse.adoption.CutOverAwaitedError: when a table of it has the layout from before.
        """
        text = render(f"{FOLDER}/{statement}", **(identifiers or {}))
        started = time.monotonic()
        for attempt in range(1, self.limit.attempts + 1):
            jobs: list[QueryJob] = []
            try:
                result = self._attempt(statement, text, values, started, jobs)
            except CLIENT_ERRORS as error:
                job_id = jobs[0].job_id if jobs else None
                seconds = time.monotonic() - started
                pause = self.limit.pause_seconds * 2 ** (attempt - 1)
                may_repeat = (
                    is_transient(error)
                    and attempt < self.limit.attempts
                    and seconds + pause < self.limit.statement_seconds
                )
                if isinstance(error, TimeoutError):
                    self._cancel(jobs)
                if not may_repeat:
                    spent = f"{attempt} attempt{'s' if attempt > 1 else ''} in {seconds:.1f} s"
                    failure = StatementError.of(error, statement, job_id, spent)
                    if self.explains and isinstance(error, BadRequest | NotFound):  # for what it names, perhaps
                        failure = explained(self, failure, named_tables(text) | referenced_tables(text))
                    raise failure from error
                log.warning("%s: attempt %s failed (job %s), repeating: %s", statement, attempt, job_id, error)
                time.sleep(pause)
            else:
                self._count(statement, result)
                return result
        raise AssertionError("unreachable: the last attempt returns or raises")

    def rows(
        self, statement: str, identifiers: dict[str, Identifiers] | None = None, /, **values: Any
    ) -> list[dict[str, Any]]:
        """Run a query and return its rows (same arguments and errors as `run`)."""
        return self.run(statement, identifiers, **values).rows

    def affected(self, statement: str, identifiers: dict[str, Identifiers] | None = None, /, **values: Any) -> int:
        """Run a DML statement and return how many rows it changed (same arguments and errors as `run`)."""
        return self.run(statement, identifiers, **values).affected

    def _attempt(
        self, statement: str, text: str, values: dict[str, Any], started: float, jobs: list[QueryJob]
    ) -> StatementResult:
        """Run the statement once; its job is put into ``jobs`` as soon as there is one."""
        retry = DEFAULT_RETRY.with_timeout(self.limit.call_seconds)
        job = self.client.query(
            text,
            job_config=query_config(statement, self.dag_id, self.task_id, values, self.limit),
            location=get_settings().location,
            retry=retry,
            job_retry=None,  # repeated here, where the time limit is known
            timeout=self.limit.call_seconds,
        )
        jobs.append(job)
        remaining = max(1.0, started + self.limit.statement_seconds - time.monotonic())
        answer = job.result(retry=retry, job_retry=None, timeout=remaining)
        rows = [dict(row.items()) for row in answer]
        statistics = job.dml_stats
        return StatementResult(
            rows,
            job.job_id,
            job.num_dml_affected_rows or 0,
            statistics.inserted_row_count if statistics else None,
            statistics.updated_row_count if statistics else None,
            job.total_bytes_billed,
            job.slot_millis,
            time.monotonic() - started,
            _references(job.referenced_tables, text),
        )

    def _cancel(self, jobs: Iterable[QueryJob]) -> None:
        """Stop a job that nobody waits for any more: it could still write after its repetition."""
        for job in jobs:
            try:
                job.cancel(retry=None, timeout=self.limit.call_seconds)
            except CLIENT_ERRORS as error:
                log.warning("Job %s could not be cancelled; BigQuery ends it at its own limit: %s", job.job_id, error)

    def _count(self, statement: str, result: StatementResult) -> None:
        with self._lock:
            self.usage.setdefault(statement, StatementUsage()).add(result)
        log.info(
            "%s: job %s, %s rows read, %s changed, %s tables referenced, %s bytes billed, %s slot ms, %.2f s",
            statement, result.job_id, len(result.rows), result.affected, len(result.references),
            result.bytes_billed, result.slot_ms, result.seconds,
        )  # fmt: skip


def _references(stated: Iterable[Any], text: str) -> frozenset[str]:
    """Return the referenced tables as the engine states them, else as the text and the schema's views name them."""
    tables = frozenset(f"{table.project}.{table.dataset_id}.{table.table_id}" for table in stated)
    return tables or referenced_tables(text)
