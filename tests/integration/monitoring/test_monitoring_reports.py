"""The three inspections on the emulator: every section is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.monitoring.inspection import BEIJING, Inspector
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from tests.integration.draws_warehouse import draws_warehouse, truncate
from tests.integration.monitoring.test_monitoring_views import MIGRATIONS, draws, insert

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, *MIGRATIONS) as client:
        yield client


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("daily", ["Freshness", "Sync success rate", "Scheduler executions", "Completeness", "Query cost", "Advice"]),
        ("weekly", ["Partitions", "Query cost", "False alarms", "Completeness", "Identity changes", "Advice"]),
        ("monthly", ["Sync success rate", "latency", "False alarms", "Query cost", "Advice"]),
    ],
)
def test_inspection_of_an_empty_warehouse_says_so(client: Client, kind: Any, titles: list[str]) -> None:
    settings = get_settings()
    report = Inspector(MonitoringRepository(client, dag_id="test", task_id="test"), settings).make(kind, NOW)
    assert len(report.sections) == len(titles)
    for section, title in zip(report.sections, titles, strict=True):
        assert title in section.title
    assert report.file_name == f"{kind}_{report.end:%Y-%m-%d}.html"
    if kind != "daily":
        assert "nothing is estimated" in report.html
    else:
        assert "异常" in report.subject


def test_the_weekly_report_lists_the_partitions_of_both_sides(client: Client) -> None:
    """As on BigQuery, a partitioned table without rows has no partition."""
    truncate(client, ("source", "draws"), ("target", "draws"))
    draws(client, [NOW - timedelta(days=days) for days in (1, 2, 3)])
    settings = get_settings()
    report = Inspector(MonitoringRepository(client, dag_id="test", task_id="test"), settings).make("weekly", NOW)
    assert 'class="chart"' in report.html
    for dataset in (settings.source_dataset, settings.target_dataset):
        assert re.search(rf">{dataset}\.draws</td>\s*<td[^>]*>3</td>", report.html)


def test_pictures_of_days_say_what_text_and_table_say(client: Client) -> None:
    """Also on a day without draws, and with an alert of another kind."""
    truncate(client, ("target", "draws"), ("monitor", "alert_log"), ("monitor", "check_log"))
    settings, end = get_settings(), (NOW - timedelta(days=1)).replace(hour=8, minute=0, second=0, microsecond=0)
    draws(client, [end - timedelta(days=3, hours=1), end - timedelta(hours=2)], collect=20, sync=150)
    check = {"run_id": "r", "check_name": "x", "subject": "s", "checked_at": end - timedelta(hours=3), "priority": "P1",
             "status": "fail", "expected": "", "actual": "", "seconds": 1}  # fmt: skip
    insert(client, ("monitor", "check_log"), [check], {"checked_at": "TIMESTAMP", "seconds": "FLOAT64"})
    fired = [
        {"event_id": f"{key}{days}", "alert_id": f"{key}{days}", "alert_key": key, "kind": "fired", "priority": "P1",
         "event_at": end - timedelta(days=days, hours=1), "actor": "monitor", "run_id": "r"}
        for key, days in (("check:x:s", 0), ("check:x:s", 3), ("sla:draw_sync", 3), ("check:x:s", 40))
    ]  # fmt: skip
    insert(client, ("monitor", "alert_log"), fired, {"event_at": "TIMESTAMP"})
    report = Inspector(MonitoringRepository(client, dag_id="test", task_id="test"), settings).make("monthly", end)
    section = {one.title.split()[0]: one for one in report.sections}
    alarms = section["误报"]
    by_day = [dict(re.findall(r"([0-9-]{10}): ([^;&\"]+)", str(one.chart))) for one in (section["端到端延迟"], alarms)]
    days = [f"{(end - timedelta(days=days)).astimezone(BEIJING):%Y-%m-%d}" for days in range(30, -1, -1)]
    assert list(by_day[0]) == list(by_day[1]) == days, "no day is left out"
    assert {day: text for day, text in by_day[0].items() if text != "–"} == {days[-4]: "170 s", days[-1]: "170 s"}
    assert {day: text for day, text in by_day[1].items() if text != "0"} == {days[-4]: "1", days[-1]: "1"}
    assert "0 of 2 alerts" in alarms.text, "as many as the days have together"
