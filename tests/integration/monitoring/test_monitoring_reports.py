"""The three inspections on the emulator: every section is there, and the kept file is the mail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.monitoring.inspection import Inspector, keep
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from tests.integration.draws_warehouse import draws_warehouse
from tests.integration.monitoring.test_monitoring_views import MIGRATIONS

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, *MIGRATIONS) as client:
        yield client


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("daily", ["Freshness", "Sync success rate", "Scheduler executions", "Completeness", "Advice"]),
        ("weekly", ["Partitions", "Query cost", "False alarms", "Completeness", "Identity changes", "Advice"]),
        ("monthly", ["Sync success rate", "latency", "False alarms", "Query cost", "Advice"]),
    ],
)
def test_inspection_of_an_empty_warehouse_says_so(client: Client, kind: Any, titles: list[str], tmp_path: Path) -> None:
    settings = get_settings().model_copy(update={"report_folder": str(tmp_path)})
    report = Inspector(MonitoringRepository(client, dag_id="test", task_id="test"), settings).make(kind, NOW)
    assert len(report.sections) == len(titles)
    for section, title in zip(report.sections, titles, strict=True):
        assert title in section.title
    path = keep(report, settings)
    assert path.read_text(encoding="utf-8") == report.html
    if kind == "weekly":
        assert 'class="chart"' in report.html
        for dataset in (settings.source_dataset, settings.target_dataset):
            assert f">{dataset}.draws</td>" in report.html
    if kind != "daily":
        assert "nothing is estimated" in report.html
    else:
        assert "异常" in report.subject
