"""The identity operators against the local control plane and the emulator: checked, planned, approved, applied."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from google.cloud.bigquery import Client

from drawsguard.settings import get_settings
from local.google.server import make_server
from operators.four_eyes_approval_operator import FourEyesApprovalOperator
from operators.oidc_check_operator import OidcCheckOperator
from operators.oidc_repair_operators import OidcRepairApplyOperator, OidcRepairPlanOperator, OidcRepairVerifySensor
from tests.integration.draws_warehouse import draws_warehouse, rows

pytestmark = pytest.mark.integration
SERVICE = "data-sync-service"
ENDPOINTS = ("IAM", "RUN", "SCHEDULER", "IAM_CREDENTIALS", "RESOURCE_MANAGER")
APPROVED = {"chosen_options": ["Approve"], "responded_by_user": {"id": "approver", "name": "approver"}}


@pytest.fixture(scope="module")
def plane(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Client]]:
    folder: Path = tmp_path_factory.mktemp("google")
    server = make_server("127.0.0.1", 0, folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    with pytest.MonkeyPatch.context() as environment:
        for name in ENDPOINTS:
            environment.setenv(f"DRAWSGUARD_{name}_URL", address)
        environment.setenv("DRAWSGUARD_TOKEN_KEYS_URL", f"{address}/oauth2/v3/certs")
        with draws_warehouse(stack, "V041__check_log") as client:
            yield address, client
    server.shutdown()


@pytest.fixture(autouse=True)
def healthy(plane: tuple[str, Client]) -> None:
    requests.delete(f"{plane[0]}/faults", timeout=5).raise_for_status()


def context(run_id: str, *, requester: str | None = "requester", run_type: str = "manual") -> Any:
    run = SimpleNamespace(triggering_user_name=requester, run_type=run_type)
    return {"dag_run": run, "run_id": run_id, "ti": SimpleNamespace(try_number=1)}


def fault(plane: tuple[str, Client], name: str) -> None:
    answer = requests.post(f"{plane[0]}/faults", json={"fault": name, "service": SERVICE}, timeout=5)
    answer.raise_for_status()


def table(client: Client, name: str, run_id: str) -> list[dict[str, Any]]:
    return [
        row for row in rows(client, f"SELECT * FROM {get_settings().table('monitor', name)}") if row["run_id"] == run_id
    ]


def test_healthy_services_pass_and_each_check_is_a_row(plane: tuple[str, Client]) -> None:
    result = OidcCheckOperator(task_id="check").execute(context("healthy"))
    assert set(result.values()) == {"pass"}
    kept = table(plane[1], "identity_check_log", "healthy")
    assert len(kept) == 28
    assert {row["status"] for row in kept} == {"pass"}


def test_failure_is_recorded_before_it_is_raised_and_names_the_repair(plane: tuple[str, Client]) -> None:
    fault(plane, "invoker_missing")
    with pytest.raises(AirflowException, match=r"oidc_repair.*(?s:.*)invoker_missing.*grant_invoker"):
        OidcCheckOperator(task_id="check", services=[SERVICE]).execute(context("broken"))
    failed = [row["check_number"] for row in table(plane[1], "identity_check_log", "broken") if row["status"] == "fail"]
    assert sorted(failed) == [3, 4, 7]


def test_backfills_do_not_check_beside_the_sync(plane: tuple[str, Client]) -> None:
    operator = OidcCheckOperator(task_id="check", scheduled_only=True)
    with pytest.raises(AirflowSkipException):
        operator.execute(context("backfill", run_type="backfill"))
    assert operator.execute(context("scheduled", run_type="scheduled"))


def test_repair_is_planned_applied_verified_and_audited(plane: tuple[str, Client]) -> None:
    for name in ("account_disabled", "job_wrong_audience", "scheduler_agent_revoked"):
        fault(plane, name)
    plan = OidcRepairPlanOperator(task_id="plan", service=SERVICE).execute(context("repair"))
    verify = OidcRepairVerifySensor(task_id="verify", service=SERVICE)
    assert not verify.poke(context("repair"))
    apply = OidcRepairApplyOperator(task_id="apply", service=SERVICE, approved_digest=plan["digest"], approval=APPROVED)
    steps = apply.execute(context("repair"))
    assert [step.split(":")[0] for step in steps] == ["enable_account", "grant_project_roles", "update_job", "run_job"]
    assert verify.poke(context("repair"))
    audit = {row["action"]: row for row in table(plane[1], "operation_audit", "repair")}
    assert set(audit) == {"planned", "approved", "applied", "verified"}
    assert audit["planned"]["actor"] == "requester"
    assert audit["approved"]["actor"] == "approver"
    assert audit["approved"]["digest"] == plan["digest"]


def test_healthy_service_is_skipped(plane: tuple[str, Client]) -> None:
    with pytest.raises(AirflowSkipException, match="nothing to change"):
        OidcRepairPlanOperator(task_id="plan", service=SERVICE).execute(context("none"))


def test_break_of_the_issuer_is_left_to_a_person(plane: tuple[str, Client]) -> None:
    fault(plane, "token_expired")
    with pytest.raises(AirflowException, match=r"By hand:(?s:.*)token_expired"):
        OidcRepairPlanOperator(task_id="plan", service=SERVICE).execute(context("issuer"))


@pytest.mark.parametrize(
    "approval",
    [None, {}, {"chosen_options": ["Approve"], "responded_by_user": None}, APPROVED | {"chosen_options": ["Reject"]}],
)
def test_nothing_is_applied_without_a_persons_approval(plane: tuple[str, Client], approval: Any) -> None:
    fault(plane, "invoker_missing")
    apply = OidcRepairApplyOperator(task_id="apply", service=SERVICE, approved_digest="x", approval=approval)
    with pytest.raises(AirflowException, match="nothing was changed"):
        apply.execute(context("unapproved"))


def test_plan_that_changed_since_its_approval_is_refused(plane: tuple[str, Client]) -> None:
    fault(plane, "invoker_missing")
    plan = OidcRepairPlanOperator(task_id="plan", service=SERVICE).execute(context("changed"))
    fault(plane, "job_not_enabled")
    apply = OidcRepairApplyOperator(task_id="apply", service=SERVICE, approved_digest=plan["digest"], approval=APPROVED)
    with pytest.raises(AirflowException, match="no longer the approved one"):
        apply.execute(context("changed"))
    assert not OidcRepairVerifySensor(task_id="verify", service=SERVICE).poke(context("changed"))


# --- four eyes --------------------------------------------------------------------------------------------------------


def answer(user: str | None) -> dict[str, Any]:
    from datetime import UTC, datetime

    responder = {"id": user, "name": user} if user else None
    return {
        "chosen_options": ["Approve"],
        "params_input": {},
        "responded_at": datetime(2025, 10, 3, tzinfo=UTC),
        "responded_by_user": responder,
    }


def four_eyes() -> FourEyesApprovalOperator:
    return FourEyesApprovalOperator(task_id="approve", subject="?")


def test_requester_cannot_approve() -> None:
    with pytest.raises(AirflowException, match="cannot approve it as well"):
        four_eyes().execute_complete(context("r"), answer("requester"))


def test_nobodys_answer_is_no_approval() -> None:
    with pytest.raises(AirflowException, match="No person answered"):
        four_eyes().execute_complete(context("r"), answer(None))


def test_second_person_approves() -> None:
    result = four_eyes().execute_complete(context("r"), answer("approver"))
    assert result["responded_by_user"] == {"id": "approver", "name": "approver"}


def test_run_without_a_person_cannot_be_approved() -> None:
    with pytest.raises(AirflowException, match="no triggering user"):
        four_eyes().execute(context("r", requester=None))


def test_only_approver_who_asks_for_it_finds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWSGUARD_APPROVERS", "alice")
    get_settings.cache_clear()
    try:
        with pytest.raises(AirflowException, match="Nobody may approve"):
            four_eyes().execute(context("r", requester="alice"))
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
