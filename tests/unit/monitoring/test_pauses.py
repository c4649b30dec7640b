"""A pause is told from an outage by what Airflow's audit log says of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from drawsguard.monitoring.pauses import UNREAD_ROUNDS, Pauses, was_paused
from hooks import preflight_connections
from hooks.monitor_pauses import DAG_ID, dag_was_paused, monitor_was_paused

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


def cli(at: datetime, command: str) -> dict[str, Any]:
    extra = {"host_name": "scheduler", "full_command": "['airflow', 'dags', ...]"}
    return {"when": at.isoformat(), "event": f"cli_{command}", "dag_id": DAG_ID, "extra": json.dumps(extra)}


def many(at: datetime, paused: bool, **query: str) -> dict[str, Any]:
    extra = {**query, "is_paused": paused, "method": "PATCH"}
    return {"when": at.isoformat(), "event": "patch_dags", "dag_id": None, "extra": json.dumps(extra)}


class Connections:
    """Airflow's REST API, with an audit log or none."""

    events: ClassVar[list[dict[str, Any]] | None] = [PAUSED, UNPAUSED]
    asked: ClassVar[list[dict[str, list[str]]]] = []

    def airflow(self, path: str) -> dict[str, Any]:
        query = parse_qs(urlsplit(path).query)
        assert path.startswith("/eventLogs?")
        self.asked.append(query)
        if self.events is None:
            raise LookupError("no connection")
        of = query["included_events"]
        return {"event_logs": [one for one in self.events if one.get("event", "patch_dag") in of]}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> type[Connections]:
    monkeypatch.setattr(preflight_connections, "PreflightConnections", Connections)
    Connections.events, Connections.asked = [PAUSED, UNPAUSED], []
    return Connections


def test_airflow_is_asked_about_one_dag(airflow: type[Connections]) -> None:
    assert monitor_was_paused(SINCE, UNTIL)
    one, several = airflow.asked
    assert one["dag_id"] == [DAG_ID]
    assert several["included_events"] == ["patch_dags"], "which names no DAG"
    assert "dag_id" not in several
    for asked in (one, several):
        assert asked["after"] == ["2025-10-03T09:55:00+00:00"]
        assert (asked["order_by"], asked["limit"]) == (["-when"], ["100"])

    airflow.events = [UNPAUSED, event(SINCE - timedelta(days=3), True)]
    assert dag_was_paused("alert_digest", SINCE, UNTIL), "a pause of days holds the slot at its end"
    assert airflow.asked[2]["dag_id"] == ["alert_digest"]
    assert airflow.asked[2]["after"][0].startswith("2024-")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([cli(SINCE + MINUTE, "dag_pause"), cli(UNTIL, "dag_unpause")], True),
        ([cli(SINCE + MINUTE, "dag_pause"), UNPAUSED], True),
        ([cli(SINCE + MINUTE, "dag_unpause"), cli(UNTIL, "dag_pause")], False),
        ([many(SINCE, True, dag_id_pattern="~"), many(UNTIL, False, dag_id_pattern="~")], True),
        ([many(SINCE, True, dag_id_pattern="draw|Monitoring%"), UNPAUSED], True),
        ([many(SINCE, True, dag_id_pattern="draw|points"), UNPAUSED], False),
        ([many(SINCE, True), UNPAUSED], False),  # Airflow changes nothing then
        (
            [many(SINCE, True, dag_id_pattern="~", tags="draws"), UNPAUSED],
            False,
        ),  # whether it concerned it is not known
    ],
)
def test_a_pause_counts_whatever_made_it(
    airflow: type[Connections], events: list[dict[str, Any]], expected: bool
) -> None:
    airflow.events = events
    assert monitor_was_paused(SINCE, UNTIL) is expected


def test_what_cannot_be_read_is_no_answer(airflow: type[Connections]) -> None:
    airflow.events = None
    assert monitor_was_paused(SINCE, UNTIL) is None
    assert not dag_was_paused("alert_digest", SINCE, UNTIL)


def rounds(answers: Sequence[bool | None], since: datetime = SINCE) -> tuple[list[bool], int]:
    """Ask in one round after the other, each with what the one before left; return the answers, and how many asked."""
    waiting, left, given = [], None, iter(answers)
    asked = 0

    def ask(*_of: datetime) -> bool | None:
        nonlocal asked
        asked += 1
        return next(given)

    for _ in range(60):
        pause = Pauses(ask, left)
        try:
            waiting.append(pause(since, UNTIL))
        except StopIteration:
            break
        left = pause.left()
    return waiting, asked


def test_a_pause_that_is_known_is_not_asked_for_again() -> None:
    """An unreadable answer in the hour after it would be an alert."""
    assert rounds([True]) == ([True] * 60, 1)
    assert rounds([None, None, True]) == ([True] * 60, 3)


def test_what_cannot_be_read_waits_for_some_rounds_and_no_longer() -> None:
    waiting, _ = rounds([None] * 8)
    assert waiting == [True] * UNREAD_ROUNDS + [False] * (8 - UNREAD_ROUNDS)
    assert rounds([None, False, None, False])[0] == [True, False, True, False], "that it was none is told at once"


def test_each_absence_is_asked_about() -> None:
    first = Pauses(lambda *_: True)
    assert first.left() is None, "nothing was asked"
    assert first(SINCE, UNTIL)
    assert not Pauses(lambda *_: False, first.left())(UNTIL, UNTIL + MINUTE)
    assert Pauses(lambda *_: False, first.left())(SINCE, UNTIL)
    assert not Pauses(lambda *_: False, "no JSON")(SINCE, UNTIL)
