"""The approval operators on a real server: they ask, wait, and change exactly what was approved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from drawsguard.points.database import close
from drawsguard.points.lifecycle import LifecycleError
from operators import points_downline_operator, points_servers
from operators.points_approval_operator import PointsCountersignOperator
from operators.points_downline_operator import PointsDownlineOperator
from operators.points_plan_operators import PointsVerifyOperator
from operators.points_restore_operator import PointsRestoreOperator
from operators.table_backup_operator import TableBackupOperator
from tests.integration.points_world import BATCH, RULES, TODAY, World, new_world, small_world

pytestmark = pytest.mark.integration


@dataclass
class Desk:
    """Runs the operators as Airflow would, and answers them."""

    world: World
    asked: list[HITLOperator] = field(default_factory=list)
    requester: str | None = "requester"
    run_type: str = "manual"
    stop: bool = False
    clock: datetime = datetime(2024, 8, 2, tzinfo=UTC)

    def context(self, run_id: str = "manual__1") -> Any:
        run = SimpleNamespace(dag_id="points_downline", triggering_user_name=self.requester, run_type=self.run_type)
        return {"dag_run": run, "run_id": run_id, "ti": None}

    def operator(self, kind: type = PointsDownlineOperator, environment: str = "intranet", **more: Any) -> Any:
        return kind(task_id=f"{kind.__name__}_{environment}", batch_id=BATCH, environment=environment, **more)

    def ask(self, operator: Any, run_id: str = "manual__1") -> str:
        """Run a task until it waits, and return the digest that its form shows."""
        with pytest.raises(TaskAwaitingInput):
            operator.execute(self.context(run_id))
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
        return operator.execute_complete(self.context(changes.pop("run_id", "manual__1")), event)

    def down(self) -> int:
        return sum(status == -80 for status, _ in self.world.rows("intranet").values())


@pytest.fixture
def desk(stack: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    world = new_world(stack.require("mysql").config)
    world.load(*small_world())
    world.confirm()
    world.prepare_change("intranet")
    made = Desk(world)
    rules = RULES.model_copy(update={"approval": RULES.approval.model_copy(update={"second_above_rows": 100})})

    def wait(operator: HITLOperator, _context: Any) -> None:
        made.asked.append(operator)
        raise TaskAwaitingInput(method_name="execute_complete", timeout=operator.response_timeout)

    monkeypatch.setattr(HITLOperator, "execute", wait)
    monkeypatch.setattr(points_servers, "get_rules", lambda: rules)
    monkeypatch.setattr("operators.points_approval_operator.get_rules", lambda: rules)
    monkeypatch.setattr(points_servers, "business_today", lambda: TODAY)
    monkeypatch.setattr(points_downline_operator, "stop_requested", lambda: made.stop)
    made.rules = rules  # type: ignore[attr-defined]
    yield made
    close(world.governance)


def need_two(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = RULES.model_copy(update={"approval": RULES.approval.model_copy(update={"second_above_rows": 5})})
    monkeypatch.setattr("operators.points_approval_operator.get_rules", lambda: strict)


def test_it_asks_waits_and_changes_what_was_approved(desk: Desk) -> None:
    operator = desk.operator()
    digest = desk.ask(operator)
    assert desk.down() == 0
    assert [user["id"] for user in operator.assigned_users] == ["approver", "second_approver"]
    assert digest in operator.body
    assert "define_nosdata_general" in operator.body
    result = desk.answer(operator, digest)
    assert (result["rows"], result["approved_by"]) == (13, "approver")
    assert desk.down() == 13
    (kept,) = [a for a in desk.world.lifecycle.approvals(BATCH) if a["decision"] == "approved"]
    assert (kept["responder"], kept["requester"], kept["digest"]) == ("approver", "requester", digest)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"user": "requester"}, "may not approve"),
        ({"user": "admin"}, "may not approve"),
        ({"user": None}, "no answer means no"),
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
def test_no_other_answer_changes_anything(desk: Desk, changes: dict[str, Any], reason: str) -> None:
    operator = desk.operator()
    digest = desk.ask(operator)
    with pytest.raises(AirflowFailException, match=reason):
        desk.answer(operator, digest, **changes)
    assert desk.down() == 0
    assert [a["decision"] for a in desk.world.lifecycle.approvals(BATCH)] in (["refused"], ["rejected"])
    events = [event["event"] for event in desk.world.lifecycle.events(BATCH)]
    assert ("approval_unanswered" in events) == ("error" in changes)


def test_that_nobody_answered_is_kept_even_if_the_plan_can_no_longer_be_made(desk: Desk) -> None:
    operator = desk.operator()
    digest = desk.ask(operator)
    desk.world.sql("governance", "DELETE FROM points_lifecycle.batch")
    with pytest.raises(LifecycleError, match=BATCH):
        desk.answer(operator, digest, user=None, error="no response in time", error_type="timeout")
    events = {event["event"]: event["detail"] for event in desk.world.lifecycle.events(BATCH)}
    assert events["approval_unanswered"]["reason"] == "no response in time"
    assert events["approval_unanswered"]["role"] == "execute"


@pytest.mark.parametrize(("name", "value"), [("requester", None), ("run_type", "backfill"), ("run_type", "scheduled")])
def test_a_run_that_no_person_triggered_cannot_even_ask(desk: Desk, name: str, value: str | None) -> None:
    setattr(desk, name, value)
    with pytest.raises(AirflowFailException):
        desk.operator().execute(desk.context())
    assert desk.asked == []
    with pytest.raises(AirflowFailException):
        desk.answer(desk.operator(), desk.world.plan("intranet").plan.digest)
    assert desk.down() == 0


def test_an_answer_to_a_plan_that_changed_meanwhile_is_refused(desk: Desk) -> None:
    operator = desk.operator()
    digest = desk.ask(operator)
    desk.world.sql("intranet", "UPDATE define_nosdata_general SET status = 2 WHERE id = 5")
    with pytest.raises(AirflowFailException, match="changed after it was shown"):
        desk.answer(operator, digest)
    assert desk.down() == 0


def test_an_answer_counts_once_and_a_retry_asks_again(desk: Desk) -> None:
    operator = desk.operator()
    digest = desk.ask(operator)
    desk.stop = True
    with pytest.raises(AirflowFailException, match="Stopped by the switch"):
        desk.answer(operator, digest)
    desk.stop = False
    desk.clock -= timedelta(seconds=1)
    with pytest.raises(AirflowFailException, match="counts once"):
        desk.answer(operator, digest)
    assert desk.down() == 0
    again = desk.operator()
    assert desk.ask(again) == digest
    assert desk.answer(again, digest)["rows"] == 13


def test_an_edited_backup_is_refused(desk: Desk) -> None:
    operator = desk.operator()
    digest = desk.ask(operator)
    (backup, *_) = desk.world.lifecycle.backups(BATCH, "intranet")
    desk.world.sql("intranet", f"DELETE FROM {backup.place} LIMIT 1")
    with pytest.raises(AirflowFailException, match="expected"):
        desk.answer(operator, digest)
    assert desk.down() == 0


def test_no_backup_or_no_structure_no_downline(desk: Desk) -> None:
    operator = desk.operator()
    digest = desk.ask(operator)
    desk.world.sql("governance", "DELETE FROM points_lifecycle.backup")
    with pytest.raises(AirflowFailException, match="no proven backup"):
        desk.answer(operator, digest)
    desk.world.sql("governance", "DELETE FROM points_lifecycle.structure WHERE point_id = 5")
    with pytest.raises(AirflowFailException, match="no structure, no downline"):
        desk.answer(operator, digest)
    assert desk.down() == 0


def test_a_large_plan_needs_two_other_people(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    need_two(desk, monkeypatch)
    with pytest.raises(AirflowFailException, match="nobody countersigned"):
        desk.operator().execute(desk.context())
    first = desk.operator(PointsCountersignOperator)
    digest = desk.ask(first)
    desk.answer(first, digest, "approver")
    assert desk.down() == 0
    second = desk.operator()
    assert desk.ask(second) == digest
    assert [user["id"] for user in second.assigned_users] == ["second_approver"]
    with pytest.raises(AirflowFailException, match="may not approve"):
        desk.answer(second, digest, "approver")
    with pytest.raises(AirflowFailException, match="nobody countersigned"):
        desk.operator().execute(desk.context("manual__2"))
    assert desk.answer(second, digest, "second_approver")["rows"] == 13


def test_a_small_plan_needs_no_countersignature(desk: Desk) -> None:
    assert desk.operator(PointsCountersignOperator).execute(desk.context())["approved_by"] is None


def test_marking_the_change_as_done_does_not_pass_the_verification(desk: Desk) -> None:
    verify = PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet")
    with pytest.raises(AirflowFailException, match="13 planned rows were not changed"):
        verify.execute(desk.context())


def test_a_second_run_of_the_change_does_nothing_and_asks_nobody(desk: Desk) -> None:
    operator = desk.operator()
    desk.answer(operator, desk.ask(operator))
    asked = len(desk.asked)
    assert desk.operator().execute(desk.context())["approved_by"] is None
    assert len(desk.asked) == asked
    assert desk.down() == 13


def test_a_point_used_meanwhile_is_taken_out_and_the_extranet_follows_the_result(desk: Desk) -> None:
    operator = desk.operator()
    digest = desk.ask(operator)
    used = "('upd_eid_4', '2024-08-01 00:00:00', 1)"
    desk.world.sql("governance", f"INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES {used}")
    try:
        result = desk.answer(operator, digest)
    finally:
        desk.world.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")
    assert (result["taken_out"], result["rows"]) == ([4], 11)
    assert desk.world.rows("intranet")["define_nosdata_general", 4, "积分 4"][0] == 1
    counts = PointsVerifyOperator(task_id="v", batch_id=BATCH, environment="intranet").execute(desk.context())
    assert counts["points"]["total"] == 9
    assert 4 not in desk.world.plan("extranet").plan.points()


def test_a_backup_from_before_the_change_is_never_replaced_after_it(desk: Desk) -> None:
    operator = desk.operator()
    desk.answer(operator, desk.ask(operator))
    before = desk.world.lifecycle.backups(BATCH, "intranet")
    TableBackupOperator(task_id="b", batch_id=BATCH, environment="intranet").execute(desk.context())
    assert desk.world.lifecycle.backups(BATCH, "intranet") == before
    desk.world.sql("intranet", f"DELETE FROM {before[0].place} LIMIT 1")
    with pytest.raises(AirflowFailException, match="expected"):
        TableBackupOperator(task_id="b", batch_id=BATCH, environment="intranet").execute(desk.context())


def test_a_restore_is_approved_the_same_way(desk: Desk) -> None:
    operator = desk.operator()
    desk.answer(operator, desk.ask(operator))
    restore = desk.operator(PointsRestoreOperator, ids="[1, 2]")
    digest = desk.ask(restore)
    with pytest.raises(AirflowFailException, match="may not approve"):
        desk.answer(restore, digest, "requester")
    assert desk.down() == 13
    assert desk.answer(restore, digest)["counts"]["points"]["total"] == 2
    assert desk.down() == 10


@pytest.mark.parametrize("name", ["defaults", "options", "assigned_users", "subject", "body", "multiple"])
def test_nobody_can_give_the_operator_an_answer_in_advance(name: str) -> None:
    with pytest.raises(ValueError, match="decides"):
        PointsDownlineOperator(task_id="x", batch_id=BATCH, environment="intranet", **{name: ["Approve"]})
