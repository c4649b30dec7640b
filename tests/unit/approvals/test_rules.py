"""The rules of the one approval: each with what it allows and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawsguard.approvals import rules
from drawsguard.approvals.model import Action, Answer, Event, Kind, Place, Proposal, Question, Role
from drawsguard.approvals.people import Approvers, Person
from drawsguard.approvals.rules import ApprovalRefusedError

NOON = datetime(2024, 8, 2, 12, tzinfo=UTC)
HOURS = timedelta(hours=72)
PLACE = Place("points_downline", "manual__1", NOON, "downline_intranet")
SIGN = replace(PLACE, task_id="countersign_intranet")
PLAN = Proposal(Action.DOWNLINE, "b1/intranet", "d" * 64, "title", "body")
LARGE = replace(PLAN, people_needed=2)
APPROVERS = Approvers.parse("approver=approver,second_approver=second_approver,requester=requester")


def question(plan: Proposal = PLAN, place: Place = PLACE, role: Role = Role.EXECUTE, **changes: Any) -> Question:
    eligible = APPROVERS.for_request("requester", changes.pop("earlier", ()))
    return replace(Question(plan, role, place, "requester", eligible), **changes)


def answer(**changes: Any) -> Answer:
    yes = Answer(("Approve",), Person("approver", "approver"), {"digest": "d" * 64}, NOON + timedelta(minutes=5))
    return replace(yes, **changes)


class Table:
    """Events as the table would hold them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, event: Event) -> Event:
        stored = replace(event, approval_id=len(self.events) + 1)
        self.events.append(stored)
        return stored

    def ask(self, of: Question) -> Event:
        return self.add(rules.asked(of))

    def reply(self, of: Event, kind: Kind = Kind.APPROVED, by: str = "approver", minutes: int = 5) -> Event:
        given = answer(responder=Person(by, by), responded_at=NOON + timedelta(minutes=minutes))
        return self.add(rules.answered(of, kind, given, None, HOURS))

    def use(self, plan: Proposal = PLAN, place: Place = PLACE, requester: str = "requester", hours: int = 1) -> Any:
        return rules.approval_to_use(self.events, plan, place, requester, NOON + timedelta(hours=hours))


@pytest.fixture
def table() -> Table:
    return Table()


# --- who may ask ---------------------------------------------------------------------------------------
def test_a_named_person_may_ask() -> None:
    assert rules.check_requester("manual", "requester") == "requester"


@pytest.mark.parametrize(
    ("run_type", "name"),
    [("scheduled", "requester"), ("backfill", "x"), ("operator_triggered", "x"), ("manual", None), ("manual", " ")],
)
def test_a_run_of_nobody_may_not(run_type: str, name: str | None) -> None:
    with pytest.raises(ApprovalRefusedError, match="Trigger the DAG in the UI"):
        rules.check_requester(run_type, name)


def test_large_plans_need_two_people() -> None:
    assert [rules.approvals_needed(rows, 500) for rows in (1, 500, 501)] == [1, 1, 2]


# --- one question a task, one use a run id -------------------------------------------------------------
@pytest.mark.parametrize(
    "changed",
    [
        replace(PLAN, digest="e" * 64),
        replace(PLAN, subject="b2/intranet"),
        replace(PLAN, action=Action.RESTORE),
        replace(PLAN, title="another"),
        replace(PLAN, body="another"),
        replace(PLAN, people_needed=2),
    ],
)
def test_another_question_cannot_be_shown_in_the_same_task(table: Table, changed: Proposal) -> None:
    table.ask(question())
    rules.check_question(table.events, question())  # the same one: a retry asks it again
    with pytest.raises(ApprovalRefusedError, match=r"text of the first question.*Trigger a new run"):
        rules.check_question(table.events, question(changed))


def test_other_approvers_make_another_question(table: Table) -> None:
    table.ask(question())
    with pytest.raises(ApprovalRefusedError, match="Trigger a new run"):
        rules.check_question(table.events, question(earlier=[Person("approver", "approver")]))


def test_the_other_tasks_of_the_run_ask_their_own_questions(table: Table) -> None:
    table.ask(question())
    changed = replace(PLAN, digest="e" * 64)
    with pytest.raises(ApprovalRefusedError, match="Trigger a new run"):
        rules.check_question(table.events, question(changed))
    rules.check_question(table.events, question(changed, replace(PLACE, map_index=1)))


@pytest.mark.parametrize(
    "place",
    [
        replace(PLACE, started_at=NOON + timedelta(microseconds=1)),
        replace(PLACE, started_at=NOON - timedelta(days=1), task_id="another"),
    ],
)
def test_a_run_id_is_used_once(table: Table, place: Place) -> None:
    table.ask(question())
    with pytest.raises(ApprovalRefusedError, match="was used before: by requester"):
        rules.check_question(table.events, question(place=place))
    with pytest.raises(ApprovalRefusedError, match="was used before"):
        table.use(place=place)


def test_each_ticket_of_a_scheduled_run_has_who_confirmed_its_own_batch_as_the_requester(table: Table) -> None:
    ticket = Place("points_cleanup", "scheduled__1", NOON, "clean", map_index=0)
    table.ask(question(place=ticket, requester="lin"))
    rules.check_run(table.events, replace(ticket, map_index=1), "wu")
    with pytest.raises(ApprovalRefusedError, match="was used before: by lin"):
        rules.check_run(table.events, ticket, "wu")


def test_a_run_id_belongs_to_who_used_it_first(table: Table) -> None:
    table.ask(question())
    with pytest.raises(ApprovalRefusedError, match="was used before: by requester"):
        rules.check_run(table.events, PLACE, "approver")


# --- what counts as an answer ---------------------------------------------------------------------------
def test_a_yes_to_this_plan_by_somebody_else_approves(table: Table) -> None:
    table.ask(question())
    assert rules.check_answer(table.events, question(), answer()).name == "approver"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer(responder=None), "no answer means no"),
        (answer(responded_at=None), "no answer means no"),
        (answer(responder=Person("requester", "requester")), "asked for this"),
        (answer(responder=Person("Requester", "9")), "asked for this"),
        (answer(responder=Person("stranger", "7")), "may not approve"),
        (answer(responder=Person("approver", "7")), "another account"),
        (answer(options=("Reject",)), "did not approve: Reject"),
        (answer(options=()), "no option"),
        (answer(options=("Approve", "Reject")), "did not approve"),
        (answer(fields={}), "without the form"),
        (answer(fields={"digest": "e" * 64}), "changed after it was shown"),
        (answer(fields={"digest": None, "approved": True}), "without the form"),
        (answer(fields={"digest": "d" * 12}), "changed after it was shown"),
    ],
)
def test_anything_else_is_refused(table: Table, given: Answer, reason: str) -> None:
    table.ask(question())
    with pytest.raises(ApprovalRefusedError, match=reason):
        rules.check_answer(table.events, question(), given)


def test_an_answer_without_a_kept_question_is_none(table: Table) -> None:
    with pytest.raises(ApprovalRefusedError, match="has no question"):
        rules.check_answer(table.events, question(), answer())


def test_an_answer_with_the_new_digest_to_the_old_text_is_refused(table: Table) -> None:
    table.ask(question())
    now = question(replace(PLAN, digest="e" * 64))
    with pytest.raises(ApprovalRefusedError, match="changed after it was shown") as refusal:
        rules.check_answer(table.events, now, answer(fields={"digest": "e" * 64}))
    assert "e" * 64 not in str(refusal.value)  # a message must not help to forge the answer


def test_an_answer_counts_once(table: Table) -> None:
    table.reply(table.ask(question()))
    with pytest.raises(ApprovalRefusedError, match="counts once"):
        rules.check_answer(table.events, question(), answer())


# --- when an action may run -----------------------------------------------------------------------------
def test_an_action_runs_under_its_approval(table: Table) -> None:
    approved = table.reply(table.ask(question()))
    assert table.use() == approved


def test_without_an_answer_it_asks(table: Table) -> None:
    assert table.use() is None
    table.ask(question())
    assert table.use() is None


@pytest.mark.parametrize("kind", [Kind.REJECTED, Kind.REFUSED, Kind.UNANSWERED, Kind.ASKED])
def test_only_the_newest_answer_counts(table: Table, kind: Kind) -> None:
    first = table.ask(question())
    table.reply(first)
    table.ask(question()) if kind == Kind.ASKED else table.reply(first, kind, minutes=9)
    assert table.use() is None


def test_a_started_action_goes_on_and_a_finished_one_is_used_up(table: Table) -> None:
    approved = table.reply(table.ask(question()))
    table.add(rules.used(approved, Kind.STARTED))
    assert table.use() == approved
    assert rules.started(table.events, approved)
    table.add(rules.used(approved, Kind.FINISHED))
    with pytest.raises(ApprovalRefusedError, match="used up"):
        table.use()


@pytest.mark.parametrize(
    "plan", [replace(PLAN, digest="e" * 64), replace(PLAN, subject="b2/intranet"), replace(PLAN, action=Action.RESTORE)]
)
def test_an_approval_is_for_one_plan(table: Table, plan: Proposal) -> None:
    table.reply(table.ask(question()))
    with pytest.raises(ApprovalRefusedError, match="Trigger a new run"):
        table.use(plan)


def test_an_approval_ends(table: Table) -> None:
    table.reply(table.ask(question()))
    assert table.use(hours=71)
    with pytest.raises(ApprovalRefusedError, match="expired"):
        table.use(hours=73)


def test_an_approval_of_another_task_is_none_here(table: Table) -> None:
    table.reply(table.ask(question()))
    assert table.use(place=replace(PLACE, map_index=1)) is None
    assert table.use(place=replace(PLACE, task_id="downline_extranet")) is None


def test_a_row_without_its_question_approves_nothing(table: Table) -> None:
    table.reply(rules.asked(question()))
    with pytest.raises(ApprovalRefusedError, match="has no question"):
        table.use()


# --- two people ----------------------------------------------------------------------------------------
def countersign(table: Table, kind: Kind = Kind.APPROVED, plan: Proposal = LARGE, by: str = "approver") -> None:
    table.reply(table.ask(question(plan, SIGN, Role.COUNTERSIGN)), kind, by)


def test_a_large_plan_runs_after_two_people(table: Table) -> None:
    countersign(table)
    earlier = rules.earlier_approvers(table.events, LARGE, Role.EXECUTE, PLACE)
    assert [person.name for person in earlier] == ["approver"]
    approved = table.reply(table.ask(question(LARGE, earlier=earlier)), by="second_approver", minutes=9)
    assert table.use(LARGE) == approved


@pytest.mark.parametrize("kind", [Kind.REJECTED, Kind.REFUSED, Kind.UNANSWERED])
def test_a_countersignature_that_was_no_yes_or_was_taken_back_is_none(table: Table, kind: Kind) -> None:
    countersign(table)
    first = table.events[0]
    table.reply(table.ask(question(LARGE, earlier=[Person("approver", "approver")])), by="second_approver", minutes=6)
    table.reply(first, kind, minutes=9)
    with pytest.raises(ApprovalRefusedError, match="nobody gave one"):
        table.use(LARGE)


def test_a_countersignature_that_is_asked_for_again_is_pending(table: Table) -> None:
    countersign(table)
    table.ask(question(LARGE, SIGN, Role.COUNTERSIGN))
    with pytest.raises(ApprovalRefusedError, match="newest event is: asked"):
        rules.countersigned_by(table.events, LARGE, PLACE, NOON)


def test_a_large_plan_without_a_countersignature_is_refused(table: Table) -> None:
    table.reply(table.ask(question(LARGE)))
    with pytest.raises(ApprovalRefusedError, match="needs 2 approvers, and nobody was asked"):
        table.use(LARGE)


def test_one_person_twice_is_not_two(table: Table) -> None:
    countersign(table, by="approver")
    table.reply(table.ask(question(LARGE)), by="Approver", minutes=9)
    with pytest.raises(ApprovalRefusedError, match="two people must"):
        table.use(LARGE)


def test_a_countersignature_is_for_one_plan_and_ends(table: Table) -> None:
    countersign(table, plan=replace(LARGE, digest="e" * 64))
    with pytest.raises(ApprovalRefusedError, match="approved plan eeee"):
        rules.countersigned_by(table.events, LARGE, PLACE, NOON)
    assert (
        rules.countersigned_by(table.events, replace(LARGE, subject="b1/extranet", people_needed=1), PLACE, NOON)
        is None
    )
    countersign(other := Table())
    with pytest.raises(ApprovalRefusedError, match="expired"):
        rules.countersigned_by(other.events, LARGE, PLACE, NOON + timedelta(hours=73))


def test_the_use_of_an_approval_does_not_repeat_its_answer(table: Table) -> None:
    """The table keeps one row for a question and the time of its answer."""
    approved = table.reply(table.ask(question()))
    assert rules.used(approved, Kind.STARTED).responded_at is None
    assert rules.used(approved, Kind.STARTED).approved_id == approved.approval_id
