"""Cleanup tickets and their results (governance server, schema points_lifecycle); a sweep has its ledger apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from drawsguard.approvals.model import Action, Approved
from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.points.audit_repository import AuditRepository
from drawsguard.points.cleanup.estimate import Estimate
from drawsguard.points.cleanup.ticket import Ticket, TicketPlan
from drawsguard.points.database import execute, execute_many, fetch, transaction, utc
from drawsguard.points.digest import digest_of
from drawsguard.points.downline.observed_days import days_from, observed_days
from drawsguard.points.downline.structure_repository import Structure as StoredStructure
from drawsguard.points.policy import get_policy
from drawsguard.points.review.batch_repository import Batch, BatchRepository
from drawsguard.points.review.batch_state import BatchState
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.evidence_days import evidence_days
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings

Clock = Callable[[], datetime]

#: The audit's event of tickets that were taken out of the DBA's hands by a halt or a restore.
DBA_WITHDRAWN = "dba_tickets_withdrawn"


class TicketStateError(RefusedError, RuntimeError):
    """A ticket may not be executed as things are; the message says what to do."""


class TicketLostError(TicketStateError):
    """The ticket's lock is lost: another sweep may hold it, so nothing more is deleted or said of it here."""

    def __init__(self, ticket: Ticket, reason: str) -> None:
        super().__init__(
            f"The lock of ticket {ticket.ticket_id} is lost ({reason}). Nothing more was deleted; everything deleted "
            "is counted. Trigger points_cleanup again: it asks again and goes on where it stopped."
        )


class StoredTicket(NamedTuple):
    """A ticket as it stands; times are naive UTC."""

    ticket_id: str
    batch_id: str
    cluster: str
    ticket_class: str
    executor: str
    digest: str
    points: int
    instances: tuple[str, ...]
    estimated_keys: int | None
    estimated_bytes: int | None
    state: str
    approved_by: str | None
    started_at: datetime | None
    finished_at: datetime | None


class PointResult(NamedTuple):
    """What became of a point: its ticket, or the reason why it has none, and its counts on all tickets of the batch.

    :param unconfirmed: what a killed sweep was about to delete; its next one counts what it did, if there is one.
    """

    point_id: int
    cluster: str
    ticket_id: str | None
    reason: str | None
    estimated_keys: int | None
    estimated_bytes: int | None
    found: int
    deleted: int
    left: int
    wrong_type: int
    unconfirmed: int


class MemoryResult(NamedTuple):
    """An instance's memory before and after a ticket (bytes); ``after`` is None while it runs."""

    ticket_id: str
    instance: str
    before: int
    after: int | None


@dataclass(frozen=True)
class TicketRepository:
    """The tickets, behind a prepared connection to the governance server (see :func:`~.database.prepare`)."""

    connection: Any
    clock: Clock = lambda: datetime.now(UTC)

    def due_batches(self, business_timezone: str) -> list[str]:
        """Return the batches whose observation has ended without objection.

        It has ended when the usage evidence holds as many whole days as it takes: a day's evidence comes on the day
        after, and until then, or when it never comes, nobody knows whether a point was used on it.
        """
        now, window_days, least = self.clock(), get_settings().points_window_days, get_policy().observe.days
        due = []
        for batch_id, observe_from, observe_until in self._read("cleanup/due_batches.sql", {"now": utc(now)}):
            days = evidence_days(self.connection, days_from(observe_from, observe_until), points_config().quality)
            observed = observed_days(
                observe_from, observe_until, days, now.date(), business_timezone, window_days=window_days, least=least
            )
            if observed.end is not None:
                due.append(str(batch_id))
        return due

    def save_tickets(self, batch: Batch, plan: TicketPlan, estimates: Mapping[int, Estimate]) -> None:
        """Keep the tickets of a batch; those that are done stay as they were executed.

        What does not follow any more is withdrawn, begun or not; a ticket that is being executed this moment is left to
        its sweep, which finds out by itself.

        :param batch: as it was before its tickets were planned.
        :raises TicketStateError: when it is another now, e.g. halted: the plan would undo what was withdrawn since.
        """
        now, batch_id = utc(self.clock()), batch.batch_id
        planned = {ticket.ticket_id for ticket in plan.tickets}
        with self._transaction():
            # Locked: no ticket can be started meanwhile, and no halt comes between this look and the tickets.
            found = BatchRepository(self.connection, self.clock).find(batch_id)
            # A ticket of the DBA may have been closed, the first of its batch, which is being cleaned since.
            if found not in (batch, batch._replace(state=BatchState.CLEANING)):
                raise _changed_meanwhile(batch_id, f"it is {_standing(found)} now")
            execute(self.connection, "cleanup/withdraw_tickets.sql", {"batch_id": batch_id})
            for (ticket_id,) in fetch(self.connection, "cleanup/begun_tickets.sql", {"batch_id": batch_id}):
                if ticket_id not in planned and self._is_free(ticket_id):
                    execute(self.connection, "cleanup/withdraw_ticket.sql", {"ticket_id": ticket_id})
            execute(self.connection, "cleanup/delete_points.sql", {"batch_id": batch_id})
            for ticket in plan.tickets:
                known = [estimates[s.eid] for s in ticket.structures if s.eid in estimates]
                values = {
                    "ticket_id": ticket.ticket_id,
                    "batch_id": batch_id,
                    "cluster": ticket.cluster,
                    "class": ticket.rule.name,
                    "executor": ticket.executor,
                    "digest": ticket.digest,
                    "points": len(ticket.structures),
                    "instances": json.dumps(ticket.instances),
                    "estimated_keys": sum(estimate.keys for estimate in known) if known else None,
                    "estimated_bytes": sum(estimate.size for estimate in known) if known else None,
                    "state": "open" if ticket.executor == "own" else "handed_over",
                    "made_at": now,
                }
                execute(self.connection, "cleanup/put_ticket.sql", values)
            execute_many(self.connection, "cleanup/put_point.sql", list(_point_rows(batch_id, plan, estimates)))

    def require_handed_over(self, batch_id: str, made: Iterable[StoredTicket]) -> None:
        """Refuse to hand the DBA tickets that were withdrawn since they were made.

        :param made: the batch's tickets as a mail is about to show them.
        :raises TicketStateError: naming those that are in the DBA's hands no more.
        """
        now = {ticket.ticket_id for ticket in self.tickets(batch_id) if ticket.state in ("handed_over", "done")}
        if gone := sorted({ticket.ticket_id for ticket in made if ticket.state == "handed_over"} - now):
            raise _changed_meanwhile(batch_id, f"tickets {gone} are in the DBA's hands no more")

    def tickets(self, batch_id: str) -> list[StoredTicket]:
        """Return the tickets of a batch by id."""
        rows = self._read("cleanup/tickets.sql", {"batch_id": batch_id})
        return [StoredTicket._make((*row[:7], tuple(json.loads(row[7])), *row[8:])) for row in rows]

    def ticket(self, ticket_id: str) -> StoredTicket:
        """Return one ticket.

        :raises TicketStateError: when there is none of this id.
        """
        for ticket in self.tickets(ticket_id.partition("/")[0]):
            if ticket.ticket_id == ticket_id:
                return ticket
        raise TicketStateError(f"Ticket {ticket_id!r} is not known; run points_cleanup to make the batch's tickets.")

    @contextmanager
    def execution(
        self, ticket: Ticket, approved: Approved, approvals: ApprovalRepository
    ) -> Iterator[Callable[[], None]]:
        """Hold a ticket while it is executed; it is incomplete unless the body ends without an error.

        Yields what the body has to call before every deletion: it raises `TicketStateError` when the ticket is no
        longer held, or its batch was halted.

        :raises ApprovalRefusedError: when the approvals table does not say that exactly this ticket may be executed
            now: what a ticket's row says of its state and its approver is never enough.
        :raises TicketStateError: when another sweep holds it, or it is done, withdrawn, the DBA's or of another digest.
        """
        lock = lock_name(ticket.ticket_id)
        if fetch(self.connection, "cleanup/lock_ticket.sql", {"name": lock}) != [(1,)]:
            raise TicketStateError(f"Ticket {ticket.ticket_id} is being executed by another task; wait for it.")
        approvals.require_under_way(Action.CLEANUP, ticket.ticket_id, ticket.digest, approved.question_digest)
        values = {"ticket_id": ticket.ticket_id, "digest": ticket.digest, "approved_by": approved.approver}
        with self._transaction():
            batch = BatchRepository(self.connection, self.clock).move(ticket.batch_id, BatchState.CLEANING)
            if batch.halted_at is not None:
                raise TicketStateError(f"Batch {batch.batch_id} is halted: {batch.halted_reason}. Its data stays.")
            execute(self.connection, "cleanup/start_ticket.sql", values | {"now": utc(self.clock())})
        stored = self.ticket(ticket.ticket_id)
        if stored.state != "running" or stored.digest != ticket.digest:
            raise TicketStateError(
                f"Ticket {ticket.ticket_id} is {stored.state} with digest {stored.digest[:12]}…, to be executed is "
                f"{ticket.digest[:12]}…. Run points_cleanup again and have the new ticket approved."
            )
        try:
            yield lambda: self._require_held(ticket)
        except TicketLostError:
            raise  # what the ticket is now is for whoever holds it to say
        except BaseException:
            self._end(ticket, "incomplete")
            raise
        self._require_held(ticket)
        if self._end(ticket, "done") != 1:
            raise TicketStateError(f"Ticket {ticket.ticket_id} was changed when its sweep ended; it is not done.")

    def _require_held(self, ticket: Ticket) -> None:
        from MySQLdb import MySQLError

        try:
            held = self._read("cleanup/lock_is_held.sql", {"name": lock_name(ticket.ticket_id)})
        except MySQLError as error:
            raise TicketLostError(ticket, str(error)) from error
        if held != [(1,)]:
            raise TicketLostError(ticket, "another connection may hold it")
        stored = self.ticket(ticket.ticket_id)
        batch = BatchRepository(self.connection, self.clock).get(ticket.batch_id)
        if stored.digest != ticket.digest:
            raise TicketStateError(
                f"Ticket {ticket.ticket_id} has other points or patterns now. The sweep ends here; everything deleted "
                "is counted. Trigger points_cleanup again: it asks about the new ticket."
            )
        if stored.state != "running" or batch.halted_at is not None or batch.state != BatchState.CLEANING:
            raise TicketStateError(
                f"Ticket {ticket.ticket_id} is {stored.state}, its batch {batch.state}"
                f"{f' and halted: {batch.halted_reason}' if batch.halted_at else ''}. The sweep ends here; everything "
                "deleted is counted."
            )

    def withdraw_points(
        self, batch_id: str, points: Collection[int], actor: str = "airflow", *, served: bool = False, **detail: Any
    ) -> list[str]:
        """Withdraw the tickets of points that come back into service, and return them.

        Those that the DBA has in hand are noted in the audit in the same transaction: no kill loses one of them.

        :param actor: who wants the points back; :param detail: more for the audit.
        :param served: the points are back already: a sweep that executes one of their tickets ends by itself.
        :raises TicketStateError: when one of them is being executed: its data is disappearing at this moment.
        """
        if not points:
            return []
        values = {"batch_id": batch_id, "points": tuple(sorted(points))}
        withdrawn, theirs = [], []
        with self._transaction():
            BatchRepository(self.connection, self.clock).find(batch_id)  # locked: no ticket can be started meanwhile
            for ticket_id, state in fetch(self.connection, "cleanup/tickets_of_points.sql", values):
                if not self._is_free(ticket_id):
                    if served:
                        continue
                    raise TicketStateError(
                        f"Ticket {ticket_id} is being executed: it deletes the data of these points. Set the variable "
                        "points_cleanup_stop to true, and trigger a new run when the sweep has ended. Nothing was "
                        "restored."
                    )
                execute(self.connection, "cleanup/withdraw_ticket.sql", {"ticket_id": ticket_id})
                withdrawn.append(str(ticket_id))
                if state == "handed_over":
                    theirs.append(str(ticket_id))
            if theirs:
                audit = AuditRepository(self.connection, self.clock)
                audit.note(batch_id, DBA_WITHDRAWN, actor, tickets=theirs, **detail)
        return withdrawn

    def handed_over_of(self, batch_id: str, points: Collection[int]) -> list[str]:
        """Return the tickets of some points that the DBA has in hand."""
        if not points:
            return []
        rows = self._read("cleanup/tickets_of_points.sql", {"batch_id": batch_id, "points": tuple(sorted(points))})
        return [str(ticket_id) for ticket_id, state in rows if state == "handed_over"]

    def withdraw_handed_over(self, batch_id: str) -> list[str]:
        """Withdraw the tickets that the DBA has in hand when their batch is halted; return all that are withdrawn so.

        A batch that is not halted keeps them: then nothing is withdrawn, and nothing returned.
        """
        with self._transaction():
            batch = BatchRepository(self.connection, self.clock).find(batch_id)
            if batch is None or batch.halted_at is None:
                return []
            execute(self.connection, "cleanup/withdraw_handed_over.sql", {"batch_id": batch_id})
        return [t.ticket_id for t in self.tickets(batch_id) if t.executor == "dba" and t.state == "withdrawn"]

    def handed_over(self, ticket_id: str) -> StoredTicket:
        """Return a ticket that the DBA has in hand.

        :raises TicketStateError: when it is unknown, not the DBA's, or not in the DBA's hands.
        """
        ticket = self.ticket(ticket_id)
        if ticket.executor != "dba" or ticket.state != "handed_over":
            raise TicketStateError(
                f"Ticket {ticket_id} is {ticket.state} and its executor is {ticket.executor}: only a ticket that was "
                "handed over to the DBA is closed by hand. The newest workbook of the batch lists them."
            )
        return ticket

    def finish_handed_over(self, ticket_id: str, event: str, actor: str, **detail: Any) -> None:
        """Set a ticket to done that the DBA has done, and note who said so; its batch is being cleaned from then on.

        Both in one transaction: a ticket that is done is closed by nobody again, so what is not noted now never is.

        :param event: the audit's event; :param detail: more for the audit.
        :raises TicketStateError: when it is unknown, not the DBA's, or not in the DBA's hands, or its batch is halted.
        :raises BatchStateError: when its batch is being downlined again, or closed.
        """
        batch_id = self.handed_over(ticket_id).batch_id
        with self._transaction():
            batches = BatchRepository(self.connection, self.clock)
            batch = batches.find(batch_id)
            if batch is None or batch.halted_at is not None:
                raise TicketStateError(f"Batch {batch_id} is halted: {batch and batch.halted_reason}. Its data stays.")
            batches.move(batch_id, BatchState.CLEANING)
            values = {"ticket_id": ticket_id, "now": utc(self.clock())}
            changed = execute(self.connection, "cleanup/finish_handed_over.sql", values)
            if changed == 1:
                audit = AuditRepository(self.connection, self.clock)
                audit.note(batch_id, event, actor, "redis", ticket=ticket_id, **detail)
        if changed != 1:
            self.handed_over(ticket_id)
            raise TicketStateError(f"Ticket {ticket_id} was changed meanwhile. Trigger a new run.")

    def numbered(self, batch_id: str, plan: TicketPlan) -> TicketPlan:
        """Return a plan in which no ticket is one that is done, or that the DBA knows with another digest.

        The DBA's commands are in a workbook, where nothing changes them: with other points or patterns the ticket gets
        another number, and the one in hand is withdrawn. The pipeline's own keep theirs: their approvals have a digest.
        """
        stored = {ticket.ticket_id: ticket for ticket in self.tickets(batch_id)}
        return replace(plan, tickets=tuple(_numbered(ticket, stored) for ticket in plan.tickets))

    def done_points(self, batch_id: str) -> frozenset[int]:
        """Return the points of a batch whose tickets are done."""
        return frozenset(int(point) for (point,) in self._read("cleanup/done_points.sql", {"batch_id": batch_id}))

    def close_batch(self, batch_id: str, business_timezone: str, settled: Callable[[], bool]) -> bool:
        """Set a batch to cleaned when it is due and nothing of it is left to do; True when it was.

        :param settled: whether every point of it is done with, as things are now; asked last.
        """
        batches = BatchRepository(self.connection, self.clock)
        before = batches.get(batch_id)
        if batch_id not in self.due_batches(business_timezone) or self._unfinished(batch_id):
            return False
        self.connection.rollback()
        if not settled():
            return False
        with self._transaction():
            # What was judged is this very batch: not halted, released or downlined again meanwhile.
            if batches.find(batch_id) != before or self._unfinished(batch_id):
                return False
            batches.move(batch_id, BatchState.CLEANED)
            return True

    def _unfinished(self, batch_id: str) -> bool:
        ((unfinished,),) = fetch(self.connection, "cleanup/unfinished_tickets.sql", {"batch_id": batch_id})
        return bool(unfinished)

    def results(self, batch_id: str) -> list[PointResult]:
        """Return what became of each point of a batch, by cluster and id."""
        rows = self._read("cleanup/result_points.sql", {"batch_id": batch_id})
        return [PointResult(*row[:6], *(int(number) for number in row[6:])) for row in rows]

    def deleted(self, ticket_id: str) -> int:
        """Return how many keys and fields a ticket has deleted."""
        ((deleted,),) = self._read("cleanup/ticket_deleted.sql", {"ticket_id": ticket_id})
        return int(deleted)

    def memory(self, batch_id: str) -> list[MemoryResult]:
        """Return the memory of the instances before and after the batch's tickets."""
        return [MemoryResult(*row) for row in self._read("cleanup/result_memory.sql", {"batch_id": batch_id})]

    def living_structures(self, since: datetime) -> dict[int, StoredStructure]:
        """Return the structures of served points that NOS described after ``since`` (aware), by id."""
        rows = self._read("cleanup/living.sql", {"since": utc(since)})
        return {int(point): StoredStructure(int(point), *rest) for point, *rest in rows}

    def save_living(self, structures: Iterable[StoredStructure]) -> None:
        """Keep structures of served points, as NOS describes them now."""
        now = utc(self.clock())
        rows = [structure._asdict() | {"asked_at": now} for structure in structures]
        with self._transaction():
            execute_many(self.connection, "cleanup/put_living.sql", rows)

    def expire_samples(self) -> int:
        """Remove samples that were kept long enough; return how many."""
        with self._transaction():
            return execute(self.connection, "cleanup/expire_samples.sql", {"now": utc(self.clock())})

    def _is_free(self, ticket_id: str) -> bool:
        return fetch(self.connection, "cleanup/lock_is_free.sql", {"name": lock_name(ticket_id)}) == [(1,)]

    def _end(self, ticket: Ticket, state: str) -> int:
        values = {"ticket_id": ticket.ticket_id, "digest": ticket.digest, "state": state, "now": utc(self.clock())}
        with self._transaction():
            return execute(self.connection, "cleanup/end_ticket.sql", values)

    def _read(self, path: str, values: Mapping[str, Any]) -> list[Any]:
        rows = fetch(self.connection, path, values)
        self.connection.rollback()  # a read must not pin the snapshot of the next one
        return rows

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with transaction(self.connection):
            yield


def lock_name(ticket_id: str) -> str:
    """Return the name of a ticket's lock: MySQL takes 64 characters at most."""
    return f"cleanup-{digest_of([ticket_id])[:32]}"


def _standing(batch: Batch | None) -> str:
    if batch is None:
        return "unknown"
    return f"halted ({batch.halted_reason})" if batch.halted_at else f"{batch.state} until {batch.observe_until} UTC"


def _changed_meanwhile(batch_id: str, how: str) -> TicketStateError:
    return TicketStateError(
        f"Batch {batch_id} changed while its tickets were made: {how}. No ticket was mailed or handed over. The next "
        "run of points_cleanup makes what follows then; trigger it if that is to be at once."
    )


def _numbered(ticket: Ticket, stored: Mapping[str, StoredTicket]) -> Ticket:
    candidates = (replace(ticket, number=number) for number in count(1))
    return next(found for found in candidates if _may_be(found, stored.get(found.ticket_id)))


def _may_be(ticket: Ticket, stored: StoredTicket | None) -> bool:
    """Return whether a planned ticket may have the id of a stored one."""
    if stored is None:
        return True
    same = stored.digest == ticket.digest or stored.executor == ticket.executor == "own"
    return same and stored.state != "done"


def _point_rows(batch_id: str, plan: TicketPlan, estimates: Mapping[int, Estimate]) -> Iterator[dict[str, Any]]:
    for ticket in plan.tickets:
        for structure in ticket.structures:
            estimate = estimates.get(structure.eid)
            yield {
                "batch_id": batch_id,
                "point_id": structure.eid,
                "cluster": structure.cluster,
                "ticket_id": ticket.ticket_id,
                "reason": None,
                "estimated_keys": estimate and estimate.keys,
                "estimated_bytes": estimate and estimate.size,
            }
    for point in plan.unticketed:
        yield {
            "batch_id": batch_id,
            "point_id": point.eid,
            "cluster": point.cluster,
            "ticket_id": None,
            "reason": point.reason,
            "estimated_keys": None,
            "estimated_bytes": None,
        }
