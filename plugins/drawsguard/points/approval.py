"""The rules of the human approval. Silence, a stranger, the requester or another plan's answer is never a yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

APPROVE, REJECT = "Approve", "Reject"
#: The form field that carries the digest of the plan that the approver saw.
DIGEST_FIELD = "digest"

Role = Literal["countersign", "execute"]


class ApprovalRefusedError(PermissionError):
    """The answer does not approve this plan; nothing was changed."""


@dataclass(frozen=True)
class Question:
    """What is asked: which plan, by whom, of whom.

    :param digest: digest of the plan as it is now.
    :param requester: user who triggered the run; None when nobody is named.
    :param approvers: users who may approve at all.
    :param earlier: users who approved this plan in this run already.
    """

    digest: str
    requester: str | None
    approvers: frozenset[str]
    earlier: frozenset[str] = frozenset()

    def eligible(self) -> list[str]:
        """Return who may answer: approvers who neither asked nor approved before.

        :raises ApprovalRefusedError: when nobody may, since an empty list would let anyone answer.
        """
        if not self.requester:
            raise ApprovalRefusedError(
                "The run names no user who triggered it, so four eyes cannot be told apart. Trigger the DAG in the UI "
                "or the REST API as yourself."
            )
        names = sorted(self.approvers - {self.requester} - self.earlier)
        if not names:
            raise ApprovalRefusedError(
                f"Nobody is left who may approve: approvers {sorted(self.approvers)}, requester {self.requester}, "
                f"approved before: {sorted(self.earlier)}. Set DRAWSGUARD_POINTS_APPROVERS to more names."
            )
        return names


@dataclass(frozen=True)
class Answer:
    """What came back. ``responder`` is None when nobody answered in time."""

    options: tuple[str, ...]
    responder: str | None
    fields: Mapping[str, Any]
    responded_at: datetime | None


def check_answer(question: Question, answer: Answer) -> str:
    """Return the name of the approver.

    :raises ApprovalRefusedError: when the answer is anything but a yes by somebody eligible to exactly this plan.
    """
    if answer.responder is None:
        raise ApprovalRefusedError("Nobody answered in time; no answer means no. Clear the task to ask again.")
    eligible = question.eligible()
    if answer.responder not in eligible:
        raise ApprovalRefusedError(
            f"{answer.responder} may not approve this plan (requester {question.requester}, approved before: "
            f"{sorted(question.earlier)}); eligible: {', '.join(eligible)}. Clear the task to ask again."
        )
    if answer.options != (APPROVE,):
        raise ApprovalRefusedError(f"{answer.responder} did not approve: {', '.join(answer.options) or 'no option'}.")
    shown = answer.fields.get(DIGEST_FIELD)
    if shown != question.digest:
        raise ApprovalRefusedError(
            f"The answer is to plan {shown!r}, the plan is now {question.digest!r}: it changed after it was shown, or "
            "the answer came without the form. Clear the plan task, then have the new plan approved."
        )
    return answer.responder


def approvals_needed(rows: int, second_above_rows: int) -> int:
    """Return how many different people must approve a plan of ``rows`` rows."""
    return 2 if rows > second_above_rows else 1
