"""Google's APIs that the identity checks and their repair use: each answers, for each service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from drawsguard.identity.gather import Endpoints
from drawsguard.identity.model import Answer, Place, Service, load_services
from drawsguard.preflight.model import Check, Finding, World, failed, grouped, listed, passed

PART = "Google"

_ADVICE = (
    "开启该 API 并授权（docs/preflight.md）；没有 Cloud Run 服务时，从 include/config/services.yaml 删去。"
    "Enable the API and "
    "grant the rights (docs/preflight.md); without Cloud Run services, remove them from include/config/services.yaml."
)

#: API → the permissions of the project that the checks and the repair need.
RIGHTS: dict[str, tuple[str, ...]] = {
    "IAM": ("iam.serviceAccounts.get", "iam.serviceAccounts.getIamPolicy", "iam.serviceAccounts.setIamPolicy"),
    "Cloud Run": ("run.services.get", "run.services.getIamPolicy", "run.services.setIamPolicy"),
    "Cloud Scheduler": ("cloudscheduler.jobs.get", "cloudscheduler.jobs.update", "cloudscheduler.jobs.run"),
    "Resource Manager": ("resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy"),
    "Cloud Logging": ("logging.logEntries.list",),
}


def _ask(world: World, name: str, service: Service) -> Sequence[Answer]:
    """Return an API's answers about a service; these calls only read, but for a token that nobody keeps."""
    api, endpoints = world.google(), Endpoints(world.settings, Place.of(world.settings))
    match name:
        case "IAM":
            version = {"options": {"requestedPolicyVersion": 3}}
            account = endpoints.account(service)
            return api.call("GET", account), api.call("POST", f"{account}:getIamPolicy", version)
        case "Cloud Run":
            return (api.call("GET", endpoints.run_service(service)),)
        case "Cloud Scheduler":
            return (api.call("GET", endpoints.job(service)),)
        case "IAM Credentials":
            body = {"audience": "https://preflight.invalid", "includeEmail": True}
            return (api.call("POST", endpoints.token(service), body),)
        case _:
            return (api.call("GET", endpoints.project()),)


def answers(world: World, name: str) -> Iterator[Finding]:
    """The API answers about each service."""
    problems, fine = {}, []
    for service in load_services().services:
        refused = [answer.describe() for answer in _ask(world, name, service) if not answer.ok]
        if refused:
            problems[service.name] = "; ".join(refused)
        else:
            fine.append(service.name)
    for reason, services in grouped(problems).items():
        yield failed(f"{listed(services)}: {reason}", _ADVICE)
    if fine:
        yield passed(listed(fine))


def rights(world: World) -> Iterator[Finding]:
    """The account holds the permissions of checks and repair on the project."""
    wanted = [right for rights_of_api in RIGHTS.values() for right in rights_of_api]
    url = f"{Endpoints(world.settings, Place.of(world.settings)).project()}:testIamPermissions"
    answer = world.google().call("POST", url, {"permissions": wanted})
    if not answer.ok:
        yield failed(answer.describe(), _ADVICE)
        return
    if missing := sorted(set(wanted) - set(answer.body.get("permissions", []))):
        yield failed(f"缺少 missing {', '.join(missing)}", _ADVICE)
    else:
        yield passed(f"{len(wanted)} 项权限 permissions")


#: Each is a part of its own: an API that is off must not hide the others.
CHECKS = (
    *(
        Check(
            f"{PART}: {name}",
            name.lower().replace(" ", "_"),
            "可连接 Answers",
            partial(answers, name=name),
            _ADVICE,
            seconds=60,
        )
        for name in ("Resource Manager", "IAM", "Cloud Run", "Cloud Scheduler", "IAM Credentials")
    ),
    Check(f"{PART}: rights", "rights", "权限 Rights", rights, _ADVICE),
)
