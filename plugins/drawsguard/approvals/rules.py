"""The rules of the one approval: when may be asked, what counts as an answer, and when an approval may be used.

Everything is decided from the rows of the approvals table and from the plan as it is now. What Airflow keeps (XComs,
task states, an answer's own fields) can be written by every user who may trigger a DAG, and is never believed alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from drawsguard.approvals.model import (
    ANSWERS,
    APPROVE,
    DIGEST_FIELD,
    REJECT,
    Answer,
    Event,
    Kind,
    Place,
    Proposal,
    Question,
    Role,
)
from drawsguard.approvals.people import NotAllowedError, Person
from drawsguard.refusal import RefusedError

#: What ends or replaces an earlier answer of the same role: only the newest of these counts.
_REPLACING = (Kind.ASKED, *ANSWERS)

_NEW_RUN = "Nothing was changed. Trigger a new run."


class ApprovalRefusedError(RefusedError):
    """There is no approval of exactly this; nothing was changed. The message says why, and what to do."""


def approvals_needed(rows: int, second_above_rows: int) -> int:
    """Return how many different people must approve a plan of ``rows`` rows."""
    return 2 if rows > second_above_rows else 1


def check_requester(run_type: str, requester: str | None) -> str:
    """Return who asked for what only a person may ask for.

    :param requester: the run's ``triggering_user_name``.
    :raises ApprovalRefusedError: when the run is not a named person's own.
    """
    if run_type != "manual":
        raise ApprovalRefusedError(
            f"This run is {run_type}, not triggered by a person: such a change runs by hand only. Trigger the DAG in "
            "the UI or through the REST API as yourself."
        )
    if not (requester or "").strip():
        raise ApprovalRefusedError(
            "The run names no user who triggered it, so nobody can be told apart from the requester. Trigger the DAG "
            "in the UI or through the REST API as yourself."
        )
    return str(requester)


def check_run(events: Iterable[Event], place: Place, requester: str) -> None:
    """Refuse a run id that was used before: an approval of the earlier run is none of this one.

    A run asks in one name at one place. Its places may differ: in a scheduled cleanup, each ticket's requester is who
    confirmed its batch.

    :param events: every event of this DAG's run id.
    :raises ApprovalRefusedError: for good; only a new run helps.
    """
    for event in events:
        if event.place.started_at != place.started_at or (event.place == place and event.requester != requester):
            raise ApprovalRefusedError(
                f"Run id {place.run_id!r} was used before: by {event.requester}, in a run that started at "
                f"{event.place.started_at:%Y-%m-%d %H:%M:%S} UTC. It ended and was cleared, or was deleted and its id "
                f"used again. An approval is for one run. {_NEW_RUN}"
            )


def check_question(events: Sequence[Event], question: Question) -> None:
    """Refuse to ask where another question was asked before: Airflow would show that one's text.

    :raises ApprovalRefusedError: for good; only a new run helps.
    """
    check_run(events, question.place, question.requester)
    for event in _at(events, question.place):
        if event.kind == Kind.ASKED and event.question_digest != question.digest:
            raise ApprovalRefusedError(
                f"This task has asked about plan {event.digest[:12]} before, and the plan is now "
                f"{question.proposal.digest[:12]} or is shown in other words. Airflow keeps the text of the first "
                f"question of a run, so another plan cannot be shown here. {_NEW_RUN}"
            )


def check_answer(events: Sequence[Event], question: Question, answer: Answer) -> Person:
    """Return who approved.

    :param events: every event of this run.
    :param question: the question that would be asked now.
    :raises ApprovalRefusedError: when the answer is anything but a yes, by somebody eligible, to exactly this plan.
    """
    if answer.responder is None or answer.responded_at is None:
        raise ApprovalRefusedError(f"Nobody answered in time; no answer means no. {_NEW_RUN}")
    check_run(events, question.place, question.requester)
    try:
        person = question.eligible.check(answer.responder)
    except NotAllowedError as error:
        raise ApprovalRefusedError(f"{error} {_NEW_RUN}") from error
    if answer.options == (REJECT,):
        raise ApprovalRefusedError(f"{person} did not approve: {REJECT}. Nothing was changed.")
    if answer.options != (APPROVE,):
        raise ApprovalRefusedError(f"{person} did not approve: {', '.join(answer.options) or 'no option'}.")
    here = _at(events, question.place)
    asked = [event for event in here if event.kind == Kind.ASKED]
    if not asked:
        raise ApprovalRefusedError(f"The approvals table has no question that this answers. {_NEW_RUN}")
    if any(event.question_digest != question.digest for event in asked):
        raise ApprovalRefusedError(
            f"The answer is to plan {asked[0].digest[:12]}, the plan is now {question.proposal.digest[:12]} or is "
            f"shown in other words: it changed after it was shown. {_NEW_RUN}"
        )
    shown = answer.fields.get(DIGEST_FIELD)
    if shown != question.proposal.digest:
        raise ApprovalRefusedError(
            "The answer does not carry the digest of the plan that was shown: the plan changed after it was shown, or "
            f"the answer came without the form. {_NEW_RUN}"
        )
    if any(event.responded_at == answer.responded_at and event.kind != Kind.ASKED for event in here):
        raise ApprovalRefusedError(
            f"The answer of {person} at {answer.responded_at} was used already; an answer counts once. {_NEW_RUN}"
        )
    return person


def countersigned_by(events: Sequence[Event], proposal: Proposal, place: Place, now: datetime) -> Person | None:
    """Return who countersigned this plan in this run, or None where one person is enough.

    :raises ApprovalRefusedError: when a countersignature is needed, and the newest answer is none.
    """
    if proposal.people_needed < 2:
        return None
    newest = _newest(
        event
        for event in events
        if event.role == Role.COUNTERSIGN and (event.action, event.subject) == (proposal.action, proposal.subject)
    )
    if newest is None or newest.kind != Kind.APPROVED:
        what = "was asked for one" if newest is None else f"gave one (the newest event is: {newest.kind})"
        raise ApprovalRefusedError(
            f"This plan needs {proposal.people_needed} approvers, and nobody {what} in this run. {_NEW_RUN}"
        )
    _check_approval(events, newest, proposal, place, now)
    return Person(str(newest.responder), newest.responder_id)


def approval_to_use(
    events: Sequence[Event], proposal: Proposal, place: Place, requester: str, now: datetime
) -> Event | None:
    """Return the approval under which the action may run now, or None where the question is still to be asked.

    :param events: every event of this run, in order.
    :param place: where the action runs; it is the place where it was asked about.
    :raises ApprovalRefusedError: when there is an approval that may not be used: used up, expired, of another plan, or
        without a countersignature that the plan needs.
    """
    check_run(events, place, requester)
    newest = _newest(event for event in _at(events, place) if event.role == Role.EXECUTE)
    if newest is None or newest.kind != Kind.APPROVED:
        return None
    _check_approval(events, newest, proposal, place, now)
    if used_up(events, newest):
        raise ApprovalRefusedError(f"The approval that {newest.responder} gave in this run is used up. {_NEW_RUN}")
    countersigner = countersigned_by(events, proposal, place, now)
    approver = Person(str(newest.responder), newest.responder_id)
    if countersigner and countersigner.is_same_as(approver):
        raise ApprovalRefusedError(f"{approver} countersigned and approved; two people must. {_NEW_RUN}")
    return newest


def started(events: Iterable[Event], approved: Event) -> bool:
    """Whether the action began under this approval."""
    return any(event.kind == Kind.STARTED and event.approved_id == approved.approval_id for event in events)


def used_up(events: Iterable[Event], approved: Event) -> bool:
    """Whether the action ended under this approval."""
    return any(event.kind == Kind.FINISHED and event.approved_id == approved.approval_id for event in events)


def earlier_approvers(events: Sequence[Event], proposal: Proposal, role: Role, place: Place) -> list[Person]:
    """Return who approved this plan in this run in the other role: they may not approve it again."""
    found: list[Person] = []
    for event in events:
        if (
            event.kind == Kind.APPROVED
            and event.role != role
            and event.place.started_at == place.started_at
            and (event.action, event.subject, event.digest) == (proposal.action, proposal.subject, proposal.digest)
        ):
            person = Person(str(event.responder), event.responder_id)
            if not any(person.is_same_as(other) for other in found):
                found.append(person)
    return found


def asked(question: Question) -> Event:
    """Return the event of a question."""
    proposal = question.proposal
    return Event(
        kind=Kind.ASKED,
        action=str(proposal.action),
        subject=proposal.subject,
        digest=proposal.digest,
        question_digest=question.digest,
        role=str(question.role),
        place=question.place,
        requester=question.requester,
        approvers=tuple(question.approvers()),
        title=proposal.title,
        body=proposal.body,
    )


def refused_to_ask(proposal: Proposal, role: Role, place: Place, requester: str, reason: str) -> Event:
    """Return the event of a question that may not be asked."""
    return Event(
        kind=Kind.REFUSED,
        action=str(proposal.action),
        subject=proposal.subject,
        digest=proposal.digest,
        question_digest="",
        role=str(role),
        place=place,
        requester=requester,
        reason=reason,
    )


def answered(question: Event, kind: Kind, answer: Answer, reason: str | None, valid_for: timedelta) -> Event:
    """Return the event of an answer to the question of the event ``question``."""
    at = answer.responded_at
    return replace(
        question,
        kind=kind,
        title=None,
        body=None,
        responder=answer.responder.name if answer.responder else None,
        responder_id=answer.responder.id if answer.responder else None,
        reason=reason,
        responded_at=at,
        expires_at=at + valid_for if kind == Kind.APPROVED and at else None,
        approval_id=0,
        recorded_at=None,
    )


def used(approved: Event, kind: Kind) -> Event:
    """Return the event ``started`` or ``finished`` of the action under an approval."""
    # The time of the answer stays with the answer: it is what makes an answer count once.
    return replace(
        approved, kind=kind, responded_at=None, approved_id=approved.approval_id, approval_id=0, recorded_at=None
    )


def newest_question(events: Sequence[Event], place: Place) -> Event | None:
    """Return the newest question asked at a place."""
    return next((event for event in reversed(_at(events, place)) if event.kind == Kind.ASKED), None)


def _check_approval(events: Sequence[Event], approved: Event, proposal: Proposal, place: Place, now: datetime) -> None:
    if approved.place.started_at != place.started_at:
        raise ApprovalRefusedError(f"The approval was given in an earlier run of this id. {_NEW_RUN}")
    if (approved.action, approved.subject, approved.digest) != (proposal.action, proposal.subject, proposal.digest):
        raise ApprovalRefusedError(
            f"{approved.responder} approved plan {approved.digest[:12]} of {approved.subject}; it is now "
            f"{proposal.digest[:12]}. Airflow keeps the text of the first question of a run, so the new plan cannot be "
            f"shown here. {_NEW_RUN}"
        )
    if approved.expires_at is None or now >= approved.expires_at:
        raise ApprovalRefusedError(
            f"The approval that {approved.responder} gave at {approved.responded_at} has expired (setting "
            f"DRAWSGUARD_APPROVAL_HOURS). {_NEW_RUN}"
        )
    if not any(
        event.kind == Kind.ASKED
        and event.question_digest == approved.question_digest
        and event.requester == approved.requester
        and event.approval_id < approved.approval_id
        for event in _at(events, approved.place)
    ):
        raise ApprovalRefusedError(f"The approvals table has no question that this approval answers. {_NEW_RUN}")


def _at(events: Iterable[Event], place: Place) -> list[Event]:
    return [e for e in events if (e.place.task_id, e.place.map_index) == (place.task_id, place.map_index)]


def _newest(events: Iterable[Event]) -> Event | None:
    return max((e for e in events if e.kind in _REPLACING), key=lambda event: event.approval_id, default=None)
