"""The approvals table (``governance_audit.approval``): events are added and read, nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from drawsguard.approvals.model import Action, Event, Kind, Place
from drawsguard.approvals.rules import ApprovalRefusedError
from drawsguard.points.database import execute, fetch, utc

Clock = Callable[[], datetime]

#: Characters that are kept of a reason: a refusal can quote what somebody typed.
_REASON = 4000


@dataclass(frozen=True)
class ApprovalRepository:
    """The approvals behind a prepared connection to their server (see :func:`drawsguard.points.database.prepare`).

    :param clock: the time now (aware).
    """

    connection: Any
    clock: Clock = lambda: datetime.now(UTC)

    def of_run(self, dag_id: str, run_id: str) -> list[Event]:
        """Return every event of a run id, oldest first, whatever run of that id it belongs to."""
        return self._read("approvals/of_run.sql", dag_id=dag_id, run_id=run_id)

    def of_batch(self, batch_id: str) -> list[Event]:
        """Return every event about a batch, its environments and its tickets, oldest first."""
        return self._read("approvals/of_subject.sql", subject=batch_id, prefix=f"{batch_id}/")

    def add(self, event: Event) -> None:
        """Keep an event.

        :raises ApprovalRefusedError: when it is an answer, or a use of an approval, that was kept before.
        """
        from MySQLdb import IntegrityError

        place = event.place
        values = {
            "kind": str(event.kind),
            "action": event.action,
            "subject": event.subject,
            "digest": event.digest,
            "question_digest": event.question_digest,
            "role": event.role,
            "dag_id": place.dag_id,
            "run_id": place.run_id,
            "task_id": place.task_id,
            "map_index": place.map_index,
            "run_started_at": utc(place.started_at),
            "requester": event.requester,
            "approvers": json.dumps(event.approvers, ensure_ascii=False),
            "title": event.title,
            "body": event.body,
            "responder": event.responder,
            "responder_id": event.responder_id,
            "reason": event.reason and event.reason[:_REASON],
            "responded_at": event.responded_at and utc(event.responded_at),
            "expires_at": event.expires_at and utc(event.expires_at),
            "approved_id": event.approved_id,
            "recorded_at": utc(self.clock()),
        }
        try:
            execute(self.connection, "approvals/add.sql", values)
            self.connection.commit()
        except IntegrityError as error:
            self.connection.rollback()
            raise ApprovalRefusedError(
                f"{event.kind} of {event.subject} is kept already: an answer counts once, and an approval is used "
                "once. Nothing was changed. Trigger a new run."
            ) from error

    def require_under_way(self, action: Action, subject: str, digest: str, question_digest: str) -> None:
        """Refuse to act unless the table itself says that exactly this was asked for, approved and begun.

        :raises ApprovalRefusedError: when it does not.
        """
        values = {
            "action": str(action),
            "subject": subject,
            "digest": digest,
            "question_digest": question_digest,
            "now": utc(self.clock()),
        }
        rows = fetch(self.connection, "approvals/under_way.sql", values)
        self.connection.rollback()
        if not rows:
            raise ApprovalRefusedError(
                f"No approval of {action} {subject} with digest {digest[:12]} is under way: it was never given, is "
                "used up, or has expired. Nothing was changed. Trigger a new run."
            )

    def lock(self, approval_id: int) -> None:
        """Hold an approval until the connection is closed.

        :raises ApprovalRefusedError: when another process is acting under it.
        """
        if fetch(self.connection, "approvals/lock.sql", {"name": f"approval-{approval_id}"}) != [(1,)]:
            raise ApprovalRefusedError(
                "Another process is acting under this approval. Wait until it has ended; its log says how."
            )

    def _read(self, path: str, **values: str) -> list[Event]:
        rows = fetch(self.connection, path, values)
        self.connection.rollback()  # a read must not pin the snapshot of the next one
        return [_event(*row) for row in rows]


def _event(
    approval_id: int,
    kind: str,
    action: str,
    subject: str,
    digest: str,
    question_digest: str,
    role: str,
    dag_id: str,
    run_id: str,
    run_started_at: datetime,
    task_id: str,
    map_index: int,
    requester: str,
    approvers: str,
    *rest: Any,
) -> Event:
    title, body, responder, responder_id, reason, responded_at, expires_at, approved_id, recorded_at = rest
    return Event(
        kind=Kind(kind),
        action=action,
        subject=subject,
        digest=digest,
        question_digest=question_digest,
        role=role,
        place=Place(dag_id, run_id, _aware(run_started_at), task_id, map_index),
        requester=requester,
        approvers=tuple(json.loads(approvers)),
        title=title,
        body=body,
        responder=responder,
        responder_id=responder_id,
        reason=reason,
        responded_at=responded_at and _aware(responded_at),
        expires_at=expires_at and _aware(expires_at),
        approved_id=approved_id,
        recorded_at=recorded_at and _aware(recorded_at),
        approval_id=approval_id,
    )


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
