"""The repair plan: what differs from the wanted state, as requests with a readable diff and a digest.

The plan is a pure function of the fetched answers, so the plan that a person approved can be made again just before
it is applied: when the digests differ, something else changed in between, and the approval no longer holds.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import yaml

from drawsguard.identity.checks import (
    INVOKER,
    PUBLIC_MEMBERS,
    SCHEDULER_AGENT_ROLE,
    TOKEN_CREATOR,
    failures,
    holds_role_or_more,
    how_invoking_is_granted,
    run_checks,
)
from drawsguard.identity.gather import Api, Endpoints
from drawsguard.identity.model import Answer, Place, RepairStep, Service, ServiceAnswers, grants, holds

log = logging.getLogger(__name__)

#: Pause before a request that names a new account is sent again (seconds).
RETRY_SECONDS = 10.0

#: Cloud Scheduler refuses to create a job without these; retry values are those of the seed's job.
RETRY_CONFIG = {
    "retryCount": 3,
    "maxRetryDuration": "600s",
    "minBackoffDuration": "60s",
    "maxBackoffDuration": "300s",
    "maxDoublings": 3,
}
ATTEMPT_DEADLINE = "300s"


@dataclass(frozen=True)
class Change:
    """One request of the repair. ``before`` and ``after`` are what a person compares."""

    step: RepairStep
    target: str
    method: str
    url: str
    body: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    def diff(self) -> str:
        """Return the change as a unified diff of YAML."""
        old, new = (_yaml_lines(side) for side in (self.before, self.after))
        lines = difflib.unified_diff(old, new, f"{self.target} (now)", f"{self.target} (after)", lineterm="")
        return "\n".join(lines)


@dataclass(frozen=True)
class Plan:
    """All changes that one service needs, and what no request can fix."""

    service: str
    changes: tuple[Change, ...]
    by_hand: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of what will change; equal plans have equal digests."""
        content = [[change.step.value, change.target, change.before, change.after] for change in self.changes]
        return hashlib.sha256(json.dumps([self.service, content], sort_keys=True, default=str).encode()).hexdigest()

    def text(self) -> str:
        """Return the plan for a person: steps with their diffs, then what has to be done by hand."""
        if not self.changes and not self.by_hand:
            return "Nothing to change."
        parts = [f"# {n}. {change.step.value}\n{change.diff()}" for n, change in enumerate(self.changes, 1)]
        parts += [f"# by hand: {line}" for line in self.by_hand]
        return "\n\n".join(parts)


def _yaml_lines(value: Mapping[str, Any]) -> list[str]:
    return yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=True).splitlines() if value else []


def _with_member(policy: Mapping[str, Any], role: str, member: str) -> dict[str, Any]:
    """Return the policy with ``member`` in ``role`` without a condition, and in no conditional binding of it."""
    changed = copy.deepcopy(dict(policy))
    bindings = changed.setdefault("bindings", [])
    for binding in grants(changed, role):
        if binding.get("condition") and member in binding["members"]:
            binding["members"].remove(member)
    for binding in grants(changed, role):
        if not binding.get("condition"):
            if member not in binding["members"]:
                binding["members"].append(member)
            break
    else:
        bindings.append({"role": role, "members": [member]})
    changed["bindings"] = [binding for binding in bindings if binding["members"]]
    return changed


def _invoker_policy(policy: Mapping[str, Any], member: str | None) -> dict[str, Any]:
    """Return the policy without the public and the deleted, and with ``member``: None where it may call already."""
    changed = _with_member(policy, INVOKER, member) if member else {"bindings": [], **copy.deepcopy(dict(policy))}
    unwanted = (*PUBLIC_MEMBERS, "deleted:")
    for binding in changed["bindings"]:
        if binding["role"] == INVOKER:
            binding["members"] = [entry for entry in binding["members"] if not entry.startswith(unwanted)]
    changed["bindings"] = [binding for binding in changed["bindings"] if binding["members"]]
    return changed


def _policy_change(step: RepairStep, target: str, url: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    # The etag makes the write fail when somebody else changed the policy in between.
    shown_old, shown_new = ({"bindings": policy.get("bindings", [])} for policy in (old, new))
    body = {"policy": {**new, "version": 3, "etag": old.get("etag", "")}}
    return Change(step, target, "POST", f"{url}:setIamPolicy", body, shown_old, shown_new)


def make_plan(
    service: Service, answers: ServiceAnswers, place: Place, endpoints: Endpoints, runner: str, now: datetime
) -> Plan:
    """Return what has to change so that the seven checks pass; an empty plan for a healthy service.

    :param runner: account id that makes the identity tokens of check 5 (needs the token creator role).
    :param now: the time to judge freshness by (aware).
    """
    changes = [
        *_account_changes(service, answers, place, endpoints, runner),
        *_service_changes(service, answers, place, endpoints),
        *_project_changes(service, answers, place, endpoints),
        *_job_changes(service, answers, place, endpoints),
    ]
    order = list(RepairStep)
    changes.sort(key=lambda change: order.index(change.step))
    found = [finding for _, finding in failures(run_checks(service, answers, place, now))]
    by_hand = tuple(finding.sentence() for finding in found if finding.mended_by is RepairStep.BY_HAND)
    # Where only a person can fix the cause, running the job once more would fail once more.
    if changes or (not by_hand and any(finding.mended_by is RepairStep.RUN_JOB for finding in found)):
        code = answers.job.body.get("status", {}).get("code", 0)
        url = f"{endpoints.job(service)}:run"
        changes.append(
            Change(RepairStep.RUN_JOB, service.job, "POST", url, {}, {"last attempt": code}, {"last attempt": "new"})
        )
    return Plan(service.name, tuple(changes), by_hand)


def _account_changes(
    service: Service, answers: ServiceAnswers, place: Place, endpoints: Endpoints, runner: str
) -> Iterator[Change]:
    email, url = place.email(service.account), endpoints.account(service)
    if answers.account.status == 404:
        account = {"displayName": service.name, "description": f"Identity of the calls to {service.name}"}
        body = {"accountId": service.account, "serviceAccount": account}
        yield Change(RepairStep.CREATE_ACCOUNT, email, "POST", endpoints.accounts(), body, {}, {"email": email})
    elif answers.account.ok and answers.account.body.get("disabled"):
        before, after = {"disabled": True}, {"disabled": False}
        yield Change(RepairStep.ENABLE_ACCOUNT, email, "POST", f"{url}:enable", {}, before, after)
    missing = answers.account.status == 404
    policy = {} if missing else answers.account_policy.body
    member = place.member(runner)
    # A token that can be made needs no further grant, wherever the one that allows it stands.
    granted = answers.token.ok or holds(policy, TOKEN_CREATOR, member)
    if (missing or answers.account_policy.ok) and not granted:
        wanted = _with_member(policy, TOKEN_CREATOR, member)
        yield _policy_change(RepairStep.GRANT_TOKEN_CREATOR, f"IAM policy of {email}", url, policy, wanted)


def _service_changes(service: Service, answers: ServiceAnswers, place: Place, endpoints: Endpoints) -> Iterator[Change]:
    answer, url = answers.run_service, endpoints.run_service(service)
    if not answer.ok:
        return
    wanted: dict[str, Any] = {"ingress": service.ingress, "invokerIamDisabled": False}
    before = {key: answer.body.get(key) or (False if key == "invokerIamDisabled" else None) for key in wanted}
    ready = answer.body.get("terminalCondition", {}).get("state") == "CONDITION_SUCCEEDED"
    serving = answers.health_with_token.status is None or answers.health_with_token.status < 500
    if not ready or not serving:
        # A changed template label makes Cloud Run roll out a new revision of the same image.
        labels = answer.body.get("template", {}).get("labels", {})
        before["template"] = {"labels": labels}
        wanted["template"] = {"labels": {**labels, "rollout": str(int(labels.get("rollout", 0)) + 1)}}
    changed = {key: value for key, value in wanted.items() if before[key] != value}
    if changed:
        fields = [f"{key}.labels" if key == "template" else key for key in changed]
        address = f"{url}?updateMask={','.join(fields)}"
        shown = {key: before[key] for key in changed}
        yield Change(RepairStep.CONFIGURE_SERVICE, service.name, "PATCH", address, changed, shown, changed)
    policy = answers.run_policy.body
    otherwise = how_invoking_is_granted(service, answers, place)
    granted = _invoker_policy(policy, None if otherwise else place.member(service.account))
    if answers.run_policy.ok and granted.get("bindings", []) != policy.get("bindings", []):
        yield _policy_change(RepairStep.GRANT_INVOKER, f"IAM policy of {service.name}", url, policy, granted)


def _project_changes(service: Service, answers: ServiceAnswers, place: Place, endpoints: Endpoints) -> Iterator[Change]:
    if not (answers.project.ok and answers.project_policy.ok):
        return
    old = answers.project_policy.body
    new: dict[str, Any] = dict(old)
    grants_wanted = [(SCHEDULER_AGENT_ROLE, answers.scheduler_agent)]
    grants_wanted += [(role, place.member(service.account)) for role in service.roles]
    for role, member in grants_wanted:
        if not holds_role_or_more(new, role, member):
            new = _with_member(new, role, member)
    if new.get("bindings", []) != old.get("bindings", []):
        target = f"IAM policy of project {place.project}"
        yield _policy_change(RepairStep.GRANT_PROJECT_ROLES, target, endpoints.project(), old, new)


def _job_changes(service: Service, answers: ServiceAnswers, place: Place, endpoints: Endpoints) -> Iterator[Change]:
    answer, audiences = answers.job, answers.accepted_audiences
    if not audiences or not (answer.ok or answer.status == 404):
        return
    current = answer.body.get("httpTarget", {})
    uri, token = current.get("uri", ""), current.get("oidcToken") or {}
    hosts = {urlsplit(address).netloc for address in audiences}
    target = {
        "uri": uri if urlsplit(uri).netloc in hosts else f"{audiences[0]}{service.path}",
        "httpMethod": "POST",
        "oidcToken": {
            "serviceAccountEmail": place.email(service.account),
            "audience": token.get("audience") if token.get("audience") in audiences else audiences[0],
        },
    }
    step, url = RepairStep.UPDATE_JOB, endpoints.job(service)
    if answer.status == 404:
        job = {
            "name": place.job(service.job),
            "schedule": service.schedule,
            "timeZone": place.time_zone,
            "attemptDeadline": ATTEMPT_DEADLINE,
            "retryConfig": RETRY_CONFIG,
            "httpTarget": target,
        }
        yield Change(RepairStep.CREATE_JOB, service.job, "POST", endpoints.jobs(), job, {}, job)
        return
    before = {"httpTarget": {key: current[key] for key in target if current.get(key)}}
    if before["httpTarget"] != target:
        after = {"httpTarget": target}
        # Updated, not deleted and created again: its history, and whoever watches it, stay.
        yield Change(step, service.job, "PATCH", f"{url}?updateMask=httpTarget", after, before, after)
    state = answer.body.get("state")
    if state != "ENABLED":
        before_state, after_state = {"state": state}, {"state": "ENABLED"}
        yield Change(RepairStep.RESUME_JOB, service.job, "POST", f"{url}:resume", {}, before_state, after_state)


class RepairError(RuntimeError):
    """A change was refused; the message says which, why, and what was already applied."""


def apply_plan(
    plan: Plan, api: Api, patience: timedelta = timedelta(), pause: Callable[[float], None] = time.sleep
) -> list[str]:
    """Send the plan's requests in order and return the steps applied.

    Google takes minutes to know a new account everywhere; until then it refuses what names it (400 or 404). Such a
    request is sent again, so that one approval is enough.

    :param patience: how long an account that this plan creates may take to be known.
    :param pause: waits for a number of seconds.
    :raises RepairError: at the first refusal. Running the repair again continues: what is applied is not planned again.
    """
    applied: list[str] = []
    created = ""
    for change in plan.changes:
        answer = api.call(change.method, change.url, change.body)
        waited = 0.0
        while created and _does_not_know(answer, created) and waited < patience.total_seconds():
            log.info("%s: %s is not known yet (%s); trying again", change.target, created, answer.describe())
            pause(RETRY_SECONDS)
            waited += RETRY_SECONDS
            answer = api.call(change.method, change.url, change.body)
        if change.step is RepairStep.CREATE_ACCOUNT:
            created = change.target
            if answer.status == 409:  # created a moment ago: reading it may still have answered 404
                answer = Answer(200)
        if not answer.ok:
            raise RepairError(
                f"{plan.service}: step {change.step.value} on {change.target} was refused: {answer.describe()}. "
                f"Applied before it: {applied or 'nothing'}. Grant what the message names, then run oidc_repair again."
            )
        applied.append(f"{change.step.value}: {change.target}")
    return applied


def _does_not_know(answer: Answer, email: str) -> bool:
    return answer.status == 404 or (answer.status == 400 and email in answer.describe())
