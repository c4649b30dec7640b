"""The dead letter: the record of a failed sync interval, as it travels through Pub/Sub."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from drawsguard.draws.window import Mode, SyncRequest, Window
from drawsguard.warehouse.failures import is_permanent, reason_of

#: How much of an error message is kept (characters).
MESSAGE_LIMIT = 2000


@dataclass(frozen=True)
class DeadLetter:
    """The record of one failed interval. Times are aware."""

    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    job_id: str | None
    interval_start: datetime
    interval_end: datetime
    mode: Mode
    reason: str
    message: str
    retriable: bool
    failed_at: datetime

    @property
    def dlq_id(self) -> str:
        """The same interval of the same task has the same id, however often and however late it fails."""
        start = self.interval_start.astimezone(UTC).isoformat()
        return hashlib.sha256(f"{self.dag_id}|{self.task_id}|{start}".encode()).hexdigest()

    @classmethod
    def of(cls, error: BaseException, request: SyncRequest, **names: Any) -> Self:
        """Return the letter for an interval that failed with ``error``; ``names`` are the remaining fields."""
        return cls(
            interval_start=request.interval.start,
            interval_end=request.interval.end,
            mode=request.mode,
            reason=reason_of(error),
            message=str(error)[:MESSAGE_LIMIT],
            retriable=not is_permanent(error),
            **names,
        )

    def to_bytes(self) -> bytes:
        """Return the letter as it is published (JSON)."""
        times = {"interval_start", "interval_end", "failed_at"}
        fields = {name: value.isoformat() if name in times else value for name, value in vars(self).items()}
        return json.dumps({"dlq_id": self.dlq_id, **fields}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the letter that `to_bytes` wrote.

        :raises ValueError: when it is no such letter.
        """
        try:
            fields = json.loads(data)
            stated = fields.pop("dlq_id")
            for name in ("interval_start", "interval_end", "failed_at"):
                fields[name] = datetime.fromisoformat(fields[name])
            letter = cls(**fields)
            Window(letter.interval_start, letter.interval_end)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not the record of a failed interval: {type(error).__name__}: {error}") from error
        if letter.dlq_id != stated:
            raise ValueError(f"dlq_id is {stated}, its dag, task and interval give {letter.dlq_id}")
        return letter

    @property
    def request(self) -> SyncRequest:
        """What a replay has to run."""
        return SyncRequest(Window(self.interval_start, self.interval_end), self.mode)
