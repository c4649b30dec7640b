"""The ledger of a sweep on the governance server (schema points_lifecycle): positions, intents, counts, samples."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from drawsguard.points.cleanup.config import SampleSettings
from drawsguard.points.cleanup.ledger import Checkpoint, Counts, Item, Sample, Scan
from drawsguard.points.database import execute, execute_many, fetch, transaction, utc

Clock = Callable[[], datetime]


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

    def confirmed(self, scans: Sequence[Scan]) -> None:
        """Let a confirming pass of an instance rest on these scans; forget those of masters that it had before."""
        with transaction(self.connection):
            values = _scan_key(scans[0]) | {"identities": tuple(scan.identity for scan in scans)}
            execute(self.connection, "cleanup/forget_confirming_counts.sql", values)
            execute(self.connection, "cleanup/forget_confirming_scans.sql", values)

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
