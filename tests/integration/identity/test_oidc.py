"""The identity operators against the local control plane and the emulator: checked, planned, approved, applied."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, TaskAwaitingInput
from google.cloud.bigquery import Client

from drawsguard.refusal import RefusedError, refusal_of
from drawsguard.settings import get_settings
from drawsguard.warehouse import engine_clock
from local.google.server import make_server
from operators.operations import oidc_repair_apply_operator
from operators.operations.oidc_check_operator import OidcCheckOperator
from operators.operations.oidc_repair_apply_operator import OidcRepairApplyOperator
from operators.operations.oidc_repair_plan_operator import OidcRepairPlanOperator
from operators.operations.oidc_repair_verify_sensor import OidcRepairVerifySensor
from tests.integration.approval_driver import ApprovalDriver, approvers
from tests.integration.draws_warehouse import draws_warehouse, rows

pytestmark = pytest.mark.integration
SERVICE = "data-sync-service"
ENDPOINTS = ("IAM", "RUN", "SCHEDULER", "IAM_CREDENTIALS", "RESOURCE_MANAGER")


@pytest.fixture(scope="module")
def plane(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Client]]:
    stack.require("mysql")
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
    OidcCheckOperator(task_id="check").execute(context("healthy"))
    assert len(table(plane[1], "identity_check_log", "healthy")) == 28, "a run that is repeated is the same run"


def test_results_of_a_clock_ahead_are_judged_and_stamped_with_the_time_of_bigquery(
    plane: tuple[str, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view leaves out what is to come: the checks would count as not made, on each run of such a worker."""

    class Worker(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=8)

    monkeypatch.setattr(engine_clock, "datetime", Worker)
    assert set(OidcCheckOperator(task_id="check").execute(context("ahead")).values()) == {"pass"}
    stamps = {row["checked_at"] for row in table(plane[1], "identity_check_log", "ahead")}
    assert max(stamps) <= datetime.now(UTC) + engine_clock.LEEWAY


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


def apply_operator() -> OidcRepairApplyOperator:
    return OidcRepairApplyOperator(task_id="apply", service=SERVICE)


@pytest.fixture
def driver() -> Iterator[ApprovalDriver]:
    with approvers():
        yield ApprovalDriver("oidc_repair")


def is_healthy() -> bool:
    return OidcRepairVerifySensor(task_id="verify", service=SERVICE).poke(context(f"verify-{uuid.uuid4()}"))


def test_repair_is_planned_applied_verified_and_audited(plane: tuple[str, Client], driver: ApprovalDriver) -> None:
    for name in ("account_disabled", "job_wrong_audience", "scheduler_agent_revoked"):
        fault(plane, name)
    plan = OidcRepairPlanOperator(task_id="plan", service=SERVICE).execute(driver.context("plan"))
    verify = OidcRepairVerifySensor(task_id="verify", service=SERVICE)
    assert not verify.poke(driver.context("verify"))
    apply = apply_operator()
    assert driver.ask(apply) == plan["digest"]
    assert "```diff" in str(apply.body)
    steps = driver.answer(apply, plan["digest"])
    assert [step.split(":")[0] for step in steps] == ["enable_account", "grant_project_roles", "update_job", "run_job"]
    assert verify.poke(driver.context("verify"))
    audit = {row["action"]: row for row in table(plane[1], "operation_audit", driver.run_id)}
    assert set(audit) == {"planned", "approved", "applied", "verified"}
    assert audit["planned"]["actor"] == "requester"
    assert audit["approved"]["actor"] == "approver"
    assert audit["approved"]["digest"] == audit["applied"]["digest"] == plan["digest"]
    assert driver.kinds() == ["asked", "approved", "started", "finished"]
    with pytest.raises(AirflowSkipException):
        driver.run(apply_operator())


def test_healthy_service_is_skipped(plane: tuple[str, Client]) -> None:
    with pytest.raises(AirflowSkipException, match="nothing to change"):
        OidcRepairPlanOperator(task_id="plan", service=SERVICE).execute(context("none"))


def test_break_of_the_issuer_is_left_to_a_person(plane: tuple[str, Client]) -> None:
    fault(plane, "token_expired")
    with pytest.raises(RefusedError, match=r"By hand:(?s:.*)token_expired"):
        OidcRepairPlanOperator(task_id="plan", service=SERVICE).execute(context("issuer"))


# --- ways round the approval ------------------------------------------------------------------------------------------


def test_a1_nothing_but_an_answer_that_was_kept_lets_a_repair_begin(
    plane: tuple[str, Client], driver: ApprovalDriver
) -> None:
    fault(plane, "invoker_missing")
    # An XCom that says "approved" and a task that was set to success change nothing: there is no task to forge, and the
    # one that acts asks again.
    forged = driver.context("apply")
    forged["ti"].xcom_pull = lambda **_: {"chosen_options": ["Approve"], "responded_by_user": {"name": "approver"}}
    with pytest.raises(TaskAwaitingInput):
        apply_operator().execute(forged)
    assert not is_healthy()
    # The requester's own answer, a stranger's, nobody's, and one without the digest.
    for user, digest in (("requester", None), ("stranger", None), (None, None), ("approver", "")):
        driver.new_run()
        apply = apply_operator()
        shown = driver.ask(apply)
        with pytest.raises(AirflowFailException) as caught:
            driver.answer(apply, shown if digest is None else digest, user)
        assert refusal_of(caught.value), "the person who asked is notified, and nobody is called"
        assert not is_healthy()
    driver.new_run()
    apply = apply_operator()
    with pytest.raises(AirflowFailException, match="approver"):
        driver.answer(apply, driver.ask(apply), option="Reject")
    assert driver.kinds() == ["asked", "rejected"]
    assert not is_healthy()


def test_a2_a_finished_repair_that_is_cleared_weeks_later_is_refused(
    plane: tuple[str, Client], driver: ApprovalDriver
) -> None:
    fault(plane, "invoker_missing")
    apply = apply_operator()
    driver.answer(apply, driver.ask(apply))
    assert is_healthy()
    fault(plane, "job_not_enabled")
    with pytest.raises(AirflowFailException, match=r"[Tt]rigger a new run"):
        driver.run(apply_operator())  # cleared while the run went on
    driver.new_run(driver.run_id)
    with pytest.raises(AirflowFailException, match=r"[Tt]rigger a new run"):
        driver.run(apply_operator())  # cleared after it ended
    fault(plane, "invoker_missing")  # the very plan that was approved, again: still used up
    requests.delete(f"{plane[0]}/faults", timeout=5).raise_for_status()
    fault(plane, "invoker_missing")
    with pytest.raises(AirflowFailException):
        driver.run(apply_operator())
    assert not is_healthy()
    assert len([row for row in table(plane[1], "operation_audit", driver.run_id) if row["action"] == "applied"]) == 1


def test_a3_a_question_whose_plan_changed_meanwhile_is_refused_for_good(
    plane: tuple[str, Client], driver: ApprovalDriver
) -> None:
    fault(plane, "invoker_missing")
    apply = apply_operator()
    shown = driver.ask(apply)
    fault(plane, "scheduler_agent_revoked")
    with pytest.raises(AirflowFailException, match="new run"):
        driver.run(apply_operator())  # cleared: it would ask under the text of the first question
    with pytest.raises(AirflowFailException, match="new run"):
        driver.answer(apply, shown)  # answered all the same
    assert not is_healthy()
    assert table(plane[1], "operation_audit", driver.run_id) == []
    driver.new_run()
    apply = apply_operator()
    driver.answer(apply, driver.ask(apply))
    assert is_healthy(), "a new run shows the new plan"


def test_a_step_that_fails_is_neither_retried_nor_a_refusal(
    plane: tuple[str, Client], driver: ApprovalDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(plane, "invoker_missing")
    apply = apply_operator()
    shown = driver.ask(apply)

    def broken(*_: object) -> None:
        raise ConnectionError("the network is down")

    monkeypatch.setattr(oidc_repair_apply_operator, "apply_plan", broken)
    with pytest.raises(AirflowFailException, match="stopped: the network is down") as caught:
        driver.answer(apply, shown)
    assert refusal_of(caught.value) is None


@pytest.mark.parametrize(("requester", "run_type"), [(None, "manual"), ("requester", "scheduled")])
def test_run_without_a_person_cannot_be_approved(
    plane: tuple[str, Client], driver: ApprovalDriver, requester: str | None, run_type: str
) -> None:
    fault(plane, "invoker_missing")
    driver.requester, driver.run_type = requester, run_type
    with pytest.raises(AirflowFailException):
        driver.run(apply_operator())


def test_only_approver_who_asks_for_it_finds_nobody(
    plane: tuple[str, Client], driver: ApprovalDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(plane, "invoker_missing")
    monkeypatch.setenv("DRAWSGUARD_APPROVERS", "alice")
    get_settings.cache_clear()
    driver.requester = "alice"
    with pytest.raises(AirflowFailException):
        driver.run(apply_operator())
    assert not is_healthy()
