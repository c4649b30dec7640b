"""The replay of dead letters: which one is due, and in which order its outcome is recorded and acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from drawsguard.draws.replay.dead_letter import DeadLetter
from drawsguard.draws.replay.dead_letter_repository import DeadLetterRepository
from drawsguard.draws.window import SyncRequest, Window
from drawsguard.warehouse.failures import is_permanent

#: Wait before the first replay that follows a failed one; doubled each time. Eight attempts span about ten hours, so an
#: outage of a working day does not use them up.
FIRST_BACKOFF = timedelta(minutes=5)


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


def replay(
    queue: Queue,
    repository: DeadLetterRepository,
    sync: Callable[[SyncRequest], None],
    max_attempts: int,
    clock: Callable[[], datetime],
) -> ReplayReport:
    """Replay what is due, once each, and acknowledge a letter only after its outcome is recorded.

    A crash at any point loses nothing: before the acknowledgement the letter is delivered again, and either the table
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
                repository.register(letter)
                dlq_id = letter.dlq_id
            except ValueError as error:
                dlq_id = repository.register_unreadable(message.data, error)
            copies.setdefault(dlq_id, []).append(message.ack_id)

    for state in repository.states(list(copies)):
        ack_ids = copies[state["dlq_id"]]
        if _handle(state, repository, sync, max_attempts, clock, report):
            queue.acknowledge(ack_ids)
        else:
            queue.give_back(ack_ids)
    depth = repository.depth()
    report.waiting, report.oldest_failure = depth["waiting"], depth["oldest_failure"]
    return report


def _handle(
    state: dict[str, Any],
    repository: DeadLetterRepository,
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
        repository.update(dlq_id, attempts, "set_aside")
        report.set_aside += 1
        report.errors.append(f"{name}: {why}: {state['reason']}: {state['message']}")
        return True

    attempts += 1
    # Counted before it begins: an interval that kills the worker each time must run out of attempts, too.
    backoff = clock() + FIRST_BACKOFF * 2 ** (attempts - 1)
    repository.update(dlq_id, attempts, "waiting", next_attempt_at=backoff)
    try:
        sync(SyncRequest(Window(state["interval_start"], state["interval_end"]), state["mode"]))
    except Exception as error:  # noqa: BLE001 - recorded with the letter; the other letters have their own chance
        permanent = is_permanent(error)
        report.failed += 1
        repository.update(
            dlq_id, attempts, "set_aside" if permanent else "waiting", next_attempt_at=backoff, error=error
        )
        if permanent:
            report.set_aside += 1
        (report.errors if permanent else report.retriable).append(f"{name}: {type(error).__name__}: {error}")
        return permanent
    repository.update(dlq_id, attempts, "replayed")
    report.replayed += 1
    return True
