"""The points page: batches by how far they have come and who is waited for; the days of the usage evidence."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote

from drawsguard.approvals.waiting import WaitingQuestion
from drawsguard.pages.day_squares import Calendar, Day, calendar
from drawsguard.pages.look import Words, business_day
from drawsguard.points.clock import utc_now
from drawsguard.points.database import fetch, utc
from drawsguard.points.environments import environments
from drawsguard.points.policy import get_policy
from drawsguard.points.review.batch_state import BatchState
from drawsguard.points.review.evidence import admitted_until
from drawsguard.points.telemetry.config import QualityRules
from drawsguard.points.telemetry.evidence_days import expected_until
from drawsguard.settings import get_settings

#: Batches on the board, and closed ones among them.
MOST_BATCHES, MOST_CLOSED = 200, 12
#: So many days behind the newest whole one the telemetry is late; whatever is older is not expected to come by itself.
LATE_DAYS = 7
#: Questions and approvals that are older are not read: both have a time limit of days.
MEMORY = timedelta(days=60)


class Stage(StrEnum):
    """The columns of the board, in their order."""

    REPORTED = "reported"
    CONFIRMED = "confirmed"
    PLANNED = "planned"
    APPROVED = "approved"
    INTRANET = "intranet"
    EXTRANET = "extranet"
    OBSERVED = "observed"
    CLEANUP = "cleanup"
    CLOSED = "closed"


STAGES: Mapping[Stage, Words] = {
    Stage.REPORTED: Words("已出报告", "Reported"),
    Stage.CONFIRMED: Words("已确认", "Confirmed"),
    Stage.PLANNED: Words("已计划", "Planned"),
    Stage.APPROVED: Words("已批准", "Approved"),
    Stage.INTRANET: Words("−80 内网", "−80 intranet"),
    Stage.EXTRANET: Words("−80 外网", "−80 extranet"),
    Stage.OBSERVED: Words("观察中", "Observed"),
    Stage.CLEANUP: Words("清理中", "Cleanup"),
    Stage.CLOSED: Words("已结束", "Closed"),
}


class BatchRow(NamedTuple):
    """A batch as stored; times are naive UTC."""

    batch_id: str
    candidates: int
    state: str
    confirmed_by: str | None
    created_at: datetime
    observe_from: datetime | None
    observe_until: datetime | None
    halted_at: datetime | None
    halted_reason: str | None
    window_end: date


class PlanRow(NamedTuple):
    """A downline that was planned."""

    batch_id: str
    environment: str
    digest: str
    row_count: int
    made_at: datetime


class TicketRow(NamedTuple):
    """How many tickets of a batch are in a state."""

    batch_id: str
    executor: str
    state: str
    tickets: int
    points: int


@dataclass(frozen=True)
class Question:
    """A question that waits for its answer: what Airflow shows, with what the approvals table knows of it.

    :param approvers: who may answer, as the table keeps it; empty when it knows nothing of this question.
    """

    waiting: WaitingQuestion
    subject: str
    action: str = ""
    requester: str = ""
    approvers: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The address of the question below Airflow's own pages."""
        one = self.waiting
        dag_id, run_id, task_id = (quote(part, safe="") for part in (one.dag_id, one.run_id, one.task_id))
        mapped = f"/mapped/{one.map_index}" if one.map_index >= 0 else ""
        return f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}/required_actions"

    @property
    def people(self) -> str:
        """Who may answer, by name."""
        return ", ".join(one.partition("=")[0] for one in self.approvers if not one.startswith("not "))


@dataclass(frozen=True)
class Facts:
    """What is known of one batch besides its own row.

    :param rows: (environment, state) → rows of definition tables.
    :param approved: environments with an approval that was given and not used up.
    """

    rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    plans: Sequence[PlanRow] = ()
    tickets: Sequence[TicketRow] = ()
    approved: frozenset[str] = frozenset()
    questions: Sequence[Question] = ()

    def downlined(self, environment: str) -> int:
        """Rows that are at -80."""
        return self.rows.get((environment, "downlined"), 0)

    def carried_out(self, environment: str) -> bool:
        """Whether every row of a plan was taken out of it because of use, or restored since."""
        states = {state for (name, state), rows in self.rows.items() if name == environment and rows}
        return bool(states & {"removed", "restored"}) and "planned" not in states

    def planned_rows(self, environment: str) -> int | None:
        """Rows of the newest plan; None when there is none."""
        return next((plan.row_count for plan in reversed(self.plans) if plan.environment == environment), None)


@dataclass(frozen=True)
class Card:
    """One batch on the board.

    :param waits: who or what is waited for; None when nothing is.
    :param dag_id: the DAG with which people go on; None when nobody has to do anything.
    :param day: day of the observation, from 1, and :param days: how many it has.
    """

    batch: BatchRow
    stage: Stage
    waits: Words | None
    dag_id: str | None = None
    question: Question | None = None
    day: int | None = None
    days: int | None = None
    facts: Facts = field(default_factory=Facts)

    @property
    def halted(self) -> bool:
        """Whether its points were used while it was observed."""
        return self.batch.halted_at is not None


def stage_of(batch: BatchRow, facts: Facts) -> Stage:
    """Return the column of a batch."""
    state = BatchState(batch.state)
    if state is BatchState.CLEANED:
        return Stage.CLOSED
    if state is BatchState.CLEANING:
        return Stage.CLEANUP
    if state is BatchState.REPORTED:
        return Stage.REPORTED
    if facts.downlined("intranet") or facts.downlined("extranet"):
        extranet_done = (
            "extranet" not in environments()
            or facts.downlined("extranet") > 0
            or facts.planned_rows("extranet") == 0
            or facts.carried_out("extranet")
        )
        if not extranet_done:
            return Stage.INTRANET
        return Stage.OBSERVED if state is BatchState.DOWNLINED else Stage.EXTRANET
    if state is BatchState.DOWNLINED:  # everything was restored since, and it is still watched
        return Stage.OBSERVED
    if facts.approved or state is BatchState.DOWNLINING:
        return Stage.APPROVED
    return Stage.PLANNED if facts.plans else Stage.CONFIRMED


def card(batch: BatchRow, facts: Facts, now: datetime) -> Card:
    """Return a batch as the board shows it.

    :param now: naive UTC.
    """
    stage = stage_of(batch, facts)
    day = days = None
    if batch.observe_from and batch.observe_until and stage in (Stage.INTRANET, Stage.EXTRANET, Stage.OBSERVED):
        days = max(1, (batch.observe_until - batch.observe_from).days)
        day = min(days, max(1, (now - batch.observe_from).days + 1))
    question = facts.questions[0] if facts.questions else None
    waits, dag_id = _waits(batch, stage, facts, now)
    if question:
        who = question.people
        waits = Words(f"等待审批:{who}" if who else "等待审批", f"approval by {who}" if who else "an approval")
        dag_id = None
    return Card(batch, stage, waits, dag_id, question, day, days, facts)


def _waits(batch: BatchRow, stage: Stage, facts: Facts, now: datetime) -> tuple[Words | None, str | None]:
    if batch.halted_at is not None:
        return Words("积分组:已暂停,需决定恢复或解除", "points team: halted; restore or release"), "points_release"
    if stage is Stage.OBSERVED and batch.observe_until and now < batch.observe_until:
        return None, None
    dba = any(ticket.executor == "dba" and ticket.state == "handed_over" for ticket in facts.tickets)
    by_stage: Mapping[Stage, tuple[Words | None, str | None]] = {
        Stage.REPORTED: (Words("审核人填写工作簿", "reviewers fill in the workbook"), "points_downline"),
        Stage.CONFIRMED: (Words("积分组做计划", "points team makes a plan"), "points_downline"),
        Stage.PLANNED: (Words("积分组发起下线", "points team starts the downline"), "points_downline"),
        Stage.APPROVED: (Words("运行执行变更", "the run makes the change"), None),
        Stage.INTRANET: _extranet(batch, now),
        Stage.EXTRANET: (Words("运行核对变更", "the run verifies the change"), None),
        Stage.OBSERVED: (Words("最后一天的使用证据,然后清理", "evidence of the last day, then cleanup"), None),
        Stage.CLEANUP: (
            (Words("DBA 执行移交的工单", "the DBA works on tickets"), "points_ticket_done")
            if dba
            else (Words("积分组发起清理", "points team starts the cleanup"), "points_cleanup")
        ),
        Stage.CLOSED: (None, None),
    }
    if stage is Stage.CLEANUP and any(ticket.state == "running" for ticket in facts.tickets):
        return Words("清理正在运行", "a sweep is running"), None
    return by_stage[stage]


def _extranet(batch: BatchRow, now: datetime) -> tuple[Words, str]:
    """Return who goes on with a batch that is down on the intranet: no plan rests on evidence that is too old."""
    until = admitted_until(batch.window_end, get_policy().evidence)
    if batch.state == BatchState.DOWNLINED and business_day(now.replace(tzinfo=UTC)) > until:
        return Words(
            f"证据 {until} 已过期,外网不再下线:积分组恢复,否则照常清理",
            f"points team restores it, or it is cleaned without the extranet: its evidence was too old after {until}",
        ), "points_restore"
    return Words(
        f"积分组发起外网下线,截止 {until}", f"points team goes on with the extranet until {until}"
    ), "points_downline"


# --- evidence -------------------------------------------------------------------------------------------------
class EvidenceDay(NamedTuple):
    """What a day was built from."""

    day: date
    minutes: int
    metrics: int
    raw_rows: int
    rejected_rows: int


@dataclass(frozen=True)
class Evidence:
    """The usage evidence of the last days.

    :param days: (day, kind, what is known of it); kind is complete, awaited (its time has not come), late (nothing
        newer is whole either), partial, rejected or missing.
    :param checked_at: when it was judged last (naive UTC); None: never.
    :param pushed_until: last day of the evidence that reports read; None: nothing was pushed.
    """

    days: tuple[tuple[date, str, EvidenceDay | None], ...]
    checked_at: datetime | None
    accepted: bool | None
    findings: Mapping[str, Sequence[str]]
    pushed_until: date | None

    def count(self, kind: str) -> int:
        """How many days are of a kind."""
        return sum(one == kind for _, one, _ in self.days)

    def drawing(self, texts: Mapping[str, str], minutes: str) -> Calendar:
        """Return the days as squares.

        :param texts: the kinds in the reader's language; :param minutes: the word for minutes.
        """
        return calendar(
            Day(day, kind, f"{day} {texts[kind]}" + (f" {known.minutes} {minutes}" if known else ""))
            for day, kind, known in self.days
        )

    @property
    def due(self) -> int:
        """How many days have to be complete by now."""
        return len(self.days) - self.count("awaited")

    @property
    def flawed(self) -> list[tuple[date, str, EvidenceDay | None]]:
        """The days that are not complete although they are due, newest first."""
        return [one for one in reversed(self.days) if one[1] not in ("complete", "awaited")]


def evidence_of(
    known: Iterable[EvidenceDay],
    check: tuple[datetime, date, date, int, str] | None,
    pushed_until: date | None,
    last: date,
    length: int,
    rules: QualityRules,
    due: date,
) -> Evidence:
    """Judge each of ``length`` days up to ``last``; a day without a row is missing, or late while it may still come.

    :param due: the last day whose evidence has to be there by now.
    """
    by_day = {one.day: one for one in known}
    findings: dict[str, list[str]] = json.loads(check[4]) if check else {}
    refused = {
        day.split(" ")[0] for name, days in findings.items() if name not in _ABSENCE for day in days
    }  # a finding is "2026-03-01 (what was found)"
    least = rules.minutes_a_day - rules.minutes_tolerance
    days = []
    for offset in range(length - 1, -1, -1):
        day = last - timedelta(days=offset)
        one = by_day.get(day)
        if one is None or one.minutes <= 0:
            kind = "missing"
        elif str(day) in refused:
            kind = "rejected"
        else:
            kind = "complete" if one.minutes >= least else "partial"
        days.append((day, kind, one))
    # From the newest back to the first that is whole: these are not lost, they are on their way.
    for place in range(len(days) - 1, max(-1, len(days) - 1 - LATE_DAYS), -1):
        day, kind, one = days[place]
        if kind not in ("missing", "partial"):
            break
        days[place] = (day, "late" if day <= due else "awaited", one)
    return Evidence(
        tuple(days), check and check[0], bool(check[3]) if check else None, findings, pushed_until
    )  # fmt: skip


#: Findings about what did not arrive; all others refuse what did.
_ABSENCE = frozenset({"days_are_present", "minutes_are_complete"})


# --- reading --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class PointsBoard:
    """What the points page shows."""

    cards: tuple[Card, ...]
    questions: tuple[Question, ...]
    evidence: Evidence

    def column(self, stage: Stage) -> list[Card]:
        """Return the batches of a column, newest first."""
        found = [one for one in self.cards if one.stage is stage]
        return found[:MOST_CLOSED] if stage is Stage.CLOSED else found

    @property
    def open(self) -> int:
        """Batches that are under way."""
        return sum(one.stage is not Stage.CLOSED for one in self.cards)

    @property
    def halted(self) -> int:
        """Batches whose cleanup is halted."""
        return sum(one.halted for one in self.cards)

    @property
    def next_end(self) -> datetime | None:
        """When the next observation ends (naive UTC)."""
        ends = [
            one.batch.observe_until for one in self.cards if one.stage is Stage.OBSERVED and one.batch.observe_until
        ]
        return min(ends, default=None)


def read_board(
    connection: Any,
    waiting: Collection[WaitingQuestion],
    rules: QualityRules,
    window_days: int,
    now: datetime | None = None,
) -> PointsBoard:
    """Read the points page.

    :param connection: a prepared connection to the governance server.
    :param waiting: the questions that Airflow waits for now.
    :param window_days: days of the statistics window.
    :param now: aware; the time now unless passed.
    """
    now = now or utc_now()
    naive = utc(now)
    since = {"since": naive - MEMORY}
    batches = [BatchRow(*row) for row in fetch(connection, "pages/batches.sql", {"most": MOST_BATCHES})]
    asked = fetch(connection, "pages/questions.sql", since)
    questions = _questions(waiting, asked)
    cards: list[Card] = []
    # What is closed needs no counting: most rows of all time belong to closed batches.
    under_way = [one for one in batches if one.state != BatchState.CLEANED]
    cards += [card(one, Facts(), naive) for one in batches if one.state == BatchState.CLEANED]
    if under_way:
        names = {"batches": tuple(one.batch_id for one in under_way)}
        rows = fetch(connection, "pages/rows_by_state.sql", names)
        plans = [PlanRow(*row) for row in fetch(connection, "pages/plans.sql", names)]
        tickets = [
            TicketRow(batch, executor, state, int(count), int(points))
            for batch, executor, state, count, points in fetch(connection, "pages/tickets_by_state.sql", names)
        ]
        approved = _approved(fetch(connection, "pages/downline_approvals.sql", since), naive)
        for one in under_way:
            facts = Facts(
                {(env, state): int(count) for batch, env, state, count in rows if batch == one.batch_id},
                [plan for plan in plans if plan.batch_id == one.batch_id],
                [ticket for ticket in tickets if ticket.batch_id == one.batch_id],
                frozenset(env for batch, env in approved if batch == one.batch_id),
                [question for question in questions if question.subject.partition("/")[0] == one.batch_id],
            )
            cards.append(card(one, facts, naive))
    last = business_day(now) - timedelta(days=1)
    days = {"first": last - timedelta(days=window_days - 1), "last": last}
    known = [
        EvidenceDay(day, int(minutes), int(metrics), int(raw), int(rejected))
        for day, minutes, metrics, raw, rejected in fetch(connection, "pages/evidence_days.sql", days)
    ]
    checks = fetch(connection, "pages/evidence_check.sql")
    pushed = fetch(connection, "pages/pushed_evidence.sql")
    connection.rollback()
    evidence = evidence_of(
        known, checks[0] if checks else None, pushed[0][2] if pushed else None, last, window_days, rules,
        expected_until(now, rules.arrives_by, get_settings().business_timezone),
    )  # fmt: skip
    return PointsBoard(tuple(cards), tuple(questions), evidence)


def _questions(waiting: Collection[WaitingQuestion], asked: Sequence[tuple[Any, ...]]) -> list[Question]:
    """Join what Airflow waits for with what the approvals table says of it; oldest first."""
    known: dict[tuple[str, str, str, int], tuple[Any, ...]] = {}
    for dag_id, run_id, task_id, map_index, *rest in asked:
        known.setdefault((dag_id, run_id, task_id, int(map_index)), tuple(rest))
    found = []
    for one in sorted(waiting, key=lambda each: each.asked_at):
        event = known.get((one.dag_id, one.run_id, one.task_id, one.map_index))
        if event is None:
            found.append(Question(one, one.subject))
        else:
            action, subject, _, requester, approvers, _ = event
            found.append(Question(one, subject, action, requester, tuple(json.loads(approvers))))
    return found


def _approved(events: Iterable[tuple[str, str, datetime | None]], now: datetime) -> set[tuple[str, str]]:
    """(batch, environment) of the approvals that hold: given, not expired, or in use.

    :param events: (subject, kind, until when it may be used), oldest first; times are naive UTC.
    """
    found: set[tuple[str, str]] = set()
    for subject, kind, expires_at in events:
        batch, _, environment = subject.partition("/")
        if kind == "started" or (kind == "approved" and expires_at is not None and expires_at > now):
            found.add((batch, environment))
        elif kind == "finished":
            found.discard((batch, environment))
    return found
