"""The golden batch on a running Airflow: named users, refused attempts, both environments, restore."""

from __future__ import annotations

import time
from typing import Any

import pytest

from drawsguard.points.approval import APPROVE, DIGEST_FIELD
from drawsguard.settings import get_settings
from local.airflow_api import AirflowApi, ApiError
from local.demo import downline
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
    audit = get_settings().points_artifact_dir / batch_id / f"audit-{batch_id}.jsonl"
    assert sum('"candidate"' in line for line in audit.read_text(encoding="utf-8").splitlines()) > 1277


def test_every_way_round_the_approval_ends_without_a_change(airflow: AirflowApi, airflow_stack: Any) -> None:
    config = airflow_stack.config
    golden = downline.load_golden(config)
    for dag_id in downline.DAGS:
        airflow.pause(dag_id, paused=False)
    requester = AirflowApi.of(config, downline.REQUESTER)
    requester.trigger_and_wait("points_usage_report", {"batch_id": "around"}, timeout=600)
    folder = get_settings().points_artifact_dir
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


def downlined(config: Any) -> int:
    """Return how many confirmed rows are at -80 on the intranet."""
    connection = downline.connect(config, "intranet")
    cursor = connection.cursor()
    cursor.execute("SELECT COUNT(*) FROM points_backup.points_journal WHERE batch_id = 'around'")
    (count,) = cursor.fetchone()
    connection.close()
    return int(count)
