"""A pause is told from an outage by what Airflow's audit log says of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawsguard.monitoring.pauses import was_paused
from hooks import preflight_connections
from hooks.monitor_pauses import dag_was_paused, monitor_was_paused

SINCE, UNTIL = datetime(2025, 10, 3, 10, 0, tzinfo=UTC), datetime(2025, 10, 3, 13, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def event(at: datetime, paused: object) -> dict[str, Any]:
    return {"when": at.isoformat(), "extra": json.dumps({"is_paused": paused, "dag_id": "monitoring_checks"})}


PAUSED, UNPAUSED = event(SINCE + MINUTE, True), event(UNTIL - MINUTE, False)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([PAUSED, UNPAUSED], True),
        ([UNPAUSED, PAUSED], True),  # in any order
        ([event(SINCE - 2 * MINUTE, True), event(UNTIL - MINUTE, False)], True),
        ([event(SINCE + MINUTE, "true"), event(UNTIL, "false")], True),
        ([], False),
        ([PAUSED], False),
        ([UNPAUSED], False),
        ([event(SINCE + 30 * MINUTE, True), UNPAUSED], False),  # it was away before somebody paused it
        ([PAUSED, event(UNTIL - 30 * MINUTE, False)], False),  # and it did not come back when it was unpaused
        ([event(SINCE - 60 * MINUTE, True), event(SINCE - 30 * MINUTE, False)], False),
        ([{"when": SINCE.isoformat(), "extra": None}, {"when": UNTIL.isoformat(), "extra": "no json"}], False),
    ],
)
def test_a_pause_covers_the_whole_absence(events: list[dict[str, Any]], expected: bool) -> None:
    assert was_paused(events, SINCE, UNTIL) is expected


def test_airflow_is_asked_and_what_it_does_not_say_was_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Connections:
        def airflow(self, path: str) -> dict[str, Any]:
            asked.append(path)
            return {"event_logs": [PAUSED, UNPAUSED]}

    monkeypatch.setattr(preflight_connections, "PreflightConnections", Connections)
    assert monitor_was_paused(SINCE, UNTIL)
    assert asked[0].startswith("/eventLogs?dag_id=monitoring_checks&event=patch_dag&after=2025-10-03T09%3A55")

    earlier = event(SINCE - timedelta(days=3), True)
    monkeypatch.setattr(
        Connections, "airflow", lambda _, path: asked.append(path) or {"event_logs": [UNPAUSED, earlier]}
    )
    assert dag_was_paused("alert_digest", SINCE, UNTIL), "a pause of days holds the slot at its end"
    assert asked[1].startswith("/eventLogs?dag_id=alert_digest&event=patch_dag&after=2024-")
    assert "order_by=-when&limit=100" in asked[1]

    def refuse(_self: object, _path: str) -> dict[str, Any]:
        raise LookupError("no connection")

    monkeypatch.setattr(Connections, "airflow", refuse)
    assert not monitor_was_paused(SINCE, UNTIL)
    assert not dag_was_paused("alert_digest", SINCE, UNTIL)
