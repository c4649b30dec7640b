"""The monitoring views on the emulator: each check has a day on which it fires and one on which it must not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from google.cloud.bigquery import Client, QueryJobConfig

from drawsguard.draws.cadence import Cadence
from drawsguard.identity.model import load_services
from drawsguard.monitoring.checks import judge, load_checks
from drawsguard.settings import REPOSITORY, get_settings
from drawsguard.sql import render
from drawsguard.warehouse.job_configuration import FOLDER
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from drawsguard.warehouse.parameters import bind
from local.google.logs import Attempt, LogSink
from local.google.server import ControlPlane
from operators.operations.monitoring_check_operator import CHECK_KEY, MonitoringCheckOperator
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate

pytestmark = pytest.mark.integration

MIGRATIONS = (
    "V040__alert_log", "V041__check_log", "V042__exported_logs", "R__300_overdue_draws", "R__310_cloud_freshness_v",
    "R__320_collection_quality_v", "R__330_e2e_latency_summary_v", "R__340_scheduler_execution_v",
    "R__350_cloudrun_invocation_v", "R__355_identity_change_v", "R__360_sync_success_rate_v",
    "R__370_identity_status_v", "R__375_identity_service_v", "R__380_monitor_heartbeat_v", "R__390_alert_state_v",
)  # fmt: skip
NOW = datetime(2025, 10, 8, 8, 0, tzinfo=UTC)  # a Wednesday, 16:00 in Beijing, far from maintenance
DRAW = timedelta(seconds=210)
CHECKS = {check.name: check for check in load_checks().checks}


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, *MIGRATIONS) as client:
        yield client


@pytest.fixture(autouse=True)
def empty(client: Client) -> None:
    truncate(
        client, ("source", "draws"), ("target", "draws"), ("target", "draws_14w"), ("monitor", "sync_log"),
        ("source", "draws_quarantine"), ("monitor", "check_log"), ("monitor", "collect_log"),
        ("monitor", "cloudscheduler_googleapis_com_executions"), ("monitor", "run_googleapis_com_requests"),
    )  # fmt: skip


def test_the_queries_of_the_runbooks_run(client: Client) -> None:
    settings = get_settings()
    queries = {
        query
        for path in (REPOSITORY / "docs" / "runbooks").rglob("*.md")
        for query in re.findall(r"`(SELECT [^`]*(?:pc28_monitor|drawsguard)\.[^`]*)`", path.read_text(encoding="utf-8"))
    }
    assert len(queries) >= 7
    for query in sorted(queries):
        own = query.replace("pc28_monitor.", f"{settings.monitor_dataset}.")
        rows(client, own.replace("drawsguard.", f"{settings.source_dataset}."))


def insert(client: Client, table: tuple[str, str], entries: list[dict[str, Any]], types: dict[str, str]) -> None:
    """Insert rows given as JSON; ``types`` are those of columns that are not strings."""

    def value(name: str) -> str:
        text = f"JSON_VALUE(entry, '$.{name}')"
        kind = types.get(name, "STRING")
        if kind == "ARRAY<INT64>":
            return f"ARRAY(SELECT CAST(JSON_VALUE(n) AS INT64) FROM UNNEST(JSON_QUERY_ARRAY(entry, '$.{name}')) AS n)"
        return {"STRING": text, "TIMESTAMP": f"TIMESTAMP({text})"}.get(kind, f"CAST({text} AS {kind})")

    names = list(entries[0])
    statement = (
        f"INSERT INTO {get_settings().table(*table)} ({', '.join(names)}) "
        f"SELECT {', '.join(map(value, names))} FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS entry"
    )
    config = QueryJobConfig(query_parameters=bind(rows=json.dumps(entries, default=str)))
    client.query(statement, job_config=config).result(timeout=60)


def draws(
    client: Client, times: list[datetime], first: int = 1000, *, collect: float = 20, sync: float | None = 150,
    feature: float | None = 300,
) -> None:  # fmt: skip
    """Insert consecutive draws into source, target and features, each stage so many seconds after the one before."""
    times_of = ("timestamp", "ts_utc", "created_at", "ingested_at", "synced_at", "computed_at")
    kinds = dict.fromkeys(times_of, "TIMESTAMP") | {"numbers": "ARRAY<INT64>"}
    kinds |= dict.fromkeys(("period", "issue", "sum_value", "a", "b", "c", "sum"), "INT64")
    base = [
        {"period": first + n, "timestamp": at, "numbers": [1, 2, 3], "sum_value": 6, "big_small": "small",
         "odd_even": "even", "created_at": at}
        for n, at in enumerate(times)
    ]  # fmt: skip
    collected = [{**row, "ingested_at": row["timestamp"] + timedelta(seconds=collect)} for row in base]
    insert(client, ("source", "draws"), collected, kinds)
    if sync is None:
        return
    late = timedelta(seconds=collect + sync)
    insert(client, ("target", "draws"), [{**row, "synced_at": row["timestamp"] + late} for row in base], kinds)
    if feature is None:
        return
    late += timedelta(seconds=feature)
    features = [
        {"issue": row["period"], "ts_utc": row["timestamp"], "a": 1, "b": 2, "c": 3, "sum": 6,
         "computed_at": row["timestamp"] + late}
        for row in base
    ]  # fmt: skip
    insert(client, ("target", "draws_14w"), features, kinds)


def grid(start: datetime, end: datetime) -> list[datetime]:
    return [start + n * DRAW for n in range(int((end - start) / DRAW) + 1)]


def at(client: Client, view: str, moment: datetime) -> list[dict[str, Any]]:
    settings = get_settings()
    name = f"`{settings.project}.{settings.monitor_dataset}.{view.removesuffix('_v')}_at`"
    return rows(client, f"SELECT * FROM {name}(TIMESTAMP '{moment.isoformat()}')")


def verdicts(client: Client, check: str, moment: datetime = NOW) -> dict[str, str]:
    definition = CHECKS[check]
    return {one.subject: one.status for one in judge(definition, at(client, definition.view, moment))}


# --- freshness --------------------------------------------------------------------------------------------------------


@pytest.fixture
def of_another_feed(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The functions as they are applied for another cadence and another zone."""

    def apply() -> None:
        get_settings.cache_clear()
        client.query(render("bigquery/schema/R__300_overdue_draws.sql")).result(timeout=60)

    with monkeypatch.context() as environment:
        environment.setenv("DRAWSGUARD_DRAW_INTERVAL_SECONDS", "75")
        environment.setenv("DRAWSGUARD_MAINTENANCE_TIMEZONE", "Europe/London")
        apply()
        yield
    apply()


def test_overdue_draws_is_the_cadence_of_python(client: Client) -> None:
    overdue_is_the_cadence(client)


def test_the_views_follow_the_settings(client: Client, of_another_feed: None) -> None:
    assert get_settings().draw_interval_seconds == 75
    overdue_is_the_cadence(client)


def overdue_is_the_cadence(client: Client) -> None:
    settings = get_settings()
    cadence = Cadence.from_settings(settings)
    moments = []
    for day in (
        datetime(2025, 3, 8, tzinfo=UTC), datetime(2025, 7, 6, tzinfo=UTC), datetime(2025, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 1, 10, tzinfo=UTC),
    ):  # fmt: skip
        moments += [day + timedelta(minutes=37 * n) for n in range(120)]
    pairs = [
        (last, last + age, allowance)
        for last in moments[::3]
        for age in (timedelta(minutes=2), timedelta(minutes=9), timedelta(minutes=75), timedelta(hours=30))
        for allowance in (0, 180, 1200)
    ]
    sent = json.dumps([[last.isoformat(), now.isoformat(), allowance] for last, now, allowance in pairs])
    function = f"`{settings.project}.{settings.monitor_dataset}.overdue_draws`"
    statement = (
        f"SELECT position, {function}(TIMESTAMP(JSON_VALUE(entry, '$[0]')), TIMESTAMP(JSON_VALUE(entry, '$[1]')), "
        "CAST(JSON_VALUE(entry, '$[2]') AS INT64)) AS overdue "
        "FROM UNNEST(JSON_QUERY_ARRAY(@pairs)) AS entry WITH OFFSET AS position ORDER BY position"
    )
    answer = client.query(statement, job_config=QueryJobConfig(query_parameters=bind(pairs=sent))).result(timeout=60)
    found = [row["overdue"] for row in answer]
    paused = f"`{settings.project}.{settings.monitor_dataset}.in_maintenance`"
    asked = sorted({last for last, _, _ in pairs})
    listed = ", ".join(f"TIMESTAMP '{moment.isoformat()}'" for moment in asked)
    told = rows(client, f"SELECT {paused}(moment) AS pause FROM UNNEST([{listed}]) AS moment ORDER BY moment")
    assert [row["pause"] for row in told] == [cadence.in_maintenance(moment) for moment in asked]
    expected = [cadence.overdue_draws(last, now, timedelta(seconds=allowance)) for last, now, allowance in pairs]
    assert found == expected
    assert max(expected) > 100
    assert 0 in expected


def test_freshness_on_a_healthy_and_on_a_stopped_day(client: Client) -> None:
    draws(client, grid(NOW - timedelta(hours=6), NOW - timedelta(seconds=30)))
    for check in ("draws_are_collected_in_time", "draws_are_synced_in_time", "features_are_refreshed_in_time"):
        assert set(verdicts(client, check).values()) == {"pass"}, check
        assert set(verdicts(client, check, NOW + timedelta(hours=1)).values()) == {"fail"}, check


def test_maintenance_is_no_delay(client: Client) -> None:
    start = datetime(2025, 10, 8, 11, 0, tzinfo=UTC)  # 04:00 in Vancouver, in summer
    draws(client, grid(start - timedelta(hours=3), start - timedelta(seconds=1)))
    states = {row["status"] for row in at(client, "cloud_freshness_v", start + timedelta(minutes=59))}
    assert states == {"fresh"}
    assert verdicts(client, "draws_are_synced_in_time", start + timedelta(minutes=85)) == {"target.draws": "fail"}


def test_empty_tables_are_failures_not_silence(client: Client) -> None:
    assert verdicts(client, "draws_are_synced_in_time") == {"target.draws": "fail"}
    assert verdicts(client, "draws_are_collected_in_time") == {"source.draws": "fail"}


# --- quality ----------------------------------------------------------------------------------------------------------


def test_holes_are_found_over_midnight_and_maintenance_and_not_elsewhere(client: Client) -> None:
    times = grid(NOW - timedelta(hours=30), NOW - timedelta(seconds=30))
    draws(client, times[:200], 1000)
    draws(client, times[203:], 1203)
    found = verdicts(client, "collection_has_no_holes")
    assert list(found.values()).count("fail") == 1
    quality = {str(row["beijing_day"]): row for row in at(client, "collection_quality_v", NOW)}
    assert sum(row["missing_periods"] for row in quality.values()) == 3
    assert len(quality) == 7


def test_a_day_that_left_the_view_is_whole_only_when_its_draws_are_there(client: Client) -> None:
    """The monitor looks again at the days of open alerts, however old they are."""
    day = NOW - timedelta(days=40)
    times = grid(day - timedelta(hours=30), day + timedelta(hours=30))
    draws(client, times[:400], 1000)
    draws(client, times[403:], 1403)
    draws(client, grid(NOW - timedelta(hours=6), NOW - timedelta(seconds=30)), 20_000)
    assert len(verdicts(client, "collection_has_no_holes")) == 7
    task = MonitoringCheckOperator(task_id="check")
    repository = MonitoringRepository(client, dag_id="test", task_id="test")
    days = [f"{(day + timedelta(days=n)).date()}" for n in (-1, 0, 1)]

    def firing(check: str) -> list[bool | None]:
        return [one.firing for one in task._look_again(repository, CHECKS[check], days)]

    hole = [f"{times[400].astimezone(ZoneInfo('Asia/Shanghai')).date()}" == one for one in days]
    assert any(hole)
    assert firing("collection_has_no_holes") == hole
    draws(client, times[400:403], 1400, sync=None)
    assert firing("collection_has_no_holes") == [False] * 3
    assert firing("collected_draws_reach_the_business_table") == hole
    assert task._look_again(repository, CHECKS["sync_ran_lately"], ["24 h"]) == []
    assert task._look_again(repository, CHECKS["collection_has_no_holes"], ["no day"]) == []


def test_complete_days_have_no_holes(client: Client) -> None:
    draws(client, grid(NOW - timedelta(hours=60), NOW - timedelta(seconds=30)))
    assert set(verdicts(client, "collection_has_no_holes").values()) == {"pass"}
    assert set(verdicts(client, "collected_draws_reach_the_business_table").values()) == {"pass"}


def test_draws_that_were_not_synced_are_counted(client: Client) -> None:
    draws(client, grid(NOW - timedelta(hours=5), NOW - timedelta(hours=2)), 1000)
    draws(client, grid(NOW - timedelta(hours=2) + DRAW, NOW - timedelta(hours=1)), 1052, sync=None)
    assert "fail" in verdicts(client, "collected_draws_reach_the_business_table").values()


def loaded(client: Client, times: list[datetime], first: int, at: datetime) -> None:
    """Insert draws that were collected long after they were drawn, at one time, and are not synced."""
    base = {"numbers": [1, 2, 3], "sum_value": 6, "big_small": "small", "odd_even": "even", "ingested_at": at}
    kinds = dict.fromkeys(("timestamp", "created_at", "ingested_at"), "TIMESTAMP") | {"numbers": "ARRAY<INT64>"}
    kinds |= dict.fromkeys(("period", "sum_value"), "INT64")
    entries = [base | {"period": first + n, "timestamp": time, "created_at": time} for n, time in enumerate(times)]
    insert(client, ("source", "draws"), entries, kinds)


def test_a_load_of_history_is_neither_missing_nor_unsynced_while_it_is_under_way(client: Client) -> None:
    times = grid(NOW - timedelta(hours=30), NOW - timedelta(seconds=30))
    half = len(times) // 2
    draws(client, times[-30:], 1000 + len(times) - 30)  # polled since the start
    loaded(client, times[:half], 1000, NOW - timedelta(minutes=3))
    both = ("collection_has_no_holes", "collected_draws_reach_the_business_table")
    for check in both:
        assert set(verdicts(client, check).values()) == {"pass"}, check
    later = NOW + timedelta(minutes=18)
    assert "fail" in verdicts(client, both[0], later).values(), "nothing was loaded for 20 minutes: it is a hole"
    assert set(verdicts(client, both[1], later).values()) == {"pass"}
    assert "fail" in verdicts(client, both[1], NOW + timedelta(minutes=58)).values(), "an hour is enough to sync it"


def test_duplicates_and_conflicts_are_told_apart(client: Client) -> None:
    times = grid(NOW - timedelta(hours=5), NOW - timedelta(hours=4))
    draws(client, times, 1000)
    draws(client, times, 1000, sync=None)
    today = at(client, "collection_quality_v", NOW)
    assert sum(row["duplicate_rows"] for row in today) == len(times)
    assert sum(row["conflicting_periods"] for row in today) == 0
    client.query(
        f"UPDATE {get_settings().table('source', 'draws')} SET numbers = [9, 9, 9] "
        "WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = 1003 AND ingested_at IS NOT NULL"
    ).result(timeout=30)
    draws(client, [times[3]], 1003, sync=None)
    assert sum(row["conflicting_periods"] for row in at(client, "collection_quality_v", NOW)) == 1


# --- latency ----------------------------------------------------------------------------------------------------------


def test_latency_by_stage(client: Client) -> None:
    draws(client, grid(NOW - timedelta(hours=5), NOW - timedelta(hours=3)), collect=20, sync=150, feature=300)
    hours = {(row["hour_utc"], row["stage"]): row for row in at(client, "e2e_latency_summary_v", NOW)}
    assert len(hours) == 25 * 4
    full = hours[(NOW - timedelta(hours=4)).replace(minute=0), "end_to_end"]
    assert (full["p50"], full["p95"], full["breach_pct"]) == (170, 170, 0)
    assert hours[(NOW - timedelta(hours=4)), "feature"]["p99"] == 300
    assert hours[(NOW - timedelta(hours=10)), "sync"]["n"] == 0


def test_latency_counts_what_was_drawn_since_the_first_poll(client: Client) -> None:
    start = NOW - timedelta(hours=4)
    poll = {"dag_id": "draw_collect", "task_id": "collect", "run_id": "r", "try_number": 1, "poll_number": 1,
            "polled_at": start, "seconds": 1, "status": "success"}  # fmt: skip
    kinds = {"polled_at": "TIMESTAMP", "seconds": "FLOAT64", "try_number": "INT64", "poll_number": "INT64"}
    draws(client, grid(NOW - timedelta(hours=7), start - DRAW), 1000, collect=9_000, sync=300, feature=300)
    draws(client, grid(start, NOW - timedelta(hours=2)), 2000)
    repository = MonitoringRepository(client, dag_id="test", task_id="test")

    def breach() -> tuple[float, int]:
        hours = at(client, "e2e_latency_summary_v", NOW)
        (report,) = repository.query("monitoring/reports/latency", start=NOW - timedelta(hours=24), end=NOW)
        return max(row["breach_pct"] or 0 for row in hours), report["p99"]

    assert breach() == (100, 9_300), "without a log of polls nothing is left out"
    insert(client, ("monitor", "collect_log"), [poll], kinds)
    assert breach() == (0, 170)


def test_latency_of_the_present_hour_is_shown_before_it_ends(client: Client) -> None:
    now = NOW + timedelta(minutes=25)
    draws(client, grid(NOW, NOW + timedelta(minutes=20)), collect=6, sync=9, feature=20)
    hours = {(row["hour_utc"], row["stage"]): row for row in at(client, "e2e_latency_summary_v", now)}
    assert hours[NOW, "end_to_end"]["n"] > 0
    assert hours[NOW, "end_to_end"]["p95"] == 15


# --- executions -------------------------------------------------------------------------------------------------------


def attempts(client: Client, made: list[Attempt]) -> None:
    sink = LogSink("http://unused", list)
    sink._client = client
    sink.write(made)


def attempt(service: str, minutes_ago: float, status: int) -> Attempt:
    job = next(one.job for one in load_services().services if one.name == service)
    return Attempt(job, service, f"https://{service}.run.app/work", NOW - timedelta(minutes=minutes_ago), status, 0.2)


def test_scheduler_outcomes(client: Client) -> None:
    names = [one.name for one in load_services().services]
    attempts(client, [attempt(name, 1, 200) for name in names])
    assert set(verdicts(client, "scheduler_jobs_succeed").values()) == {"pass"}
    truncate(client, ("monitor", "cloudscheduler_googleapis_com_executions"))
    attempts(client, [attempt("data-sync-service", 40, 200), attempt("data-sync-service", 2, 403),
                      attempt("collector", 2, 401)])  # fmt: skip
    latest = {row["job_name"]: row for row in at(client, "scheduler_execution_v", NOW) if row["is_latest"]}
    assert latest["data-sync-job"]["outcome"] == "permission denied"
    assert latest["collector-job"]["outcome"] == "unauthenticated"
    assert latest["feature-engineering-job"]["outcome"] == "no attempt"
    assert round(latest["data-sync-job"]["minutes_since_success"]) == 40
    assert set(verdicts(client, "scheduler_jobs_succeed").values()) == {"fail"}


def test_requests_of_services(client: Client) -> None:
    made = [attempt("collector", n, 200) for n in range(10)]
    made.append(Attempt("collector-job", "collector", "https://collector.run.app/health", NOW, 500, 0.1))
    attempts(client, made)
    assert verdicts(client, "services_answer_without_errors")["collector"] == "pass", "health calls do not count"
    newest = next(
        row
        for row in at(client, "cloudrun_invocation_v", NOW)
        if row["service_name"] == "collector" and row["is_latest"]
    )
    assert (newest["path"], newest["interval_seconds"], newest["requests_last_5min"]) == ("/work", 60, 5)
    attempts(client, [attempt("collector", n, 503) for n in (1, 2, 3)])
    assert verdicts(client, "services_answer_without_errors")["collector"] == "fail"


def test_errors_do_not_end_because_nobody_calls_any_more(client: Client) -> None:
    attempts(client, [attempt("collector", n, 503) for n in (40, 41, 42)])
    assert verdicts(client, "services_answer_without_errors")["collector"] == "fail"
    attempts(client, [attempt("collector", 20, 200)])
    assert verdicts(client, "services_answer_without_errors")["collector"] == "pass"


def test_views_and_checks_follow_the_list_of_services(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"name": "another-service", "job": "another-job", "max_silence_minutes": 7}
    monkeypatch.setattr("drawsguard.schema_constants._services", lambda: [one])
    views = {"R__340_scheduler_execution_v": "job_name", "R__350_cloudrun_invocation_v": "service_name"}
    try:
        for name, column in views.items():
            client.query(render(f"bigquery/schema/{name}.sql")).result(timeout=60)
            assert {row[column] for row in at(client, name.split("_", 3)[3], NOW)} <= {"another-job", "another-service"}
        assert "another-service" in render("bigquery/schema/R__370_identity_status_v.sql")
        expected = {check.name: check.expected for check in load_checks().checks}
        assert expected["scheduler_jobs_succeed"] == ("another-job",)
        assert expected["identities_pass"] == expected["services_answer_without_errors"] == ("another-service",)
    finally:
        monkeypatch.undo()
        for name in views:
            client.query(render(f"bigquery/schema/{name}.sql")).result(timeout=60)


def test_changes_of_identities_are_audited(client: Client, tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, "http://127.0.0.1:1")
    account = "/v1/projects/p/serviceAccounts/collector@p.iam.gserviceaccount.com"
    created = plane.answer("POST", "/v1/projects/p/serviceAccounts", {"accountId": "collector"}, "")
    assert created[0] == 200
    plane.answer("POST", f"{account}:disable", {}, "")
    plane.answer("POST", f"{account}:getIamPolicy", {}, "")
    assert plane.answer("POST", "/v1/projects/p/serviceAccounts", {"accountId": "collector"}, "")[0] == 409
    changes = plane.changed()
    assert plane.changed() == []
    sink = LogSink("http://unused", list)
    sink._client = client
    sink.write_changes([*changes, replace(changes[0], at=changes[0].at - timedelta(days=8))])
    found = at(client, "identity_change_v", datetime.now(UTC) + timedelta(seconds=1))
    assert sorted(row["method"] for row in found) == [
        "google.iam.admin.v1.CreateServiceAccount", "google.iam.admin.v1.DisableServiceAccount",
    ]  # fmt: skip
    assert {row["principal"].split("@")[0] for row in found} == {get_settings().identity_runner}
    assert found[0]["resource_name"].startswith("/v1/projects/p/serviceAccounts")


# --- success rate -----------------------------------------------------------------------------------------------------


def sync_runs(client: Client, start: datetime, end: datetime, without: range = range(0)) -> None:
    slots = [start + n * timedelta(minutes=5) for n in range(int((end - start) / timedelta(minutes=5)))]
    entries = [
        {"dag_id": "draw_sync", "task_id": "sync", "interval_start": slot, "interval_end": slot + timedelta(minutes=5),
         "mode": "interval", "run_id": str(slot), "try_number": 1, "window_start": slot, "window_end": slot,
         "seconds": 1, "status": "success", "started_at": slot + timedelta(minutes=5),
         "finished_at": slot + timedelta(minutes=5, seconds=3)}
        for n, slot in enumerate(slots) if n not in without
    ]  # fmt: skip
    kinds = {name: "TIMESTAMP" for name in entries[0] if name.endswith(("_start", "_end", "_at"))}
    kinds |= {"try_number": "INT64", "seconds": "FLOAT64"}
    insert(client, ("monitor", "sync_log"), entries, kinds)


def test_missing_interval_is_a_failure(client: Client) -> None:
    sync_runs(client, NOW - timedelta(hours=30), NOW, without=range(100, 110))
    day = {row["window_name"]: row for row in at(client, "sync_success_rate_v", NOW)}["24 h"]
    assert (day["expected"], day["failed"], day["judgeable"]) == (287, 10, False)
    assert verdicts(client, "sync_intervals_succeed") == {"24 h": "fail"}
    assert verdicts(client, "sync_ran_lately") == {"24 h": "pass"}
    assert round(day["minutes_since_success"], 2) == 4.95, "since the end of the newest run, not since its interval"


def test_full_grid_is_100_percent_and_an_empty_log_is_not(client: Client) -> None:
    assert verdicts(client, "sync_ran_lately") == {"24 h": "fail"}
    sync_runs(client, NOW - timedelta(hours=30), NOW)
    assert verdicts(client, "sync_intervals_succeed") == {"24 h": "pass"}
    assert verdicts(client, "sync_ran_lately", NOW + timedelta(hours=1)) == {"24 h": "fail"}


# --- identity and heartbeat -------------------------------------------------------------------------------------------


def view(client: Client, name: str) -> list[dict[str, Any]]:
    check = next(one for one in CHECKS.values() if one.view == name)
    return rows(client, render(f"{FOLDER}/monitoring/read_view.sql", view=name, columns=check.columns))


def test_identity_checks_that_were_not_made_are_failures(client: Client) -> None:
    check = CHECKS["identities_pass"]
    outcomes = judge(check, view(client, check.view))
    assert len(outcomes) == len(load_services().services)
    assert {outcome.status for outcome in outcomes} == {"fail"}
    store = MonitoringRepository(client, dag_id="test", task_id="test")
    now = datetime.now(UTC)
    store.load(
        "identity_check_log",
        [
            {"run_id": "r", "service": one.name, "check_number": n, "check_name": "c", "checked_at": now,
             "status": "fail" if (one.name, n) == ("collector", 3) else "pass", "findings": "[]"}
            for one in load_services().services for n in range(1, 8)
        ],
        "r",
    )  # fmt: skip
    failed = [outcome.subject for outcome in judge(check, view(client, check.view)) if outcome.status == "fail"]
    assert failed == ["collector"]


def test_a_result_of_a_clock_ahead_hides_no_identity_that_fails_now(client: Client) -> None:
    store, now = MonitoringRepository(client, dag_id="test", task_id="test"), datetime.now(UTC)
    check = CHECKS["identities_pass"]
    truncate(client, ("monitor", "identity_check_log"))

    def load(run: str, at: datetime, status: str) -> None:
        results = [
            {"run_id": run, "service": one.name, "check_number": n, "check_name": "c", "checked_at": at,
             "status": status if (one.name, n) == ("collector", 3) else "pass", "findings": "[]"}
            for one in load_services().services for n in range(1, 8)
        ]  # fmt: skip
        store.load("identity_check_log", results, run)

    load("ahead", now + timedelta(hours=8), "pass")
    shown = {row["service_name"]: row["failing_checks"] for row in view(client, check.view)}
    assert set(shown.values()) == {7}, "none was made by now"
    load("now", now, "fail")
    shown = {row["service_name"]: row["failing_checks"] for row in view(client, check.view)}
    assert (shown.pop("collector"), set(shown.values())) == (1, {0})
    newest = store.query("pages/identity_checks", since=now - timedelta(days=1), now=now)
    assert {row["run_id"] for row in newest} == {"now"}


def test_silence_of_the_monitor_is_seen(client: Client) -> None:
    store = MonitoringRepository(client, dag_id="test", task_id="test")
    check, now = CHECKS["monitor_runs_every_minute"], datetime.now(UTC)

    def rounds(*minutes_ago: int) -> None:
        truncate(client, ("monitor", "check_log"))
        store.stream(
            "check_log",
            [{"run_id": f"{minutes_ago} {m}", "check_name": "c", "subject": "s", "priority": "P0", "status": "pass",
              "checked_at": now - timedelta(minutes=m), "expected": "", "actual": "", "seconds": 1}
             for m in minutes_ago],
            CHECK_KEY,
        )  # fmt: skip

    def verdict() -> list[str]:
        return [outcome.status for outcome in judge(check, view(client, check.view))]

    # A negative number is a round of a worker whose clock was ahead.
    for silence in [(), (30, 29, 3, 2, 1), (240, 239, 1), (240,), (3 * 1440, 1), (10, 9, -480)]:
        rounds(*silence)
        assert verdict() == ["fail"], f"the monitor made rounds {silence} minutes ago only"
    for steady in [(5, 4, 3, 2, 1), (240, *range(70, 0, -4)), (1,), (5, 4, 3, 2, 1, -480)]:
        rounds(*steady)
        assert verdict() == ["pass"], f"the monitor made rounds {steady} minutes ago"


def test_streaming_twice_changes_nothing(client: Client) -> None:
    store = MonitoringRepository(client, dag_id="test", task_id="test")
    row = {"run_id": "r", "check_name": "c", "subject": "s", "checked_at": datetime.now(UTC), "priority": "P0",
           "status": "pass", "expected": "a'b", "actual": 'quote " and \\', "seconds": 0.5}  # fmt: skip
    store.stream("check_log", [row], CHECK_KEY)
    store.stream("check_log", [row], CHECK_KEY)
    kept = rows(client, f"SELECT * FROM {get_settings().table('monitor', 'check_log')}")
    assert len(kept) == 1
    assert kept[0]["actual"] == 'quote " and \\'
