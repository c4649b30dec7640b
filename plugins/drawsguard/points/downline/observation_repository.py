"""The observation of downlined batches: its span, its halt, signs of use, notices to owners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from drawsguard.points.clock import Clock, utc_now
from drawsguard.points.database import execute, execute_many, fetch, utc
from drawsguard.points.review.batch_repository import BatchRepository
from drawsguard.points.review.batch_state import BatchState

#: A longer owner is cut: the column takes no more.
OWNER_CHARACTERS = 255


class Observed(NamedTuple):
    """A batch under observation; times are naive UTC.

    :param observe_from: its begin, :param observe_until: its end; None until an environment was verified.
    """

    batch_id: str
    observe_from: datetime | None
    observe_until: datetime | None
    halted_at: datetime | None
    state: str


@dataclass(frozen=True)
class ObservationRepository:
    """The observation of downlined batches: its span, its halt, signs of use, notices to owners.

    :param connection: a prepared connection to the governance server.
    """

    connection: Any
    clock: Clock = utc_now

    def start(self, batch_id: str, days: int) -> None:
        """Watch a batch for ``days`` from now on: one of its environments was verified. Commits the transaction.

        :raises BatchStateError: when it is not being downlined, e.g. because its cleanup has begun.
        """
        now = utc(self.clock())
        BatchRepository(self.connection, self.clock).move(batch_id, BatchState.DOWNLINED)
        values = {"batch_id": batch_id, "observe_from": now, "observe_until": now + timedelta(days=days)}
        execute(self.connection, "downline/observe/start_observation.sql", values)
        self.connection.commit()

    def observed(self) -> list[Observed]:
        """Return the batches under observation, those included whose downline is not verified yet."""
        rows = fetch(self.connection, "downline/observe/observed_batches.sql", {"now": utc(self.clock())})
        self.connection.rollback()
        return [Observed(*row) for row in rows]

    def halt(self, batch_id: str, reason: str) -> bool:
        """Keep a batch from cleanup; True when it was not halted before."""
        values = {"batch_id": batch_id, "halted_at": utc(self.clock()), "halted_reason": reason}
        changed = execute(self.connection, "downline/observe/halt_batch.sql", values)
        self.connection.commit()
        return changed == 1

    def save(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep signs of life; ``rows`` have the columns of points_lifecycle.observation, but observed_at."""
        now = utc(self.clock())
        values = [dict(row) | {"observed_at": now} for row in rows]
        execute_many(self.connection, "downline/observe/put_observation.sql", values)
        self.connection.commit()

    def notices(self, batch_id: str, since: datetime) -> set[tuple[int, str]]:
        """Return (days before, owner) of the notices that were sent since a moment (naive UTC)."""
        values = {"batch_id": batch_id, "since": since}
        rows = fetch(self.connection, "downline/observe/notices.sql", values)
        self.connection.rollback()
        return {(int(days), str(owner)) for days, owner in rows}

    def save_notice(self, batch_id: str, days_before: int, owner: str, points: int) -> None:
        """Note that an owner was notified."""
        values = {
            "batch_id": batch_id,
            "days_before": days_before,
            "owner": owner[:OWNER_CHARACTERS],
            "points": points,
            "sent_at": utc(self.clock()),
        }
        execute(self.connection, "downline/observe/put_notice.sql", values)
        self.connection.commit()
