"""The MySQL side of the push: the batches, their ledger and the guard's log. Works on a mysqlclient connection."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from drawsguard.points.database import execute, execute_many, fetch, prepare, utc
from drawsguard.points.schema import require_current
from drawsguard.points.telemetry.config import Flow
from drawsguard.points.telemetry.day_plan import StatisticsWindow
from drawsguard.points.telemetry.day_quality import Assessment
from drawsguard.points.telemetry.push_guard import EMPTY, Batch, Facts, State, batch_id_of

#: Error numbers of MySQL 8, MariaDB and their client when LOAD DATA LOCAL is switched off.
_LOCAL_INFILE_OFF = frozenset({1148, 2068, 3948, 4166})

#: How long LOAD DATA waits for the next rows; a task is stopped earlier by its execution_timeout.
_LONGEST_WAIT_SECONDS = 3600
#: How long the lock's connection may say nothing: longer than any task of these flows runs.
_LONGEST_SILENCE_SECONDS = 4 * 3600


class TransferError(RuntimeError):
    """MySQL did not receive what Hive sent; nothing was published."""


class EvidenceLockedError(RuntimeError):
    """Another task builds or pushes the same flow, or the lock was lost; a retry finds it free again."""


class EvidenceRepository:
    """``rsp_datagovern`` on the governance server. Every method that writes is one transaction.

    :param connection: a connection of mysqlclient, opened with ``local_infile``.
    """

    #: How long a build or a push waits for the other.
    LOCK_WAIT_SECONDS = 600

    def __init__(self, connection: Any) -> None:
        self._connection = prepare(connection)
        require_current(connection, "governance")

    # --- one at a time ----------------------------------------------------------------------------
    @contextmanager
    def locked(self, flow: Flow) -> Iterator[None]:
        """Keep every other build and push of the flow out; the lock ends with the connection.

        :raises EvidenceLockedError: when another task has it.
        """
        name = {"name": _lock_name(flow)}
        # Hive may need hours while this connection says nothing.
        execute(self._connection, "telemetry/push/keep_session.sql", {"seconds": _LONGEST_SILENCE_SECONDS})
        ((given,),) = self._fetch("lock_flow.sql", name | {"seconds": self.LOCK_WAIT_SECONDS})
        if given != 1:
            raise EvidenceLockedError(
                f"The flow {flow} is being built or pushed by another task, for {self.LOCK_WAIT_SECONDS} s and more. "
                "Nothing was changed. Clear this task when that one has ended."
            )
        try:
            yield
        finally:
            with suppress(self._connection.Error):  # a lost connection has released it
                self._fetch("unlock_flow.sql", name)

    def holds(self, flow: Flow) -> bool:
        """Return whether this connection still has the flow's lock."""
        ((held,),) = self._fetch("flow_is_locked.sql", {"name": _lock_name(flow)})
        return bool(held)

    def require_held(self, flow: Flow) -> None:
        """Refuse to go on without the flow's lock.

        :raises EvidenceLockedError: when it was lost: another task may have built or pushed meanwhile.
        """
        if not self.holds(flow):
            raise EvidenceLockedError(
                f"The lock of the flow {flow} was lost with its MySQL connection, so another task may have built or "
                "pushed it meanwhile. Nothing more was changed. Clear this task."
            )

    # --- reading ----------------------------------------------------------------------------------
    def ledger(self) -> list[Batch]:
        """Return every batch that was ever pushed, the newest window last."""
        with self._transaction():
            return [
                Batch(batch_id, flow, state, Facts(int(rows), int(eid_sum), int(checksum)), bool(purged), bool(counted))
                for batch_id, flow, state, rows, eid_sum, checksum, purged, counted in self._fetch("ledger.sql")
            ]

    def batch(self, batch_id: str) -> Batch | None:
        """Return one batch of the ledger, or None."""
        return next((batch for batch in self.ledger() if batch.batch_id == batch_id), None)

    def stored(self) -> dict[str, Facts]:
        """Return what ads_evt_ops_status_ago holds, by batch."""
        with self._transaction():
            return {row[0]: _facts(row[1:]) for row in self._fetch("all_batch_facts.sql")}

    def columns(self) -> list[tuple[str, str]]:
        """Return the columns of ads_evt_ops_status_ago, in order."""
        with self._transaction():
            return [(name, kind) for name, kind in self._fetch("describe_target.sql")]

    # --- publishing -------------------------------------------------------------------------------
    def stage(self, chunks: Iterable[bytes]) -> Facts:
        """Load lines into the session's staging table as they arrive, and return what was staged.

        The lines go through a named pipe: LOAD DATA reads at one end while Hive is read at the other, so neither the
        rows nor a file of them is ever kept.

        :param chunks: tab-separated lines: oper_type, oper_ts, eid.
        """
        execute(self._connection, "telemetry/push/wait_for_rows.sql", {"seconds": _LONGEST_WAIT_SECONDS})
        execute(self._connection, "telemetry/push/create_stage.sql")
        with tempfile.TemporaryDirectory(prefix="evidence_push_") as folder:
            pipe = Path(folder, "rows")
            os.mkfifo(pipe, mode=0o600)
            writer = _PipeWriter(pipe, chunks)
            writer.start()
            try:
                execute(self._connection, "telemetry/push/load_stage.sql", {"path": str(pipe)})
            except BaseException as error:
                writer.abandon()
                if isinstance(error, self._connection.Error) and error.args[0] in _LOCAL_INFILE_OFF:
                    raise TransferError(
                        "The MySQL server refuses LOAD DATA LOCAL INFILE, by which batches are loaded. Set "
                        "local_infile = ON there (effective at once), then clear this task. Nothing was published."
                    ) from error
                raise
            writer.finish()
        with self._transaction():
            return _facts(self._fetch("stage_facts.sql")[0])

    def publish(self, flow: Flow, window: StatisticsWindow, facts: Facts, run_id: str) -> None:
        """Replace the batch's rows by the staged ones and record it, in one transaction.

        :param facts: what the batch holds; what was staged.
        """
        batch_id = batch_id_of(flow, window)
        key = {"batch_id": batch_id}
        with self._transaction():
            before = self._fetch("lock_batch.sql", key)
            counted = bool(before and before[0][0])
            # Rows that were purged or withdrawn cannot be subtracted from the totals: they stay counted, once.
            countable = self._batch_facts(batch_id) != EMPTY
            if counted and countable:
                self._execute("undo_consolidation.sql", key)
            self._execute("delete_batch.sql", key)
            self._execute("publish_batch.sql", key)
            published = self._batch_facts(batch_id)
            if published != facts:
                raise TransferError(f"Batch {batch_id}: staged {facts}, would publish {published}; rolled back.")
            self._execute(
                "record_batch.sql",
                key
                | facts._asdict()
                | {
                    "flow": flow,
                    "window_start": window.first,
                    "window_end": window.last,
                    "run_id": run_id,
                    "keep_consolidated": int(counted and not countable),
                },
            )
            self._execute("forget_batch_days.sql", key)
            # The newest check may have seen a day that came after the build: those that the build recorded count, and a
            # build that recorded none rests on none.
            recorded = self._fetch("days_of_build.sql", key)
            days = json.loads(recorded[0][0]) if recorded else {}
            execute_many(
                self._connection,
                "telemetry/push/record_batch_days.sql",
                [key | {"pt_dt": day, "minutes": minutes} for day, minutes in days.items()],
            )

    def days(self, flow: Flow, window: StatisticsWindow) -> dict[str, int]:
        """Return the days, yyyy-MM-dd, that the newest check of a window found, with their minutes."""
        key = {"flow": flow, "window_start": window.first, "window_end": window.last}
        with self._transaction():
            rows = fetch(self._connection, "telemetry/quality/days_of_window.sql", key)
        return {str(day): int(minutes) for day, minutes in rows}

    def record_build(self, batch_id: str, run_id: str, days: Mapping[str, int], started_by: str | None = None) -> None:
        """Record the days that a build rests on, before its stamp lets it be pushed.

        :param days: yyyy-MM-dd → minutes.
        """
        self.log_decision(batch_id, run_id, "build", "built", message=json.dumps(dict(days)), started_by=started_by)

    def batch_facts(self, batch_id: str) -> Facts:
        """Return what ads_evt_ops_status_ago holds of one batch."""
        with self._transaction():
            return self._batch_facts(batch_id)

    def set_state(self, batch_id: str, state: State) -> None:
        """Record how far the batch came."""
        with self._transaction():
            self._execute("set_state.sql", {"batch_id": batch_id, "state": state})

    # --- afterwards -------------------------------------------------------------------------------
    def check_count(self, batch_id: str) -> int | None:
        """Return the minutes that a batch of the daily flow counted, or None without such a row."""
        with self._transaction():
            rows = self._fetch("check_count.sql", {"batch_id": batch_id})
            return int(rows[0][0]) if rows else None

    def consolidate(self, batch_id: str) -> bool:
        """Add the batch to the accumulated table unless it was added before; return whether it was added now."""
        key = {"batch_id": batch_id}
        with self._transaction():
            if self._execute("mark_consolidated.sql", key) == 0:
                return False
            self._execute("consolidate_batch.sql", key)
            return True

    def purge(self, keep_days: int, batch_id: str) -> int:
        """Delete the rows of batches published more than ``keep_days`` ago; return how many rows.

        :param batch_id: the batch that was just pushed; it stays.
        """
        values = {"keep_days": keep_days, "batch_id": batch_id}
        with self._transaction():
            deleted = self._execute("purge_batches.sql", values)
            self._execute("mark_purged.sql", values)
            self._execute("purge_days.sql")
            return deleted

    def record_check(self, run_id: str, flow: Flow, window: StatisticsWindow, assessment: Assessment) -> None:
        """Record the verdict on a window's telemetry, and the window's days, replacing what was recorded for them."""
        key = {"flow": flow, "window_start": window.first, "window_end": window.last}
        verdict = {
            "run_id": run_id,
            "accepted": assessment.accepted,
            "days_present": len(assessment.days),
            "raw_rows": assessment.raw_rows,
            "rejected_rows": assessment.rejected_rows,
            "expansion": assessment.expansion,
            "findings": json.dumps(assessment.findings),
        }
        days = [
            {
                "flow": flow,
                "pt_dt": day.day,
                "minutes": day.minutes,
                "metrics": day.metrics,
                "raw_rows": day.raw_rows,
                "rejected_rows": day.rejected_rows,
            }
            for day in assessment.days
        ]
        with self._transaction():
            execute(self._connection, "telemetry/quality/record_check.sql", key | verdict)
            execute(self._connection, "telemetry/quality/forget_days.sql", key)
            execute_many(self._connection, "telemetry/quality/record_day.sql", days)

    def log_decision(
        self,
        batch_id: str,
        run_id: str,
        stage: str,
        decision: str,
        code: str = "",
        message: str = "",
        overrule_reason: str | None = None,
        started_by: str | None = None,
    ) -> None:
        """Record a decision of the guard; never deleted."""
        values = {
            "batch_id": batch_id,
            "run_id": run_id,
            "stage": stage,
            "decision": decision,
            "code": code,
            "message": message,
            "overrule_reason": overrule_reason,
            "started_by": started_by,
        }
        with self._transaction():
            self._execute("log_decision.sql", values)

    def decision(self, batch_id: str, run_id: str, since: datetime) -> str | None:
        """Return the newest decision of the guard before the push, made in a run ``since`` (aware) it started."""
        values = {"batch_id": batch_id, "run_id": run_id, "since": utc(since)}
        with self._transaction():
            rows = self._fetch("decision_before.sql", values)
        return str(rows[0][0]) if rows else None

    # --- within a transaction ---------------------------------------------------------------------
    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()

    def _fetch(self, file: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return fetch(self._connection, f"telemetry/push/{file}", values)

    def _execute(self, file: str, values: dict[str, Any] | None = None) -> int:
        return execute(self._connection, f"telemetry/push/{file}", values)

    def _batch_facts(self, batch_id: str) -> Facts:
        return _facts(self._fetch("batch_facts.sql", {"batch_id": batch_id})[0])


class _PipeWriter(threading.Thread):
    """Writes chunks into a named pipe until they end; `finish` raises what went wrong."""

    def __init__(self, pipe: Path, chunks: Iterable[bytes]) -> None:
        super().__init__(name="evidence-push-writer", daemon=True)
        self._pipe = pipe
        self._chunks = chunks
        self._abandoned = False
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            with self._pipe.open("wb", buffering=0) as pipe:
                for chunk in self._chunks:
                    if self._abandoned:
                        return
                    _write_all(pipe.fileno(), chunk)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error

    def finish(self) -> None:
        """Wait for the end of the rows.

        :raises Exception: whatever stopped them.
        """
        self.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Stop the writer after its reader failed: read what it still writes, so that it never waits for a reader."""
        self._abandoned = True
        reader = os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            while self.is_alive():
                with suppress(BlockingIOError):
                    os.read(reader, 1 << 20)
                self.join(0.01)
        finally:
            os.close(reader)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _lock_name(flow: Flow) -> str:
    return f"drawsguard_evidence_{flow}"


def _facts(row: tuple[Any, ...]) -> Facts:
    return Facts(*(int(value) for value in row))
