"""Health of an empty warehouse: BigQuery answers, every part was looked at, and nothing is called healthy unseen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.monitoring.health import assess
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from tests.integration.draws_warehouse import draws_warehouse
from tests.integration.monitoring.test_monitoring_views import MIGRATIONS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, *MIGRATIONS) as client:
        yield client


def test_every_part_of_an_empty_warehouse_is_looked_at(client: Client) -> None:
    health = assess(MonitoringRepository(client, dag_id="test", task_id="test"), datetime.now(UTC))
    found = {part.name: (part.status, part.detail) for part in health.parts}
    assert found["bigquery"] == ("healthy", "answers")
    assert found["source_table"] == found["target_table"] == ("unhealthy", "no draws in 30 days")
    assert found["open_alerts"] == ("healthy", "none")
    assert found["dead_letters"] == ("healthy", "0 waiting, 0 set aside")
    assert not [detail for _, detail in found.values() if "StatementError" in detail], found
