"""What the local control plane knows: accounts, services, jobs and policies, and every way to break it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drawsguard.identity.model import Place, Service, load_services
from drawsguard.settings import get_settings

PROJECT_NUMBER = "415823669021"
AGENT = f"serviceAccount:service-{PROJECT_NUMBER}@gcp-sa-cloudscheduler.iam.gserviceaccount.com"
AGENT_ROLE = "roles/cloudscheduler.serviceAgent"
INVOKER = "roles/run.invoker"
LONG_AGO = "2025-01-01T00:00:00Z"

State = dict[str, Any]


def healthy_state(address: str) -> State:
    """Return a control plane in which every service of include/config/services.yaml passes all checks.

    :param address: the server's own address, which the services' addresses are built on.
    """
    settings = get_settings()
    place = Place.of(settings)
    state: State = {
        "project": place.project,
        "accounts": {},
        "account_policies": {},
        "services": {},
        "run_policies": {},
        "jobs": {},
        "faults": [],
        "project_policy": {
            "etag": "0",
            "bindings": [{"role": "roles/cloudscheduler.serviceAgent", "members": [AGENT]}],
        },
        "propagation_seconds": 0,  # until a changed policy is in force
        "account_seconds": 0,  # until a new account is known
        "down": [],
        "token_faults": {},
    }
    for service in load_services().services:
        email, uri = place.email(service.account), f"{address}/run/{service.name}"
        state["accounts"][email] = new_account(place.project, email)
        state["account_policies"][email] = {
            "etag": "0",
            "bindings": [
                {"role": "roles/iam.serviceAccountTokenCreator", "members": [place.member(settings.identity_runner)]}
            ],
        }
        state["services"][service.name] = {
            "name": f"projects/{place.project}/locations/{place.location}/services/{service.name}",
            "uri": uri,
            "urls": [uri],
            "customAudiences": [],
            "ingress": "INGRESS_TRAFFIC_ALL",
            "invokerIamDisabled": False,
            "template": {"labels": {}},
            "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
        }
        state["run_policies"][service.name] = {
            "etag": "0",
            "bindings": [{"role": INVOKER, "members": [place.member(service.account)]}],
        }
        state["jobs"][service.job] = {
            "name": place.job(service.job),
            "schedule": service.schedule,
            "timeZone": place.time_zone,
            "state": "ENABLED",
            "httpTarget": {
                "uri": f"{uri}{service.path}",
                "httpMethod": "POST",
                "oidcToken": {"serviceAccountEmail": email, "audience": uri},
            },
            "lastAttemptTime": LONG_AGO,  # due at once
            "status": {},
        }
        for role in service.roles:
            bind(state["project_policy"], role, place.member(service.account))
    return state


def now_text() -> str:
    """Return the time in RFC 3339, as the APIs write it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def new_account(project: str, email: str) -> dict[str, Any]:
    """Return a new, enabled service account."""
    return {
        "name": f"projects/{project}/serviceAccounts/{email}",
        "projectId": project,
        "uniqueId": str(abs(hash(email)) % 10**20),
        "email": email,
        "disabled": False,
    }


def bind(policy: dict[str, Any], role: str, member: str) -> None:
    """Add a member to a role of a policy."""
    for binding in policy["bindings"]:
        if binding["role"] == role and not binding.get("condition"):
            binding["members"].append(member)
            return
    policy["bindings"].append({"role": role, "members": [member]})


def save(state: State, path: Path) -> None:
    """Write the state so that a kill leaves the old file or the new one."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(state, indent=1), encoding="utf-8")
    partial.replace(path)


# --- breaking it ------------------------------------------------------------------------------------------------------


class _Target:
    """The pieces of the state that belong to one service."""

    def __init__(self, state: State, service: Service) -> None:
        place = Place.of(get_settings())
        self.state, self.service = state, service
        self.email, self.member = place.email(service.account), place.member(service.account)
        self.run = state["services"].get(service.name, {})
        self.policy = state["run_policies"][service.name]
        self.job = state["jobs"].get(service.job, {})
        self.http = self.job.get("httpTarget", {})

    def replace_invoker(self, *bindings: dict[str, Any]) -> None:
        """Replace the invoker role's bindings by the given ones."""
        kept = [binding for binding in self.policy["bindings"] if binding["role"] != INVOKER]
        self.policy["bindings"] = kept + list(bindings)

    def drop(self, policy: dict[str, Any], role: str, member: str) -> None:
        """Remove a member from a role."""
        for binding in policy["bindings"]:
            if binding["role"] == role:
                binding["members"] = [entry for entry in binding["members"] if entry != member]
        policy["bindings"] = [binding for binding in policy["bindings"] if binding["members"]]


def _account_missing(target: _Target) -> None:
    target.state["accounts"].pop(target.email, None)
    target.state["account_policies"].pop(target.email, None)
    gone = f"deleted:{target.member}?uid=112233445566778899001"
    for policy in [*target.state["run_policies"].values(), target.state["project_policy"]]:
        for binding in policy["bindings"]:
            binding["members"] = [gone if entry == target.member else entry for entry in binding["members"]]


def _conditional(target: _Target) -> None:
    condition = {"title": "temporary", "expression": 'request.time < timestamp("2025-01-01T00:00:00Z")'}
    target.replace_invoker({"role": INVOKER, "members": [target.member], "condition": condition})


def _job_missing(target: _Target) -> None:
    target.state["jobs"].pop(target.service.job, None)


#: Every break that the checks know: the finding's code, and what makes it so.
FAULTS: dict[str, Callable[[_Target], Any]] = {
    "account_missing": _account_missing,
    "account_disabled": lambda t: t.state["accounts"].get(t.email, {}).update(disabled=True),
    "service_not_ready": lambda t: t.run.update(
        terminalCondition={"type": "Ready", "state": "CONDITION_FAILED", "message": "revision failed its start probe"}
    ),
    "ingress_refuses": lambda t: t.run.update(ingress="INGRESS_TRAFFIC_INTERNAL_ONLY"),
    "invoker_check_disabled": lambda t: t.run.update(invokerIamDisabled=True),
    "invoker_missing": lambda t: t.replace_invoker(),
    "invoker_conditional": _conditional,
    "invoker_deleted_member": lambda t: t.replace_invoker(
        {"role": INVOKER, "members": [f"deleted:{t.member}?uid=112233445566778899001"]}
    ),
    "invoker_public": lambda t: t.replace_invoker({"role": INVOKER, "members": [t.member, "allUsers"]}),
    "job_missing": _job_missing,
    "job_not_enabled": lambda t: t.job.update(state="PAUSED"),
    "job_wrong_target": lambda t: t.http.update(uri=f"https://old-{t.service.name}.run.app{t.service.path}"),
    "job_without_token": lambda t: t.http.pop("oidcToken", None),
    "job_wrong_account": lambda t: t.http.get("oidcToken", {}).update(serviceAccountEmail="someone@example.com"),
    "job_wrong_audience": lambda t: t.http.get("oidcToken", {}).update(audience="https://old.run.app"),
    "job_empty_audience": lambda t: t.http.get("oidcToken", {}).pop("audience", None),
    "job_silent": lambda t: t.job.update(lastAttemptTime="2025-10-03T01:00:00Z", stuck=True),
    "last_attempt_failed": lambda t: t.job.update(
        status={"code": 13, "message": "INTERNAL"}, lastAttemptTime=now_text()
    ),
    "token_forbidden": lambda t: t.state["account_policies"].get(t.email, {}).update(bindings=[]),
    "scheduler_agent_revoked": lambda t: t.drop(t.state["project_policy"], AGENT_ROLE, AGENT),
    "project_role_missing": lambda t: t.drop(t.state["project_policy"], t.service.roles[0], t.member),
    "health_down": lambda t: t.state["down"].append(t.service.name),
    "token_wrong_audience": lambda t: t.state["token_faults"].update({t.email: {"aud": "https://other.run.app"}}),
    "token_wrong_email": lambda t: t.state["token_faults"].update({t.email: {"email_verified": False}}),
    "token_wrong_issuer": lambda t: t.state["token_faults"].update({t.email: {"iss": "https://issuer.example.com"}}),
    "token_expired": lambda t: t.state["token_faults"].update({t.email: {"exp": 1}}),
}


def _in_a_group(target: _Target) -> None:
    target.replace_invoker({"role": INVOKER, "members": ["group:callers@example.com"]})
    target.state["groups"] = {"group:callers@example.com": [target.email]}


def _on_the_project(role: str) -> Callable[[_Target], None]:
    def grant(target: _Target) -> None:
        target.replace_invoker()
        bind(target.state["project_policy"], role, target.member)

    return grant


def _broader_role(target: _Target) -> None:
    target.drop(target.state["project_policy"], target.service.roles[0], target.member)
    bind(target.state["project_policy"], "roles/bigquery.admin", target.member)


#: No breaks: other ways to be allowed to call a service. Injected like a break.
VARIANTS: dict[str, Callable[[_Target], Any]] = {
    "invoker_by_group": _in_a_group,
    "invoker_on_project": _on_the_project(INVOKER),
    "services_invoker": lambda t: t.replace_invoker({"role": "roles/run.servicesInvoker", "members": [t.member]}),
    "services_invoker_on_project": _on_the_project("roles/run.servicesInvoker"),
    "broader_project_role": _broader_role,
}

#: Breaks of the issuer itself: found and reported, but no change to accounts, services or jobs fixes them.
BEYOND_REPAIR = ("token_wrong_audience", "token_wrong_email", "token_wrong_issuer", "token_expired")


def inject(state: State, fault: str, service_name: str) -> State:
    """Return the state with one more break in it.

    :raises KeyError: when the fault or the service is unknown; the message lists the known ones.
    """
    if fault not in FAULTS | VARIANTS:
        raise KeyError(f"Unknown fault {fault!r}; known: {', '.join(FAULTS | VARIANTS)}.")
    changed = copy.deepcopy(state)
    (FAULTS | VARIANTS)[fault](_Target(changed, load_services().named(service_name)))
    changed["faults"].append({"fault": fault, "service": service_name, "at": now_text()})
    return changed
