"""The table ``dead_letters``: which failed intervals wait for their replay, and what became of the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from drawsguard.draws.recent.memory import Memory, NoMemory
from drawsguard.draws.replay.dead_letter import MESSAGE_LIMIT, DeadLetter
from drawsguard.draws.retention import LOG_RETENTION
from drawsguard.warehouse.failures import reason_of
from drawsguard.warehouse.parameters import Typed
from drawsguard.warehouse.partitions import partition_changes
from drawsguard.warehouse.partitions import stamp as stamp_of
from drawsguard.warehouse.runner import StatementRunner

#: What is kept: the depth, with the stamp of the table.
_DEPTH = "depth of dead letters"


class DeadLetterRepository:
    """Reads and writes ``dead_letters``.

    :param clock: returns the present time.
    :param memory: with one, the depth of an unchanged table is not asked for again.
    """

    def __init__(
        self, statements: StatementRunner, clock: Callable[[], datetime], memory: Memory | None = None
    ) -> None:
        self._statements = statements
        self._clock = clock
        self._memory = memory or NoMemory()

    @property
    def _retained_from(self) -> datetime:
        return self._clock() - LOG_RETENTION

    def register(self, letter: DeadLetter) -> None:
        """Enter a letter (repeatable)."""
        self._statements.run(
            "replay/register.sql",
            dlq_id=letter.dlq_id,
            dag_id=letter.dag_id,
            task_id=letter.task_id,
            run_id=letter.run_id,
            try_number=letter.try_number,
            job_id=Typed("STRING", letter.job_id),
            interval_start=letter.interval_start,
            interval_end=letter.interval_end,
            mode=letter.mode,
            reason=letter.reason,
            message=letter.message,
            retriable=letter.retriable,
            failed_at=letter.failed_at,
            retained_from=self._retained_from,
        )

    def register_unreadable(self, data: bytes, error: ValueError) -> str:
        """Enter a message that cannot be read, set aside, and return its id: the SHA-256 of its content."""
        dlq_id, now = hashlib.sha256(data).hexdigest(), self._clock()
        nothing = Typed("STRING", None)
        self._statements.run(
            "replay/register.sql",
            dlq_id=dlq_id,
            dag_id=nothing,
            task_id=nothing,
            run_id=nothing,
            job_id=nothing,
            mode=nothing,
            try_number=Typed("INT64", None),
            interval_start=Typed("TIMESTAMP", None),
            interval_end=Typed("TIMESTAMP", None),
            reason="UnreadableLetter",
            message=f"{error}; it begins {data[:200]!r}",
            retriable=False,
            failed_at=now,
            retained_from=self._retained_from,
        )
        return dlq_id

    def states(self, dlq_ids: list[str]) -> list[dict[str, Any]]:
        """Return the rows of these letters, oldest interval first."""
        if not dlq_ids:
            return []
        return self._statements.rows("replay/state.sql", dlq_ids=dlq_ids, retained_from=self._retained_from)

    def update(
        self,
        dlq_id: str,
        attempts: int,
        status: str,
        *,
        next_attempt_at: datetime | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Record the beginning or the end of a replay; a status other than waiting settles the letter."""
        now = self._clock()
        self._statements.run(
            "replay/update.sql",
            dlq_id=dlq_id,
            attempts=attempts,
            status=status,
            next_attempt_at=next_attempt_at or now,
            settled_at=Typed("TIMESTAMP", None if status == "waiting" else now),
            reason=Typed("STRING", reason_of(error) if error else None),
            message=Typed("STRING", str(error)[:MESSAGE_LIMIT] if error else None),
            retained_from=self._retained_from,
        )

    def depth(self) -> dict[str, Any]:
        """Return waiting, set_aside and oldest_failure over all letters."""
        stamp = self._stamp()
        known = self._memory.recall(_DEPTH) if stamp else None
        if known and known["stamp"] == stamp:
            oldest = known["oldest_failure"]
            return {**known, "oldest_failure": datetime.fromisoformat(oldest) if oldest else None}
        depth = self._statements.rows("replay/depth.sql", retained_from=self._retained_from)[0]
        if stamp:
            oldest = depth["oldest_failure"]
            self._memory.keep(
                _DEPTH, depth | {"oldest_failure": oldest.isoformat() if oldest else None, "stamp": stamp}
            )
        return depth

    def _stamp(self) -> str | None:
        """Return what changes with the table; None when that is not known."""
        if isinstance(self._memory, NoMemory):
            return None
        changes = partition_changes(self._statements.client, "monitor", "dead_letters")
        return None if changes is None else stamp_of(changes)
