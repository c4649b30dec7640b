"""The audit trail of batches: rows are only ever added."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from drawsguard.points.clock import Clock, utc_now
from drawsguard.points.database import execute, fetch, utc


@dataclass(frozen=True)
class AuditRepository:
    """The audit trail of batches: rows are only ever added.

    :param connection: a prepared connection to the governance server.
    """

    connection: Any
    clock: Clock = utc_now

    def note(self, batch_id: str, event: str, actor: str, environment: str = "", **detail: Any) -> None:
        """Add an event to the audit."""
        self.add(batch_id, event, actor, environment, **detail)
        self.connection.commit()

    def add(self, batch_id: str, event: str, actor: str, environment: str = "", **detail: Any) -> None:
        """Add an event to the audit in the caller's transaction."""
        values = {
            "batch_id": batch_id,
            "environment": environment,
            "event": event,
            "actor": actor,
            "detail": json.dumps(detail, ensure_ascii=False, default=str),
            "happened_at": utc(self.clock()),
        }
        execute(self.connection, "audit/add_audit.sql", values)

    def events(self, batch_id: str) -> list[dict[str, Any]]:
        """Return the audit of a batch, oldest first."""
        rows = fetch(self.connection, "audit/audit.sql", {"batch_id": batch_id})
        self.connection.rollback()
        return [
            {"environment": env, "event": event, "actor": actor, "detail": json.loads(detail), "at": at}
            for env, event, actor, detail, at in rows
        ]
