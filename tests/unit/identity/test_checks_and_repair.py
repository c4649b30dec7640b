"""Every break of the control plane is found, named, and mended by the plan; combinations too."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from drawsguard.identity.checks import CHECKS, causes_of_forbidden, failures
from drawsguard.identity.gather import gather
from drawsguard.identity.model import Answer, RepairStep
from drawsguard.identity.repair import RepairError, apply_plan
from local.google.state import BEYOND_REPAIR, FAULTS

REPAIRABLE = [fault for fault in FAULTS if fault not in BEYOND_REPAIR]


def test_healthy_services_pass_all_seven_checks(desk):
    for service in desk.services.values():
        results = desk.results(service)
        assert [(result.number, result.status) for result in results] == [(n, "pass") for n in range(1, 8)], results


def test_repairing_a_healthy_service_changes_nothing(desk):
    plan = desk.plan()
    assert plan.changes == ()
    assert plan.text() == "Nothing to change."
    assert apply_plan(plan, desk.api) == []
    assert desk.api.written == []


@pytest.mark.parametrize("fault", FAULTS)
def test_break_is_named_on_the_service_that_has_it_and_on_no_other(desk, fault):
    desk.fault(fault)
    assert fault in desk.codes()
    if fault not in ("scheduler_agent_revoked",):  # the service agent belongs to the whole project
        assert desk.codes(desk.services["feature-engineering-service"]) == set()


@pytest.mark.parametrize("fault", REPAIRABLE)
def test_break_is_repaired(desk, fault):
    desk.fault(fault)
    plan = desk.plan()
    assert plan.changes
    apply_plan(plan, desk.api)
    assert desk.codes() == set()
    assert desk.plan().changes == ()


@pytest.mark.parametrize("fault", BEYOND_REPAIR)
def test_break_of_the_issuer_is_left_to_a_person(desk, fault):
    desk.fault(fault)
    plan = desk.plan()
    assert any(fault in line for line in plan.by_hand)
    assert "by hand" in plan.text()


#: What keeps a sick service from being seen: its health cannot be asked for.
HIDING = {"ingress_refuses", "token_forbidden", "account_missing", "account_disabled", "invoker_missing",
          "invoker_conditional", "invoker_deleted_member"}  # fmt: skip


@pytest.mark.parametrize("pair", list(itertools.combinations(REPAIRABLE, 2))[::3])
def test_two_breaks_at_once_are_both_repaired(desk, pair):
    for fault in pair:
        desk.fault(fault)
    desk.repair()
    if "health_down" in pair and HIDING & set(pair):
        assert "health_down" in desk.codes(), "the first repair brings the hidden break to light"
        desk.repair()
    assert desk.codes() == set(), pair


def test_all_repairable_breaks_at_once_are_repaired(desk):
    for fault in REPAIRABLE:
        desk.fault(fault)
    desk.repair()
    assert desk.codes() == set()


def test_every_failing_finding_says_which_step_mends_it(desk):
    for fault in REPAIRABLE:
        desk.mend()
        desk.fault(fault)
        for result, finding in failures(desk.results()):
            assert finding.mended_by is not RepairStep.BY_HAND, (fault, result, finding)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("invoker_missing", "no invoker grant"),
        ("invoker_conditional", "the invoker grant has a condition"),
        ("invoker_deleted_member", "the invoker grant names a deleted account"),
        ("scheduler_agent_revoked", "the Scheduler service agent lost its role"),
        ("ingress_refuses", "the ingress refuses the caller"),
    ],
)
def test_causes_of_a_403_are_told_apart(desk, fault, cause):
    desk.fault(fault)
    answers = gather(desk.service, desk.api, desk.endpoints)
    assert cause in causes_of_forbidden(desk.service, answers, desk.place)
    found = [finding for result in desk.results() for finding in result.findings]
    actual = [finding.actual for finding in found if finding.code == "last_attempt_forbidden"]
    assert actual
    assert "PERMISSION_DENIED (HTTP 403)" in actual[0]
    assert cause in actual[0]


def test_wrong_audience_is_code_16_and_missing_grant_code_7(desk):
    desk.fault("job_wrong_audience")
    assert "last_attempt_unauthenticated" in desk.codes()
    assert "last_attempt_forbidden" not in desk.codes()
    desk.mend()
    desk.fault("invoker_missing")
    assert "last_attempt_forbidden" in desk.codes()
    assert "last_attempt_unauthenticated" not in desk.codes()


def test_plan_shows_a_diff_and_a_digest_that_follows_the_state(desk):
    desk.fault("job_wrong_audience")
    first = desk.plan()
    assert "-    audience: https://old.run.app" in first.text()
    assert first.digest == desk.plan().digest
    desk.fault("invoker_missing")
    assert desk.plan().digest != first.digest


def test_update_keeps_the_job_and_never_deletes_it(desk):
    desk.fault("job_wrong_audience")
    desk.repair()
    assert not [line for line in desk.api.written if line.startswith("DELETE")]
    assert any(line.startswith("PATCH") and "updateMask=httpTarget" in line for line in desk.api.written)


def test_concurrent_policy_change_is_refused_not_overwritten(desk):
    desk.fault("invoker_missing")
    mine, other = desk.plan(), desk.plan()
    apply_plan(other, desk.api)
    with pytest.raises(RepairError, match=r"grant_invoker.*concurrent policy changes"):
        apply_plan(mine, desk.api)


def test_repair_takes_effect_after_propagation_only(desk):
    desk.fault("invoker_missing")
    desk.api.call("POST", f"{desk.address}/faults", {"propagation_seconds": 60})
    desk.repair()
    assert "health_forbidden" in desk.codes()
    desk.api.call("POST", f"{desk.address}/faults", {"propagation_seconds": 0})
    assert "health_forbidden" not in desk.codes()


def test_checker_without_rights_is_told_apart_from_a_broken_service(desk):
    answers = gather(desk.service, desk.api, desk.endpoints)
    blind = Answer(403, {"error": {"message": "denied"}})
    changed = replace(answers, job=blind)
    check = next(check for number, _, check in CHECKS if number == 4)
    findings = list(check(desk.service, changed, desk.place, datetime.now(UTC)))
    assert [finding.code for finding in findings] == ["checker_forbidden"]
    assert "PERMISSION_DENIED (HTTP 403) denied" in findings[0].actual


def test_unknown_fault_is_refused(desk):
    answer = desk.api.call("POST", f"{desk.address}/faults", {"fault": "nonsense", "service": "collector"})
    assert answer.status == 400
    assert "known:" in answer.describe()


def test_token_of_another_signer_is_refused_by_the_service(desk):
    forger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    uri = f"{desk.address}/run/data-sync-service"
    claims = {"iss": "https://accounts.google.com", "aud": uri, "email": desk.place.email("data-sync-service")}
    token = jwt.encode({**claims, "email_verified": True}, forger, algorithm="RS256", headers={"kid": "local-1"})
    assert desk.api.visit(f"{uri}/health", token).status == 401
    assert desk.api.visit(f"{uri}/health", None).status == 403
