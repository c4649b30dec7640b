"""Batches, their candidates, and what people decided on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from drawsguard.points.clock import Clock, utc_now
from drawsguard.points.database import execute, execute_many, fetch, utc
from drawsguard.points.environments import Environment
from drawsguard.points.review.batch_state import BatchState, may_follow
from drawsguard.points.review.candidate import EvidenceCell, candidate_digest, row_digest
from drawsguard.points.review.classify import PointClass
from drawsguard.points.review.confirmed import Confirmed, KnownBatch, KnownCandidate
from drawsguard.points.review.evidence import Window
from drawsguard.points.review.workbook import ReviewRow
from drawsguard.refusal import RefusedError

#: Positions in a candidate's evidence cells.
CELL_CLUSTER, CELL_TABLE, CELL_OWNER, CELL_MODIFIED = 1, 2, 4, 16

#: Candidates that are in memory as parameters at a time.
_INSERTED_AT_ONCE = 5000


class BatchStateError(RefusedError, RuntimeError):
    """The state of the batch does not allow this step now."""


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


@dataclass(frozen=True)
class BatchRepository:
    """Batches, their candidates, and what people decided on them.

    :param connection: a prepared connection to the governance server.
    """

    connection: Any
    clock: Clock = utc_now

    def save_report(self, batch_id: str, environment: Environment, window: Window, rows: Sequence[ReviewRow]) -> str:
        """Keep a report's batch and candidates, and return the candidate set's digest.

        :raises BatchStateError: when people confirmed this batch already.
        """
        known = self.find(batch_id)
        if known and known.state != "reported":
            self.connection.rollback()
            raise BatchStateError(f"Batch {batch_id} is {known.state} already: give the new report another batch id.")
        digests = [(int(row.cells[0]), row_digest(row.point_class, row.cells)) for row in rows]
        digest = candidate_digest(batch_id, digests)
        values = {
            "batch_id": batch_id,
            "environment": environment,
            "window_start": window.first,
            "window_end": window.last,
            "candidates": len(rows),
            "candidate_digest": digest,
            "created_at": utc(self.clock()),
        }
        execute(self.connection, "review/add_batch.sql", values)
        execute(self.connection, "review/delete_candidates.sql", {"batch_id": batch_id})
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
            execute_many(self.connection, "review/add_candidate.sql", candidates)
        self.connection.commit()
        return digest

    def find(self, batch_id: str) -> Batch | None:
        """Return a batch and lock it until the transaction ends, or None.

        :raises BatchStateError: when the id is written in another way: the server takes ids that differ in case, accent
            or trailing blanks for the same, but approvals, files and digests do not.
        """
        rows = fetch(self.connection, "review/batch.sql", {"batch_id": batch_id})
        if not rows:
            return None
        found = Batch(*rows[0])
        if found.batch_id != batch_id:
            self.connection.rollback()
            raise BatchStateError(f"Batch {batch_id!r} is written {found.batch_id!r}. Use that, or another id.")
        return found

    def get(self, batch_id: str) -> Batch:
        """Return a batch.

        :raises BatchStateError: when it is not known.
        """
        found = self.find(batch_id)
        self.connection.rollback()
        if found is None:
            raise self._unknown(batch_id)
        return found

    def _unknown(self, batch_id: str) -> BatchStateError:
        known = fetch(self.connection, "review/newest_batches.sql")
        self.connection.rollback()
        listed = ", ".join(f"{name} ({state})" for name, state in known) or "none"
        return BatchStateError(
            f"Batch {batch_id[:60]!r} is not known. Nothing was changed. The newest batches are: {listed}. Trigger a "
            "new run with one of them, or make a new batch with points_usage_report."
        )

    def require_move(self, batch_id: str, following: BatchState, *, by_way_of: BatchState | None = None) -> None:
        """Refuse early what `move` would refuse; nothing is changed.

        :param by_way_of: a state that may come before; None: the move is the next one.
        :raises BatchStateError: when the batch is not known, or may not become ``following``.
        """
        batch = self.get(batch_id)
        states = [batch.state, *([by_way_of] if by_way_of and may_follow(batch.state, by_way_of) else [])]
        if not any(may_follow(state, following) for state in states):
            raise _refused_move(batch, following)

    def move(self, batch_id: str, following: BatchState) -> Batch:
        """Move a batch to its next state in the caller's transaction, which keeps it locked. Return it as it was.

        :raises BatchStateError: when the batch is not known, or may not become ``following``; the transaction is
            rolled back.
        """
        batch = self.find(batch_id)
        if batch is None:
            self.connection.rollback()
            raise self._unknown(batch_id)
        values = {"batch_id": batch_id, "state": batch.state, "following": str(following)}
        if not may_follow(batch.state, following) or (
            batch.state != following and execute(self.connection, "review/move_batch.sql", values) != 1
        ):
            self.connection.rollback()
            raise _refused_move(batch, following)
        return batch

    def candidates(self, batch_id: str) -> list[StoredCandidate]:
        """Return the candidates of a batch by id."""
        rows = fetch(self.connection, "review/candidates.sql", {"batch_id": batch_id})
        self.connection.rollback()
        return [
            StoredCandidate(int(point), PointClass(name), owner, digest, json.loads(evidence), *decision)
            for point, name, owner, digest, evidence, *decision in rows
        ]

    def known(self, batch_id: str) -> KnownBatch | None:
        """Return what a confirmed workbook is held against."""
        batch = self.find(batch_id)
        self.connection.rollback()
        if batch is None:
            return None
        known = {c.point_id: KnownCandidate(c.point_class, c.row_digest) for c in self.candidates(batch_id)}
        return KnownBatch(batch_id, batch.digest, known)

    def require_decidable(self, batch_id: str, decisions: Mapping[int, Confirmed]) -> bool:
        """Return whether a workbook's decisions can be kept; False: the batch went on with the same ones.

        :raises BatchStateError: when the batch is beyond confirmation, and the decisions are others.
        """
        decidable = self._may_decide(batch_id, decisions)
        self.connection.rollback()
        return decidable

    def _may_decide(self, batch_id: str, decisions: Mapping[int, Confirmed]) -> bool:
        batch = self.find(batch_id)
        if batch is not None and batch.state in ("reported", "confirmed"):
            return True
        if batch and {c.point_id: c.decision for c in self.candidates(batch_id)} == {
            point: str(confirmed.decision) for point, confirmed in decisions.items()
        }:
            return False
        self.connection.rollback()
        state = "unknown" if batch is None else batch.state
        raise BatchStateError(f"Batch {batch_id} is {state}: its decisions can no longer change.")

    def save_decisions(self, batch_id: str, decisions: Mapping[int, Confirmed], confirmed_by: str) -> None:
        """Keep what the confirmed workbook says.

        :raises BatchStateError: when the batch is beyond confirmation.
        """
        if not self._may_decide(batch_id, decisions):
            return  # the same workbook again, to continue where a run broke off
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
        execute_many(self.connection, "review/decide.sql", rows)
        self.move(batch_id, BatchState.CONFIRMED)
        execute(self.connection, "review/confirmed_by.sql", {"batch_id": batch_id, "confirmed_by": confirmed_by})
        self.connection.commit()


def _refused_move(batch: Batch, following: BatchState) -> BatchStateError:
    return BatchStateError(
        f"Batch {batch.batch_id} is {batch.state} and cannot become {following}. Nothing was changed. What is being "
        "cleaned, or was, takes no more points out of service: make a new report for them."
        if following is BatchState.DOWNLINING
        else f"Batch {batch.batch_id} is {batch.state} and cannot become {following}. Nothing was changed."
    )
