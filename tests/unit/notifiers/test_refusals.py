"""What counts as a refused request, whom it is mailed to, and that it is never retried."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.alerts.state import AlertCommandError
from drawsguard.approvals.rules import ApprovalRefusedError
from drawsguard.draws.window import InvalidRangeError
from drawsguard.points.cleanup.ticket import TicketError
from drawsguard.points.cleanup.ticket_repository import TicketStateError
from drawsguard.points.definitions import DefinitionError
from drawsguard.points.downline.execution import PlanChangedError, StoppedError
from drawsguard.points.downline.plan import CapExceededError, PlanRefusedError
from drawsguard.points.environments import UnknownEnvironmentError
from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.points.review.confirmed import WorkbookRefusedError
from drawsguard.points.review.evidence import EvidenceRefusedError
from drawsguard.points.telemetry.day_plan import RunDateError
from drawsguard.points.telemetry.day_quality import EvidenceIncompleteError
from drawsguard.points.telemetry.push_guard import PushRefusedError
from drawsguard.refusal import RefusedError, address_of, refusal_of
from drawsguard.templates import render_template
from notifiers.refused_request import refused_request
from notifiers.task_defaults import task_defaults
from operators.approvals.approval_operator import HalfDoneException
from operators.points.telemetry.guarded_truncate_operator import GuardedTruncateOperator
from operators.points.telemetry.push_guard_operator import PushGuardOperator

PATTERN = "{owner}@example.com"


@pytest.mark.parametrize(
    "kind",
    [
        AlertCommandError, ApprovalRefusedError, CapExceededError, DefinitionError, EvidenceIncompleteError,
        EvidenceRefusedError, InvalidRangeError, BatchStateError, PlanRefusedError, RefusedError,
        RunDateError, TicketError, TicketStateError, UnknownEnvironmentError, WorkbookRefusedError,
    ],
)  # fmt: skip
def test_what_is_refused_before_anything_changed_is_a_refusal(kind: type[Exception]) -> None:
    assert issubclass(kind, RefusedError)


@pytest.mark.parametrize("kind", [StoppedError, PlanChangedError, PushRefusedError])
def test_what_stops_half_way_or_is_a_finding_of_its_own_is_an_alert(kind: type[Exception]) -> None:
    assert not issubclass(kind, RefusedError)


def test_the_push_is_refused_before_it_begins_and_fails_after_it() -> None:
    assert issubclass(PushGuardOperator.failure, RefusedError)
    assert not issubclass(GuardedTruncateOperator.failure, RefusedError)


def raised_from(cause: Exception) -> Exception:
    error = AirflowFailException(str(cause))
    error.__cause__ = cause
    return error


def test_a_refusal_is_found_behind_the_exception_that_airflow_needs() -> None:
    refusal = BatchStateError("Batch 'x' is not known.")
    assert refusal_of(refusal) is refusal
    assert refusal_of(raised_from(refusal)) is refusal
    assert refusal_of(raised_from(ValueError("no"))) is None
    assert refusal_of("BatchStateError: only its text is known") is None
    assert refusal_of(None) is None
    circle = ValueError("a")
    circle.__cause__ = circle
    assert refusal_of(circle) is None


def test_a_refusal_that_stopped_an_action_half_way_is_a_failure() -> None:
    stopped = HalfDoneException("The approved action began and could not be finished.")
    stopped.__cause__ = BatchStateError("Batch 'x' is not known.")
    assert refusal_of(stopped) is None
    assert refusal_of(raised_from(stopped)) is None


@pytest.mark.parametrize(
    ("run_type", "person", "error", "notified"),
    [
        ("manual", "lin", InvalidRangeError("no"), True),
        ("manual", "lin", ValueError("broken"), False),
        ("manual", None, InvalidRangeError("no"), False),  # nobody who could be notified
        ("scheduled", None, InvalidRangeError("no"), False),
        ("scheduled", "lin", InvalidRangeError("no"), False),  # cleared by somebody: still the schedule's
        ("backfill", "lin", InvalidRangeError("no"), False),
    ],
)
def test_only_a_person_who_triggered_the_run_is_notified(
    run_type: str, person: str | None, error: Exception, notified: bool
) -> None:
    run = SimpleNamespace(run_type=run_type, triggering_user_name=person)
    found = refused_request({"dag_run": run, "exception": error})
    assert found == (("lin", error) if notified else None)


@pytest.mark.parametrize(
    ("user", "address"),
    [
        ("lin", "lin@example.com"),
        ("lin.wu", "lin.wu@example.com"),
        ("lin@company.example", "lin@company.example"),
        ("lin, wu", None),
        ("evil@attacker.example,bob", None),
        ("lin\nBcc: all", None),
        ("lin\n", None),
        ("lin%attacker.example", None),
        ("lin..wu@example.com", None),
        ("a@b@c", None),
        ("<lin@example.com>", None),
        ("", None),
    ],
)
def test_a_name_makes_one_plain_address_or_none(user: str, address: str | None) -> None:
    assert address_of(user, PATTERN) == address


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (BatchStateError("not known"), RetryAction.FAIL),
        (RefusedError("no workbook"), RetryAction.FAIL),
        (ConnectionError("down"), RetryAction.DEFAULT),
    ],
)
def test_a_refusal_is_never_retried(error: Exception, action: RetryAction) -> None:
    policy = task_defaults("team")["retry_policy"]
    assert policy.evaluate(error, try_number=1, max_tries=3).action is action


def test_the_mail_says_what_why_and_what_to_do_and_escapes_it() -> None:
    values: dict[str, Any] = {
        "dag_id": "points_downline", "task_id": "plan", "run_id": "manual__1", "map_index": -1, "person": "lin",
        "reason": "Sheet <b>1</b>, row 7: decision 'maybe'", "params": {"workbook": "<script>.xlsx"},
        "url": "http://ui/run", "runbook": "http://docs/request-refused.md",
    }  # fmt: skip
    body = render_template("mail/refused_request.html", **values)
    for part in (
        "&lt;b&gt;1&lt;/b&gt;",
        "&lt;script&gt;.xlsx",
        "http://ui/run",
        "http://docs/request-refused.md",
        "lin",
    ):
        assert part in body, part
    assert body.index("请求被拒绝") < body.index("Request refused")
