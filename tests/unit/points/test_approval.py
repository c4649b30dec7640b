"""Only a yes by somebody else, to exactly this plan, is an approval."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from drawsguard.points.approval import Answer, ApprovalRefusedError, Question, approvals_needed, check_answer

QUESTION = Question("d" * 64, "requester", frozenset({"requester", "approver", "second_approver"}))
YES = Answer(("Approve",), "approver", {"digest": "d" * 64}, datetime(2024, 8, 2, tzinfo=UTC))


def test_a_yes_to_this_plan_by_somebody_else_approves() -> None:
    assert check_answer(QUESTION, YES) == "approver"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (replace(YES, responder=None), "no answer means no"),
        (replace(YES, responder="requester"), "requester may not approve"),
        (replace(YES, responder="stranger"), "stranger may not approve"),
        (replace(YES, responder="admin"), "admin may not approve"),
        (replace(YES, options=("Reject",)), "did not approve: Reject"),
        (replace(YES, options=()), "no option"),
        (replace(YES, options=("Approve", "Reject")), "did not approve"),
        (replace(YES, fields={}), "without the form"),
        (replace(YES, fields={"digest": "e" * 64}), "changed after it was shown"),
        (replace(YES, fields={"digest": None, "approved": True}), "without the form"),
        (replace(YES, fields={"digest": "d" * 12}), "changed after it was shown"),
    ],
)
def test_anything_else_is_refused(answer: Answer, reason: str) -> None:
    with pytest.raises(ApprovalRefusedError, match=reason):
        check_answer(QUESTION, answer)


def test_who_approved_before_may_not_approve_again() -> None:
    question = replace(QUESTION, earlier=frozenset({"approver"}))
    assert question.eligible() == ["second_approver"]
    with pytest.raises(ApprovalRefusedError, match="approved before"):
        check_answer(question, YES)


@pytest.mark.parametrize("requester", [None, ""])
def test_a_run_that_names_nobody_cannot_ask(requester: str | None) -> None:
    with pytest.raises(ApprovalRefusedError, match="four eyes"):
        replace(QUESTION, requester=requester).eligible()


@pytest.mark.parametrize("approvers", [frozenset(), frozenset({"requester"})])
def test_nobody_left_to_ask_never_means_anybody(approvers: frozenset[str]) -> None:
    with pytest.raises(ApprovalRefusedError, match="Nobody is left"):
        replace(QUESTION, approvers=approvers).eligible()


def test_large_plans_need_two_people() -> None:
    assert [approvals_needed(rows, 500) for rows in (1, 500, 501)] == [1, 1, 2]
