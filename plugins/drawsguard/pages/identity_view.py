"""The identity page: each service by the seven checks, what changed lately, and how its repair stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from drawsguard.identity.checks import CHECKS
from drawsguard.identity.model import ServiceCatalogue
from drawsguard.pages.look import Words
from drawsguard.warehouse.limits import WATCH
from drawsguard.warehouse.runner import StatementRunner

#: A check that was not made for so long counts as missing, as identity_status_v has it.
FRESH = timedelta(minutes=15)
#: Results, turns and repairs that are older are not read.
CHECKS_SPAN, TURNS_SPAN, REPAIRS_SPAN = timedelta(days=2), timedelta(days=7), timedelta(days=90)
#: Rows of the lists.
MOST = 50

#: What each check asks, by its name.
CHECK_WORDS: Mapping[str, Words] = {
    "service_account_usable": Words("服务账号可用", "Service account usable"),
    "cloud_run_service_ready": Words("Cloud Run 服务就绪", "Cloud Run service ready"),
    "invoker_granted_to_account_only": Words("只有该账号可调用", "Only the account may call"),
    "scheduler_job_calls_service_as_account": Words("调度任务以该账号调用", "Scheduler calls as the account"),
    "identity_token_is_right": Words("身份令牌正确", "Identity token right"),
    "scheduler_agent_and_project_roles_granted": Words("代理与项目角色", "Agent and project roles"),
    "health_needs_and_accepts_token": Words("健康检查要求并接受令牌", "Health needs and accepts a token"),
}


class CheckRow(NamedTuple):
    """The newest result of a check; the time is aware."""

    service: str
    check_number: int
    check_name: str
    checked_at: datetime
    status: str
    findings: str
    run_id: str


class TurnRow(NamedTuple):
    """A result that differs from the one before; the time is aware."""

    service: str
    check_number: int
    checked_at: datetime
    status: str
    status_before: str
    findings: str

    @property
    def reasons(self) -> list[Mapping[str, Any]]:
        """What was found."""
        return findings_of(self.findings)


class ChangeRow(NamedTuple):
    """A logged change of accounts, grants, services or jobs; ``code`` is not 0 when it was refused."""

    changed_at: datetime
    principal: str | None
    api: str | None
    method: str | None
    resource_name: str | None
    code: int


class ActRow(NamedTuple):
    """An act of a repair; the time is aware."""

    acted_at: datetime
    subject: str
    action: str
    actor: str
    digest: str | None
    detail: str | None
    run_id: str


class Cell(NamedTuple):
    """A check of a service: ``status`` is pass, warn, fail or missing."""

    number: int
    name: str
    status: str
    checked_at: datetime | None
    findings: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Repair:
    """The newest repair of a service.

    :param acts: what was done, oldest first, of one run; :param plan: the text of its plan.
    """

    service: str
    acts: tuple[ActRow, ...]
    plan: str

    @property
    def last(self) -> ActRow:
        """The newest act."""
        return self.acts[-1]

    @property
    def path(self) -> str:
        """The address of its run below Airflow's own pages."""
        return f"/dags/oidc_repair/runs/{quote(self.last.run_id, safe='')}"


@dataclass(frozen=True)
class ServiceView:
    """A service on the page."""

    name: str
    job: str
    account: str
    cells: tuple[Cell, ...]
    repair: Repair | None

    @property
    def status(self) -> str:
        """The worst of its checks."""
        return min((cell.status for cell in self.cells), key=("fail", "missing", "warn", "pass").index)


def findings_of(text: str) -> list[Mapping[str, Any]]:
    """Return the findings as ``identity_check_log`` keeps them; what cannot be read is one that says so."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        return [{"code": "unreadable", "severity": "fail", "expected": "a list of findings", "actual": text[:200]}]
    return found


def services_of(
    catalogue: ServiceCatalogue, checks: Iterable[CheckRow], repairs: Mapping[str, Repair], now: datetime
) -> list[ServiceView]:
    """Judge the configured services at a time (aware); a result that is too old is none."""
    known = {(one.service, one.check_number): one for one in checks}

    def cell(service: str, number: int, name: str) -> Cell:
        row = known.get((service, number))
        if row is None:
            return Cell(number, name, "missing", None, ())
        status = row.status if now - row.checked_at <= FRESH else "missing"
        if status not in ("pass", "warn", "missing"):
            status = "fail"
        return Cell(number, name, status, row.checked_at, findings_of(row.findings) if status != "missing" else ())

    return [
        ServiceView(
            one.name, one.job, one.account,
            tuple(cell(one.name, number, name) for number, name, _ in CHECKS), repairs.get(one.name),
        )
        for one in catalogue.services
    ]  # fmt: skip


def repairs_of(acts: Iterable[ActRow]) -> dict[str, Repair]:
    """Return the newest repair of each service: the acts of the run that acted last, with its plan.

    :param acts: newest first.
    """
    by_service: dict[str, list[ActRow]] = {}
    for act in acts:
        known = by_service.setdefault(act.subject, [])
        if not known or known[0].run_id == act.run_id:
            known.append(act)
    found = {}
    for service, newest_first in by_service.items():
        plan = next((act.detail or "" for act in newest_first if act.action == "planned"), "")
        found[service] = Repair(service, tuple(reversed(newest_first)), plan)
    return found


@dataclass(frozen=True)
class IdentityReader:
    """Reads the parts of the page, each by one statement.

    :param client: BigQuery client of the warehouse.
    """

    client: Any

    def _rows(self, name: str, row: Callable[..., Any], **values: Any) -> tuple[Any, ...]:
        runner = StatementRunner(self.client, "operations_pages", "identity", WATCH)
        return tuple(row(**one) for one in runner.rows(f"pages/{name}.sql", **values))

    def checks(self, now: datetime) -> tuple[CheckRow, ...]:
        """Read the newest result of each check."""
        return self._rows("identity_checks", CheckRow, since=now - CHECKS_SPAN, now=now)

    def turns(self, now: datetime) -> tuple[TurnRow, ...]:
        """Read when checks began to fail and passed again."""
        return self._rows("identity_turns", TurnRow, since=now - TURNS_SPAN, most=MOST)

    def changes(self) -> tuple[ChangeRow, ...]:
        """Read who changed what."""
        return self._rows("identity_changes", ChangeRow, most=MOST)

    def repairs(self, now: datetime) -> Mapping[str, Repair]:
        """Read the newest repair of each service."""
        return repairs_of(self._rows("identity_repairs", ActRow, since=now - REPAIRS_SPAN))
