"""The vocabulary of the identity checks: services, API answers, findings and results."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from drawsguard.settings import Settings, config_file

SERVICES_FILE = config_file("services.yaml")

#: gRPC codes that Cloud Scheduler stores in ``status.code`` and the HTTP status that each one stands for.
PERMISSION_DENIED, UNAUTHENTICATED = 7, 16
GRPC_NAMES = {PERMISSION_DENIED: "PERMISSION_DENIED (HTTP 403)", UNAUTHENTICATED: "UNAUTHENTICATED (HTTP 401)"}


class Service(BaseModel):
    """One Cloud Run service, the Cloud Scheduler job that calls it, and the account of that call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    job: str
    account: str = Field(description="Account id; the e-mail's domain follows from the project.")
    path: str = Field(pattern="^/", description="Path that the job calls.")
    health_path: str = "/health"
    ingress: str = Field(default="INGRESS_TRAFFIC_ALL", pattern="^INGRESS_TRAFFIC_")
    schedule: str
    max_silence_minutes: int = Field(gt=0, description="A last attempt older than this is a finding.")
    roles: tuple[str, ...] = Field(default=(), description="Project roles that the account needs.")


class ServiceCatalogue(BaseModel):
    """The content of include/config/services.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    services: tuple[Service, ...]

    def named(self, name: str) -> Service:
        """Return the service called ``name``.

        :raises KeyError: when the configuration has no such service; the message lists those it has.
        """
        for service in self.services:
            if service.name == name:
                return service
        known = ", ".join(service.name for service in self.services)
        raise KeyError(f"No service {name!r} in {SERVICES_FILE.name}; it has: {known}.")


def load_services(path: Path = SERVICES_FILE) -> ServiceCatalogue:
    """Read and validate the services to check.

    :raises pydantic.ValidationError: when an entry is incomplete or has an unknown key.
    """
    return ServiceCatalogue.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Place:
    """Project, location and scheduling zone that resource names are built from."""

    project: str
    location: str
    time_zone: str

    @classmethod
    def of(cls, settings: Settings) -> Place:
        """Return the place that the settings describe."""
        return cls(settings.project, settings.location, settings.business_timezone)

    def email(self, account: str) -> str:
        """Return the e-mail of an account of this project."""
        return f"{account}@{self.project}.iam.gserviceaccount.com"

    def member(self, account: str) -> str:
        """Return the IAM member of an account of this project."""
        return f"serviceAccount:{self.email(account)}"

    def job(self, job: str) -> str:
        """Return the full resource name of a Cloud Scheduler job."""
        return f"projects/{self.project}/locations/{self.location}/jobs/{job}"


@dataclass(frozen=True)
class Answer:
    """What one API call gave: an HTTP status with its JSON body, or no status and why there is none."""

    status: int | None
    body: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the call succeeded (2xx)."""
        return self.status is not None and 200 <= self.status < 300

    def describe(self) -> str:
        """Return status and message in one line, naming the gRPC code of a 401 or 403."""
        if self.status is None:
            return f"no answer: {self.error}"
        detail = self.body.get("error")
        message = detail.get("message", "") if isinstance(detail, Mapping) else self.error
        names = {403: GRPC_NAMES[PERMISSION_DENIED], 401: GRPC_NAMES[UNAUTHENTICATED]}
        return f"{names.get(self.status, f'HTTP {self.status}')} {message}".strip()


@dataclass(frozen=True)
class ServiceAnswers:
    """Everything that the seven checks and the repair plan read about one service.

    ``claims`` are those of the verified token, empty when there is none; ``token_error`` says why.
    """

    account: Answer
    account_policy: Answer
    run_service: Answer
    run_policy: Answer
    job: Answer
    token: Answer
    project: Answer
    project_policy: Answer
    health_with_token: Answer
    health_without_token: Answer
    claims: Mapping[str, Any] = field(default_factory=dict)
    token_error: str = ""

    @property
    def accepted_audiences(self) -> tuple[str, ...]:
        """Audiences that the service accepts: its addresses and its custom ones."""
        body = self.run_service.body
        found = [body.get("uri", ""), *body.get("urls", []), *body.get("customAudiences", [])]
        return tuple(dict.fromkeys(entry for entry in found if entry))

    @property
    def scheduler_agent(self) -> str:
        """IAM member of the project's Cloud Scheduler service agent, or '' when the project is unreadable."""
        number = str(self.project.body.get("name", "")).removeprefix("projects/")
        return f"serviceAccount:service-{number}@gcp-sa-cloudscheduler.iam.gserviceaccount.com" if number else ""


class Severity(enum.StrEnum):
    """How bad a finding is: ``WARN`` works today and is fragile, ``FAIL`` breaks the call."""

    WARN = "warn"
    FAIL = "fail"


class RepairStep(enum.StrEnum):
    """Steps of the repair, in the order in which they are applied."""

    CREATE_ACCOUNT = "create_account"
    ENABLE_ACCOUNT = "enable_account"
    CONFIGURE_SERVICE = "configure_service"
    GRANT_INVOKER = "grant_invoker"
    GRANT_PROJECT_ROLES = "grant_project_roles"
    GRANT_TOKEN_CREATOR = "grant_token_creator"  # noqa: S105 - the name of an IAM role
    CREATE_JOB = "create_job"
    UPDATE_JOB = "update_job"
    RESUME_JOB = "resume_job"
    RUN_JOB = "run_job"
    BY_HAND = "by_hand"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with what was expected and the step that fixes it."""

    code: str
    severity: Severity
    expected: str
    actual: str
    mended_by: RepairStep
    symptom: bool = False

    def sentence(self) -> str:
        """Return the finding as one line for logs and errors."""
        return (
            f"{self.severity.value.upper()} {self.code}: expected {self.expected}; actual {self.actual}; "
            f"fixed by repair step {self.mended_by.value}"
        )


@dataclass(frozen=True)
class CheckResult:
    """The result of one of the seven checks for one service."""

    service: str
    number: int
    name: str
    findings: tuple[Finding, ...]

    @property
    def status(self) -> str:
        """``pass``, ``warn`` or ``fail``: the worst finding."""
        severities = {finding.severity for finding in self.findings}
        if Severity.FAIL in severities:
            return "fail"
        return "warn" if severities else "pass"


def grants(policy: Mapping[str, Any], role: str) -> list[Mapping[str, Any]]:
    """Return the bindings of ``role`` in an IAM policy."""
    return [binding for binding in policy.get("bindings", []) if binding.get("role") == role]


def holds(policy: Mapping[str, Any], role: str, member: str) -> bool:
    """Whether ``member`` has ``role`` without a condition."""
    return any(
        member in binding.get("members", []) and not binding.get("condition") for binding in grants(policy, role)
    )
