"""The seven identity checks: each one reads fetched API answers and returns what is wrong, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from drawsguard.identity.model import (
    GRPC_NAMES,
    PERMISSION_DENIED,
    UNAUTHENTICATED,
    Answer,
    CheckResult,
    Finding,
    Place,
    RepairStep,
    Service,
    ServiceAnswers,
    Severity,
    grants,
    holds,
)

INVOKER = "roles/run.invoker"
#: Roles that allow a call, on the service or on the project.
INVOKER_ROLES = (INVOKER, "roles/run.servicesInvoker", "roles/run.admin")
#: Role → predefined roles that hold all of its permissions.
CONTAINED_IN = {
    "roles/bigquery.dataViewer": ("roles/bigquery.dataEditor", "roles/bigquery.dataOwner", "roles/bigquery.admin"),
    "roles/bigquery.dataEditor": ("roles/bigquery.dataOwner", "roles/bigquery.admin"),
    "roles/bigquery.jobUser": ("roles/bigquery.user", "roles/bigquery.admin"),
}
SCHEDULER_AGENT_ROLE = "roles/cloudscheduler.serviceAgent"
TOKEN_CREATOR = "roles/iam.serviceAccountTokenCreator"  # noqa: S105 - the name of an IAM role
PUBLIC_MEMBERS = ("allUsers", "allAuthenticatedUsers")
TOKEN_ISSUERS = ("https://accounts.google.com", "accounts.google.com")


def _fail(code: str, expected: str, actual: str, mended_by: RepairStep, *, symptom: bool = False) -> Finding:
    return Finding(code, Severity.FAIL, expected, actual, mended_by, symptom)


def _unreadable(what: str, answer: Answer) -> Finding:
    code = {401: "checker_unauthenticated", 403: "checker_forbidden"}.get(answer.status or 0, "unreadable")
    return _fail(code, f"{what} can be read", answer.describe(), RepairStep.BY_HAND)


def check_account(service: Service, answers: ServiceAnswers, place: Place) -> Iterator[Finding]:
    """1: the service account exists, is enabled and belongs to the job's project."""
    answer, email = answers.account, place.email(service.account)
    if answer.status == 404:
        yield _fail("account_missing", f"service account {email}", "does not exist", RepairStep.CREATE_ACCOUNT)
    elif not answer.ok:
        yield _unreadable(f"service account {email}", answer)
    else:
        if answer.body.get("disabled"):
            yield _fail("account_disabled", f"{email} enabled", "disabled", RepairStep.ENABLE_ACCOUNT)
        if answer.body.get("projectId") != place.project:
            actual = str(answer.body.get("projectId"))
            yield _fail("account_of_other_project", f"project {place.project}", actual, RepairStep.BY_HAND)


def check_service(service: Service, answers: ServiceAnswers, place: Place) -> Iterator[Finding]:
    """2: the Cloud Run service is ready, open to Cloud Scheduler, and asks for an identity."""
    answer, step = answers.run_service, RepairStep.CONFIGURE_SERVICE
    if answer.status == 404:
        expected = f"service {service.name} in {place.location}"
        yield _fail("service_missing", expected, "does not exist: deploy it", RepairStep.BY_HAND)
        return
    if not answer.ok:
        yield _unreadable(f"service {service.name}", answer)
        return
    ready = answer.body.get("terminalCondition", {})
    if ready.get("state") != "CONDITION_SUCCEEDED":
        actual = f"{ready.get('state')}: {ready.get('message', '')}"
        yield _fail("service_not_ready", "terminal condition CONDITION_SUCCEEDED", actual, step)
    if answer.body.get("ingress") != service.ingress:
        yield _fail("ingress_refuses", f"ingress {service.ingress}", str(answer.body.get("ingress")), step)
    if answer.body.get("invokerIamDisabled"):
        yield _fail("invoker_check_disabled", "invokerIamDisabled false", "true: anyone may call", step)


def check_invoker(service: Service, answers: ServiceAnswers, place: Place) -> Iterator[Finding]:
    """3: the account may invoke, however it was granted, without conditions, and nobody holds that for everyone."""
    answer, member, step = answers.run_policy, place.member(service.account), RepairStep.GRANT_INVOKER
    if not answer.ok:
        if answers.run_service.status != 404:
            yield _unreadable(f"IAM policy of {service.name}", answer)
        return
    bindings = grants(answer.body, INVOKER)
    members = [entry for binding in bindings for entry in binding.get("members", [])]
    conditional = [binding for binding in bindings if binding.get("condition") and member in binding.get("members", [])]
    how = how_invoking_is_granted(service, answers, place)
    if how is None:
        if conditional:
            actual = f"only under the condition {conditional[0]['condition'].get('expression')}"
            yield _fail("invoker_conditional", f"{member} unconditionally", actual, step)
        else:
            yield _fail("invoker_missing", f"{member} in {INVOKER}", f"members {members}", step)
    elif how:
        yield Finding("invoker_indirect", Severity.WARN, f"{member} in {INVOKER} of the service", how, step)
    deleted = [entry for entry in members if entry.startswith("deleted:")]
    if deleted:
        yield _fail("invoker_deleted_member", f"no deleted members in {INVOKER}", str(deleted), step)
    public = [entry for entry in members if entry in PUBLIC_MEMBERS]
    if public:
        yield _fail("invoker_public", f"no {' or '.join(PUBLIC_MEMBERS)}", str(public), step)


def how_invoking_is_granted(service: Service, answers: ServiceAnswers, place: Place) -> str | None:
    """Return how the account may call the service: '' by the grant that the repair makes, a sentence for another way.

    Who is in a group, and what a folder grants, no policy here shows: it counts when the service itself accepts the
    account's token and refuses a call without one. None: there is no grant, and no proof.
    """
    member, policies = (
        place.member(service.account),
        {"": answers.run_policy, " on the project": answers.project_policy},
    )
    for where, policy in policies.items():
        for role in INVOKER_ROLES:
            if policy.ok and holds(policy.body, role, member):
                return "" if (role, where) == (INVOKER, "") else f"granted as {role}{where}"
    conditional = any(member in binding.get("members", []) for binding in grants(answers.run_policy.body, INVOKER))
    proven = answers.health_with_token.ok and answers.health_without_token.status in (401, 403)
    if conditional or not proven:
        return None
    groups = [
        f"{entry} ({role}{where})"
        for where, policy in policies.items()
        for role in INVOKER_ROLES
        for binding in grants(policy.body, role)
        for entry in binding.get("members", [])
        if entry.startswith(("group:", "domain:", "principalSet:"))
    ]
    through = f"through {', '.join(groups)}" if groups else "by a policy above the project, or a role of your own"
    return f"granted {through}: the service accepts the account's token"


def check_job(service: Service, answers: ServiceAnswers, place: Place, now: datetime) -> Iterator[Finding]:
    """4: the Cloud Scheduler job is enabled, calls the service as the account, and its last attempt succeeded."""
    answer = answers.job
    if answer.status == 404:
        yield _fail("job_missing", place.job(service.job), "does not exist", RepairStep.CREATE_JOB)
        return
    if not answer.ok:
        yield _unreadable(f"job {service.job}", answer)
        return
    job = answer.body
    if job.get("state") != "ENABLED":
        yield _fail("job_not_enabled", "state ENABLED", str(job.get("state")), RepairStep.RESUME_JOB)
    yield from _target_findings(service, answers, place)
    code = int(job.get("status", {}).get("code", 0))
    if code:
        name = {PERMISSION_DENIED: "last_attempt_forbidden", UNAUTHENTICATED: "last_attempt_unauthenticated"}
        actual = GRPC_NAMES.get(code, f"code {code}")
        if code == PERMISSION_DENIED:
            actual += f"; cause: {', '.join(causes_of_forbidden(service, answers, place))}"
        yield _fail(name.get(code, "last_attempt_failed"), "status.code 0", actual, RepairStep.RUN_JOB, symptom=True)
    attempted = job.get("lastAttemptTime")
    limit = timedelta(minutes=service.max_silence_minutes)
    if not attempted or now - datetime.fromisoformat(attempted) > limit:
        expected = f"an attempt within {service.max_silence_minutes} min"
        yield _fail("job_silent", expected, f"last at {attempted or 'never'}", RepairStep.RUN_JOB, symptom=True)


def _target_findings(service: Service, answers: ServiceAnswers, place: Place) -> Iterator[Finding]:
    target, step = answers.job.body.get("httpTarget", {}), RepairStep.UPDATE_JOB
    uri, token = target.get("uri", ""), target.get("oidcToken") or {}
    hosts = {urlsplit(address).netloc for address in answers.accepted_audiences}
    if answers.run_service.ok and urlsplit(uri).netloc not in hosts:
        yield _fail("job_wrong_target", f"a host of {service.name}: {sorted(hosts)}", uri or "no target", step)
    if not token:
        yield _fail("job_without_token", "httpTarget.oidcToken", "the job sends no identity", step)
        return
    if token.get("serviceAccountEmail") != place.email(service.account):
        yield _fail("job_wrong_account", place.email(service.account), str(token.get("serviceAccountEmail")), step)
    audience = token.get("audience", "")
    if not audience:
        actual = f"empty: Cloud Scheduler uses the whole target address {uri}"
        yield Finding("job_empty_audience", Severity.WARN, "an explicit audience", actual, step)
    elif answers.run_service.ok and audience not in answers.accepted_audiences:
        yield _fail("job_wrong_audience", f"one of {list(answers.accepted_audiences)}", audience, step)


def check_token(service: Service, answers: ServiceAnswers, place: Place, now: datetime) -> Iterator[Finding]:
    """5: a token for the account can be made, and says what the service will verify."""
    answer, step = answers.token, RepairStep.GRANT_TOKEN_CREATOR
    if not answer.ok:
        # Check 1 reports a missing or disabled account; without it there is no token either.
        if answers.account.ok and not answers.account.body.get("disabled"):
            expected = f"generateIdToken for {place.email(service.account)}"
            code = "token_forbidden" if answer.status == 403 else "token_failed"
            yield _fail(code, expected, answer.describe(), step if answer.status == 403 else RepairStep.BY_HAND)
        return
    if answers.token_error:
        yield _fail("token_unverifiable", "a token signed by the issuer", answers.token_error, RepairStep.BY_HAND)
        return
    claims = answers.claims
    expected_audience = answers.run_service.body.get("uri", "")
    problems = {
        "token_wrong_issuer": (claims.get("iss") in TOKEN_ISSUERS, " or ".join(TOKEN_ISSUERS), claims.get("iss")),
        "token_wrong_audience": (claims.get("aud") == expected_audience, expected_audience, claims.get("aud")),
        "token_wrong_email": (
            claims.get("email") == place.email(service.account) and claims.get("email_verified") is True,
            f"verified e-mail {place.email(service.account)}",
            f"{claims.get('email')}, verified {claims.get('email_verified')}",
        ),
        "token_expired": (
            float(claims.get("exp", 0)) > now.timestamp(),
            f"exp after {now.isoformat()}",
            claims.get("exp"),
        ),
    }
    for code, (passed, expected, actual) in problems.items():
        if not passed:
            yield _fail(code, str(expected), str(actual), RepairStep.BY_HAND)


def check_project(service: Service, answers: ServiceAnswers, place: Place) -> Iterator[Finding]:
    """6: the Scheduler service agent holds its role, and the account its project roles."""
    answer, step = answers.project_policy, RepairStep.GRANT_PROJECT_ROLES
    for what, read in (("project", answers.project), ("IAM policy of the project", answer)):
        if not read.ok:
            yield _unreadable(f"{what} {place.project}", read)
            return
    if not holds(answer.body, SCHEDULER_AGENT_ROLE, answers.scheduler_agent):
        expected = f"{answers.scheduler_agent} in {SCHEDULER_AGENT_ROLE}"
        yield _fail("scheduler_agent_revoked", expected, "not granted: every OIDC job of the project gets 403", step)
    for role in service.roles:
        if not holds_role_or_more(answer.body, role, place.member(service.account)):
            yield _fail("project_role_missing", f"{place.member(service.account)} in {role}", "not granted", step)


def holds_role_or_more(policy: Mapping[str, Any], role: str, member: str) -> bool:
    """Whether an account has a role, or one that holds everything of it."""
    return any(holds(policy, one, member) for one in (role, *CONTAINED_IN.get(role, ())))


def check_health(service: Service, answers: ServiceAnswers, place: Place) -> Iterator[Finding]:
    """7: the service answers its health address to the account's token, and to nobody without one."""
    if not answers.run_service.ok:
        return
    with_token, without = answers.health_with_token, answers.health_without_token
    if answers.token.ok and not with_token.ok:
        actual, configure = with_token.describe(), RepairStep.CONFIGURE_SERVICE
        if with_token.status == 401:
            yield _fail(
                "health_unauthenticated", "2xx with the token", actual, RepairStep.CONFIGURE_SERVICE, symptom=True
            )
        elif with_token.status == 403:
            actual += f"; cause: {', '.join(causes_of_forbidden(service, answers, place))}"
            yield _fail("health_forbidden", "2xx with the token", actual, RepairStep.GRANT_INVOKER, symptom=True)
        else:
            yield _fail("health_down", "2xx with the token", actual, configure)
    if without.ok:
        expected = "401 or 403 without a token"
        yield _fail("health_open", expected, without.describe(), RepairStep.CONFIGURE_SERVICE, symptom=True)


def causes_of_forbidden(service: Service, answers: ServiceAnswers, place: Place) -> list[str]:
    """Return why a call with a valid token is refused with 403 (code 7).

    Four causes look alike from outside: no invoker grant; a grant that has no effect (a condition, or a member
    that was deleted and created again); the Scheduler service agent without its role; an ingress that refuses.
    """
    found = [
        *check_account(service, answers, place),
        *check_service(service, answers, place),
        *check_invoker(service, answers, place),
        *check_project(service, answers, place),
    ]
    names = {
        "invoker_missing": "no invoker grant",
        "invoker_conditional": "the invoker grant has a condition",
        "invoker_deleted_member": "the invoker grant names a deleted account",
        "scheduler_agent_revoked": "the Scheduler service agent lost its role",
        "ingress_refuses": "the ingress refuses the caller",
        "account_disabled": "the account is disabled",
        "account_missing": "the account does not exist",
    }
    causes = [names[finding.code] for finding in found if finding.code in names]
    return causes or ["none visible now: granted since the attempt (IAM takes minutes), or a perimeter refuses"]


CHECKS: tuple[tuple[int, str, Callable[..., Iterator[Finding]]], ...] = (
    (1, "service_account_usable", check_account),
    (2, "cloud_run_service_ready", check_service),
    (3, "invoker_granted_to_account_only", check_invoker),
    (4, "scheduler_job_calls_service_as_account", check_job),
    (5, "identity_token_is_right", check_token),
    (6, "scheduler_agent_and_project_roles_granted", check_project),
    (7, "health_needs_and_accepts_token", check_health),
)
_NEED_NOW = (check_job, check_token)


def run_checks(service: Service, answers: ServiceAnswers, place: Place, now: datetime) -> list[CheckResult]:
    """Return the results of all seven checks for one service.

    :param now: the time to judge freshness and expiry by (aware).
    """
    results = []
    for number, name, check in CHECKS:
        extra = (now,) if check in _NEED_NOW else ()
        results.append(CheckResult(service.name, number, name, tuple(check(service, answers, place, *extra))))
    return results


def failures(results: Sequence[CheckResult]) -> list[tuple[CheckResult, Finding]]:
    """Return every failing finding with its check; warnings are left out."""
    return [(result, finding) for result in results for finding in result.findings if finding.severity is Severity.FAIL]
