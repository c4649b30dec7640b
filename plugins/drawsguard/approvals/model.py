"""What the one approval is made of: a proposal, the question about it, the answer, and the events kept of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from drawsguard.approvals.people import Eligible, Person

APPROVE, REJECT = "Approve", "Reject"
#: The form field that carries the digest of the plan that the approver saw.
DIGEST_FIELD = "digest"


class Action(StrEnum):
    """What may be done under an approval."""

    DOWNLINE = "downline"
    RESTORE = "restore"
    RELEASE = "release"
    CLEANUP = "cleanup"
    IDENTITY_REPAIR = "identity_repair"
    HISTORY_CUT_OVER = "history_cut_over"


class Role(StrEnum):
    """What an answer is for: the action itself, or the second person that a large plan needs before it."""

    COUNTERSIGN = "countersign"
    EXECUTE = "execute"


class Kind(StrEnum):
    """What happened: the kinds of events in the approvals table."""

    ASKED = "asked"
    APPROVED = "approved"
    REJECTED = "rejected"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    STARTED = "started"
    FINISHED = "finished"


#: The kinds that say what came back to a question.
ANSWERS = (Kind.APPROVED, Kind.REJECTED, Kind.REFUSED, Kind.UNANSWERED)


@dataclass(frozen=True)
class Proposal:
    """What is to be done, as things are now.

    :param subject: what it is about, at most 255 characters: ``<batch>/<environment>``, a ticket id, a service.
    :param digest: SHA-256 (64 hex digits) of everything that decides what the action changes.
    :param title: the question's headline.
    :param body: the question's text (Markdown), in which every value is escaped.
    :param people_needed: how many different people must approve: 2 asks for a countersignature first.
    :param excluded: who may not approve besides the requester, such as who confirmed the batch.
    :param done: nothing is left to change: nobody is asked, but an approved action that began is brought to its end.
    """

    action: Action
    subject: str
    digest: str
    title: str
    body: str
    people_needed: int = 1
    excluded: frozenset[str] = frozenset()
    done: bool = False


@dataclass(frozen=True)
class Approved:
    """An approval that holds: who gave it (by name), to which question, and when (aware)."""

    approver: str
    question_digest: str
    responded_at: datetime


@dataclass(frozen=True)
class Place:
    """Where a question is asked: one task of one incarnation of a run.

    :param started_at: when the run started (aware). Airflow sets it when the scheduler starts the run, and again when a
        run that has ended is cleared or queued again; nobody can choose it, as one can choose a run id.
    """

    dag_id: str
    run_id: str
    started_at: datetime
    task_id: str
    map_index: int = -1


@dataclass(frozen=True)
class Question:
    """One question: the proposal, for what role, asked where, by whom, of whom."""

    proposal: Proposal
    role: Role
    place: Place
    requester: str
    eligible: Eligible

    def approvers(self) -> list[str]:
        """Return who may answer, as the table keeps it: ``name=id``, ``role:NAME``, and ``not NAME``."""
        people = [f"{person.name}={person.id}" if person.id else person.name for person in self.eligible.people]
        roles = [f"role:{name}" for name in self.eligible.roles]
        return [*people, *roles, *(f"not {person.name}" for person in self.eligible.excluded)]

    @property
    def digest(self) -> str:
        """SHA-256 over all that is asked: an answer to any other question is no answer to this one."""
        proposal, place = self.proposal, self.place
        value = [
            [str(proposal.action), proposal.subject, proposal.digest, proposal.people_needed],
            [str(self.role), proposal.title, proposal.body, self.requester, self.approvers()],
            [place.dag_id, place.run_id, place.task_id, place.map_index],
            place.started_at.astimezone(UTC).isoformat(timespec="microseconds"),
        ]
        return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What came back. ``responder`` and ``responded_at`` (aware) are None when nobody answered in time."""

    options: tuple[str, ...]
    responder: Person | None
    fields: Mapping[str, Any]
    responded_at: datetime | None


@dataclass(frozen=True)
class Event:
    """A row of the approvals table. Rows are only ever added; all times are aware.

    :param approval_id: position in the table; 0 until it is stored.
    :param approved_id: on ``started`` and ``finished``: the approval that is used.
    """

    kind: Kind
    action: str
    subject: str
    digest: str
    question_digest: str
    role: str
    place: Place
    requester: str
    approvers: tuple[str, ...] = ()
    title: str | None = None
    body: str | None = None
    responder: str | None = None
    responder_id: str | None = None
    reason: str | None = None
    responded_at: datetime | None = None
    expires_at: datetime | None = None
    approved_id: int | None = None
    recorded_at: datetime | None = None
    approval_id: int = 0
