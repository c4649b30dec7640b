"""The approval operators on a real server: they ask, wait, and change exactly what was approved."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from drawsguard.approvals.model import Event, Kind, Role
from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.points import audit_repository
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.ticket import LivingPoints, plan_tickets
from drawsguard.points.cleanup.ticket_repository import TicketRepository
from drawsguard.points.database import close
from drawsguard.points.downline.execution import Execution, PlanChangedError
from drawsguard.points.downline.observe import VERIFIED
from drawsguard.points.downline.observed_days import last_observed_day, observed_days
from drawsguard.points.downline.plan import BACK_ON_INTRANET, PUT_BACK, PlanRefusedError
from drawsguard.points.downline.proposal import plan_proposal
from drawsguard.points.downline.release import WATCH_DAYS
from drawsguard.points.downline.report import downline_report
from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.telemetry.evidence_days import EvidenceDays
from drawsguard.refusal import RefusedError, refusal_of
from drawsguard.settings import get_settings
from hooks import points_databases
from hooks.approvals_database import approvals
from notifiers.told_once import NotAllToldError
from operators.points.downline import points_downline_operator, points_restore_operator
from operators.points.downline.points_countersign_operator import PointsCountersignOperator
from operators.points.downline.points_downline_operator import PointsDownlineOperator
from operators.points.downline.points_plan_operator import PointsPlanOperator
from operators.points.downline.points_release_operator import PointsReleaseOperator
from operators.points.downline.points_restore_operator import PointsRestoreOperator
from operators.points.downline.points_restore_plan_operator import PointsRestorePlanOperator
from operators.points.downline.points_verify_operator import PointsVerifyOperator
from operators.points.downline.table_backup_operator import TableBackupOperator
from tests.integration.points_world import BATCH, RULES, TODAY, WINDOW, World, new_world, small_world

pytestmark = pytest.mark.integration


#: The first day on which the report's evidence is too old to begin with.
TOO_LATE = WINDOW.last + timedelta(days=RULES.evidence.max_age_days + 1)


@dataclass
class Driver:
    """Runs the operators as Airflow would, and answers them."""

    world: World
    asked: list[HITLOperator] = field(default_factory=list)
    requester: str | None = "requester"
    run_type: str = "manual"
    stop: bool = False
    clock: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=10))
    run_id: str = field(default_factory=lambda: f"manual__{uuid.uuid4().hex}")
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=1))

    def context(self, task_id: str = "t") -> Any:
        run = SimpleNamespace(
            dag_id="points_downline",
            run_id=self.run_id,
            triggering_user_name=self.requester,
            run_type=self.run_type,
            start_date=self.started_at,
        )
        task = SimpleNamespace(id=uuid.uuid4(), task_id=task_id, map_index=-1)
        return {"dag_run": run, "run_id": self.run_id, "ti": task, "task_instance": task}

    def new_run(self, run_id: str | None = None) -> None:
        """Trigger another run; with a run id, one that takes it again. (A clear of a run that ended does the same.)"""
        self.run_id = run_id or f"manual__{uuid.uuid4().hex}"
        self.started_at += timedelta(minutes=1)

    def operator(self, kind: type = PointsDownlineOperator, environment: str = "intranet", **more: Any) -> Any:
        return kind(task_id=f"{kind.__name__}_{environment}", batch_id=BATCH, environment=environment, **more)

    def ask(self, operator: Any) -> str:
        """Run a task until it waits, and return the digest that its form shows."""
        with pytest.raises(TaskAwaitingInput):
            operator.execute(self.context(operator.task_id))
        return str(operator.params["digest"])

    def answer(self, operator: Any, digest: Any, user: str | None = "approver", **changes: Any) -> Any:
        """Resume a task with an answer."""
        self.clock += timedelta(seconds=1)
        event = {
            "chosen_options": ["Approve"],
            "params_input": {"digest": digest},
            "responded_at": self.clock,
            "responded_by_user": {"id": user, "name": user} if user else None,
        } | changes
        return operator.execute_complete(self.context(operator.task_id), event)

    def retry(self, operator: Any) -> Any:
        """Run a task again, as a retry in the same run does."""
        return operator.execute(self.context(operator.task_id))

    def down(self) -> int:
        return sum(status == -80 for status, _ in self.world.rows("intranet").values())

    def events(self) -> list[Event]:
        with approvals() as repository:
            return repository.of_run("points_downline", self.run_id)

    def kinds(self) -> list[str]:
        return [str(event.kind) for event in self.events()]


@pytest.fixture
def driver(stack: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    world = new_world(stack.require("mysql").config)
    world.load(*small_world())
    world.confirm()
    world.prepare_change("intranet")
    made = Driver(world)
    approval = RULES.approval.model_copy(update={"second_above_rows": 100})
    execution = RULES.execution.model_copy(update={"chunk_rows": 2})
    set_policy(monkeypatch, RULES.model_copy(update={"approval": approval, "execution": execution}))

    def wait(operator: HITLOperator, _context: Any) -> None:
        made.asked.append(operator)
        raise TaskAwaitingInput(method_name="execute_complete", timeout=operator.response_timeout)

    monkeypatch.setattr(HITLOperator, "execute", wait)
    monkeypatch.setattr(points_databases, "business_today", lambda: TODAY)
    monkeypatch.setattr(points_databases, "evidence_expected_until", lambda: WINDOW.last)
    monkeypatch.setattr(points_downline_operator, "stop_requested", lambda: made.stop)
    monkeypatch.setattr(points_restore_operator, "stop_requested", lambda: made.stop)
    monkeypatch.setenv("DRAWSGUARD_APPROVERS", "approver=approver,second_approver=second_approver")
    get_settings.cache_clear()
    yield made
    get_settings.cache_clear()
    close(world.governance)


def set_policy(monkeypatch: pytest.MonkeyPatch, policy: Any) -> None:
    for module in (points_databases, points_downline_operator, points_restore_operator):
        monkeypatch.setattr(module, "get_policy", lambda: policy)


def need_two(monkeypatch: pytest.MonkeyPatch) -> None:
    approval = RULES.approval.model_copy(update={"second_above_rows": 5})
    set_policy(monkeypatch, RULES.model_copy(update={"approval": approval}))


class KilledError(BaseException):
    """The process was killed here: nothing after it ran."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Kill the process when an event is about to be kept (``before``), or when it was just kept (``after``)."""

    def arm(kind: Kind, *, before: bool = False) -> None:
        add = ApprovalRepository.add

        def dying(repository: ApprovalRepository, event: Event) -> None:
            if event.kind == kind and before:
                monkeypatch.setattr(ApprovalRepository, "add", add)
                raise KilledError
            add(repository, event)
            if event.kind == kind:
                monkeypatch.setattr(ApprovalRepository, "add", add)
                raise KilledError

        monkeypatch.setattr(ApprovalRepository, "add", dying)

    return arm


def test_it_asks_waits_and_changes_what_was_approved(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    assert driver.down() == 0
    assert [user["id"] for user in operator.assigned_users] == ["approver", "second_approver"]
    assert digest in operator.body
    assert "define_nosdata_general" in operator.body
    result = driver.answer(operator, digest)
    assert (result["rows"], result["approved_by"]) == (13, "approver")
    assert driver.down() == 13
    asked, approved, started, finished = driver.events()
    assert [e.kind for e in (asked, approved, started, finished)] == ["asked", "approved", "started", "finished"]
    assert (approved.responder, approved.requester, approved.digest) == ("approver", "requester", digest)
    assert (asked.title, asked.body) == (operator.subject, operator.body)
    assert asked.approvers[:2] == ("approver=approver", "second_approver=second_approver")
    assert approved.expires_at - approved.responded_at == timedelta(hours=72)
    assert started.approved_id == finished.approved_id == approved.approval_id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"user": "requester"}, "asked for this"),
        ({"user": "admin"}, "may not approve"),
        ({"user": None}, "no answer means no"),
        ({"responded_by_user": {"id": "approver", "name": "somebody"}}, "calls itself somebody"),
        ({"responded_by_user": {"id": "7", "name": "approver"}}, "another account"),
        ({"chosen_options": ["Reject"]}, "did not approve"),
        ({"params_input": {}}, "without the form"),
        ({"params_input": None}, "without the form"),
        ({"params_input": {"digest": "0" * 64, "approved": "yes"}}, "changed after it was shown"),
        (
            {"error": "time-out", "error_type": "timeout", "responded_by_user": None, "chosen_options": None},
            "no answer",
        ),
    ],
)
def test_no_other_answer_changes_anything(driver: Driver, changes: dict[str, Any], reason: str) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    with pytest.raises(AirflowFailException, match=reason):
        driver.answer(operator, digest, **changes)
    assert driver.down() == 0
    assert driver.kinds() in (["asked", "refused"], ["asked", "rejected"], ["asked", "unanswered"])
    assert driver.events()[-1].reason


def test_that_nobody_answered_is_kept_even_if_the_plan_can_no_longer_be_made(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    driver.world.sql("governance", "DELETE FROM points_lifecycle.batch")
    with pytest.raises(AirflowFailException, match="no answer means no"):
        driver.answer(operator, digest, user=None, error="no response in time", error_type="timeout")
    last = driver.events()[-1]
    assert (last.kind, last.reason, last.role) == ("unanswered", "no response in time", "execute")


def test_an_answer_is_kept_even_if_the_plan_can_no_longer_be_made(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    driver.world.sql("governance", "DELETE FROM points_lifecycle.batch")
    with pytest.raises(AirflowFailException, match=BATCH):
        driver.answer(operator, digest)
    assert (driver.events()[-1].kind, driver.events()[-1].responder) == ("refused", "approver")


@pytest.mark.parametrize(("name", "value"), [("requester", None), ("run_type", "backfill"), ("run_type", "scheduled")])
def test_a_run_that_no_person_triggered_cannot_even_ask(driver: Driver, name: str, value: str | None) -> None:
    setattr(driver, name, value)
    with pytest.raises(AirflowFailException):
        driver.retry(driver.operator())
    assert driver.asked == []
    with pytest.raises(AirflowFailException):
        driver.answer(driver.operator(), driver.world.plan("intranet").plan.digest)
    assert driver.down() == 0


def test_an_answer_to_a_plan_that_changed_meanwhile_is_refused(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    driver.world.sql("intranet", "UPDATE define_nosdata_general SET status = 2 WHERE id = 5")
    with pytest.raises(AirflowFailException, match="changed after it was shown"):
        driver.answer(operator, digest)
    assert driver.down() == 0


def test_an_answer_counts_once(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    driver.stop = True
    with pytest.raises(AirflowFailException, match="Stopped by the switch"):
        driver.answer(operator, digest)
    driver.stop = False
    driver.clock -= timedelta(seconds=1)
    with pytest.raises(AirflowFailException, match="once"):
        driver.answer(operator, digest)
    assert driver.down() == 0


def test_two_answers_the_newest_counts(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    with pytest.raises(AirflowFailException, match="did not approve"):
        driver.answer(operator, digest, chosen_options=["Reject"])
    again = driver.operator()
    assert driver.ask(again) == digest
    assert driver.answer(again, digest, "second_approver")["approved_by"] == "second_approver"
    assert driver.down() == 13


def test_an_approval_that_expired_is_none(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    driver.clock -= timedelta(hours=72)
    with pytest.raises(AirflowFailException, match="has expired"):
        driver.answer(operator, digest)
    with pytest.raises(AirflowFailException, match="has expired"):
        driver.retry(driver.operator())
    assert driver.down() == 0


# --- killed between any two steps -------------------------------------------------------------------------
def test_killed_before_or_after_the_question_is_kept_a_retry_asks_the_same(driver: Driver, kill_at: Any) -> None:
    for before in (True, False):
        kill_at(Kind.ASKED, before=before)
        with pytest.raises(KilledError):
            driver.retry(driver.operator())
        assert driver.asked == []  # nobody sees a question that is not kept
    operator = driver.operator()
    assert driver.answer(operator, driver.ask(operator))["rows"] == 13


def test_killed_before_the_answer_is_kept_a_retry_asks_again(driver: Driver, kill_at: Any) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    kill_at(Kind.APPROVED, before=True)
    with pytest.raises(KilledError):
        driver.answer(operator, digest)
    assert driver.down() == 0
    assert driver.ask(driver.operator()) == digest


@pytest.mark.parametrize(
    ("kind", "before", "down"),
    [(Kind.APPROVED, False, 0), (Kind.STARTED, True, 0), (Kind.STARTED, False, 0), (Kind.FINISHED, True, 13)],
)
def test_killed_later_a_retry_goes_on_under_the_approval(
    driver: Driver, kill_at: Any, kind: Kind, before: bool, down: int
) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    kill_at(kind, before=before)
    with pytest.raises(KilledError):
        driver.answer(operator, digest)
    assert driver.down() == down
    asked = len(driver.asked)
    assert driver.retry(driver.operator())["approved_by"] == "approver"
    assert (len(driver.asked), driver.down()) == (asked, 13)
    assert driver.kinds() == ["asked", "approved", "started", "finished"]


def test_killed_after_the_end_was_kept_a_retry_does_nothing(driver: Driver, kill_at: Any) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    kill_at(Kind.FINISHED)
    with pytest.raises(KilledError):
        driver.answer(operator, digest)
    assert driver.retry(driver.operator()) is None
    assert driver.kinds() == ["asked", "approved", "started", "finished"]


@pytest.mark.parametrize("kind", [PointsDownlineOperator, PointsRestoreOperator])
def test_killed_in_the_middle_of_the_change_a_retry_goes_on(
    driver: Driver, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind is PointsRestoreOperator:
        first = driver.operator()
        driver.answer(first, driver.ask(first))
    operator = driver.operator(kind)
    digest = driver.ask(operator)
    stops = iter([False, False, True])
    module = points_restore_operator if kind is PointsRestoreOperator else points_downline_operator
    monkeypatch.setattr(module, "stop_requested", lambda: next(stops))
    with pytest.raises(AirflowFailException, match="Stopped"):
        driver.answer(operator, digest)
    halfway = driver.down()
    assert 0 < halfway < 13
    monkeypatch.setattr(module, "stop_requested", lambda: False)
    driver.retry(driver.operator(kind))
    assert driver.down() == (0 if kind is PointsRestoreOperator else 13)


def test_what_refuses_a_half_done_change_is_an_alert_and_before_it_a_refusal(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    with pytest.raises(AirflowFailException) as before:
        driver.answer(operator, digest, "somebody")
    assert refusal_of(before.value) is not None
    operator = driver.operator()
    stops = iter([False, False, True])
    monkeypatch.setattr(points_downline_operator, "stop_requested", lambda: next(stops))
    with pytest.raises(AirflowFailException, match="Stopped"):
        driver.answer(operator, driver.ask(operator))
    assert 0 < driver.down() < 13
    driver.requester = "another"
    with pytest.raises(AirflowFailException, match="began and could not be finished") as half_done:
        driver.retry(driver.operator())
    assert refusal_of(half_done.value) is None


def test_two_processes_do_not_act_under_one_approval_at_once(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    acting = PointsDownlineOperator.carry_out

    def carry_out(self: Any, *args: Any) -> Any:
        with pytest.raises(AirflowFailException, match="Another process is acting"):
            driver.retry(driver.operator())
        return acting(self, *args)

    monkeypatch.setattr(PointsDownlineOperator, "carry_out", carry_out)
    assert driver.answer(operator, digest)["rows"] == 13


# --- a refusal, or a failure -------------------------------------------------------------------------------
@pytest.mark.parametrize("wrapped", [False, True], ids=["as it is", "behind Airflow's exception"])
def test_what_stops_an_action_half_way_is_a_failure_even_if_it_is_a_refusal(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, wrapped: bool
) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    calls = count()

    def refuse_later() -> bool:
        if next(calls) < 2:
            return False
        refusal = PlanRefusedError("refused in the middle")
        if wrapped:
            raise AirflowFailException(str(refusal)) from refusal
        raise refusal

    monkeypatch.setattr(points_downline_operator, "stop_requested", refuse_later)
    with pytest.raises(AirflowFailException, match=r"could not be finished.*refused in the middle") as failure:
        driver.answer(operator, digest)
    assert 0 < driver.down() < 13
    assert refusal_of(failure.value) is None
    assert driver.kinds() == ["asked", "approved", "started"]


def test_a_retry_that_may_not_go_on_with_half_a_change_is_a_failure(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    stops = iter([False, True])
    monkeypatch.setattr(points_downline_operator, "stop_requested", lambda: next(stops))
    with pytest.raises(AirflowFailException, match="Stopped"):
        driver.answer(operator, digest)
    assert 0 < driver.down() < 13
    driver.world.sql("intranet", "UPDATE define_nosdata_general SET status = 2 WHERE id = 5")
    with pytest.raises(AirflowFailException, match="it is now") as failure:
        driver.retry(driver.operator())
    assert refusal_of(failure.value) is None


def test_a_plan_that_changes_just_before_the_action_is_refused_and_nothing_begins(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    lock = ApprovalRepository.lock

    def changed(repository: ApprovalRepository, approval_id: int) -> None:
        driver.world.sql("intranet", "UPDATE define_nosdata_general SET status = 2 WHERE id = 5")
        lock(repository, approval_id)

    monkeypatch.setattr(ApprovalRepository, "lock", changed)
    with pytest.raises(AirflowFailException, match="changed while it was about to be") as refusal:
        driver.answer(operator, digest)
    assert refusal_of(refusal.value) is not None
    assert (driver.down(), driver.kinds()) == (0, ["asked", "approved"])


# --- ways round the approval -------------------------------------------------------------------------------
def test_a_run_that_ended_and_was_cleared_has_no_approval(driver: Driver) -> None:
    """A2: an approved, finished change; the run is cleared when there is something else to change."""
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    restore = driver.operator(PointsRestoreOperator, ids="[1]")
    driver.answer(restore, driver.ask(restore))
    assert driver.down() < 13
    driver.new_run(driver.run_id)
    asked = len(driver.asked)
    with pytest.raises(AirflowFailException, match="was used before"):
        driver.retry(driver.operator(PointsRestoreOperator, ids="[2]"))
    assert len(driver.asked) == asked


def test_a_task_that_waited_while_the_world_changed_is_refused_for_good(driver: Driver) -> None:
    """A3, A4: Airflow shows the old plan; neither a new question nor an answer with the new digest changes anything."""
    operator = driver.operator()
    driver.ask(operator)
    driver.world.sql("intranet", "UPDATE define_nosdata_general SET status = 2 WHERE id = 5")
    new = driver.world.plan("intranet").plan.digest
    cleared = driver.operator()
    with pytest.raises(AirflowFailException, match=r"text of the first question.*Trigger a new run"):
        driver.retry(cleared)
    assert len(driver.asked) == 1
    with pytest.raises(AirflowFailException, match="changed after it was shown") as refusal:
        driver.answer(operator, new)
    assert new not in str(refusal.value)
    assert driver.down() == 0
    driver.new_run()
    fresh = driver.operator()
    assert driver.answer(fresh, driver.ask(fresh))["rows"] == 11  # without point 5 and its tag


def test_a_countersignature_that_was_taken_back_counts_no_more(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A5: countersigned, cleared and rejected by the same person; the task is set to success."""
    need_two(monkeypatch)
    first = driver.operator(PointsCountersignOperator)
    driver.answer(first, driver.ask(first))
    again = driver.operator(PointsCountersignOperator)
    digest = driver.ask(again)
    with pytest.raises(AirflowFailException, match="newest event is: asked"):
        driver.retry(driver.operator())
    with pytest.raises(AirflowFailException, match="did not approve"):
        driver.answer(again, digest, chosen_options=["Reject"])
    with pytest.raises(AirflowFailException, match="newest event is: rejected"):
        driver.retry(driver.operator())
    assert driver.down() == 0


def test_a_countersignature_taken_back_while_the_change_waits_counts_no_more(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_two(monkeypatch)
    first = driver.operator(PointsCountersignOperator)
    driver.answer(first, driver.ask(first))
    second = driver.operator()
    digest = driver.ask(second)
    again = driver.operator(PointsCountersignOperator)
    driver.ask(again)
    with pytest.raises(AirflowFailException, match="did not approve"):
        driver.answer(again, digest, chosen_options=["Reject"])
    with pytest.raises(AirflowFailException, match="nobody gave one"):
        driver.answer(second, digest, "second_approver")
    assert driver.down() == 0


def test_a_run_id_that_is_used_again_carries_no_approval_over(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A6: countersigned; the run is deleted, the countersigner triggers one of the same id."""
    need_two(monkeypatch)
    first = driver.operator(PointsCountersignOperator)
    digest = driver.ask(first)
    driver.answer(first, digest, "approver")
    driver.new_run(driver.run_id)
    driver.requester = "approver"
    with pytest.raises(AirflowFailException, match="was used before: by requester"):
        driver.retry(driver.operator())
    with pytest.raises(AirflowFailException, match="was used before"):
        driver.answer(driver.operator(), digest, "second_approver")
    assert driver.down() == 0


def test_no_value_of_a_row_can_forge_a_line_of_the_page(driver: Driver) -> None:
    """C3: a cluster whose name is Markdown."""
    hostile = "x\n\n# APPROVED\n[here](http://evil)|`"
    plan = driver.world.plan("intranet").plan
    rows = tuple(row._replace(cluster=hostile) if row.row_id == 1 else row for row in plan.rows)
    body = plan_proposal(
        replace(plan, rows=rows), [], Role.EXECUTE, requester="a\n# b", run_url="http://airflow/run"
    ).body
    assert not [line for line in body.splitlines() if line.lstrip().startswith("# ")]
    assert "](http://evil)" not in body


def test_no_name_can_forge_a_line_of_the_headline(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """C3: a ticket's id, and so its headline, has the name of its cluster in it."""

    def hostile(*args: Any, **more: Any) -> Any:
        return replace(plan_proposal(*args, **more), title="ticket b1/x\n\nAPPROVED by approver/own")

    monkeypatch.setattr(points_downline_operator, "plan_proposal", hostile)
    operator = driver.operator()
    driver.ask(operator)
    assert operator.subject == "ticket b1/x APPROVED by approver/own"


def test_an_edited_backup_is_refused(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    (backup, *_) = driver.world.repositories.backups.of_batch(BATCH, "intranet")
    driver.world.sql("intranet", f"DELETE FROM {backup.place} LIMIT 1")
    with pytest.raises(AirflowFailException, match="expected"):
        driver.answer(operator, digest)
    assert driver.down() == 0


def test_a_row_that_changed_after_its_backup_does_not_go_before_a_new_one(driver: Driver) -> None:
    driver.world.sql(
        "intranet", "UPDATE define_nosdata_general SET people = 'x', last_modify_time = last_modify_time WHERE id = 5"
    )
    operator = driver.operator()
    with pytest.raises(AirflowFailException, match=r"1 rows of the plan changed after they were backed up .*general 5"):
        driver.answer(operator, driver.ask(operator))
    assert driver.down() == 0
    driver.new_run()
    TableBackupOperator(task_id="b", batch_id=BATCH, environment="intranet").execute(driver.context())
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    assert driver.down() == 13


def test_no_backup_or_no_structure_no_downline(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    driver.world.sql("governance", "DELETE FROM points_lifecycle.backup")
    with pytest.raises(AirflowFailException, match="changed after it was shown"):
        driver.answer(operator, digest)  # the page named the backups
    driver.new_run()
    operator = driver.operator()
    digest = driver.ask(operator)
    with pytest.raises(AirflowFailException, match="no proven backup"):
        driver.answer(operator, digest)
    driver.world.sql("governance", "DELETE FROM points_lifecycle.structure WHERE point_id = 5")
    with pytest.raises(AirflowFailException, match="no structure, no downline"):
        driver.retry(driver.operator())
    assert driver.down() == 0


def test_a_large_plan_needs_two_other_people(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    need_two(monkeypatch)
    with pytest.raises(AirflowFailException, match="nobody was asked for one"):
        driver.retry(driver.operator())
    driver.new_run()
    first = driver.operator(PointsCountersignOperator)
    digest = driver.ask(first)
    driver.answer(first, digest, "approver")
    assert driver.down() == 0
    second = driver.operator()
    assert driver.ask(second) == digest
    assert [user["id"] for user in second.assigned_users] == ["second_approver"]
    with pytest.raises(AirflowFailException, match="approved it before"):
        driver.answer(second, digest, "approver")
    assert driver.answer(second, digest, "second_approver")["rows"] == 13


def test_a_small_plan_needs_no_countersignature(driver: Driver) -> None:
    assert driver.retry(driver.operator(PointsCountersignOperator)) is None
    assert driver.events() == []


def test_marking_the_change_as_done_does_not_pass_the_verification(driver: Driver) -> None:
    verify = PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet")
    with pytest.raises(AirflowFailException, match="13 planned rows were not changed"):
        verify.execute(driver.context())


def test_what_was_changed_is_verified_and_watched_on_whatever_day_that_is(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed at 23:58 on the last day on which the evidence is young enough, verified after midnight."""
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    monkeypatch.setattr(points_databases, "business_today", lambda: TOO_LATE)
    set_policy(monkeypatch, RULES.model_copy(update={"caps": RULES.caps.model_copy(update={"rows": 1})}))
    counts = PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet").execute(driver.context())
    assert counts["points"]["total"] == 10
    batch = driver.world.repositories.batches.get(BATCH)
    assert batch.state == "downlined"
    assert batch.observe_from is not None


def test_an_observation_that_began_is_in_the_audit(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since when rows are observed is read from the audit: killed between the two, neither is."""
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    verify = PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet")

    def refuse(_connection: Any, path: str, *_: Any, **__: Any) -> int:
        assert path == "audit/add_audit.sql"
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(audit_repository, "execute", refuse)
        with pytest.raises(KeyboardInterrupt):
            verify.execute(driver.context())
    batch = driver.world.repositories.batches.get(BATCH)
    assert (batch.state, batch.observe_from) == ("downlining", None)
    verify.execute(driver.context())
    batch = driver.world.repositories.batches.get(BATCH)
    (verified,) = [e for e in driver.world.repositories.audit.events(BATCH) if e["event"] == VERIFIED]
    assert batch.observe_from is not None
    assert abs(verified["at"] - batch.observe_from) < timedelta(seconds=5)


def test_what_somebody_put_back_before_the_verification_holds_nothing(driver: Driver) -> None:
    """A point, and a tag of others: named, watched no more, and not taken on the extranet; the rest goes on."""
    operator, world = driver.operator(), driver.world
    driver.answer(operator, driver.ask(operator))
    world.sql("intranet", "UPDATE define_nosdata_general SET status = 1 WHERE id = 7")
    world.sql("intranet", "UPDATE define_nosdata_general SET status = 1 WHERE id = 6")
    world.sql("intranet", "UPDATE define_nostag_general SET status = 1 WHERE id = 501")
    counts = PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet").execute(driver.context())
    assert (counts["points"]["total"], counts["tags"]["total"]) == (8, 1)
    assert world.repositories.batches.get(BATCH).state == "downlined"
    assert world.repositories.audit.events(BATCH)[-1]["detail"]["put_back"] == [
        ["point", "define_nosdata_general", 6], ["point", "define_nosdata_general", 7],
        ["tag", "define_nostag_general", 501],
    ]  # fmt: skip
    planned = world.plan("extranet").plan
    assert planned.points() == {1, 2, 3, 4, 5, 11, 12, 13}
    assert [d.row_id for d in planned.differences if d.reason == BACK_ON_INTRANET] == [6, 7, 501]
    report = downline_report(world.repositories, world.environment, BATCH, [])
    assert [d.row_id for d in report.differences["intranet"] if d.reason == PUT_BACK] == [6, 7, 501]


def test_a_downline_of_which_everything_was_put_back_is_not_verified(driver: Driver) -> None:
    """An import of the definitions, e.g.: that is no decision about a point."""
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    for table in ("nosdata_general", "nosdata_mqzdr", "nostag_general"):
        driver.world.sql("intranet", f"UPDATE define_{table} SET status = 1 WHERE status = -80")
    with pytest.raises(AirflowFailException, match="not one changed row is as planned"):
        PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet").execute(driver.context())
    assert driver.world.repositories.batches.get(BATCH).observe_from is None


def test_an_environment_of_which_everything_was_put_back_holds_no_other(driver: Driver) -> None:
    """It has few rows, and its verification could not be made for ever: nor could the observation begin."""
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    verify = PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet")
    verify.execute(driver.context())
    driver.world.downline("extranet")
    for table in ("nosdata_general", "nosdata_mqzdr", "nostag_general"):
        driver.world.sql("extranet", f"UPDATE define_{table} SET status = 1 WHERE status = -80")
    assert not points_databases.still_down(BATCH)["extranet"]
    PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="extranet").execute(driver.context())
    assert driver.world.repositories.batches.get(BATCH).state == "downlined"


def test_what_was_begun_before_midnight_is_ended_after_it_and_nothing_else_is_begun(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    stops = iter([False, True])
    monkeypatch.setattr(points_downline_operator, "stop_requested", lambda: next(stops))
    with pytest.raises(AirflowFailException, match="Stopped"):
        driver.answer(operator, digest)
    assert 0 < driver.down() < 13
    monkeypatch.setattr(points_downline_operator, "stop_requested", lambda: False)
    monkeypatch.setattr(points_databases, "business_today", lambda: TOO_LATE)
    run_id = driver.run_id
    driver.new_run()
    with pytest.raises(AirflowFailException, match="stale"):  # a new run has to be admitted
        driver.retry(driver.operator())
    driver.run_id, driver.started_at = run_id, driver.started_at - timedelta(minutes=1)
    driver.retry(driver.operator())
    assert driver.down() == 13
    assert driver.retry(driver.operator()) is None


def test_without_a_kept_plan_nobody_knows_whether_everything_was_changed(driver: Driver) -> None:
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    driver.world.sql("governance", "DELETE FROM points_lifecycle.plan")
    with pytest.raises(AirflowFailException, match="no plan was kept"):
        PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet").execute(driver.context())
    assert driver.world.repositories.batches.get(BATCH).observe_from is None


def test_a_second_run_of_the_change_does_nothing_and_asks_nobody(driver: Driver) -> None:
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    asked = len(driver.asked)
    assert driver.retry(driver.operator()) is None
    assert len(driver.asked) == asked
    assert driver.down() == 13


def test_a_point_used_meanwhile_is_taken_out_and_the_extranet_follows_the_result(driver: Driver) -> None:
    operator = driver.operator()
    digest = driver.ask(operator)
    used = "('upd_eid_4', '2024-08-01 00:00:00', 1)"
    driver.world.sql("governance", f"INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES {used}")
    try:
        result = driver.answer(operator, digest)
    finally:
        driver.world.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")
    assert (result["taken_out"], result["rows"]) == ([4], 11)
    assert driver.world.rows("intranet")["define_nosdata_general", 4, "积分 4"][0] == 1
    counts = PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet").execute(driver.context())
    assert counts["points"]["total"] == 9
    assert 4 not in driver.world.plan("extranet").plan.points()


def test_a_backup_from_before_the_change_is_never_replaced_after_it(driver: Driver) -> None:
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    before = driver.world.repositories.backups.of_batch(BATCH, "intranet")
    TableBackupOperator(task_id="b", batch_id=BATCH, environment="intranet").execute(driver.context())
    assert driver.world.repositories.backups.of_batch(BATCH, "intranet") == before
    driver.world.sql("intranet", f"DELETE FROM {before[0].place} LIMIT 1")
    with pytest.raises(AirflowFailException, match="expected"):
        TableBackupOperator(task_id="b", batch_id=BATCH, environment="intranet").execute(driver.context())


def test_a_restore_is_approved_the_same_way(driver: Driver) -> None:
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    restore = driver.operator(PointsRestoreOperator, ids="[1, 2]")
    digest = driver.ask(restore)
    with pytest.raises(AirflowFailException, match="asked for this"):
        driver.answer(restore, digest, "requester")
    assert driver.down() == 13
    restore = driver.operator(PointsRestoreOperator, ids="[1, 2]")
    assert driver.ask(restore) == digest
    assert driver.answer(restore, digest)["counts"]["points"]["total"] == 2
    assert driver.down() == 10


def hand_over(driver: Driver, point: int) -> str:
    """Make a ticket of the DBA for a point, and return it."""
    store, structure = TicketRepository(driver.world.governance), Structure(point, "redis_mq", "string", "mq:9", None)
    plan = plan_tickets(BATCH, [structure], LivingPoints((), {}), {"redis_mq": frozenset({"r"})}, get_config())
    store.save_tickets(driver.world.repositories.batches.get(BATCH), plan, {})
    (ticket,) = plan.tickets
    assert store.ticket(ticket.ticket_id).state == "handed_over"
    return ticket.ticket_id


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a restore mails: to whom, which template, which tickets."""
    sent: list[Any] = []
    monkeypatch.setattr(
        points_restore_operator, "send_mail", lambda to, name, **values: sent.append((to, name, values["tickets"]))
    )
    return sent


def test_a_restore_names_the_tickets_that_it_takes_from_the_dba_and_tells_at_once(
    driver: Driver, letters: list[Any]
) -> None:
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    ticket = hand_over(driver, 1)
    letter = (get_settings().points_email, "cleanup/withdrawn", [ticket])
    restore = driver.operator(PointsRestoreOperator, ids="[3]")
    digest = driver.ask(restore)
    assert ticket not in restore.body
    assert driver.answer(restore, digest)["withdrawn_tickets"] == []
    driver.new_run()
    restore = driver.operator(PointsRestoreOperator, ids="[1, 2]")
    digest = driver.ask(restore)
    assert ticket in restore.body
    assert driver.answer(restore, digest)["withdrawn_tickets"] == [ticket]
    assert letters == [letter]
    events = driver.world.repositories.audit.events(BATCH)
    noted = [e["detail"]["tickets"] for e in events if e["event"] == "dba_tickets_withdrawn"]
    assert noted == [[ticket]]
    assert TicketRepository(driver.world.governance).ticket(ticket).state == "withdrawn"


@pytest.mark.parametrize("fault", ["killed", "mail refused"])
def test_a_restore_whose_mail_about_the_dba_failed_restores_and_tells_with_its_retry(
    driver: Driver, letters: list[Any], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    ticket = hand_over(driver, 1)
    restore = driver.operator(PointsRestoreOperator, ids="[1]")
    digest = driver.ask(restore)

    def fails(*_: Any, **__: Any) -> None:
        raise KilledError if fault == "killed" else OSError("550 not now")

    with monkeypatch.context() as patched:
        patched.setattr(points_restore_operator, "send_mail", fails)
        with pytest.raises(KilledError if fault == "killed" else NotAllToldError):
            driver.answer(restore, digest)
    assert (letters, driver.down()) == ([], 13 if fault == "killed" else 11)  # the point comes back, told or not
    driver.retry(driver.operator(PointsRestoreOperator, ids="[1]"))
    driver.retry(driver.operator(PointsRestoreOperator, ids="[1]"))
    assert (len(letters), driver.down()) == (1, 11)
    assert letters[0][2] == [ticket]


def test_a_restore_that_is_refused_names_what_could_not_be_told(
    driver: Driver, letters: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ticket is withdrawn whatever becomes of the restore; a failed task that is not retried has to say so."""
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    ticket = hand_over(driver, 1)
    restore = driver.operator(PointsRestoreOperator, ids="[1]")
    digest = driver.ask(restore)

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("550 not now")

    def refuses(*_: Any) -> None:
        raise PlanChangedError("Rows differ.")

    monkeypatch.setattr(points_restore_operator, "send_mail", fails)
    monkeypatch.setattr(Execution, "restore", refuses)
    with pytest.raises(AirflowFailException, match=r"Rows differ\. .*550 not now"):
        driver.answer(restore, digest)
    assert TicketRepository(driver.world.governance).ticket(ticket).state == "withdrawn"


def test_a_ticket_that_is_made_while_its_point_is_restored_is_withdrawn_and_told(
    driver: Driver, letters: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was planned before the rows were served, and is kept after the restore had looked for tickets."""
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    ticket = hand_over(driver, 1)
    restore = driver.operator(PointsRestoreOperator, ids="[1]")
    digest = driver.ask(restore)
    carried_out = Execution.restore

    def meanwhile(execution: Execution, plan: Any) -> int:
        hand_over(driver, 1)
        return carried_out(execution, plan)

    monkeypatch.setattr(Execution, "restore", meanwhile)
    assert driver.answer(restore, digest)["withdrawn_tickets"] == [ticket]
    assert TicketRepository(driver.world.governance).ticket(ticket).state == "withdrawn"
    assert [told for *_, told in letters] == [[ticket], [ticket]]  # it may have been mailed between the two


@pytest.mark.parametrize("spelled", ["B1", "b1 ", "ｂ1"])
def test_a_batch_in_another_spelling_is_not_restored(driver: Driver, spelled: str) -> None:
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    restore = PointsRestoreOperator(task_id="restore", batch_id=spelled, environment="intranet")
    with pytest.raises(AirflowFailException, match=r"is written 'b1'|is not known"):
        driver.retry(restore)
    assert driver.down() == 13


@pytest.mark.parametrize("batch_id", ["b9", "", "b" * 5_000, "b9\0", "b9' OR 1=1 -- "])
def test_an_unknown_batch_is_refused_once_with_those_that_exist(driver: Driver, batch_id: str) -> None:
    asked = {"task_id": "t", "batch_id": batch_id}
    for operator in (
        PointsRestorePlanOperator(environment="intranet", **asked),
        PointsRestoreOperator(environment="intranet", **asked),
        PointsPlanOperator(environment="intranet", **asked),
        PointsReleaseOperator(reason="looked into", **asked),
    ):
        with pytest.raises((RefusedError, AirflowFailException)) as caught:  # neither is ever tried again
            operator.execute(driver.context() | {"params": {"dry_run": False}})
        assert refusal_of(caught.value) is not None, "the person who asked is told"
        message = str(caught.value)
        assert "is not known. Nothing was changed. The newest batches are: b1 (confirmed)." in message
        assert len(message) < 400


@pytest.mark.parametrize("environment", ["", "internet", "Intranet\n", "x" * 5_000])
def test_an_unknown_environment_is_refused_once_with_those_that_exist(driver: Driver, environment: str) -> None:
    for kind in (PointsRestorePlanOperator, PointsRestoreOperator, PointsPlanOperator):
        with pytest.raises((RefusedError, AirflowFailException), match="expected one of intranet, extranet") as caught:
            kind(task_id="t", batch_id=BATCH, environment=environment).execute(driver.context())
        assert refusal_of(caught.value) is not None
        assert len(str(caught.value)) < 300


# --- release of a halted observation -----------------------------------------------------------------------
@pytest.fixture
def halted(driver: Driver) -> Iterator[Driver]:
    """A batch downlined on the intranet and halted, since point 4 was used."""
    operator = driver.operator()
    driver.answer(operator, driver.ask(operator))
    driver.new_run()
    driver.world.repositories.observations.start(BATCH, 30)
    driver.world.sql("governance", "UPDATE points_lifecycle.batch SET observe_from = '2024-08-02'")
    use(driver, 4, "2024-08-03 00:00:00")
    driver.world.repositories.observations.save(
        [
            {
                "batch_id": BATCH,
                "kind": "use",
                "oper_type": "upd_eid_4",
                "point_id": 4,
                "last_seen": datetime.fromisoformat("2024-08-03"),
                "seen_count": 1,
            }
        ]
    )
    driver.world.repositories.observations.halt(BATCH, "1 downlined points show signs of life: [4]")
    yield driver
    driver.world.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")


def use(driver: Driver, point: int, at: str) -> None:
    driver.world.sql(
        "governance", f"INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES ('upd_eid_{point}', '{at}', 1)"
    )


def release(reason: str = "the caller was removed") -> PointsReleaseOperator:
    return PointsReleaseOperator(task_id="release", batch_id=BATCH, reason=reason)


def test_a_halted_batch_is_released_after_approval(halted: Driver) -> None:
    operator = release()
    digest = halted.ask(operator)
    for shown in (
        "1 downlined points show signs of life",
        "upd\\_eid\\_4",
        "the caller was removed",
        "chenwei",
        digest,
    ):
        assert shown.replace("\\", "") in operator.body.replace("\\", "")
    halt = halted.world.repositories.batches.get(BATCH)
    result = halted.answer(operator, digest)
    assert result["approved_by"] == "approver"
    batch = halted.world.repositories.batches.get(BATCH)
    assert (batch.halted_at, batch.halted_reason, batch.state) == (None, None, "downlined")
    assert batch.observe_from == datetime.fromisoformat("2024-08-02")  # its days are counted from the first one
    assert points_databases.signs_now(halted.world.repositories, BATCH, batch.observe_from) == []
    event = halted.world.repositories.audit.events(BATCH)[-1]
    assert (event["event"], event["actor"]) == ("released", "approver")
    assert event["detail"]["requester"] == "requester"
    assert event["detail"]["reason"] == "the caller was removed"
    assert event["detail"]["halted_reason"] == halt.halted_reason
    assert halted.kinds() == ["asked", "approved", "started", "finished"]


def test_a_released_batch_is_watched_for_a_while_before_its_cleanup(halted: Driver) -> None:
    halted.world.sql("governance", "UPDATE points_lifecycle.batch SET observe_until = '2024-09-01'")
    operator = release()
    halted.answer(operator, halted.ask(operator))
    until = halted.world.repositories.batches.get(BATCH).observe_until
    assert until is not None
    assert until > datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)


@pytest.mark.parametrize("releases", [1, 2])
def test_a_day_that_had_not_arrived_when_a_batch_was_released_is_still_needed(halted: Driver, releases: int) -> None:
    """Released at 10:00, when the day before is not expected yet; it never arrives."""
    now = datetime.now(UTC).replace(tzinfo=None)
    halted.world.sql(
        "governance",
        "UPDATE points_lifecycle.batch SET observe_from = %s, observe_until = %s",
        now - timedelta(days=20),
        now + timedelta(days=10),
    )
    operator = release()
    halted.answer(operator, halted.ask(operator))
    if releases == 2:
        halted.new_run()
        use(halted, 5, "2024-08-04 00:00:00")
        halted.world.repositories.observations.halt(BATCH, "used again")
        operator = release()
        halted.answer(operator, halted.ask(operator))
    batch = halted.world.repositories.batches.get(BATCH)
    assert batch.observe_from is not None
    assert batch.observe_until is not None
    last = last_observed_day(batch.observe_until, "UTC")
    day_before = now.date() - timedelta(days=1)
    whole = [batch.observe_from.date() + timedelta(days=number) for number in range(60)]
    evidence = EvidenceDays(dict.fromkeys(whole, 1440) | {day_before: 0}, 1435)
    expected = last + timedelta(days=9)
    found = observed_days(batch.observe_from, batch.observe_until, evidence, expected, "UTC", window_days=180, least=30)
    assert found.missing == (str(day_before),)
    assert found.end == last + timedelta(days=1)


def test_a_batch_that_was_halted_for_longer_than_evidence_is_kept_is_due_after_its_release(halted: Driver) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    halted.world.sql(
        "governance",
        "UPDATE points_lifecycle.batch SET observe_from = %s, observe_until = %s",
        now - timedelta(days=300),
        now - timedelta(days=270),
    )
    operator = release()
    halted.answer(operator, halted.ask(operator))
    until = halted.world.repositories.batches.get(BATCH).observe_until
    assert until is not None
    last = last_observed_day(until, "Asia/Shanghai")
    tickets = TicketRepository(
        halted.world.repositories.connection, lambda: datetime.now(UTC) + timedelta(days=WATCH_DAYS + 1)
    )
    for newest, due in ((last - timedelta(days=1), []), (last, [BATCH])):
        halted.world.cover(newest)
        assert tickets.due_batches("Asia/Shanghai") == due


@pytest.mark.parametrize("change", ["new use", "later use", "halted again", "requester", "reject", "nobody"])
def test_whatever_is_no_approval_of_this_halt_leaves_it(halted: Driver, change: str) -> None:
    operator = release()
    digest = halted.ask(operator)
    answer: dict[str, Any] = {}
    if change == "new use":
        use(halted, 5, "2024-08-04 00:00:00")
    elif change == "later use":
        halted.world.sql("governance", "UPDATE rsp_datagovern.ads_evt_ops_status SET oper_ts = '2024-08-05'")
    elif change == "halted again":
        halted.world.sql("governance", "UPDATE points_lifecycle.batch SET halted_at = NULL")
        halted.world.repositories.observations.halt(BATCH, "1 downlined points show signs of life: [5]")
    elif change == "reject":
        answer = {"chosen_options": ["Reject"]}
    elif change == "nobody":
        answer = {"user": None, "error": "timeout", "error_type": "timeout"}
    else:
        answer = {"user": "requester"}
    with pytest.raises(AirflowFailException):
        halted.answer(operator, digest, **answer)
    assert halted.world.repositories.batches.get(BATCH).halted_at is not None
    assert "released" not in [event["event"] for event in halted.world.repositories.audit.events(BATCH)]
    assert halted.kinds()[-1] in ("refused", "rejected", "unanswered")


@pytest.mark.parametrize("kind", [Kind.APPROVED, Kind.STARTED, Kind.FINISHED])
def test_a_release_that_was_killed_is_ended_by_a_retry(halted: Driver, kill_at: Any, kind: Kind) -> None:
    operator = release()
    digest = halted.ask(operator)
    kill_at(kind, before=kind == Kind.FINISHED)
    with pytest.raises(KilledError):
        halted.answer(operator, digest)
    assert halted.retry(release())["digest"] == digest
    assert halted.world.repositories.batches.get(BATCH).halted_at is None
    assert [event["event"] for event in halted.world.repositories.audit.events(BATCH)].count("released") == 1
    assert halted.kinds() == ["asked", "approved", "started", "finished"]


def test_a_release_is_for_one_halt_in_one_run(halted: Driver) -> None:
    operator = release()
    halted.answer(operator, halted.ask(operator))
    halted.world.repositories.observations.halt(BATCH, "used again")
    asked = len(halted.asked)
    assert halted.retry(release()) is None  # this run has done its part
    halted.new_run(halted.run_id)
    assert halted.world.repositories.batches.get(BATCH).halted_at is not None
    halted.new_run()
    halted.ask(release())
    assert len(halted.asked) == asked + 1


@pytest.mark.parametrize(
    ("batch_id", "reason", "refusal"),
    [
        ("b9", "x", "not known"),
        # A collation that ignores case or trailing blanks finds b1; its approvals would be about another batch.
        (BATCH.upper(), "x", "is written 'b1'|not known"),
        (f"{BATCH} ", "x", "is written 'b1'|not known"),
        (BATCH, " ", "needs a reason"),
        (BATCH, "x" * 1001, "1001"),
    ],
)
def test_what_cannot_be_released_is_not_asked(halted: Driver, batch_id: str, reason: str, refusal: str) -> None:
    with pytest.raises(AirflowFailException, match=refusal):
        halted.retry(PointsReleaseOperator(task_id="release", batch_id=batch_id, reason=reason))
    assert halted.events() == []


def test_a_batch_that_is_not_halted_has_nothing_to_release(driver: Driver) -> None:
    with pytest.raises(AirflowFailException, match="not halted"):
        driver.retry(release())


@pytest.mark.parametrize("name", ["defaults", "options", "assigned_users", "subject", "body", "multiple"])
def test_nobody_can_give_the_operator_an_answer_in_advance(name: str) -> None:
    with pytest.raises(ValueError, match="decides"):
        PointsDownlineOperator(task_id="x", batch_id=BATCH, environment="intranet", **{name: ["Approve"]})
