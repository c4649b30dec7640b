"""A points lifecycle to look at, and the pages where Airflow mounts them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from google.cloud.bigquery import Client, QueryJobConfig
from starlette.testclient import TestClient

from drawsguard.access import may
from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.state import Event as AlertEvent
from drawsguard.alerts.state import Kind as AlertKind
from drawsguard.approvals.model import Event, Kind, Place
from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.approvals.waiting import WaitingQuestion
from drawsguard.identity.checks import CHECKS
from drawsguard.identity.model import CheckResult, Finding, RepairStep, Severity, load_services
from drawsguard.identity.report import result_rows
from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.dag_state import DagState
from drawsguard.monitoring.known_bill import BilledPeriod
from drawsguard.monitoring.observation import Priority
from drawsguard.pages.answers import PREFIX
from drawsguard.pages.application import operations_app
from drawsguard.pages.artifact_store import Artifacts
from drawsguard.pages.cache import SharedReadings
from drawsguard.pages.look import business_day
from drawsguard.pages.site import Deeds, Person, Rights, Sources, Started
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from drawsguard.warehouse.parameters import bind
from hooks import artifacts
from tests.integration.monitoring.test_monitoring_views import draws, grid, sync_runs
from tests.integration.points_world import BATCH, World

#: The browser asks for no icon, which is not there.
NO_ICON = '<link rel="icon" href="data:,">'
HOSTILE = "<script>alert(1)</script>\"'&"
ASKED_AT = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
WAITING = WaitingQuestion("points_downline", "manual__1", "countersign_extranet", -1, "as Airflow shows it", ASKED_AT)


def make_batches(world: World) -> None:
    """One batch downlined on the intranet whose extranet waits for an approver, and one that is only reported."""
    world.confirm(*range(1, 8))
    world.downline("intranet")
    plan = world.plan("extranet").plan
    world.repositories.plans.copy_journal(BATCH, "intranet", world.journal("intranet"))
    world.repositories.observations.start(BATCH, 30)
    place = Place("points_downline", "manual__1", ASKED_AT, "countersign_extranet")
    ApprovalRepository(world.governance).add(
        Event(
            Kind.ASKED, "downline", f"{BATCH}/extranet", plan.digest, "1" * 64, "execute", place, "requester",
            ("approver=3", "second_approver=4", "not requester"), "title", "body",
        )
    )  # fmt: skip
    report = world.report()
    world.repositories.batches.save_report(HOSTILE, "intranet", report.window, report.rows)


def make_evidence(world: World) -> date:
    """180 days until yesterday, which is returned: all complete but for three; two more never arrived."""
    for table in ("evidence_day", "evidence_check"):
        world.sql("governance", f"DELETE FROM rsp_datagovern.{table}")
    yesterday = business_day(datetime.now(UTC)) - timedelta(days=1)
    flaws = {1: (700, 0), 2: (1440, 90), 30: (1435, 0)}
    with world.environment("governance_schema") as connection, closing(connection.cursor()) as cursor:
        cursor.executemany(
            "INSERT INTO rsp_datagovern.evidence_day (flow, pt_dt, minutes, metrics, raw_rows, rejected_rows)"
            " VALUES ('window', %s, %s, 5, 1000, %s)",
            [
                (yesterday - timedelta(days=ago), *flaws.get(ago, (1440, 0)))
                for ago in range(180)
                if ago not in (40, 41)
            ],
        )
        connection.commit()
    found = {
        "few_records_are_rejected": [f"{yesterday - timedelta(days=2)} (90 of 1000)"],
        "days_are_present": [str(yesterday - timedelta(days=ago)) for ago in (41, 40)],
    }
    world.sql(
        "governance",
        "INSERT INTO rsp_datagovern.evidence_check (run_id, flow, checked_at, window_start, window_end, accepted,"
        " days_present, raw_rows, rejected_rows, expansion, findings)"
        " VALUES ('r', 'window', UTC_TIMESTAMP(6), %s, %s, FALSE, 178, 3000, 90, 1.0, %s)",
        yesterday - timedelta(days=179), yesterday, json.dumps(found),
    )  # fmt: skip
    return yesterday


def make_draws(client: Client, now: datetime) -> None:
    """A day of draws until now with two that are missing, its synced intervals, one that failed and its dead letter."""
    newest = now - timedelta(seconds=200)
    times = grid(newest - timedelta(hours=24), newest)
    for part, first in ((times[:200], 1000), (times[202:], 1202)):
        draws(client, part, first, sync=120, feature=60)
    begin = datetime.fromtimestamp((now - timedelta(hours=24)).timestamp() // 300 * 300, UTC)
    sync_runs(client, begin, now, without=range(50, 52))
    settings, failed = get_settings(), begin + timedelta(minutes=250)
    columns = "dlq_id, dag_id, interval_start, interval_end, reason, message, retriable, first_failure, last_failure"
    client.query(
        f"INSERT INTO {settings.table('monitor', 'dead_letters')} ({columns}, attempts, next_attempt_at, status) "
        "SELECT 'd1', 'draw_sync', TIMESTAMP(@failed), TIMESTAMP(@failed), 'StatementError', @said, TRUE, "
        "TIMESTAMP(@failed), TIMESTAMP(@failed), 2, TIMESTAMP(@failed), 'waiting'",
        job_config=QueryJobConfig(query_parameters=bind(failed=failed.isoformat(), said=HOSTILE)),
    ).result(timeout=60)


def make_alerts(client: Client, now: datetime) -> None:
    """An open P0 that is acknowledged, a P1 of a task that is muted and hostile, and one that was resolved."""
    repository = MonitoringRepository(client, dag_id="test", task_id="test")
    manager = AlertManager(repository, load_alert_config(), load_checks(), get_settings(), run_id="r")
    day = timedelta(days=1)

    def event(number: str, key: str, kind: AlertKind, priority: Priority, ago: timedelta, **more: Any) -> AlertEvent:
        return AlertEvent(number, key, kind, priority, now - ago, more.pop("actor", "monitor"), **more)

    p0, p1 = "check:draws_are_synced_in_time:target.draws", "task:draw_sync.sync"
    manager.record(
        [
            event("a1", p0, AlertKind.FIRED, Priority.P0, 3 * day, detail="expected fresh; actual stale"),
            event("a1", p0, AlertKind.ACKNOWLEDGED, Priority.P0, 2 * day, actor="requester", detail="on it"),
            event("a2", p1, AlertKind.FIRED, Priority.P1, day, detail=HOSTILE),
            event("a2", p1, AlertKind.MUTED, Priority.P1, day / 2, actor="duty", detail="works", until=now + day),
            event("a3", "sla:draw_sync", AlertKind.FIRED, Priority.P2, 2 * day, detail="late"),
            event("a3", "sla:draw_sync", AlertKind.RESOLVED, Priority.P2, 2 * day - timedelta(minutes=90)),
            event("a4", "sla:draw_sync", AlertKind.FIRED, Priority.P2, 50 * day, detail="long ago"),
            event("a4", "sla:draw_sync", AlertKind.RESOLVED, Priority.P2, 49 * day),
        ]
    )


def make_identity(client: Client, now: datetime) -> None:
    """All services are whole but one, whose account was disabled ten minutes ago and whose repair is planned."""
    repository = MonitoringRepository(client, dag_id="test", task_id="test")
    inspected = [(service.name, number, name) for service in load_services().services for number, name, _ in CHECKS]
    finding = Finding("account_disabled", Severity.FAIL, "enabled", HOSTILE, RepairStep.ENABLE_ACCOUNT)
    for minutes, broken in ((20, False), (10, True), (1, True)):
        results = [
            CheckResult(service, number, name, (finding,) if broken and (service, number) == ("collector", 1) else ())
            for service, number, name in inspected
            if (service, number) != ("data-sync-service", 7)
        ]
        at = now - timedelta(minutes=minutes)
        repository.load("identity_check_log", result_rows(results, f"run-{minutes}", at), f"run-{minutes}")
    old = CheckResult("data-sync-service", 7, CHECKS[6][1], ())
    at = now - timedelta(hours=3)
    repository.load("identity_check_log", result_rows([old], "run-old", at), "run-old")
    acts = [("manual__1", "planned", "requester", "+ enable collector"), ("manual__1", "approved", "approver", None)]
    repository.append(
        "alerts/append_audit",
        [
            {
                "entry_id": action, "acted_at": now - timedelta(minutes=5 - number), "operation": "oidc_repair",
                "subject": "collector", "action": action, "actor": actor, "digest": None, "detail": detail,
                "run_id": run,
            }
            for number, (run, action, actor, detail) in enumerate(acts)
        ],
    )  # fmt: skip
    client.query(
        f"INSERT INTO {get_settings().table('monitor', 'cloudaudit_googleapis_com_activity')} "
        "(timestamp, protopayload_auditlog, insertId) SELECT TIMESTAMP(@at), STRUCT("
        "'iam.googleapis.com' AS serviceName, 'DisableServiceAccount' AS methodName, @what AS resourceName,"
        " STRUCT('someone@example.com' AS principalEmail) AS authenticationInfo,"
        " STRUCT(0 AS code, '' AS message) AS status), 'i1'",
        job_config=QueryJobConfig(query_parameters=bind(at=(now - timedelta(minutes=11)).isoformat(), what=HOSTILE)),
    ).result(timeout=60)


class Doings:
    """What the pages did: runs that they started and entries of the audit log; nothing runs."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, dict[str, Any], str]] = []
        self.notes: list[tuple[str, str, str, dict[str, Any]]] = []

    @property
    def deeds(self) -> Deeds:
        def trigger(dag_id: str, params: Mapping[str, Any], person: str) -> Started:
            self.runs.append((dag_id, dict(params), person))
            return Started(f"manual__{len(self.runs)}", paused=False)

        def note(event: str, dag_id: str, person: str, detail: Mapping[str, Any]) -> None:
            self.notes.append((event, dag_id, person, dict(detail)))

        return Deeds(trigger, note, lambda: b"of this test")


def rights_of(
    name: str = "requester",
    may_read: Callable[[str], bool] = lambda _: True,
    may_trigger: Callable[[str], bool] = lambda _: True,
) -> Rights:
    """The rights of one person who is signed in, refused as Airflow does."""

    def need(may: Callable[[str], bool]) -> Callable[[str], Callable[..., Any]]:
        def of(dag_id: str) -> Callable[..., Any]:
            def check() -> None:
                if not may(dag_id):
                    raise HTTPException(403, "Forbidden")

            return check

        return of

    return Rights(need(may_read), need(may_trigger), lambda: Person(name, may_read, may_trigger))


def role(name: str) -> Rights:
    """Somebody with one role of docs/auth.md."""
    return rights_of(name, may_trigger=lambda dag_id: may(name, "trigger", dag_id))


def no_client() -> Any:
    raise ConnectionRefusedError("no BigQuery in this test")


def no_artifacts() -> Artifacts:
    raise ConnectionRefusedError("no artifacts in this test")


@contextmanager
def artifacts_at(address: str, **variables: str) -> Iterator[None]:
    """Let the artifacts lie at an address; the variables hold its connection."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"DRAWSGUARD_ARTIFACTS_ADDRESS": address, **variables}.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


def the_artifacts() -> Artifacts:
    """The store at the address of `artifacts_at`, as Airflow's plugin gives it to the pages."""
    return artifacts


def sources_of(
    world: World,
    waiting: Collection[WaitingQuestion] = (),
    warehouse: Callable[[], Any] = no_client,
    store: Callable[[], Artifacts] = no_artifacts,
    bills: Sequence[BilledPeriod] = (),
) -> Sources:
    def governance() -> AbstractContextManager[Any]:
        return world.environment("governance")

    run = DagState(False, datetime.now(UTC), "r", "success", datetime.now(UTC), datetime.now(UTC))
    return Sources(
        governance, world.environment, lambda _: list(waiting), warehouse, lambda dag_ids: dict.fromkeys(dag_ids, run),
        store, lambda _: bills,
    )  # fmt: skip


def in_airflow(sources: Sources, rights: Rights | None = None, doings: Doings | None = None) -> FastAPI:
    """The pages where Airflow mounts them, and the frame in which it shows them."""
    airflow = FastAPI()
    # A busy machine is no reason to show that a reading is under way.
    shared = SharedReadings(patience=60, give_up=60)
    airflow.mount(PREFIX, operations_app(sources, rights or rights_of(), (doings or Doings()).deeds, shared))

    @airflow.get("/plugin/{page}")
    def frame(page: str) -> HTMLResponse:
        # The rights of the frame are those of Airflow 3.3.2.
        sandbox = "allow-scripts allow-same-origin allow-forms allow-downloads"
        source = f"{PREFIX}/{page.removeprefix('operations-')}"
        return HTMLResponse(f'{NO_ICON}<iframe sandbox="{sandbox}" src="{source}" width="1200" height="700"></iframe>')

    @airflow.get("/dags/{rest:path}")
    def airflows_own(rest: str) -> HTMLResponse:
        return HTMLResponse(f"{NO_ICON}<h1>Airflow: {rest}</h1>")

    return airflow


def reader(sources: Sources, rights: Rights | None = None, doings: Doings | None = None) -> TestClient:
    """A person who opens pages, by their names below the pages' own path."""
    return TestClient(in_airflow(sources, rights, doings), base_url=f"http://testserver{PREFIX}/")


def send(person: TestClient, shown: str, path: str, fields: dict[str, str], **more: Any) -> Any:
    """Fill in a form of a page and send it as a browser does.

    :param shown: the page's text, which holds the token.
    """
    token = re.search(r'name="token" value="([^"]+)"', shown)
    assert token, "the page shows no form"
    headers = {"Sec-Fetch-Site": "same-origin"}
    return person.post(path, data={"token": token[1], **fields}, headers=headers, **more)
