"""Where a batch stands and who is waited for, by what is stored of it; and what a day of evidence is worth."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from drawsguard.approvals.waiting import WaitingQuestion
from drawsguard.pages.points_board import (
    BatchRow,
    EvidenceDay,
    Facts,
    PlanRow,
    Question,
    Stage,
    TicketRow,
    card,
    evidence_of,
)
from drawsguard.points.telemetry.config import points_config

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC).replace(tzinfo=None)
DAY = timedelta(days=1)
INTRANET = {("intranet", "downlined"): 9}
BOTH = INTRANET | {("extranet", "downlined"): 8}


def batch(state: str, **changes: Any) -> BatchRow:
    ended = (NOW - 41 * DAY).date()
    return BatchRow("b1", 10, state, None, NOW - 40 * DAY, None, None, None, None, ended)._replace(**changes)


def plan(environment: str, rows: int = 9) -> PlanRow:
    return PlanRow("b1", environment, "d", rows, NOW)


@pytest.mark.parametrize(
    ("state", "facts", "stage", "dag_id"),
    [
        ("reported", Facts(), Stage.REPORTED, "points_downline"),
        ("confirmed", Facts(), Stage.CONFIRMED, "points_downline"),
        ("confirmed", Facts(plans=[plan("intranet")]), Stage.PLANNED, "points_downline"),
        ("confirmed", Facts(plans=[plan("intranet")], approved=frozenset({"intranet"})), Stage.APPROVED, None),
        ("downlining", Facts(plans=[plan("intranet")]), Stage.APPROVED, None),
        ("downlining", Facts(INTRANET, [plan("intranet")]), Stage.INTRANET, "points_downline"),
        ("downlined", Facts(INTRANET, [plan("intranet")]), Stage.INTRANET, "points_downline"),
        ("downlined", Facts(INTRANET, [plan("extranet", 0)]), Stage.OBSERVED, None),
        ("downlined", Facts(INTRANET | {("extranet", "removed"): 8}, [plan("extranet")]), Stage.OBSERVED, None),
        ("downlined", Facts(INTRANET | {("extranet", "restored"): 8}, [plan("extranet")]), Stage.OBSERVED, None),
        ("downlined", Facts(INTRANET | {("extranet", "removed"): 1, ("extranet", "planned"): 7}, [plan("extranet")]),
         Stage.INTRANET, "points_downline"),
        ("downlining", Facts(BOTH), Stage.EXTRANET, None),
        ("downlined", Facts(BOTH), Stage.OBSERVED, None),
        ("downlined", Facts(), Stage.OBSERVED, None),
        ("cleaning", Facts(BOTH), Stage.CLEANUP, "points_cleanup"),
        ("cleaning", Facts(BOTH, tickets=[TicketRow("b1", "dba", "handed_over", 1, 9)]), Stage.CLEANUP,
         "points_ticket_done"),
        ("cleaning", Facts(BOTH, tickets=[TicketRow("b1", "own", "running", 1, 9)]), Stage.CLEANUP, None),
        ("cleaned", Facts(BOTH), Stage.CLOSED, None),
    ],
)  # fmt: skip
def test_a_batch_is_in_the_column_of_what_happened_last(
    state: str, facts: Facts, stage: Stage, dag_id: str | None
) -> None:
    found = card(batch(state), facts, NOW)
    assert (found.stage, found.dag_id) == (stage, dag_id)


@pytest.mark.parametrize(("ago", "day"), [(timedelta(), 1), (9.5 * DAY, 10), (29.9 * DAY, 30), (45 * DAY, 30)])
def test_an_observation_says_its_day(ago: timedelta, day: int) -> None:
    begun = NOW - ago
    found = card(batch("downlined", observe_from=begun, observe_until=begun + 30 * DAY), Facts(BOTH), NOW)
    assert (found.day, found.days) == (day, 30)
    assert (found.waits is None) == (ago < 30 * DAY), "while it is observed nobody has to do anything"


def test_the_extranet_is_waited_for_until_the_evidence_is_too_old() -> None:
    begun = card(batch("downlined"), Facts(INTRANET), NOW)
    assert begun.waits is not None
    assert begun.waits.en == "points team goes on with the extranet until 2026-03-15"
    last = NOW + 4 * DAY + timedelta(hours=3, minutes=59)  # the last minute of that day in Shanghai
    assert card(batch("downlined"), Facts(INTRANET), last).dag_id == "points_downline"
    stale = card(batch("downlined"), Facts(INTRANET), last + timedelta(minutes=1))
    assert stale.dag_id == "points_restore"
    assert stale.waits is not None
    assert "cleaned without the extranet" in stale.waits.en


def test_a_halt_waits_for_a_decision() -> None:
    halted = batch("downlined", observe_from=NOW, observe_until=NOW + 30 * DAY, halted_at=NOW, halted_reason="used")
    found = card(halted, Facts(BOTH), NOW)
    assert (found.halted, found.dag_id) == (True, "points_release")


def test_a_question_says_who_may_answer_and_its_address_is_quoted() -> None:
    waiting = WaitingQuestion("points_cleanup", "manual__<a>/b", "ask", 2, "s", NOW.replace(tzinfo=UTC))
    question = Question(waiting, "b1/own", approvers=("approver=3", "role:points_approver", "not requester"))
    found = card(batch("cleaning"), Facts(BOTH, questions=[question]), NOW)
    assert found.question is question
    assert found.waits is not None
    assert found.waits.en == "approval by approver, role:points_approver"
    assert question.path == (
        "/dags/points_cleanup/runs/manual__%3Ca%3E%2Fb/tasks/ask/mapped/2/required_actions"
    )  # fmt: skip


def test_a_day_that_nobody_reported_is_missing_whatever_the_check_said() -> None:
    last = date(2026, 3, 10)
    days = [
        EvidenceDay(last, 1435, 5, 10, 0),
        EvidenceDay(last - DAY, 1434, 5, 10, 0),
        EvidenceDay(last - 2 * DAY, 0, 0, 0, 0),
    ]
    found = evidence_of(days, None, None, last, 4, points_config().quality, last)
    assert [kind for _, kind, _ in found.days] == ["missing", "missing", "partial", "complete"]
    assert found.accepted is None


def kinds(minutes: dict[int, int], due_ago: int, length: int = 12) -> list[str]:
    """The kinds of the days up to the last, by the minutes of some days (ago → minutes)."""
    last = date(2026, 3, 20)
    days = [EvidenceDay(last - ago * DAY, count, 5, 10, 0) for ago, count in minutes.items()]
    found = evidence_of(days, None, None, last, length, points_config().quality, last - due_ago * DAY)
    assert found.due == length - found.count("awaited")
    assert [kind for _, kind, _ in found.flawed] == [
        kind for _, kind, _ in reversed(found.days) if kind not in ("complete", "awaited")
    ]
    return [kind for _, kind, _ in found.days]


def test_what_is_behind_the_newest_whole_day_is_late_and_a_hole_before_it_is_none() -> None:
    whole = dict.fromkeys((3, 4, *range(6, 12)), 1440)
    assert kinds({**whole, 1: 600}, due_ago=0)[-6:] == ["missing", "complete", "complete", "late", "late", "late"]


def test_yesterday_is_awaited_until_its_time_has_come() -> None:
    whole = dict.fromkeys(range(1, 12), 1440)
    assert kinds(whole, due_ago=1)[-2:] == ["complete", "awaited"]
    assert kinds({**whole, 0: 700}, due_ago=1)[-1] == "awaited", "what there is of it is no flaw yet"
    assert kinds(whole, due_ago=0)[-1] == "late"


def test_what_is_late_for_more_than_a_week_is_missing() -> None:
    assert kinds({11: 1440}, due_ago=0) == ["complete", *["missing"] * 4, *["late"] * 7]
