"""Health: a status of its own for each part, and the right HTTP status for the whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawsguard.monitoring.health import CachedHealth, Health, Part, assess
from drawsguard.warehouse.failures import StatementError

NOW = datetime(2025, 10, 3, 10, 0, tzinfo=UTC)


class FakeRepository:
    """Answers by the name of the view or file that is read; an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {
            "ping": [{"one": 1}],
            "newest_draw": [{"newest": NOW}],
            "cloud_freshness_v": [{"table_name": "target.draws", "overdue_draws": 0, "status": "fresh"}],
            "sync_success_rate_v": [{"window_name": "24 h", "minutes_since_success": 3.0, "success_rate": 100.0}],
            "dead_letter_depth_v": [{"waiting": 0, "set_aside": 0}],
            "monitor_heartbeat_v": [{"seconds_ago": 30, "rounds_last_hour": 60}],
            "open_alerts": [],
        } | {name.replace("draws_table", "newest_draw").replace("select", "ping"): one for name, one in answers.items()}

    def query(self, statement: str, _identifiers: Any = None, **_values: Any) -> list[dict[str, Any]]:
        answer = next(value for name, value in self.answers.items() if name in statement)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def read_view(self, view: str, _columns: Any) -> list[dict[str, Any]]:
        return self.query(view)


def look(**answers: Any) -> Health:
    return assess(FakeRepository(**answers), NOW)  # type: ignore[arg-type]


def test_all_well():
    health = look()
    assert (health.status, health.http_status) == ("healthy", 200)
    assert len(health.parts) == 8
    assert json.loads(json.dumps(health.to_json()))["checks"]["bigquery"]["status"] == "healthy"


@pytest.mark.parametrize(
    ("answers", "part"),
    [
        ({"draws_table": [{"newest": None}]}, "source_table"),
        ({"cloud_freshness_v": [{"table_name": "t", "overdue_draws": 9, "status": "stale"}]}, "freshness"),
        ({"cloud_freshness_v": [{"table_name": "t", "overdue_draws": 0, "status": "empty"}]}, "freshness"),
        (
            {"sync_success_rate_v": [{"window_name": "24 h", "minutes_since_success": 99.0, "success_rate": 1}]},
            "last_sync",
        ),
        ({"sync_success_rate_v": []}, "last_sync"),
        ({"monitor_heartbeat_v": [{"seconds_ago": 301, "rounds_last_hour": 1}]}, "monitor"),
        ({"open_alerts": StatementError("no such view")}, "open_alerts"),
    ],
)
def test_broken_part_is_503_and_named(answers, part):
    health = look(**answers)
    assert (health.status, health.http_status) == ("unhealthy", 503)
    assert health.to_json()["checks"][part]["status"] == "unhealthy"


@pytest.mark.parametrize(
    "answers",
    [
        {"cloud_freshness_v": [{"table_name": "t", "overdue_draws": 1, "status": "late"}]},
        {"dead_letter_depth_v": [{"waiting": 2, "set_aside": 0}]},
        {"open_alerts": [{"priority": "P1", "alerts": 1}]},
    ],
)
def test_degraded_is_said_and_still_serves(answers):
    health = look(**answers)
    assert (health.status, health.http_status) == ("degraded", 200)


def test_unreachable_warehouse_is_asked_once():
    health = look(select=StatementError("down"))
    assert health.http_status == 503
    assert {part.status for part in health.parts} == {"unhealthy"}
    assert len(health.parts) == 8


def test_looks_are_shared_until_they_are_old():
    made: list[Health] = []

    def look_again() -> Health:
        made.append(Health(datetime.now(UTC), (Part("x", "healthy", ""),)))
        return made[-1]

    cached = CachedHealth(look_again)
    assert cached.get() is cached.get()
    assert len(made) == 1
    stale = CachedHealth(look_again, max_age=timedelta(seconds=-1))
    stale.get()
    stale.get()
    assert len(made) == 3
