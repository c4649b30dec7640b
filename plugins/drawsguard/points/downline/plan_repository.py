"""Plans, and the rows that they change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drawsguard.points.clock import Clock, utc_now
from drawsguard.points.database import execute, execute_many, fetch, utc
from drawsguard.points.downline.journal import Entry, PlannedRow
from drawsguard.points.downline.plan import Action, Difference, Plan
from drawsguard.points.environments import Environment


@dataclass(frozen=True)
class PlanRepository:
    """Plans, and the rows that they change.

    :param connection: a prepared connection to the governance server.
    """

    connection: Any
    clock: Clock = utc_now

    def save(self, plan: Plan) -> None:
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
        execute(self.connection, "downline/plan/add_plan.sql", values)
        if plan.action == "downline":
            execute(self.connection, "downline/plan/forget_planned_rows.sql", key)
            rows = [_row_values(key, row, "planned", None, now) for row in plan.pending]
            execute_many(self.connection, "downline/plan/put_row.sql", rows)
        self.connection.commit()

    def differences(self, batch_id: str, environment: Environment, action: Action) -> list[Difference]:
        """Return what the newest plan explains."""
        values = {"batch_id": batch_id, "environment": environment, "action": action}
        rows = fetch(self.connection, "downline/plan/differences.sql", values)
        self.connection.rollback()
        return [Difference(*item) for item in json.loads(rows[0][1])] if rows else []

    def digest(self, batch_id: str, environment: Environment, action: Action) -> str | None:
        """Return the digest of the newest plan, or None when none was kept."""
        values = {"batch_id": batch_id, "environment": environment, "action": action}
        rows = fetch(self.connection, "downline/plan/differences.sql", values)
        self.connection.rollback()
        return str(rows[0][0]) if rows else None

    def copy_journal(self, batch_id: str, environment: Environment, entries: Iterable[Entry]) -> None:
        """Set the batch's rows to what the environment's journal says."""
        key = {"batch_id": batch_id, "environment": environment}
        rows = [
            _row_values(key, entry.row, entry.state, None, entry.restored_at or entry.changed_at) for entry in entries
        ]
        execute_many(self.connection, "downline/plan/put_row.sql", rows)
        self.connection.commit()

    def mark_removed(self, plan: Plan, rows: Iterable[PlannedRow], reason: str) -> None:
        """Note rows that were planned and taken out again."""
        key = {"batch_id": plan.batch_id, "environment": plan.environment}
        now = utc(self.clock())
        values = [_row_values(key, row, "removed", reason, now) for row in rows]
        execute_many(self.connection, "downline/plan/put_row.sql", values)
        self.connection.commit()

    def rows_in_state(self, batch_id: str, state: str) -> list[tuple[str, str, str, int, str, int]]:
        """Return (environment, kind, table, id, cluster, old status) of a batch's rows in one state."""
        rows = fetch(self.connection, "downline/plan/rows_in_state.sql", {"batch_id": batch_id, "state": state})
        self.connection.rollback()
        return [(env, kind, table, int(row_id), cluster, int(old)) for env, kind, table, row_id, cluster, old in rows]


def _row_values(
    key: Mapping[str, Any], row: PlannedRow, state: str, reason: str | None, changed_at: datetime
) -> dict[str, Any]:
    values = row._asdict() | dict(key) | {"state": state, "reason": reason, "changed_at": changed_at}
    values["table_name"] = values.pop("table")
    return values
