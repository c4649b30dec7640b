"""What the lifecycle remembers (schema points_lifecycle): a thin, typed layer over its statements."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from drawsguard.points.backup import Backup, Checksum
from drawsguard.points.classify import PointClass
from drawsguard.points.confirmed import Confirmed, KnownBatch, KnownCandidate
from drawsguard.points.database import execute, execute_many, fetch, run_script, utc
from drawsguard.points.evidence import Window
from drawsguard.points.journal import Entry, Environment, PlannedRow
from drawsguard.points.plan import Action, Difference, Plan
from drawsguard.points.review import EvidenceCell, candidate_digest, row_digest
from drawsguard.points.workbook import ReviewRow

Clock = Callable[[], datetime]

#: Positions in a candidate's evidence cells.
CELL_CLUSTER, CELL_TABLE, CELL_OWNER, CELL_MODIFIED = 1, 2, 4, 16

#: Candidates that are in memory as parameters at a time.
_INSERTED_AT_ONCE = 5000


class LifecycleError(RuntimeError):
    """The lifecycle does not allow this step now."""


class Batch(NamedTuple):
    """A batch as it stands; times are naive UTC."""

    batch_id: str
    environment: str
    window_start: date
    window_end: date
    digest: str
    state: str
    confirmed_by: str | None
    observe_from: datetime | None
    observe_until: datetime | None
    halted_at: datetime | None
    halted_reason: str | None


class StoredCandidate(NamedTuple):
    """A candidate with what people decided; ``decision`` is None until the workbook was read."""

    point_id: int
    point_class: PointClass
    owner: str
    row_digest: str
    evidence: list[EvidenceCell]
    decision: str | None
    reviewer: str | None
    remark: str | None


class Structure(NamedTuple):
    """The Redis key and field templates of a point; variable parts stand in braces."""

    point_id: int
    cluster: str
    data_type: str
    key_template: str
    field_template: str | None


@dataclass(frozen=True)
class Lifecycle:
    """The lifecycle's tables behind a prepared connection to the governance server."""

    connection: Any
    clock: Clock = lambda: datetime.now(UTC)

    def migrate(self) -> None:
        """Create what is missing; repeatable."""
        run_script(self.connection, "lifecycle/V001__lifecycle.sql")

    # --- batch and candidates -------------------------------------------------------------------------
    def save_report(self, batch_id: str, environment: Environment, window: Window, rows: Sequence[ReviewRow]) -> str:
        """Keep a report's batch and candidates, and return the candidate set's digest.

        :raises LifecycleError: when people confirmed this batch already.
        """
        known = self.find_batch(batch_id)
        if known and known.state != "reported":
            self.connection.rollback()
            raise LifecycleError(f"Batch {batch_id} is {known.state} already: give the new report another batch id.")
        digests = [(int(row.cells[0]), row_digest(row.point_class, row.cells)) for row in rows]
        digest = candidate_digest(digests)
        values = {
            "batch_id": batch_id,
            "environment": environment,
            "window_start": window.first,
            "window_end": window.last,
            "candidates": len(rows),
            "candidate_digest": digest,
            "created_at": utc(self.clock()),
        }
        execute(self.connection, "lifecycle/add_batch.sql", values)
        execute(self.connection, "lifecycle/delete_candidates.sql", {"batch_id": batch_id})
        for start in range(0, len(rows), _INSERTED_AT_ONCE):
            part = slice(start, start + _INSERTED_AT_ONCE)
            candidates = [
                {
                    "batch_id": batch_id,
                    "point_id": point,
                    "class": str(row.point_class),
                    "cluster": row.cells[CELL_CLUSTER],
                    "owner": str(row.cells[CELL_OWNER])[:255],
                    "row_digest": bound,
                    "evidence": json.dumps(list(row.cells), ensure_ascii=False),
                }
                for row, (point, bound) in zip(rows[part], digests[part], strict=True)
            ]
            execute_many(self.connection, "lifecycle/add_candidate.sql", candidates)
        self.connection.commit()
        return digest

    def find_batch(self, batch_id: str) -> Batch | None:
        """Return a batch and lock it until the transaction ends, or None."""
        rows = fetch(self.connection, "lifecycle/batch.sql", {"batch_id": batch_id})
        return Batch(*rows[0]) if rows else None

    def batch(self, batch_id: str) -> Batch:
        """Return a batch.

        :raises LifecycleError: when it is not known.
        """
        found = self.find_batch(batch_id)
        self.connection.rollback()
        if found is None:
            raise LifecycleError(f"Batch {batch_id!r} is not known. Run points_usage_report, or check the id.")
        return found

    def candidates(self, batch_id: str) -> list[StoredCandidate]:
        """Return the candidates of a batch by id."""
        rows = fetch(self.connection, "lifecycle/candidates.sql", {"batch_id": batch_id})
        self.connection.rollback()
        return [
            StoredCandidate(int(point), PointClass(name), owner, digest, json.loads(evidence), *decision)
            for point, name, owner, digest, evidence, *decision in rows
        ]

    def known_batch(self, batch_id: str) -> KnownBatch | None:
        """Return what a confirmed workbook is held against."""
        batch = self.find_batch(batch_id)
        self.connection.rollback()
        if batch is None:
            return None
        known = {c.point_id: KnownCandidate(c.point_class, c.row_digest) for c in self.candidates(batch_id)}
        return KnownBatch(batch_id, batch.digest, known)

    def save_decisions(self, batch_id: str, decisions: Mapping[int, Confirmed], confirmed_by: str) -> None:
        """Keep what the confirmed workbook says.

        :raises LifecycleError: when the batch is beyond confirmation.
        """
        batch = self.find_batch(batch_id)
        if batch is None or batch.state not in ("reported", "confirmed"):
            if batch and {c.point_id: c.decision for c in self.candidates(batch_id)} == {
                point: str(confirmed.decision) for point, confirmed in decisions.items()
            }:
                return  # the same workbook again, to continue where a run broke off
            self.connection.rollback()
            state = "unknown" if batch is None else batch.state
            raise LifecycleError(f"Batch {batch_id} is {state}: its decisions can no longer change.")
        rows = [
            {
                "batch_id": batch_id,
                "point_id": point,
                "decision": str(confirmed.decision),
                "reviewer": confirmed.reviewer,
                "remark": confirmed.remark,
                "decided_at": utc(self.clock()),
            }
            for point, confirmed in decisions.items()
        ]
        execute_many(self.connection, "lifecycle/decide.sql", rows)
        execute(self.connection, "lifecycle/confirm_batch.sql", {"batch_id": batch_id, "confirmed_by": confirmed_by})
        self.connection.commit()

    def start_observation(self, batch_id: str, days: int) -> None:
        """Watch a batch for ``days`` from now on."""
        now = utc(self.clock())
        values = {"batch_id": batch_id, "observe_from": now, "observe_until": now + timedelta(days=days)}
        execute(self.connection, "lifecycle/start_observation.sql", values)
        self.connection.commit()

    def observed(self) -> list[tuple[str, datetime, datetime, datetime | None]]:
        """Return (batch id, observed from, until, halted at) of the batches under observation; naive UTC."""
        rows = fetch(self.connection, "lifecycle/observed_batches.sql", {"now": utc(self.clock())})
        self.connection.rollback()
        return [(str(batch), start, end, halted) for batch, start, end, halted in rows]

    def halt(self, batch_id: str, reason: str) -> bool:
        """Keep a batch from cleanup; True when it was not halted before."""
        values = {"batch_id": batch_id, "halted_at": utc(self.clock()), "halted_reason": reason}
        changed = execute(self.connection, "lifecycle/halt_batch.sql", values)
        self.connection.commit()
        return changed == 1

    # --- plans and rows -------------------------------------------------------------------------------
    def save_plan(self, plan: Plan) -> None:
        """Keep a plan, and its rows where it is a downline."""
        now = utc(self.clock())
        key = {"batch_id": plan.batch_id, "environment": plan.environment}
        values = key | {
            "action": plan.action,
            "digest": plan.digest,
            "row_count": len(plan.rows),
            "counts": json.dumps(plan.counts()),
            "differences": json.dumps([list(d) for d in plan.differences], ensure_ascii=False),
            "made_at": now,
        }
        execute(self.connection, "lifecycle/add_plan.sql", values)
        if plan.action == "downline":
            execute(self.connection, "lifecycle/forget_planned_rows.sql", key)
            rows = [_row_values(key, row, "planned", None, now) for row in plan.pending]
            execute_many(self.connection, "lifecycle/put_row.sql", rows)
        self.connection.commit()

    def differences(self, batch_id: str, environment: Environment, action: Action) -> list[Difference]:
        """Return what the newest plan explains."""
        values = {"batch_id": batch_id, "environment": environment, "action": action}
        rows = fetch(self.connection, "lifecycle/differences.sql", values)
        self.connection.rollback()
        return [Difference(*item) for item in json.loads(rows[0][1])] if rows else []

    def copy_journal(self, batch_id: str, environment: Environment, entries: Iterable[Entry]) -> None:
        """Set the batch's rows to what the environment's journal says."""
        key = {"batch_id": batch_id, "environment": environment}
        rows = [
            _row_values(key, entry.row, entry.state, None, entry.restored_at or entry.changed_at) for entry in entries
        ]
        execute_many(self.connection, "lifecycle/put_row.sql", rows)
        self.connection.commit()

    def mark_removed(self, plan: Plan, rows: Iterable[PlannedRow], reason: str) -> None:
        """Note rows that were planned and taken out again."""
        key = {"batch_id": plan.batch_id, "environment": plan.environment}
        now = utc(self.clock())
        values = [_row_values(key, row, "removed", reason, now) for row in rows]
        execute_many(self.connection, "lifecycle/put_row.sql", values)
        self.connection.commit()

    def rows_in_state(self, batch_id: str, state: str) -> list[tuple[str, str, str, int, str, int]]:
        """Return (environment, kind, table, id, cluster, old status) of a batch's rows in one state."""
        rows = fetch(self.connection, "lifecycle/rows_in_state.sql", {"batch_id": batch_id, "state": state})
        self.connection.rollback()
        return [(env, kind, table, int(row_id), cluster, int(old)) for env, kind, table, row_id, cluster, old in rows]

    # --- structures and backups -----------------------------------------------------------------------
    def save_structures(self, batch_id: str, structures: Iterable[Structure]) -> None:
        """Keep structures as they arrive; what was kept stays kept when a later one fails."""
        now = utc(self.clock())
        rows = [s._asdict() | {"batch_id": batch_id, "asked_at": now} for s in structures]
        execute_many(self.connection, "lifecycle/put_structure.sql", rows)
        self.connection.commit()

    def structures(self, batch_id: str) -> list[Structure]:
        """Return the structures of a batch by cluster and id."""
        rows = fetch(self.connection, "lifecycle/structures.sql", {"batch_id": batch_id})
        self.connection.rollback()
        return [Structure(int(point), *rest) for point, *rest in rows]

    def save_backup(self, batch_id: str, environment: Environment, backup: Backup) -> None:
        """Keep where a proven backup is."""
        values = {
            "batch_id": batch_id,
            "environment": environment,
            "table_name": backup.table,
            "backup_table": backup.place,
            "row_count": backup.checksum.rows,
            "checksum": backup.checksum.value,
            "proven_at": utc(self.clock()),
        }
        execute(self.connection, "lifecycle/put_backup.sql", values)
        self.connection.commit()

    def backups(self, batch_id: str, environment: Environment) -> list[Backup]:
        """Return the proven backups of a batch in an environment."""
        values = {"batch_id": batch_id, "environment": environment}
        rows = fetch(self.connection, "lifecycle/backups.sql", values)
        self.connection.rollback()
        return [Backup(table, place, Checksum(int(count), value)) for table, place, count, value in rows]

    # --- approvals and audit --------------------------------------------------------------------------
    def save_approval(self, **columns: Any) -> None:
        """Keep an answer; ``columns`` are those of points_lifecycle.approval, but recorded_at."""
        execute(self.connection, "lifecycle/add_approval.sql", columns | {"recorded_at": utc(self.clock())})
        self.connection.commit()

    def countersigned_by(self, plan: Plan, dag_id: str, run_id: str) -> frozenset[str]:
        """Return who countersigned exactly this plan in exactly this run."""
        values = {
            "batch_id": plan.batch_id,
            "environment": plan.environment,
            "action": plan.action,
            "digest": plan.digest,
            "dag_id": dag_id,
            "run_id": run_id,
        }
        rows = fetch(self.connection, "lifecycle/approvers_of_run.sql", values)
        self.connection.rollback()
        return frozenset(str(name) for (name,) in rows)

    def approvals(self, batch_id: str) -> list[dict[str, Any]]:
        """Return every answer on a batch, oldest first."""
        names = [
            "environment",
            "action",
            "role",
            "decision",
            "responder",
            "requester",
            "reason",
            "digest",
            "run_id",
            "responded_at",
            "recorded_at",
        ]
        rows = fetch(self.connection, "lifecycle/approvals.sql", {"batch_id": batch_id})
        self.connection.rollback()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def note(self, batch_id: str, event: str, actor: str, environment: str = "", **detail: Any) -> None:
        """Add an event to the audit."""
        values = {
            "batch_id": batch_id,
            "environment": environment,
            "event": event,
            "actor": actor,
            "detail": json.dumps(detail, ensure_ascii=False, default=str),
            "happened_at": utc(self.clock()),
        }
        execute(self.connection, "lifecycle/add_audit.sql", values)
        self.connection.commit()

    def events(self, batch_id: str) -> list[dict[str, Any]]:
        """Return the audit of a batch, oldest first."""
        rows = fetch(self.connection, "lifecycle/audit.sql", {"batch_id": batch_id})
        self.connection.rollback()
        return [
            {"environment": env, "event": event, "actor": actor, "detail": json.loads(detail), "at": at}
            for env, event, actor, detail, at in rows
        ]

    # --- observation ----------------------------------------------------------------------------------
    def save_observations(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep signs of life; ``rows`` have the columns of points_lifecycle.observation, but observed_at."""
        now = utc(self.clock())
        values = [dict(row) | {"observed_at": now} for row in rows]
        execute_many(self.connection, "lifecycle/put_observation.sql", values)
        self.connection.commit()

    def notices(self, batch_id: str) -> set[tuple[int, str]]:
        """Return (days before, owner) of the notices that were sent."""
        rows = fetch(self.connection, "lifecycle/notices.sql", {"batch_id": batch_id})
        self.connection.rollback()
        return {(int(days), str(owner)) for days, owner in rows}

    def save_notice(self, batch_id: str, days_before: int, owner: str, points: int) -> None:
        """Note that an owner was told."""
        values = {
            "batch_id": batch_id,
            "days_before": days_before,
            "owner": owner[:255],
            "points": points,
            "sent_at": utc(self.clock()),
        }
        execute(self.connection, "lifecycle/put_notice.sql", values)
        self.connection.commit()


def _row_values(
    key: Mapping[str, Any], row: PlannedRow, state: str, reason: str | None, changed_at: datetime
) -> dict[str, Any]:
    values = row._asdict() | dict(key) | {"state": state, "reason": reason, "changed_at": changed_at}
    values["table_name"] = values.pop("table")
    return values
