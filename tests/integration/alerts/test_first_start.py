"""What is no incident: a first start, a new service, a pause. And real outages are found as fast as ever."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from airflow.sdk.exceptions import AirflowException
from google.cloud.bigquery import Client

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.patience import Paused, unknown
from drawsguard.alerts.signals import fire
from drawsguard.alerts.state import mute, unmute
from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.settings import get_settings
from drawsguard.warehouse import engine_clock
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.alert_delivery_hook import AlertDeliveryHook
from local.alerts.server import make_server
from notifiers.sla_signal import interval_end_of
from operators.operations import monitoring_check_operator
from operators.operations.monitoring_check_operator import ALERTS, CARRIED, CHECK_KEY, MISSING, MonitoringCheckOperator
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate
from tests.integration.monitoring.test_monitoring_views import MIGRATIONS

pytestmark = pytest.mark.integration

MINUTE = timedelta(minutes=1)
NOW = datetime(2025, 10, 8, 8, 0, tzinfo=UTC)
STALE = "check:draws_are_synced_in_time:target.draws"
IDENTITY = "check:identities_pass:collector"
ABSENCE = "check:monitor_runs_every_minute:monitoring_checks"


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, *MIGRATIONS) as client:
        yield client


@pytest.fixture(autouse=True)
def empty(client: Client) -> None:
    truncate(client, *(("monitor", table) for table in ("alert_log", "alert_signal", "check_log")))


@pytest.fixture
def sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, tmp_path)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_address[1]}"
    config = [{"path": f"json://{host}/", "tag": "chat"}]
    monkeypatch.setenv(
        "AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps({"conn_type": "apprise", "extra": {"config": config}})
    )
    yield f"http://{host}"
    server.shutdown()


def messages(sink: str) -> list[str]:
    return [one["title"] for one in requests.get(f"{sink}/messages", timeout=5).json()]


class TaskInstance:
    """The XComs that rounds leave for later ones, pulled as Airflow does.

    With a map index the newest run's; without one those of all runs, without an order, and one alone as itself.
    """

    def __init__(self) -> None:
        self.left: dict[str, list[Any]] = {}

    def xcom_pull(self, *, key: str, map_indexes: int | None = None, include_prior_dates: bool, **_where: Any) -> Any:
        assert include_prior_dates, "the round's own run has none"
        left = self.left.get(key, [])
        if map_indexes is None:
            return left[0] if len(left) == 1 else left
        return left[-1] if left else None

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.left.setdefault(key, []).append(value)


def monitor(ti: TaskInstance, **context: Any) -> dict[str, Any]:
    """One whole round, over the views, now; of a scheduled run unless ``logical_date`` is None."""
    context = {"run_id": f"run {uuid4()}", "ti": ti, "logical_date": datetime.now(UTC)} | context
    return MonitoringCheckOperator(task_id="check").execute(context)  # type: ignore[arg-type]


def fired(client: Client) -> set[str]:
    found = rows(client, f"SELECT alert_key FROM {get_settings().table('monitor', 'alert_log')} WHERE kind = 'fired'")
    return {row["alert_key"] for row in found}


def test_a_first_start_is_no_incident_until_everything_had_time_to_begin(client: Client, sink: str) -> None:
    ti = TaskInstance()
    first = monitor(ti)
    assert first["fail"] >= 10, "nothing has run yet, and every result is kept as it is"
    monitor(ti)
    assert fired(client) == set()
    assert messages(sink) == []
    client.query(
        f"UPDATE {get_settings().table('monitor', 'check_log')} "
        "SET checked_at = TIMESTAMP_SUB(checked_at, INTERVAL 31 MINUTE) WHERE TRUE"
    ).result()
    monitor(TaskInstance())  # what was carried over knows nothing of the moved rows
    services = {f"check:identities_pass:{one}" for one in load_checks().of_key(IDENTITY).expected}  # type: ignore[union-attr]
    assert {STALE, "check:draws_are_collected_in_time:source.draws", ABSENCE, *services} <= fired(client)
    assert messages(sink), "what has not begun by then is an incident"


def test_the_retry_of_a_round_whose_alert_was_refused_fails_as_well(client: Client, sink: str) -> None:
    """Airflow mails the failure of the last try only, and the alert is not due again when that begins."""
    for _ in range(2):
        monitor(TaskInstance())
    client.query(
        f"UPDATE {get_settings().table('monitor', 'check_log')} "
        "SET checked_at = TIMESTAMP_SUB(checked_at, INTERVAL 31 MINUTE) WHERE TRUE"
    ).result()
    requests.post(f"{sink}/refuse", json={"count": 99}, timeout=5)
    for _ in ("first try", "retry"):
        with pytest.raises(AirflowException, match=r"an alert reached no channel: .*429"):
            monitor(TaskInstance())
    requests.post(f"{sink}/refuse", json={"count": 0}, timeout=5)


def test_each_round_carries_over_what_the_newest_one_left(client: Client, sink: str) -> None:
    ti = TaskInstance()
    read = [monitor(ti)["views_read"] for _ in range(4)]
    assert read[0] == len(load_checks().views())
    assert max(read[2:]) < read[0], "from the third on there are several rounds before it"


def test_a_run_that_somebody_triggers_leaves_nothing(client: Client, sink: str) -> None:
    """PostgreSQL sorts a run without a logical date before all others: its answers would be the newest for ever."""
    ti = TaskInstance()
    monitor(ti, logical_date=None)
    assert ti.left == {}
    monitor(ti)
    assert set(ti.left) == {CARRIED, ALERTS, MISSING}


def test_a_day_without_a_run_of_the_schedule_is_told_although_it_has_no_deadline(
    client: Client, sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = datetime.now(UTC) - timedelta(days=1, hours=5)
    ran = {"dag_run_id": f"scheduled__{before.isoformat()}", "run_type": "scheduled", "run_after": before.isoformat()}
    hangs = {"dag_run_id": "manual__1", "run_type": "manual", "run_after": datetime.now(UTC).isoformat(), "conf": {}}
    monkeypatch.setattr(
        monitoring_check_operator,
        "runs_if_known",
        lambda dag_id, _since: [hangs, ran | {"conf": {}}] if dag_id == "points_push" else [],
    )
    ti, delivered = TaskInstance(), 0
    ti.get_ti_count = lambda **_of: delivered  # type: ignore[attr-defined]
    for look in ("first", "second", "of the alerts"):
        monitor(ti)
        left = json.loads(ti.left[MISSING][-1])
        left["of"]["points_push"]["again"] = datetime.now(UTC).isoformat()
        ti.left[MISSING].append(json.dumps(left))
        assert ("sla:points_push" in fired(client)) == (look == "of the alerts")
    signals = rows(client, f"SELECT run_id, detail FROM {get_settings().table('monitor', 'alert_signal')}")
    (signal,) = signals
    assert interval_end_of(signal["run_id"]) == before + timedelta(days=1), "a delivery finds what it ends"
    assert "No run was created for this slot" in signal["detail"]


@pytest.mark.parametrize("ahead", [timedelta(minutes=30), timedelta(hours=8)])
def test_a_worker_whose_clock_is_always_ahead_repeats_nothing_and_stamps_the_time_of_bigquery(
    client: Client, sink: str, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    class Worker(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + ahead

    monkeypatch.setattr(engine_clock, "datetime", Worker)
    repository = MonitoringRepository(client, dag_id="test", task_id="test")
    fire(repository, "task:a.b", Priority.P0, "failed", run_id="r", now=Worker.now(UTC))
    ti = TaskInstance()
    for _ in range(3):
        monitor(ti)
    assert len(messages(sink)) == 1, "it was announced a moment ago"
    newest = rows(client, f"SELECT MAX(checked_at) AS at FROM {get_settings().table('monitor', 'check_log')}")
    assert newest[0]["at"] <= datetime.now(UTC) + engine_clock.LEEWAY


class Rounds:
    """Rounds of the monitor, whose results are given; ``paused`` is what Airflow says of its pauses."""

    def __init__(self, client: Client, paused: Paused = unknown) -> None:
        self._repository = MonitoringRepository(client, dag_id="test", task_id="test")
        self._manager = AlertManager(
            self._repository, load_alert_config(), load_checks(), get_settings(), run_id="run", paused=paused
        )
        self._hook = AlertDeliveryHook("apprise_default")
        # Streamed rows of equal keys are one row, also those of another test within the minute.
        self._name = str(uuid4())

    def manager(self) -> AlertManager:
        return self._manager

    def log(self, at: list[datetime], status: str, *keys: str) -> None:
        entries = [
            {"run_id": f"{self._name} {moment.isoformat()}", "check_name": key.split(":", 2)[1],
             "subject": key.split(":", 2)[-1],
             "checked_at": moment, "priority": "P0", "status": status, "expected": "x", "actual": "x", "seconds": 1}
            for moment in at
            for key in keys
        ]  # fmt: skip
        self._repository.stream("check_log", entries, CHECK_KEY)

    def failing(self, at: datetime, *keys: str, shown: bool = True) -> set[str]:
        """Play a round in which these keys fail; return what fires.

        :param shown: whether what the round has streamed can be read by the round itself.
        """
        if shown:
            self.log([at], "fail", *keys)
        observations = [Observation(key, True, Priority.P0, "failed") for key in keys]
        return {event.alert_key for event in self._manager.round(observations, self._hook, at) if event.kind == "fired"}


def minutes(start: datetime, end: datetime) -> list[datetime]:
    return [start + n * MINUTE for n in range(int((end - start) / MINUTE))]


def test_what_passed_before_is_an_incident_in_the_round_in_which_it_fails(client: Client, sink: str) -> None:
    rounds = Rounds(client)
    rounds.log(minutes(NOW - 30 * MINUTE, NOW), "pass", STALE, IDENTITY)
    assert rounds.failing(NOW, STALE, IDENTITY) == {STALE, IDENTITY}
    assert len(messages(sink)) == 2


def test_a_new_service_has_time_to_begin_and_the_others_have_not(client: Client, sink: str) -> None:
    rounds, new = Rounds(client), "check:identities_pass:new-service"
    rounds.log(minutes(NOW - 60 * MINUTE, NOW), "pass", IDENTITY)
    assert rounds.failing(NOW, IDENTITY, new) == {IDENTITY}
    rounds.log(minutes(NOW + MINUTE, NOW + 30 * MINUTE), "fail", new)
    assert rounds.failing(NOW + 29 * MINUTE, new) == set()
    assert rounds.failing(NOW + 30 * MINUTE, new) == {new}


def test_what_was_paused_catches_up_before_it_is_an_incident(client: Client, sink: str) -> None:
    rounds, back = Rounds(client), NOW + timedelta(hours=3)
    rounds.log(minutes(NOW - 30 * MINUTE, NOW), "pass", STALE, IDENTITY, ABSENCE)
    assert rounds.failing(back, STALE, IDENTITY) == set()
    rounds.log(minutes(back + MINUTE, back + 10 * MINUTE), "fail", STALE)
    assert rounds.failing(back + 9 * MINUTE, STALE) == set()
    assert messages(sink) == []
    assert rounds.failing(back + 10 * MINUTE, STALE) == {STALE}, "it stands still all the same"


@pytest.mark.parametrize(("every", "fires_at"), [(6, 12), (12, 12), (9, 18)])
def test_what_stands_still_is_an_incident_although_the_monitor_is_interrupted_again_and_again(
    client: Client, sink: str, every: int, fires_at: int
) -> None:
    """A round every few minutes: each one is an interruption, and restarted the patience."""
    rounds, back = Rounds(client), NOW + timedelta(hours=3)
    rounds.log(minutes(NOW - 30 * MINUTE, NOW), "pass", STALE)
    fired = {n for n in range(0, 60, every) if rounds.failing(back + n * MINUTE, STALE)}
    assert fired == {fires_at}


def test_an_interruption_after_an_uninterrupted_time_restarts_the_patience(client: Client, sink: str) -> None:
    rounds, back = Rounds(client), NOW + timedelta(hours=3)
    rounds.log(minutes(NOW - 30 * MINUTE, NOW), "pass", STALE)
    rounds.log(minutes(back, back + 11 * MINUTE), "pass", STALE)
    again = back + timedelta(hours=1)
    assert rounds.failing(again, STALE) == set()
    rounds.log(minutes(again + MINUTE, again + 10 * MINUTE), "fail", STALE)
    assert rounds.failing(again + 10 * MINUTE, STALE) == {STALE}


def test_what_caught_up_between_two_interruptions_may_catch_up_after_the_second_as_well(
    client: Client, sink: str
) -> None:
    """A restart in two steps: down for 20 minutes, up for 4, down for 16."""
    rounds, up = Rounds(client), NOW + 20 * MINUTE
    rounds.log(minutes(NOW - 30 * MINUTE, NOW), "pass", STALE)
    assert rounds.failing(up, STALE) == set()
    rounds.log(minutes(up + MINUTE, up + 5 * MINUTE), "pass", STALE)
    again = up + 20 * MINUTE
    assert {n for n in range(12) if rounds.failing(again + n * MINUTE, STALE)} == {10}


def test_one_round_of_a_clock_ahead_holds_no_alert_back(client: Client, sink: str) -> None:
    rounds = Rounds(client)
    rounds.log(minutes(NOW - 30 * MINUTE, NOW), "pass", STALE)
    rounds.log([NOW + timedelta(hours=8)], "pass", STALE)
    rounds.log(minutes(NOW + MINUTE, NOW + 5 * MINUTE), "pass", STALE)
    assert rounds.failing(NOW + 5 * MINUTE, STALE) == {STALE}


def test_what_a_clock_ahead_records_is_stamped_with_the_time_of_bigquery(client: Client, sink: str) -> None:
    """Reminders, recovery and mutes count from it."""
    rounds, task, now, eight_hours = Rounds(client), "task:a.b", datetime.now(UTC), timedelta(hours=8)
    assert rounds.failing(now + eight_hours, task) == {task}
    rounds.failing(now + 16 * MINUTE, task)
    assert [title.startswith("[P0]") for title in messages(sink)] == [True, True], "announced, and repeated in time"
    manager = rounds.manager()
    manager.record([mute(manager.board(now), task, "alice", "planned", now + eight_hours, eight_hours, eight_hours)])
    assert manager.board(now).muted(task, now)
    manager.record([unmute(task, "bob", datetime.now(UTC))])
    assert not manager.board(now).muted(task, now)


def test_an_event_of_a_clock_ahead_that_is_recorded_again_stays_single(client: Client, sink: str) -> None:
    manager, now = Rounds(client).manager(), datetime.now(UTC)
    event = mute(manager.board(now), "task:a.b", "alice", "planned", now + timedelta(hours=8), MINUTE, MINUTE)
    for _ in range(2):
        manager.record([event])
    assert len(manager.board(now).events) == 1


def test_a_round_whose_own_rows_cannot_be_read_yet_is_as_patient(client: Client, sink: str) -> None:
    """BigQuery promises what was streamed within seconds only."""
    rounds, back = Rounds(client), NOW + timedelta(hours=3)
    keys = (STALE, IDENTITY, ABSENCE)
    assert rounds.failing(NOW - timedelta(days=20), *keys, shown=False) == set(), "a first start"
    rounds.log(minutes(NOW - 30 * MINUTE, NOW), "pass", STALE, IDENTITY)
    assert rounds.failing(NOW, STALE, "check:identities_pass:new-service", shown=False) == {STALE}, "it passed before"
    assert rounds.failing(back, IDENTITY, shown=False) == set(), "the monitor is back after three hours"
    rounds.log(minutes(back, back + 10 * MINUTE), "fail", IDENTITY)
    assert rounds.failing(back + 10 * MINUTE, IDENTITY, shown=False) == {IDENTITY}


def test_after_a_pause_of_days_everything_is_as_at_a_first_start(client: Client, sink: str) -> None:
    rounds, back = Rounds(client), NOW + timedelta(days=9)
    rounds.log(minutes(NOW - 30 * MINUTE, NOW), "pass", STALE, IDENTITY)
    assert rounds.failing(back, STALE, IDENTITY) == set()
    rounds.log(minutes(back + MINUTE, back + 30 * MINUTE), "fail", STALE)
    assert rounds.failing(back + 30 * MINUTE, STALE) == {STALE}


def test_a_monitor_that_was_away_says_so_at_once(client: Client, sink: str) -> None:
    rounds = Rounds(client)
    rounds.log(minutes(NOW - 60 * MINUTE, NOW - 30 * MINUTE), "pass", ABSENCE, STALE)
    assert rounds.failing(NOW, ABSENCE, STALE) == {ABSENCE}


def test_a_monitor_that_a_person_paused_was_not_away(client: Client, sink: str) -> None:
    asked: list[tuple[datetime, datetime]] = []

    def paused(since: datetime, until: datetime) -> bool:
        asked.append((since, until))
        return True

    rounds, back = Rounds(client, paused), NOW + timedelta(hours=3)
    rounds.log(minutes(NOW - 30 * MINUTE, NOW), "pass", ABSENCE)
    assert rounds.failing(back, ABSENCE) == set()
    assert asked == [(NOW - MINUTE, back)]
    later = back + 20 * MINUTE
    assert rounds.failing(later, ABSENCE) == {ABSENCE}, "a second interruption within the hour is another matter"
