"""Failed sync intervals: the letter that travels through Pub/Sub, and the rules of its replay."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol, Self

from google.api_core.exceptions import ClientError, TooManyRequests
from jinja2 import TemplateError

from drawsguard.draws.statements import Statements
from drawsguard.draws.sync import LOG_RETENTION
from drawsguard.draws.window import Mode, SyncRequest, Window
from drawsguard.sql import Typed

TOPIC = "data-sync-failures"
SUBSCRIPTION = "data-sync-failures-replay"
#: A replay that has not ended by then is taken for dead and its letters are delivered again (seconds).
ACK_DEADLINE = 300

#: Wait before the first replay that follows a failed one; doubled each time. Eight attempts span about ten hours, so an
#: outage of a working day does not use them up.
FIRST_BACKOFF = timedelta(minutes=5)

#: How much of an error message is kept (characters).
MESSAGE_LIMIT = 2000

#: Reasons of BigQuery's 4xx answers that pass by themselves.
_TRANSIENT_REASONS = frozenset({"rateLimitExceeded", "jobRateLimitExceeded", "backendError", "jobBackendError"})


def is_retriable(error: BaseException) -> bool:
    """Tell whether running the same interval again can succeed without anybody changing anything.

    An invalid statement, a refused parameter, a missing table or permission cannot; outages, limits of the moment and
    whatever is not known can, and the cap on attempts ends what was judged too kindly.
    """
    if isinstance(error, TooManyRequests):
        return True
    if isinstance(error, ClientError):
        return any(detail.get("reason") in _TRANSIENT_REASONS for detail in error.errors or [])
    return not isinstance(error, TemplateError | TypeError | ValueError)


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
            reason=type(error).__name__,
            message=str(error)[:MESSAGE_LIMIT],
            retriable=is_retriable(error),
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


@dataclass(frozen=True)
class Delivered:
    """A message as the queue hands it out."""

    ack_id: str
    data: bytes


class Queue(Protocol):
    """The subscription, for the replay."""

    def pull(self) -> list[Delivered]:
        """Return the next messages; none when nothing waits."""

    def acknowledge(self, ack_ids: list[str]) -> None:
        """Drop the messages for good."""

    def give_back(self, ack_ids: list[str]) -> None:
        """Let the messages be delivered again."""


Decision = Literal["replay", "wait", "set_aside", "done"]


def decide(state: dict[str, Any], now: datetime, max_attempts: int) -> Decision:
    """Return what to do with a letter.

    :param state: its row of dead_letters.
    :param max_attempts: replays after which it is set aside.
    """
    if state["status"] != "waiting":
        return "done"
    if not state["retriable"] or state["attempts"] >= max_attempts:
        return "set_aside"
    return "replay" if now >= state["next_attempt_at"] else "wait"


@dataclass
class ReplayReport:
    """What a replay run did and what is left. ``oldest_failure`` is None when nothing waits.

    ``errors`` says why each interval was set aside, ``retriable`` why each other one failed that is tried again.
    """

    replayed: int = 0
    failed: int = 0
    set_aside: int = 0
    waiting: int = 0
    oldest_failure: datetime | None = None
    errors: list[str] = field(default_factory=list)
    retriable: list[str] = field(default_factory=list)

    def age(self, now: datetime) -> timedelta:
        """Return how long the oldest waiting letter has been waiting."""
        return now - self.oldest_failure if self.oldest_failure else timedelta()


class Ledger:
    """The table dead_letters."""

    def __init__(self, statements: Statements, clock: Callable[[], datetime]) -> None:
        self._statements = statements
        self._clock = clock

    @property
    def _retained_from(self) -> datetime:
        return self._clock() - LOG_RETENTION

    def register(self, letter: DeadLetter) -> None:
        """Enter a letter (repeatable)."""
        self._statements.run(
            "dead_letters/register.sql",
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
        """Enter a message that is no letter, set aside, and return its id: the SHA-256 of its content."""
        dlq_id, now = hashlib.sha256(data).hexdigest(), self._clock()
        nothing = Typed("STRING", None)
        self._statements.run(
            "dead_letters/register.sql",
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
        return self._statements.rows("dead_letters/state.sql", dlq_ids=dlq_ids, retained_from=self._retained_from)

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
            "dead_letters/update.sql",
            dlq_id=dlq_id,
            attempts=attempts,
            status=status,
            next_attempt_at=next_attempt_at or now,
            settled_at=Typed("TIMESTAMP", None if status == "waiting" else now),
            reason=Typed("STRING", type(error).__name__ if error else None),
            message=Typed("STRING", str(error)[:MESSAGE_LIMIT] if error else None),
            retained_from=self._retained_from,
        )

    def depth(self) -> dict[str, Any]:
        """Return waiting, set_aside and oldest_failure over all letters."""
        return self._statements.rows("dead_letters/depth.sql", retained_from=self._retained_from)[0]


def replay(
    queue: Queue,
    ledger: Ledger,
    sync: Callable[[SyncRequest], None],
    max_attempts: int,
    clock: Callable[[], datetime],
) -> ReplayReport:
    """Replay what is due, once each, and acknowledge a letter only after its outcome is recorded.

    A crash at any point loses nothing: before the acknowledgement the letter is delivered again, and either the ledger
    says that it is done, or the same interval is synced once more with the same result. Copies of one letter are one.

    :param sync: syncs and verifies an interval; what it raises is the reason of the failed replay.
    :param max_attempts: replays of a letter before it is set aside.
    """
    report = ReplayReport()
    copies: dict[str, list[str]] = {}
    while delivered := queue.pull():
        for message in delivered:
            try:
                letter = DeadLetter.from_bytes(message.data)
                ledger.register(letter)
                dlq_id = letter.dlq_id
            except ValueError as error:
                dlq_id = ledger.register_unreadable(message.data, error)
            copies.setdefault(dlq_id, []).append(message.ack_id)

    for state in ledger.states(list(copies)):
        ack_ids = copies[state["dlq_id"]]
        if _handle(state, ledger, sync, max_attempts, clock, report):
            queue.acknowledge(ack_ids)
        else:
            queue.give_back(ack_ids)
    depth = ledger.depth()
    report.waiting, report.oldest_failure = depth["waiting"], depth["oldest_failure"]
    return report


def _handle(
    state: dict[str, Any],
    ledger: Ledger,
    sync: Callable[[SyncRequest], None],
    max_attempts: int,
    clock: Callable[[], datetime],
    report: ReplayReport,
) -> bool:
    """Do what is due for one letter; return whether it is settled."""
    dlq_id, attempts = state["dlq_id"], state["attempts"]
    name = f"{state['dag_id']}.{state['task_id']} {state['interval_start']} ({dlq_id[:12]})"
    decision = decide(state, clock(), max_attempts)
    if decision in ("done", "wait"):
        return decision == "done"
    if decision == "set_aside":
        why = f"{attempts} of {max_attempts} replays failed" if state["retriable"] else "running it again cannot help"
        ledger.update(dlq_id, attempts, "set_aside")
        report.set_aside += 1
        report.errors.append(f"{name}: {why}: {state['reason']}: {state['message']}")
        return True

    attempts += 1
    # Counted before it begins: an interval that kills the worker each time must run out of attempts, too.
    backoff = clock() + FIRST_BACKOFF * 2 ** (attempts - 1)
    ledger.update(dlq_id, attempts, "waiting", next_attempt_at=backoff)
    try:
        sync(SyncRequest(Window(state["interval_start"], state["interval_end"]), state["mode"]))
    except Exception as error:  # noqa: BLE001 - recorded with the letter; the other letters have their own chance
        permanent = not is_retriable(error)
        report.failed += 1
        ledger.update(dlq_id, attempts, "set_aside" if permanent else "waiting", next_attempt_at=backoff, error=error)
        if permanent:
            report.set_aside += 1
        (report.errors if permanent else report.retriable).append(f"{name}: {type(error).__name__}: {error}")
        return permanent
    ledger.update(dlq_id, attempts, "replayed")
    report.replayed += 1
    return True
