"""What cleanup remembers on the governance server (schema points_lifecycle): tickets, progress, counts, samples."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from drawsguard.points.cleanup.config import SampleSettings
from drawsguard.points.cleanup.estimate import Estimate
from drawsguard.points.cleanup.ledger import Checkpoint, Counts, Item, Sample, Scan
from drawsguard.points.cleanup.ticket import Ticket, TicketPlan
from drawsguard.points.database import execute, execute_many, fetch, run_script, utc
from drawsguard.points.digest import digest_of
from drawsguard.points.lifecycle import Structure as StoredStructure

Clock = Callable[[], datetime]


class TicketStateError(RuntimeError):
    """A ticket may not be executed as things are; the message says what to do."""


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
    """What became of a point: its ticket, or the reason why it has none, and its counts."""

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


class MemoryResult(NamedTuple):
    """An instance's memory before and after a ticket (bytes); ``after`` is None while it runs."""

    ticket_id: str
    instance: str
    before: int
    after: int | None


@dataclass(frozen=True)
class CleanupStore:
    """The tickets, behind a prepared connection to the governance server (see :func:`~.database.prepare`)."""

    connection: Any
    clock: Clock = lambda: datetime.now(UTC)

    def migrate(self) -> None:
        """Create what is missing; repeatable."""
        run_script(self.connection, "cleanup/V001__cleanup.sql")

    def due_batches(self) -> list[tuple[str, str | None]]:
        """Return (batch id, who confirmed it) of the batches whose observation has ended without objection."""
        return self._read("cleanup/due_batches.sql", {"now": utc(self.clock())})

    def save_tickets(self, batch_id: str, plan: TicketPlan, estimates: Mapping[int, Estimate]) -> None:
        """Keep the tickets of a batch; those that are done stay as they were executed."""
        now = utc(self.clock())
        with self._transaction():
            execute(self.connection, "cleanup/withdraw_tickets.sql", {"batch_id": batch_id})
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

    def approval_of_run(self, batch_id: str, digest: str, dag_id: str, run_id: str) -> tuple[str, str] | None:
        """Return (approver, requester) when this run was given an approval for exactly this digest."""
        values = {"batch_id": batch_id, "digest": digest, "dag_id": dag_id, "run_id": run_id}
        rows = self._read("cleanup/approved_digest.sql", values)
        return rows[0] if rows else None

    @contextmanager
    def execution(self, ticket: Ticket, approved_by: str) -> Iterator[None]:
        """Hold a ticket while it is executed; it is incomplete unless the body ends without an error.

        :raises TicketStateError: when another sweep holds it, or it is done, withdrawn, the DBA's or of another digest.
        """
        lock = lock_name(ticket.ticket_id)
        if fetch(self.connection, "cleanup/lock_ticket.sql", {"name": lock}) != [(1,)]:
            raise TicketStateError(f"Ticket {ticket.ticket_id} is being executed by another task; wait for it.")
        values = {"ticket_id": ticket.ticket_id, "digest": ticket.digest, "approved_by": approved_by}
        with self._transaction():
            execute(self.connection, "cleanup/start_ticket.sql", values | {"now": utc(self.clock())})
        stored = self.ticket(ticket.ticket_id)
        if stored.state != "running" or stored.digest != ticket.digest:
            raise TicketStateError(
                f"Ticket {ticket.ticket_id} is {stored.state} with digest {stored.digest[:12]}…, to be executed is "
                f"{ticket.digest[:12]}…. Run points_cleanup again and have the new ticket approved."
            )
        state = "incomplete"
        try:
            yield
            state = "done"
        finally:
            self._end(ticket.ticket_id, state)

    def finish_handed_over(self, ticket_id: str) -> str:
        """Note that the DBA has done a ticket, and return its batch.

        :raises TicketStateError: when it is unknown, not the DBA's, or not in the DBA's hands.
        """
        values = {"ticket_id": ticket_id, "now": utc(self.clock())}
        with self._transaction():
            changed = execute(self.connection, "cleanup/finish_handed_over.sql", values)
        ticket = self.ticket(ticket_id)
        if changed != 1:
            raise TicketStateError(
                f"Ticket {ticket_id} is {ticket.state} and its executor is {ticket.executor}: only a ticket that was "
                "handed over to the DBA is closed by hand. The workbook of the batch lists them."
            )
        return ticket.batch_id

    def close_batch(self, batch_id: str) -> bool:
        """Set a batch to cleaned when nothing of it is left to do here; True when it was."""
        with self._transaction():
            return execute(self.connection, "cleanup/close_batch.sql", {"batch_id": batch_id}) == 1

    def results(self, batch_id: str) -> list[PointResult]:
        """Return what became of each point of a batch, by cluster and id."""
        rows = self._read("cleanup/result_points.sql", {"batch_id": batch_id})
        return [PointResult(*row[:6], *(int(number) for number in row[6:])) for row in rows]

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

    def _end(self, ticket_id: str, state: str) -> None:
        values = {"ticket_id": ticket_id, "state": state, "now": utc(self.clock())}
        with self._transaction():
            execute(self.connection, "cleanup/end_ticket.sql", values)

    def _read(self, path: str, values: Mapping[str, Any]) -> list[Any]:
        rows = fetch(self.connection, path, values)
        self.connection.rollback()  # a read must not pin the snapshot of the next one
        return rows

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with transaction(self.connection):
            yield


@contextmanager
def transaction(connection: Any) -> Iterator[None]:
    """Commit what the body does, or roll all of it back."""
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def lock_name(ticket_id: str) -> str:
    """Return the name of a ticket's lock: MySQL takes 64 characters at most."""
    return f"cleanup-{digest_of([ticket_id])[:32]}"


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


@dataclass(frozen=True)
class MySqlLedger:
    """The sweep's :class:`~.ledger.Ledger` on the governance server.

    :param connection: a prepared connection of its own.
    :param samples: how long samples are kept.
    """

    connection: Any
    samples: SampleSettings
    clock: Clock = lambda: datetime.now(UTC)

    def checkpoint(self, scan: Scan) -> Checkpoint:
        """Return where the scan stands; the beginning for one never seen."""
        rows = self._read("cleanup/scan.sql", _scan_key(scan))
        return Checkpoint(int(rows[0][0]), bool(rows[0][1])) if rows else Checkpoint()

    def intents(self, ticket_id: str, instance: str) -> Sequence[tuple[Scan, Sequence[Item]]]:
        """Return what was about to be deleted when a sweep of this ticket ended without recording it."""
        rows = self._read("cleanup/intents.sql", {"ticket_id": ticket_id, "instance": instance})
        return [
            (Scan(ticket_id, phase, number, instance, master, identity), _decode_items(intent))
            for phase, number, master, identity, intent in rows
        ]

    def intend(self, scan: Scan, items: Sequence[Item], samples: Sequence[Sample]) -> None:
        """Write down what is about to be deleted, and the samples taken of it."""
        now = utc(self.clock())
        with transaction(self.connection):
            values = _scan_key(scan) | {"master": scan.master, "intent": _encode_items(items), "now": now}
            execute(self.connection, "cleanup/put_intent.sql", values)
            keep_until = now + timedelta(days=self.samples.keep_days)
            execute_many(
                self.connection,
                "cleanup/add_sample.sql",
                [
                    {
                        "ticket_id": scan.ticket_id,
                        "instance": scan.instance,
                        "point_id": sample.item.eid,
                        "redis_key": sample.item.key,
                        "field": sample.item.field,
                        "data_type": sample.redis_type,
                        "ttl_ms": sample.ttl_ms,
                        "bytes": sample.size,
                        "value": sample.value,
                        "taken_at": now,
                        "keep_until": keep_until,
                    }
                    for sample in samples
                ],
            )

    def record(self, scan: Scan, checkpoint: Checkpoint | None, counts: Mapping[int, Counts]) -> None:
        """Add counts per point, forget the intent, and move the checkpoint when there is a new one."""
        key, now = _scan_key(scan), utc(self.clock())
        with transaction(self.connection):
            execute_many(
                self.connection,
                "cleanup/add_count.sql",
                [
                    key
                    | {
                        "point_id": eid,
                        "found": added.found,
                        "deleted": added.deleted,
                        "wrong_type": added.wrong_type,
                    }
                    for eid, added in counts.items()
                ],
            )
            if checkpoint is None:
                execute(self.connection, "cleanup/forget_intent.sql", key | {"now": now})
            else:
                position = {"cursor_position": checkpoint.cursor, "done": checkpoint.done}
                values = key | position | {"master": scan.master, "now": now}
                execute(self.connection, "cleanup/put_position.sql", values)

    def counts(self, scan: Scan) -> Mapping[int, Counts]:
        """Return the counts of one scan by eid."""
        rows = self._read("cleanup/counts.sql", _scan_key(scan))
        return {int(eid): Counts(int(found), int(deleted), int(wrong)) for eid, found, deleted, wrong in rows}

    def sampled(self, ticket_id: str, instance: str) -> Mapping[int, int]:
        """Return how many samples are kept per point."""
        rows = self._read("cleanup/sampled.sql", {"ticket_id": ticket_id, "instance": instance})
        return {int(eid): int(number) for eid, number in rows}

    def finished_passes(self, ticket_id: str) -> int:
        """Return how many passes earlier runs of the ticket completed."""
        rows = self._read("cleanup/passes.sql", {"ticket_id": ticket_id})
        return int(rows[0][0]) if rows else 0

    def finish_passes(self, ticket_id: str, number: int) -> None:
        """Say that the passes up to ``number`` are complete, so that a later run scans afresh."""
        with transaction(self.connection):
            execute(self.connection, "cleanup/finish_passes.sql", {"ticket_id": ticket_id, "passes": number})

    def memory(self, ticket_id: str, instance: str, used: int, *, before: bool) -> None:
        """Keep the instance's memory (bytes) before the first or after the last pass; the first "before" stays."""
        path = "cleanup/memory_before.sql" if before else "cleanup/memory_after.sql"
        with transaction(self.connection):
            execute(self.connection, path, {"ticket_id": ticket_id, "instance": instance, "bytes": used})

    def _read(self, path: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        rows = fetch(self.connection, path, values)
        self.connection.rollback()
        return rows


def _scan_key(scan: Scan) -> dict[str, Any]:
    return {
        "ticket_id": scan.ticket_id,
        "phase": scan.phase,
        "pass_number": scan.number,
        "instance": scan.instance,
        "identity": scan.identity,
    }


def _encode_items(items: Iterable[Item]) -> str:
    return json.dumps([[item.eid, _to_text(item.key), _to_text(item.field)] for item in items])


def _decode_items(text: str) -> list[Item]:
    items = json.loads(text)
    return [Item(eid, b64decode(key), None if field is None else b64decode(field)) for eid, key, field in items]


def _to_text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode("ascii")
