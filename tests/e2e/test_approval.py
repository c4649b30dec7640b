"""The golden batch on a running Airflow: named users, refused attempts, both environments, restore."""

from __future__ import annotations

import contextlib
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drawsguard.approvals.model import APPROVE, DIGEST_FIELD
from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.points.cleanup.ticket_repository import TicketRepository
from drawsguard.points.downline.repositories import Repositories
from drawsguard.settings import get_settings
from local.airflow_api import AirflowApi, ApiError, wait_for
from local.demo import cleanup, downline
from local.demo.context import DemoContext
from local.golden.load import confirm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def test_the_golden_batch_is_downlined_and_three_points_come_back(airflow: AirflowApi, airflow_stack: Any) -> None:
    context = DemoContext(airflow_stack.config)
    figures = downline.run(airflow, context)
    assert downline.check(figures) == []
    batch_id = figures["batch_id"]
    subjects = [mail["Subject"] for mail in context.mails()]
    assert any(batch_id in subject and "Downline result" in subject for subject in subjects)
    audit = Path(get_settings().artifacts_address) / batch_id / f"audit-{batch_id}.jsonl"
    assert sum('"candidate"' in line for line in audit.read_text(encoding="utf-8").splitlines()) > 1277


def test_a_ticket_of_a_run_that_was_deleted_is_not_swept_under_its_id(airflow: AirflowApi, airflow_stack: Any) -> None:
    """A7: a question about a ticket; the run is deleted, and an approver triggers one of the same id."""
    config = airflow_stack.config
    with closing(downline.connect(config, "governance")) as governance:
        batch_id = cleanup.end_observation(governance)
        keep_one_of_the_pipeline(governance, batch_id)
    airflow.pause(cleanup.DAG_ID, paused=False)
    requester, approver = AirflowApi.of(config, downline.REQUESTER), AirflowApi.of(config, downline.FIRST)
    run_id, conf = f"around-{batch_id}", {"batch_id": batch_id}
    trigger_as(requester, cleanup.DAG_ID, run_id, conf)
    wait_for("a ticket to be asked about", lambda: airflow.awaiting_approval(cleanup.DAG_ID, run_id), timeout=300)
    delete_run(requester, cleanup.DAG_ID, run_id)
    trigger_as(approver, cleanup.DAG_ID, run_id, conf)
    with pytest.raises(ApiError, match="clean"):
        approver.wait_run(cleanup.DAG_ID, run_id, timeout=600)
    assert "was used before: by requester" in newest_refusal(config, cleanup.DAG_ID, run_id)
    with closing(downline.connect(config, "governance")) as governance:
        (ticket,) = TicketRepository(governance).tickets(batch_id)
    assert (ticket.executor, ticket.started_at) == ("own", None)


def test_every_way_round_the_approval_ends_without_a_change(airflow: AirflowApi, airflow_stack: Any) -> None:
    config = airflow_stack.config
    golden = downline.load_golden(config)
    for dag_id in downline.DAGS:
        airflow.pause(dag_id, paused=False)
    requester = AirflowApi.of(config, downline.REQUESTER)
    requester.trigger_and_wait("points_usage_report", {"batch_id": "around"}, timeout=600)
    folder = Path(get_settings().artifacts_address)
    # Few enough points for one approver.
    confirm(folder / "around" / "review-around.xlsx", folder / "around.xlsx", golden.confirmed[:20])
    conf = {"workbook": "around.xlsx", "dry_run": False}

    assert downline.refused(lambda: requester.trigger("points_downline", {"workbook": ""}), 400, 422)
    assert downline.refused(lambda: requester.trigger("points_downline", {}), 400, 422)
    dry = requester.trigger_and_wait("points_downline", {"workbook": "around.xlsx"}, timeout=600)
    states = {t["task_id"]: t["state"] for t in airflow.task_instances("points_downline", dry["dag_run_id"])}
    assert (states["plan_intranet"], states["downline_intranet"]) == ("success", "skipped")

    run_id = requester.trigger("points_downline", conf)
    task_id = "downline_intranet"
    digest = downline.shown_digest(config, run_id, task_id)
    answer = {DIGEST_FIELD: digest}
    for user in (downline.REQUESTER, "admin"):
        api = AirflowApi.of(config, user)
        assert downline.refused(lambda a=api: a.respond("points_downline", run_id, task_id, APPROVE, **answer), 403)
    approver = AirflowApi.of(config, downline.FIRST)
    assert downline.refused(lambda: approver.respond("points_downline", run_id, task_id, "Maybe", **answer), 400)
    time.sleep(downline.PATIENCE.total_seconds())  # an answer within seconds meets a task that is still being parked
    approver.respond("points_downline", run_id, task_id, APPROVE)  # REST accepts an empty form; the operator does not
    with pytest.raises(ApiError, match="downline_intranet"):
        requester.wait_run("points_downline", run_id, timeout=600)
    assert downlined(config) == 0
    assert downline.refused(lambda: approver.respond("points_downline", run_id, task_id, APPROVE, **answer), 409)

    # Marked as done by hand: the verification finds that nothing was done.
    path = f"/dags/points_downline/dagRuns/{run_id}/taskInstances/{task_id}"
    airflow.call("PATCH", path, json={"new_state": "success"})
    body = {"dry_run": False, "task_ids": ["verify_intranet"], "dag_run_id": run_id, "reset_dag_runs": True}
    airflow.call("POST", "/dags/points_downline/clearTaskInstances", json=body)
    with pytest.raises(ApiError, match="verify_intranet"):
        requester.wait_run("points_downline", run_id, timeout=600)
    assert downlined(config) == 0


def test_a_plan_that_was_replaced_while_its_question_waited_is_refused_for_good(
    airflow: AirflowApi, airflow_stack: Any
) -> None:
    """A1, A3, A4 as the requester: another workbook behind the same question, then an XCom and a task state."""
    config = airflow_stack.config
    requester, approver = AirflowApi.of(config, downline.REQUESTER), AirflowApi.of(config, downline.FIRST)
    golden = downline.load_golden(config)
    review(requester, "around34", golden.confirmed[:2])
    run_id = requester.trigger("points_downline", {"workbook": "around34.xlsx", "dry_run": False})
    old = downline.shown_digest(config, run_id, "downline_intranet")
    review(requester, "around34", golden.confirmed[:40], report=False)
    clear(requester, "points_downline", run_id, "read_workbook", include_downstream=True)
    with pytest.raises(ApiError, match="downline_intranet"):
        requester.wait_run("points_downline", run_id, timeout=600)
    assert "text of the first question" in newest_refusal(config, "points_downline", run_id)
    with contextlib.suppress(ApiError):  # whether or not Airflow takes an answer to a task that has failed
        approver.respond("points_downline", run_id, "downline_intranet", APPROVE, **{DIGEST_FIELD: old})
    value = {"digest": old, "approved_by": "approver"}
    path = f"/dags/points_downline/dagRuns/{run_id}/taskInstances/downline_intranet"
    for method in ("POST", "PATCH"):
        place = "/xcomEntries" if method == "POST" else "/xcomEntries/return_value"
        body = {"key": "return_value", "value": value, "map_index": -1}
        with contextlib.suppress(ApiError):  # whether Airflow takes it or not
            requester.call(method, path + place, json=body)
    requester.call("PATCH", path, json={"new_state": "success"})
    clear(requester, "points_downline", run_id, "verify_intranet")
    with pytest.raises(ApiError, match="verify_intranet"):
        requester.wait_run("points_downline", run_id, timeout=600)
    assert downlined(config, "around34") == 0


def test_a_countersignature_is_taken_back_and_goes_with_its_run(airflow: AirflowApi, airflow_stack: Any) -> None:
    """A5, A2 and A6: rejected after the yes, cleared after the end, and the run id used again by the countersigner."""
    config = airflow_stack.config
    requester, approver, second = (
        AirflowApi.of(config, user) for user in (downline.REQUESTER, downline.FIRST, downline.SECOND)
    )
    golden = downline.load_golden(config)
    review(requester, "around56", golden.confirmed)
    conf, run_id = {"workbook": "around56.xlsx", "dry_run": False}, "around56"
    trigger_as(requester, "points_downline", run_id, conf)
    sign, change = "countersign_intranet", "downline_intranet"
    answer(config, approver, run_id, sign)
    digest = downline.shown_digest(config, run_id, change)
    clear(requester, "points_downline", run_id, sign)
    answer(config, approver, run_id, sign, "Reject")
    with contextlib.suppress(ApiError):  # the rejection has ended the question that follows it
        second.respond("points_downline", run_id, change, APPROVE, **{DIGEST_FIELD: digest})
    with pytest.raises(ApiError, match=sign):
        requester.wait_run("points_downline", run_id, timeout=600)
    assert downlined(config, "around56") == 0

    mark_success(requester, run_id, sign)
    clear(requester, "points_downline", run_id, change)
    with pytest.raises(ApiError, match=change):
        requester.wait_run("points_downline", run_id, timeout=600)
    assert "was used before" in newest_refusal(config, "points_downline", run_id)

    delete_run(requester, "points_downline", run_id)
    trigger_as(approver, "points_downline", run_id, conf)
    with pytest.raises(ApiError, match=sign):
        approver.wait_run("points_downline", run_id, timeout=600)
    mark_success(approver, run_id, sign)
    clear(approver, "points_downline", run_id, change)
    with pytest.raises(ApiError, match=change):
        approver.wait_run("points_downline", run_id, timeout=600)
    assert "was used before: by requester" in newest_refusal(config, "points_downline", run_id)
    assert downlined(config, "around56") == 0


def keep_one_of_the_pipeline(governance: Any, batch_id: str) -> None:
    """Leave one point of a batch to clean, which the pipeline cleans itself: each ticket is a task of every run."""
    points = Repositories(governance).structures.of_batch(batch_id)
    one = next(point for point in points if point.cluster == "redis_flag" and point.field_template is None)
    with closing(governance.cursor()) as cursor:
        cursor.execute(
            "DELETE FROM points_lifecycle.structure WHERE batch_id = %s AND point_id <> %s", (batch_id, one.point_id)
        )
    governance.commit()


def review(requester: AirflowApi, batch_id: str, points: list[int], *, report: bool = True) -> None:
    """Confirm points of a batch in the workbook ``<batch>.xlsx``; make the batch first unless it is there."""
    if report:
        requester.trigger_and_wait("points_usage_report", {"batch_id": batch_id}, timeout=600)
    folder = Path(get_settings().artifacts_address)
    confirm(folder / batch_id / f"review-{batch_id}.xlsx", folder / f"{batch_id}.xlsx", points)


def trigger_as(api: AirflowApi, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
    body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
    api.call("POST", f"/dags/{dag_id}/dagRuns", json=body)


def delete_run(api: AirflowApi, dag_id: str, run_id: str) -> None:
    """Fail and delete a run, as a user with the plain role may."""
    path = f"/dags/{dag_id}/dagRuns/{run_id}"

    def ended() -> bool:
        """Fail the run; what its teardown does meanwhile can bring it back to life once more."""
        if api.run(dag_id, run_id)["state"] in ("success", "failed"):
            return all(task["end_date"] or not task["start_date"] for task in api.task_instances(dag_id, run_id))
        api.call("PATCH", path, json={"state": "failed"})
        return False

    wait_for(f"run {run_id} to end", ended, timeout=120)
    api.call("DELETE", path)


def clear(api: AirflowApi, dag_id: str, run_id: str, task_id: str, **more: Any) -> None:
    body = {"dry_run": False, "only_failed": False, "task_ids": [task_id], "dag_run_id": run_id, "reset_dag_runs": True}
    api.call("POST", f"/dags/{dag_id}/clearTaskInstances", json=body | more)


def mark_success(api: AirflowApi, run_id: str, task_id: str) -> None:
    path = f"/dags/points_downline/dagRuns/{run_id}/taskInstances/{task_id}"
    api.call("PATCH", path, json={"new_state": "success"})


def answer(config: Any, api: AirflowApi, run_id: str, task_id: str, option: str = APPROVE) -> None:
    """Answer as somebody who reads the page first."""
    digest = downline.shown_digest(config, run_id, task_id)
    time.sleep(downline.PATIENCE.total_seconds())
    api.respond("points_downline", run_id, task_id, option, **{DIGEST_FIELD: digest})
    wait_for(
        f"{task_id} to end",
        lambda: (
            {t["task_id"]: t["state"] for t in api.task_instances("points_downline", run_id)}[task_id]
            in ("success", "failed")
        ),
        timeout=120,
    )


def newest_refusal(config: Any, dag_id: str, run_id: str) -> str:
    """Return why the newest question or answer of a run id was refused."""
    with closing(downline.connect(config, "governance")) as governance:
        events = ApprovalRepository(governance).of_run(dag_id, run_id)
    assert events[-1].kind == "refused", events[-1]
    return str(events[-1].reason)


def downlined(config: Any, batch_id: str = "around") -> int:
    """Return how many confirmed rows are at -80 on the intranet."""
    connection = downline.connect(config, "intranet")
    cursor = connection.cursor()
    cursor.execute("SELECT COUNT(*) FROM points_journal_intranet.points_journal WHERE batch_id = %s", (batch_id,))
    (count,) = cursor.fetchone()
    connection.close()
    return int(count)
