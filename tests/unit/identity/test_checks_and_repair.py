"""Every break of the control plane is found, named, and repaired by the plan; combinations too."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from drawsguard.identity.checks import CHECKS, causes_of_forbidden, failures
from drawsguard.identity.gather import gather
from drawsguard.identity.model import Answer, RepairStep
from drawsguard.identity.repair import RepairError, apply_plan
from local.google.state import BEYOND_REPAIR, FAULTS, VARIANTS

REPAIRABLE = [fault for fault in FAULTS if fault not in BEYOND_REPAIR]


def test_healthy_services_pass_all_seven_checks(console):
    for service in console.services.values():
        results = console.results(service)
        assert [(result.number, result.status) for result in results] == [(n, "pass") for n in range(1, 8)], results


def test_repairing_a_healthy_service_changes_nothing(console):
    plan = console.plan()
    assert plan.changes == ()
    assert plan.text() == "Nothing to change."
    assert apply_plan(plan, console.api) == []
    assert console.api.written == []


@pytest.mark.parametrize("fault", FAULTS)
def test_break_is_named_on_the_service_that_has_it_and_on_no_other(console, fault):
    console.fault(fault)
    assert fault in console.codes()
    if fault not in ("scheduler_agent_revoked",):  # the service agent belongs to the whole project
        assert console.codes(console.services["feature-engineering-service"]) == set()


@pytest.mark.parametrize("fault", REPAIRABLE)
def test_break_is_repaired(console, fault):
    console.fault(fault)
    plan = console.plan()
    assert plan.changes
    apply_plan(plan, console.api)
    assert console.codes() == set()
    assert console.plan().changes == ()


@pytest.mark.parametrize("fault", BEYOND_REPAIR)
def test_break_of_the_issuer_is_left_to_a_person(console, fault):
    console.fault(fault)
    plan = console.plan()
    assert any(fault in line for line in plan.by_hand)
    assert "by hand" in plan.text()


#: What keeps a sick service from being seen: its health cannot be asked for.
HIDING = {"ingress_refuses", "token_forbidden", "account_missing", "account_disabled", "invoker_missing",
          "invoker_conditional", "invoker_deleted_member"}  # fmt: skip


@pytest.mark.parametrize("pair", list(itertools.combinations(REPAIRABLE, 2))[::3])
def test_two_breaks_at_once_are_both_repaired(console, pair):
    for fault in pair:
        console.fault(fault)
    console.repair()
    if "health_down" in pair and HIDING & set(pair):
        assert "health_down" in console.codes(), "the first repair brings the hidden break to light"
        console.repair()
    assert console.codes() == set(), pair


def test_all_repairable_breaks_at_once_are_repaired(console):
    for fault in REPAIRABLE:
        console.fault(fault)
    console.repair()
    assert console.codes() == set()


def test_every_failing_finding_says_which_step_repairs_it(console):
    for fault in REPAIRABLE:
        console.restore()
        console.fault(fault)
        for result, finding in failures(console.results()):
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
def test_causes_of_a_403_are_told_apart(console, fault, cause):
    console.fault(fault)
    answers = gather(console.service, console.api, console.endpoints)
    assert cause in causes_of_forbidden(console.service, answers, console.place)
    found = [finding for result in console.results() for finding in result.findings]
    actual = [finding.actual for finding in found if finding.code == "last_attempt_forbidden"]
    assert actual
    assert "PERMISSION_DENIED (HTTP 403)" in actual[0]
    assert cause in actual[0]


def test_wrong_audience_is_code_16_and_missing_grant_code_7(console):
    console.fault("job_wrong_audience")
    assert "last_attempt_unauthenticated" in console.codes()
    assert "last_attempt_forbidden" not in console.codes()
    console.restore()
    console.fault("invoker_missing")
    assert "last_attempt_forbidden" in console.codes()
    assert "last_attempt_unauthenticated" not in console.codes()


def test_plan_shows_a_diff_and_a_digest_that_follows_the_state(console):
    console.fault("job_wrong_audience")
    first = console.plan()
    assert "-    audience: https://old.run.app" in first.text()
    assert first.digest == console.plan().digest
    console.fault("invoker_missing")
    assert console.plan().digest != first.digest


def test_update_keeps_the_job_and_never_deletes_it(console):
    console.fault("job_wrong_audience")
    console.repair()
    assert not [line for line in console.api.written if line.startswith("DELETE")]
    assert any(line.startswith("PATCH") and "updateMask=httpTarget" in line for line in console.api.written)


def test_concurrent_policy_change_is_refused_not_overwritten(console):
    console.fault("invoker_missing")
    mine, other = console.plan(), console.plan()
    apply_plan(other, console.api)
    with pytest.raises(RepairError, match=r"grant_invoker.*concurrent policy changes"):
        apply_plan(mine, console.api)


@pytest.mark.parametrize("way", VARIANTS)
def test_whatever_the_service_accepts_passes_and_says_how(console, way):
    """Trouble from the field: an invoker grant to a group, on the project or by another role was called missing."""
    console.fault(way)
    results = console.results()
    assert failures(results) == []
    if way != "broader_project_role":
        (finding,) = [finding for result in results for finding in result.findings]
        assert finding.code == "invoker_indirect"
        assert finding.actual.startswith("granted ")
        assert ("group:callers@example.com" in finding.actual) is (way == "invoker_by_group")
        assert ("on the project" in finding.actual) is way.endswith("on_project")
    assert console.plan().changes == ()


def test_a_group_without_proof_is_no_grant(console):
    """Who is in a group cannot be seen: without a call that the service accepts it is not assumed."""
    console.fault("invoker_by_group")
    answers = replace(gather(console.service, console.api, console.endpoints), health_with_token=Answer(403))
    check = next(check for number, _, check in CHECKS if number == 3)
    assert [finding.code for finding in check(console.service, answers, console.place)] == ["invoker_missing"]
    open_to_all = replace(answers, health_with_token=Answer(200), health_without_token=Answer(200))
    assert [one.code for one in check(console.service, open_to_all, console.place)] == ["invoker_missing"]


def test_repair_takes_effect_after_propagation_only(console):
    console.fault("invoker_missing")
    console.api.call("POST", f"{console.address}/faults", {"propagation_seconds": 60})
    console.repair()
    assert "health_forbidden" in console.codes()
    console.api.call("POST", f"{console.address}/faults", {"propagation_seconds": 0})
    assert "health_forbidden" not in console.codes()


def test_a_new_account_that_google_does_not_know_yet_is_waited_for(console):
    console.fault("account_missing")
    console.fault("job_missing")
    console.api.call("POST", f"{console.address}/faults", {"account_seconds": 3600})
    plan, waits = console.plan(), []

    def pause(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            console.api.call("POST", f"{console.address}/faults", {"account_seconds": 0})

    steps = [step.split(":")[0] for step in apply_plan(plan, console.api, timedelta(minutes=7), pause)]
    assert len(steps) == len(plan.changes)
    assert {"create_account", "grant_token_creator", "grant_invoker", "create_job"} <= set(steps)
    assert len(waits) == 2
    assert console.codes() == set()


def test_an_account_that_never_becomes_known_is_a_refusal_in_time(console):
    console.fault("account_missing")
    console.api.call("POST", f"{console.address}/faults", {"account_seconds": 3600})
    waits = []
    with pytest.raises(RepairError, match=r"was refused: HTTP 40[04].*Applied before it: \['create_account"):
        apply_plan(console.plan(), console.api, timedelta(minutes=7), waits.append)
    assert sum(waits) == 420
    # The next run still reads 404, and asks for the same account.
    with pytest.raises(RepairError, match=r"create_account.*, then run oidc_repair again"):
        apply_plan(console.plan(), console.api)


def test_nothing_is_waited_for_without_a_new_account(console):
    console.fault("invoker_missing")
    plan = console.plan()
    requests.post(
        f"{console.address}/faults", json={"fault": "account_missing", "service": console.service.name}, timeout=5
    )
    with pytest.raises(RepairError):
        apply_plan(plan, console.api, timedelta(minutes=7), lambda _: pytest.fail("waited"))


def test_checker_without_rights_is_told_apart_from_a_broken_service(console):
    answers = gather(console.service, console.api, console.endpoints)
    blind = Answer(403, {"error": {"message": "denied"}})
    changed = replace(answers, job=blind)
    check = next(check for number, _, check in CHECKS if number == 4)
    findings = list(check(console.service, changed, console.place, datetime.now(UTC)))
    assert [finding.code for finding in findings] == ["checker_forbidden"]
    assert "PERMISSION_DENIED (HTTP 403) denied" in findings[0].actual


def test_unknown_fault_is_refused(console):
    answer = console.api.call("POST", f"{console.address}/faults", {"fault": "nonsense", "service": "collector"})
    assert answer.status == 400
    assert "known:" in answer.describe()


def test_token_of_another_signer_is_refused_by_the_service(console):
    forger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    uri = f"{console.address}/run/data-sync-service"
    claims = {"iss": "https://accounts.google.com", "aud": uri, "email": console.place.email("data-sync-service")}
    token = jwt.encode({**claims, "email_verified": True}, forger, algorithm="RS256", headers={"kid": "local-1"})
    assert console.api.visit(f"{uri}/health", token).status == 401
    assert console.api.visit(f"{uri}/health", None).status == 403
