"""The statements of one sync as BigQuery receives them, with an injected clock: text, and every bound value.

A wanted change shows up as a diff of the golden files: `UPDATE_GOLDEN=1 pytest tests/sql/test_golden.py` writes them.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drawsguard.draws.sync.target import MERGE_STATEMENT, SyncOutcome, SyncPlan, TargetRepository
from drawsguard.draws.window import SyncRequest, Window
from drawsguard.sql import render
from drawsguard.warehouse.job_configuration import job_configuration, query_config

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2025, 10, 3, 1, 5, 2, tzinfo=UTC)
INTERVAL = Window(datetime(2025, 10, 3, 1, 0, tzinfo=UTC), datetime(2025, 10, 3, 1, 5, tzinfo=UTC))
WINDOW = Window(INTERVAL.start - timedelta(hours=1), INTERVAL.end)
PLAN = SyncPlan(WINDOW, WINDOW, 3342780, 3342804, NOW)


class RecordingClient:
    """Takes queries as a BigQuery client does, answers one row a query, and keeps what it was sent."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.sent: list[str] = []
        self._answers = list(answers)

    job_id = "job_1"
    num_dml_affected_rows = dml_stats = total_bytes_billed = slot_millis = None
    referenced_tables = ()

    def query(self, statement: str, *, job_config: Any, **_call: Any) -> RecordingClient:
        self.sent.append(as_text(statement, job_config.to_api_repr()))
        return self

    def result(self, **_call: Any) -> list[dict[str, Any]]:
        return [self._answers.pop(0)] if self._answers else []


def as_text(statement: str, configuration: dict[str, Any]) -> str:
    lines = [
        f"-- labels: {configuration['labels']}",
        f"-- maximumBytesBilled: {configuration['query']['maximumBytesBilled']}",
    ]
    for parameter in configuration["query"]["queryParameters"]:
        value = parameter["parameterValue"].get("value")
        lines.append(f"-- @{parameter['name']} {parameter['parameterType']['type']} = {value}")
    return "\n".join([*lines, "", statement])


def plan_statements() -> list[str]:
    client = RecordingClient(
        {"watermark": datetime(2025, 10, 2, 16, 0, tzinfo=UTC)},
        {"first_period": 3342780, "last_period": 3342803},
        {"first_hour": WINDOW.start, "end_hour": WINDOW.end},
    )
    TargetRepository(client, dag_id="draw_sync", task_id="sync").plan(
        SyncRequest(INTERVAL, "interval"), timedelta(hours=1), NOW
    )
    return client.sent


def verify_statement() -> str:
    client = RecordingClient()
    TargetRepository(client, dag_id="draw_sync", task_id="verify").verify(PLAN)
    return client.sent[0]


def log_statement() -> str:
    client = RecordingClient()
    outcome = SyncOutcome("success", NOW, NOW + timedelta(seconds=3), WINDOW, "job_1", 22, 1, 23, 10_485_760, 412)
    TargetRepository(client, dag_id="draw_sync", task_id="sync").log(
        SyncRequest(INTERVAL, "interval"), outcome, run_id="scheduled__2025-10-03T01:05:00+00:00", try_number=1
    )
    return client.sent[0]


def merge_statement() -> str:
    configuration = job_configuration(MERGE_STATEMENT, "draw_sync", "sync", **PLAN.bounds(), synced_at=NOW)
    return as_text(configuration["query"]["query"], configuration)


def view_statement(name: str) -> str:
    return as_text(
        render(f"bigquery/schema/{name}.sql"),
        query_config(f"schema/{name}.sql", "warehouse_schema", "migrate", {}).to_api_repr(),
    )


STATEMENTS = {
    "watermark": lambda: plan_statements()[0],
    "window_periods": lambda: plan_statements()[1],
    "period_hours": lambda: plan_statements()[2],
    "merge_draws": merge_statement,
    "draws_match_source": verify_statement,
    "log_sync": log_statement,
    "draw_version": lambda: view_statement("R__010_draw_version"),
    "draws_dedup_v": lambda: view_statement("R__100_draws_dedup_v"),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement_is_the_golden_one(name: str) -> None:
    path = GOLDEN / f"{name}.sql"
    actual = STATEMENTS[name]()
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.sql")} == set(STATEMENTS)
