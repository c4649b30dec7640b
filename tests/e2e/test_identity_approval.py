"""Ways round the approval of an identity repair on a running Airflow, as the users who would try them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
import requests

from drawsguard.approvals.model import APPROVE, DIGEST_FIELD
from local.airflow_api import AirflowApi, ApiError, wait_for
from local.demo import identity
from local.demo.context import DemoContext
from local.demo.identity import SERVICE, break_it, control_plane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
DAG_ID = "oidc_repair"
#: An answer within two seconds of the question can meet a task that is still being parked.
PATIENCE = 3


@pytest.fixture
def demo(airflow: AirflowApi, airflow_stack: Any) -> DemoContext:
    airflow.pause(DAG_ID, paused=False)
    context = DemoContext(airflow_stack.config)
    requests.delete(f"{control_plane(context)}/faults", timeout=10).raise_for_status()
    return context


def digest_shown(api: AirflowApi, run_id: str) -> str:
    """Wait for the question of ``apply`` and return the digest that its form shows."""
    (question,) = wait_for("apply to ask", lambda: api.awaiting_approval(DAG_ID, run_id), timeout=180)
    time.sleep(PATIENCE)
    return str(question["params"][DIGEST_FIELD]["value"])


def clear(api: AirflowApi, run_id: str) -> None:
    """Clear all tasks of a run, also those that succeeded."""
    tasks = ["plan", "apply", "verify"]
    body = {
        "dry_run": False, "only_failed": False, "task_ids": tasks, "dag_run_id": run_id, "reset_dag_runs": True,
    }  # fmt: skip
    cleared = api.call("POST", f"/dags/{DAG_ID}/clearTaskInstances", json=body)
    assert "apply" in {task["task_id"] for task in cleared["task_instances"]}


def end_of_apply(api: AirflowApi, run_id: str) -> str:
    """Wait until the task has ended, and return its state."""

    def state() -> str | None:
        states = {task["task_id"]: task["state"] for task in api.task_instances(DAG_ID, run_id)}
        return states["apply"] if states["apply"] in ("failed", "skipped", "success", "upstream_failed") else None

    return str(wait_for("apply to end", state, 120))


def applied(context: DemoContext, run_id: str) -> list[tuple[str, str]]:
    """Return who approved what was applied in a run, and the steps applied, by the audit."""
    rows = context.query("identity_audit.sql", run_id=run_id, since=context.started)
    return [(row["action"], row["detail"] or row["actor"]) for row in rows if row["action"] in ("approved", "applied")]


def test_identity_is_repaired_only_under_an_answer_to_the_plan_that_was_shown(demo: DemoContext) -> None:
    requester, approver = demo.api("requester"), demo.api("approver")

    # A1: an XCom that names the approver, and the asking task set to success.
    break_it(demo, "invoker_missing")
    run_id = requester.trigger(DAG_ID, {"service": SERVICE})
    digest_shown(approver, run_id)
    forged = {"chosen_options": [APPROVE], "responded_by_user": {"id": "approver", "name": "approver"}}
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/apply"
    requester.call("POST", f"{path}/xcomEntries", json={"key": "return_value", "value": forged, "map_index": -1})
    requester.call("PATCH", path, json={"new_state": "success"})
    assert applied(demo, run_id) == []
    requester.call("PATCH", f"/dags/{DAG_ID}/dagRuns/{run_id}", json={"state": "failed"})

    # A3: while the question waits the world changes, and the tasks are cleared.
    run_id = requester.trigger(DAG_ID, {"service": SERVICE})
    old = digest_shown(approver, run_id)
    break_it(demo, "scheduler_agent_revoked")
    clear(requester, run_id)
    assert end_of_apply(requester, run_id) == "failed"
    with suppress(ApiError):  # whether or not Airflow takes an answer to a task that has failed
        approver.respond(DAG_ID, run_id, "apply", APPROVE, **{DIGEST_FIELD: old})
    assert applied(demo, run_id) == []

    # The honest way, in a new run.
    assert identity.repair(demo) == "success"
    run_id = requester.runs(DAG_ID, order_by="-start_date", limit=1)[0]["dag_run_id"]
    acts = applied(demo, run_id)
    assert acts[0] == ("approved", "approver")
    assert [kind for kind, _ in acts] == ["approved", "applied"]
    # All that was broken was still to be repaired: neither way round had changed anything.
    assert {"grant_invoker", "grant_project_roles"} <= {line.split(":")[0] for line in acts[1][1].splitlines()}

    # A2: the finished repair is cleared when something else is broken.
    break_it(demo, "job_not_enabled")
    clear(requester, run_id)
    assert end_of_apply(requester, run_id) == "failed"
    assert applied(demo, run_id) == acts

    # Whoever asked was notified by mail, each time; and no alert was made of it.
    notified = [mail for mail in demo.mails() if f"Request refused: {DAG_ID}.apply" in mail["Subject"]]
    assert len(notified) >= 2
    assert all("requester@example.com" in str(mail["To"]) for mail in notified)
