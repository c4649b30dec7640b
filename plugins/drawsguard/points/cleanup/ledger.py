"""What a sweep records outside the process, so that a kill at any point neither loses nor repeats a count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Phase = Literal["delete", "confirm"]


@dataclass(frozen=True)
class Scan:
    """One pass over one master.

    :param ticket_id: the ticket.
    :param phase: deleting, or confirming that nothing is left.
    :param number: 1 for the first pass of the phase.
    :param instance: name of the Redis instance.
    :param master: ``host:port`` of the master.
    :param identity: of the master (see :class:`~.instance.Master`) and of what the ticket deletes: a scan for some
        points says nothing about others.
    """

    ticket_id: str
    phase: Phase
    number: int
    instance: str
    master: str
    identity: str


@dataclass(frozen=True)
class Item:
    """One thing to delete: a whole key, or a field of a hash.

    :param eid: the point it belongs to.
    :param key: the key.
    :param field: the field; None for the whole key.
    """

    eid: int
    key: bytes
    field: bytes | None


@dataclass(frozen=True)
class Counts:
    """Counts of one point in one scan.

    :param found: keys or fields that match and have the expected type.
    :param deleted: of these, deleted by us.
    :param wrong_type: matching keys of another type than the structure says; they are never touched.
    """

    found: int = 0
    deleted: int = 0
    wrong_type: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.found + other.found, self.deleted + other.deleted, self.wrong_type + other.wrong_type)


@dataclass(frozen=True)
class Checkpoint:
    """The progress of a scan: the cursor to continue from (0 before the first call), and whether it is complete."""

    cursor: int = 0
    done: bool = False


@dataclass(frozen=True)
class Sample:
    """A deleted key or field with its value.

    :param item: what was deleted.
    :param redis_type: the key's type.
    :param ttl_ms: remaining life of the key (milliseconds); None when it had none.
    :param size: memory of the key (bytes).
    :param value: a key's DUMP payload or a field's value; None when it is larger than what is kept.
    """

    item: Item
    redis_type: str
    ttl_ms: int | None
    size: int
    value: bytes | None


class Ledger(Protocol):
    """The durable memory of sweeps. Every method is one transaction."""

    def checkpoint(self, scan: Scan) -> Checkpoint:
        """Return the scan's checkpoint; the beginning for one never seen."""

    def intents(self, ticket_id: str, instance: str) -> Sequence[tuple[Scan, Sequence[Item]]]:
        """Return what was about to be deleted when a sweep of this ticket ended without recording it."""

    def intend(self, scan: Scan, items: Sequence[Item], samples: Sequence[Sample]) -> None:
        """Record what is about to be deleted, and the samples taken of it."""

    def record(self, scan: Scan, checkpoint: Checkpoint | None, counts: Mapping[int, Counts]) -> None:
        """Add counts per point, delete the intent, and move the checkpoint when there is a new one."""

    def sampled(self, ticket_id: str, instance: str) -> Mapping[int, int]:
        """Return how many samples are kept per point."""

    def counts(self, scan: Scan) -> Mapping[int, Counts]:
        """Return the counts of one scan by eid."""

    def confirmed(self, scans: Sequence[Scan]) -> None:
        """Let a confirming pass of an instance rest on these scans; forget those of masters that it had before."""

    def finished_passes(self, ticket_id: str) -> int:
        """Return how many passes earlier runs of the ticket completed; 0 for a ticket that never ended."""

    def finish_passes(self, ticket_id: str, number: int) -> None:
        """Record that the passes up to ``number`` are complete, so that a later run scans again."""

    def memory(self, ticket_id: str, instance: str, used: int, *, before: bool) -> None:
        """Record the instance's memory (bytes) before the first or after the last pass; the first "before" stays."""
