"""Alerts from the log to the channels: emulator, sink and mail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import AirflowFailException
from google.cloud.bigquery import Client

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.message import compose_digest
from drawsguard.alerts.signals import fire
from drawsguard.alerts.state import Kind, acknowledge, mute
from drawsguard.monitoring.checks import Check, load_checks
from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.settings import get_settings
from drawsguard.warehouse import engine_clock
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.alert_delivery_hook import AlertDeliveryHook
from local.alerts.server import make_server
from operators.operations.alert_command_operator import AlertCommandOperator
from operators.operations.alert_digest_operator import AlertDigestOperator
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate

pytestmark = pytest.mark.integration

START = datetime(2025, 10, 3, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = "check:draws_are_synced_in_time:target.draws"


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, "V040__alert_log", "V041__check_log", "R__390_alert_state_v") as client:
        yield client


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


@pytest.fixture
def manager(client: Client) -> AlertManager:
    truncate(client, ("monitor", "alert_log"), ("monitor", "alert_signal"))
    store = MonitoringRepository(client, dag_id="test", task_id="test")
    config = load_alert_config().model_copy(update={"start_grace_minutes": 0})  # nothing here is in the log of checks
    return AlertManager(store, config, load_checks(), get_settings(), run_id="run")


def stale(firing: bool | None = True, key: str = KEY, priority: Priority = Priority.P0) -> Observation:
    return Observation(key, firing, priority, "已停止 stopped")


def messages(sink: str) -> list[dict[str, Any]]:
    return list(requests.get(f"{sink}/messages", timeout=5).json())


def states(client: Client) -> dict[str, dict[str, Any]]:
    found = rows(client, f"SELECT * FROM {get_settings().table('monitor', 'alert_state_v')}")
    return {row["alert_key"]: row for row in found}


def test_alert_is_announced_acknowledged_and_its_recovery_announced(
    client: Client, manager: AlertManager, sink: str
) -> None:
    hook = AlertDeliveryHook("apprise_default")
    manager.round([stale()], hook, START)
    manager.round([stale()], hook, START + MINUTE)
    (message,) = messages(sink)
    assert message["title"].startswith("[P0] 同步停止")
    for part in (KEY, "First step", "/zh/data-stale.md", "2025-10-03 18:00 北京时间", "alert_acknowledge"):
        assert part in message["message"], part
    manager.record([acknowledge(manager.board(START), KEY, "alice", "looking", START + 2 * MINUTE)])
    assert states(client)[KEY]["status"] == "acknowledged"
    assert states(client)[KEY]["acknowledged_by"] == "alice"
    for n in range(3, 8):
        manager.round([stale(False)], hook, START + n * MINUTE)
    titles = [one["title"] for one in messages(sink)]
    assert len(titles) == 2
    assert titles[1].startswith("[恢复 recovered]")
    assert states(client)[KEY]["status"] == "resolved"


def test_view_and_monitor_fold_the_events_alike(client: Client, manager: AlertManager, sink: str) -> None:
    hook, now = AlertDeliveryHook("apprise_default"), START
    for n, firing in enumerate([True, True, False, False, False, False, True, None, False, False, False, False, True]):
        now = START + n * MINUTE
        manager.round([stale(firing), stale(not firing, "check:other:x", Priority.P1)], hook, now)
    seen = rows(
        client,
        f"SELECT alert_id, status, fired_at, resolved_at FROM {get_settings().table('monitor', 'alert_state_v')}",
    )
    folded = manager.board(now).alerts
    assert {row["alert_id"] for row in seen} == set(folded)
    for row in seen:
        alert = folded[row["alert_id"]]
        assert (row["status"], row["fired_at"], row["resolved_at"]) == (alert.status, alert.fired_at, alert.resolved_at)


def test_refused_delivery_is_recorded_retried_and_shown(client: Client, manager: AlertManager, sink: str) -> None:
    hook = AlertDeliveryHook("apprise_default")
    requests.post(f"{sink}/refuse", json={"count": 1}, timeout=5)
    events = manager.round([stale()], hook, START)
    assert [event.kind for event in events] == [Kind.FIRED, Kind.DELIVERY_FAILED, Kind.FIRED]
    assert events[2].alert_key.startswith("channel:json://127.0.0.1")
    assert "429" in events[1].detail
    assert states(client)[KEY]["delivery_failures"] == 1
    manager.round([stale()], hook, START + MINUTE)
    assert len(messages(sink)) == 1


def test_a_channel_that_refuses_while_another_accepts_is_an_alert_of_its_own(
    manager: AlertManager, sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not taken is not forgotten because somebody else was told."""
    config = [{"path": f"json://{sink.removeprefix('http://')}/"}, {"path": "json://127.0.0.1:9/nobody"}]
    monkeypatch.setenv(
        "AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps({"conn_type": "apprise", "extra": {"config": config}})
    )
    hook = AlertDeliveryHook("apprise_default")
    manager.round([stale()], hook, START)
    for n in range(1, 8):
        manager.round([stale()], hook, START + n * MINUTE)
    titles = [one["title"] for one in messages(sink)]
    assert len(titles) == 2
    assert "告警通道拒收" in titles[1]


def test_the_alert_of_a_channel_whose_address_was_corrected_is_over(
    manager: AlertManager, sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def channels(*paths: str) -> AlertDeliveryHook:
        extra = {"conn_type": "apprise", "extra": {"config": [{"path": path} for path in paths]}}
        monkeypatch.setenv("AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps(extra))
        return AlertDeliveryHook("apprise_default")

    good = f"json://{sink.removeprefix('http://')}/"
    hook = channels(good, "json://127.0.0.1:9/nobody", "nonsense://x")
    manager.round([stale()], hook, START)
    broken = {"channel:json://127.0.0.1:9/nobody", "channel:Connection apprise_default"}
    for n in range(1, 4):
        manager.round([stale()], hook, START + n * MINUTE)
    opened = {alert.key for alert in manager.board(START).alerts.values() if alert.open}
    assert opened == {KEY, *broken}, "nothing was sent to them, so nothing is known"
    for n in range(4, 8):
        manager.round([stale()], channels(good), START + n * MINUTE)
    assert {alert.key for alert in manager.board(START).alerts.values() if alert.open} == {KEY}


def test_no_channel_is_a_failed_delivery(manager: AlertManager, sink: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = [{"path": f"json://{sink.removeprefix('http://')}/", "tag": "P2"}]
    monkeypatch.setenv(
        "AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps({"conn_type": "apprise", "extra": {"config": config}})
    )
    events = manager.round([stale()], AlertDeliveryHook("apprise_default"), START)
    assert (events[-1].kind, events[-1].detail) == (Kind.DELIVERY_FAILED, "no channel is configured")


def test_wrong_channel_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = [{"path": "nonsense://secret@host"}]
    monkeypatch.setenv(
        "AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps({"conn_type": "apprise", "extra": {"config": config}})
    )
    with pytest.raises(ValueError, match="nonsense://") as raised:
        AlertDeliveryHook("apprise_default").channels()
    assert "secret" not in str(raised.value)


def test_flood_becomes_one_message(manager: AlertManager, sink: str) -> None:
    manager.round([stale(key=f"check:many:{n}") for n in range(12)], AlertDeliveryHook("apprise_default"), START)
    (message,) = messages(sink)
    assert "12 条告警" in message["title"]
    assert all(f"check:many:{n}" in message["message"] for n in range(12))


def test_muted_alert_is_recorded_and_not_told(client: Client, manager: AlertManager, sink: str) -> None:
    hook = AlertDeliveryHook("apprise_default")
    manager.record([mute(manager.board(START), KEY, "alice", "planned", START, timedelta(hours=1), timedelta(days=1))])
    manager.round([stale()], hook, START + MINUTE)
    assert messages(sink) == []
    assert states(client)[KEY]["muted_until"] == START + timedelta(hours=1)
    manager.round([stale()], hook, START + timedelta(hours=1))
    assert len(messages(sink)) == 1


def test_task_signal_lives_like_any_alert_and_is_one_with_its_cause(manager: AlertManager, sink: str) -> None:
    store = manager._repository

    def signal(state: str, at: datetime) -> None:
        row = {"signal_id": f"{state}{at}", "alert_key": "task:draw_sync.check_identity", "signalled_at": at}
        store.append(
            "alerts/append_signals", [row | {"state": state, "priority": "P0", "detail": "BadRequest", "run_id": "r"}]
        )

    hook = AlertDeliveryHook("apprise_default")
    identity = Observation("check:identities_pass:data-sync-service", True, Priority.P0, "identity")
    signal("firing", START)
    manager.round([identity], hook, START)
    assert [one["title"][:4] for one in messages(sink)] == ["[P0]"], "the failed task is explained by the identity"
    signal("ok", START + MINUTE)
    for n in range(1, 6):
        manager.round([], hook, START + n * MINUTE)
    assert not manager.board(START + 6 * MINUTE).open_alert("task:draw_sync.check_identity")


def command(name: str, actor: str | None, **values: Any) -> str:
    run = SimpleNamespace(triggering_user_name=actor, clear_number=0)
    operator = AlertCommandOperator(task_id=name, command=name, **values)  # type: ignore[arg-type]
    return operator.execute({"dag_run": run, "run_id": f"manual__{name}"})  # type: ignore[typeddict-item]


def test_alert_is_resolved_by_hand_with_reason_audited_and_those_who_got_it_are_told(
    client: Client, manager: AlertManager, sink: str
) -> None:
    truncate(client, ("monitor", "operation_audit"))
    hook, key, now = AlertDeliveryHook("apprise_default"), "task:points_downline.execute", datetime.now(UTC)
    fire(manager._repository, key, Priority.P0, "failed", run_id="manual__1", now=now - 5 * MINUTE)
    manager.round([], hook, now - 5 * MINUTE)
    for note, error in (("done", "at least 10 characters"), ("", "at least 10 characters")):
        with pytest.raises(Exception, match=error):
            command("resolve", "alice", key=key, note=note)
    with pytest.raises(Exception, match="no triggering user"):
        command("resolve", None, key=key, note="executed by the DBA by hand")
    with pytest.raises(Exception, match="No open alert"):
        command("resolve", "alice", key="task:other", note="executed by the DBA by hand")
    assert states(client)[key]["status"] == "fired"
    assert rows(client, f"SELECT * FROM {get_settings().table('monitor', 'operation_audit')}") == []

    assert command("resolve", "alice", key=key, note="executed by the DBA <by hand>") == "resolved"
    assert (states(client)[key]["status"], states(client)[key]["resolved_by"]) == ("resolved", "alice")
    (entry,) = rows(client, f"SELECT * FROM {get_settings().table('monitor', 'operation_audit')}")
    assert (entry["actor"], entry["subject"], entry["action"], entry["detail"]) == (
        "alice", key, "resolved", "executed by the DBA <by hand>",
    )  # fmt: skip
    for n in range(1, 4):
        manager.round([], hook, now + n * MINUTE)
    fired, ended = messages(sink)
    assert "alert_resolve" in fired["message"]
    assert ended["title"].startswith("[人工关闭 resolved by hand]")
    assert "alice" in ended["message"]
    assert "executed by the DBA <by hand>" in ended["message"]
    assert manager.board(now + 4 * MINUTE).open_alert(key) is None, "what the task reported is ended as well"
    fire(manager._repository, key, Priority.P0, "failed", run_id="manual__2", now=now + 5 * MINUTE)
    manager.round([], hook, now + 5 * MINUTE)
    assert manager.board(now + 5 * MINUTE).open_alert(key), "the next failure is a new alert"


@pytest.mark.parametrize(
    ("name", "note", "kind"), [("acknowledge", "", "acknowledged"), ("resolve", "done by hand", "resolved")]
)
@pytest.mark.parametrize("killed", ["before the event", "after it"])
def test_a_command_whose_attempt_was_killed_is_carried_out_and_audited_once(
    client: Client, manager: AlertManager, monkeypatch: pytest.MonkeyPatch, name: Any, note: str, kind: str, killed: str
) -> None:
    truncate(client, ("monitor", "operation_audit"))
    now = datetime.now(UTC)
    manager.round([stale()], Nowhere(), now - MINUTE)
    run = SimpleNamespace(triggering_user_name="alice", clear_number=0, run_after=now)
    operator = AlertCommandOperator(task_id=name, command=name, key=KEY, note=note)
    of: Any = {"dag_run": run, "run_id": "manual__1"}
    record = AlertManager.record

    def dies(self: AlertManager, events: Any) -> None:
        if killed == "after it":
            record(self, events)
        raise SystemExit("killed")

    with monkeypatch.context() as dying:
        dying.setattr(AlertManager, "record", dies)
        with pytest.raises(SystemExit):
            operator.execute(of)
    assert operator.execute(of) == kind
    assert [event.kind for event in manager.board(now).events].count(Kind(kind)) == 1
    (entry,) = rows(client, f"SELECT * FROM {get_settings().table('monitor', 'operation_audit')}")
    assert (entry["acted_at"], entry["action"]) == (now, kind)
    of["dag_run"] = SimpleNamespace(triggering_user_name="alice", clear_number=0, run_after=datetime.now(UTC))
    with pytest.raises(AirflowFailException):
        operator.execute(of | {"run_id": "manual__2"})


def test_a_mute_and_a_digest_by_a_clock_ahead_count_from_the_time_of_bigquery(
    client: Client, manager: AlertManager, sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Worker(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=8)

    now, kept = datetime.now(UTC), Kept()
    manager.round([stale()], Nowhere(), now - MINUTE)
    monkeypatch.setattr(engine_clock, "datetime", Worker)
    command("mute", "alice", key=KEY, note="a planned pause", hours=1)
    until = states(client)[KEY]["muted_until"]
    assert abs(until - now - timedelta(hours=1)) < MINUTE
    of: Any = {"dag_run": SimpleNamespace(run_type="manual"), "run_id": "r", "ti": kept}
    AlertDigestOperator(task_id="send_digest").execute(of)
    assert abs(datetime.fromisoformat(kept.told[-1]) - now) < MINUTE, "what ends meanwhile would be told by no digest"


class Nowhere:
    """A delivery that is not looked at."""

    def send(self, _text: object) -> tuple[list[str], list[str]]:
        return ["chat"], []


DAY_KEY = "check:collection_has_no_holes:2025-09-20"


def test_nothing_recovers_by_leaving_sight(manager: AlertManager, sink: str) -> None:
    hook, day = AlertDeliveryHook("apprise_default"), stale(key=DAY_KEY)
    today = stale(False, "check:collection_has_no_holes:2025-10-03")
    manager.round([day, today], hook, START)
    looked: list[tuple[str, list[str]]] = []

    def look_again(check: Check, subjects: list[str]) -> list[Observation]:
        looked.append((check.name, subjects))
        whole = len(looked) > 10
        return [Observation(check.key(subject), not whole, Priority.P0, "still") for subject in subjects]

    for n in range(1, 6):
        manager.round([today], hook, START + n * MINUTE)  # nothing can be known: the day stays as it is
    for n in range(6, 16):
        manager.round([today], hook, START + n * MINUTE, look_again)
    assert manager.board(START).open_alert(DAY_KEY)
    assert looked == [("collection_has_no_holes", ["2025-09-20"])] * 10
    assert all("恢复" not in one["title"] for one in messages(sink))
    for n in range(16, 20):
        manager.round([today], hook, START + n * MINUTE, look_again)
    assert manager.board(START).open_alert(DAY_KEY) is None
    assert messages(sink)[-1]["title"].startswith("[恢复 recovered]")


@pytest.mark.parametrize(
    "key",
    [
        "check:no_such_check:x",
        "check:identities_pass:service-of-yesterday",
        "check:collection_has_no_holes:collection_quality_v",
    ],
)
def test_what_nobody_wants_to_know_any_more_is_over(manager: AlertManager, sink: str, key: str) -> None:
    hook = AlertDeliveryHook("apprise_default")
    manager.round([stale(key=key)], hook, START)
    for n in range(1, 5):
        manager.round([stale(False, "check:collection_has_no_holes:2025-10-03")], hook, START + n * MINUTE)
    assert manager.board(START).open_alert(key) is None


def test_digest_names_what_is_open(manager: AlertManager, sink: str) -> None:
    manager.round(
        [stale(priority=Priority.P2, key="check:feed_rows_are_valid:2025-10-03")],
        AlertDeliveryHook("apprise_default"),
        START,
    )
    assert messages(sink) == []
    text = compose_digest(list(manager.board(START).alerts.values()), get_settings(), START)
    assert "未恢复 open 1" in text.title
    assert "check:feed_rows_are_valid:2025-10-03" in text.body


class Kept:
    """What Airflow keeps of the tasks of a DAG: the XComs of every run, and the newest of a key for who asks."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def xcom_push(self, _key: str, value: str) -> None:
        self.told.append(value)

    def xcom_pull(self, *, task_ids: str, key: str, include_prior_dates: bool) -> Any:
        assert (task_ids, key, include_prior_dates) == ("send_digest", "told_until", True)
        return self.told[0] if len(self.told) == 1 else self.told or None


@pytest.mark.usefixtures("client")
def test_what_was_resolved_since_the_last_digest_is_told_once(
    manager: AlertManager, sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost when a digest fails, is late or does not run: P2 alerts are announced nowhere else."""
    now, key = datetime.now(UTC), "check:feed_rows_are_valid:2025-10-03"
    for at, firing in ((60 * 60, True), (50 * 60, False), (49 * 60, False), (48 * 60, False)):
        seen = stale(firing, key, priority=Priority.P2)
        manager.round([seen], AlertDeliveryHook("apprise_default"), now - at * MINUTE)
    kept = Kept()
    run = {"dag_run": SimpleNamespace(run_type="manual"), "run_id": "r", "ti": kept}

    def digest() -> Any:
        return AlertDigestOperator(task_id="send_digest").execute(run)  # type: ignore[arg-type]

    with monkeypatch.context() as refused:
        refused.setattr(AlertDeliveryHook, "send", lambda *_: ([], ["chat: away"]))
        with pytest.raises(Exception, match="chat: away"):
            digest()
    assert kept.told == [], "nobody was told"
    kept.told = [(now - timedelta(days=3)).isoformat(), (now - timedelta(days=4)).isoformat()]
    assert digest()
    assert key in messages(sink)[-1]["message"], "resolved two days ago, and told by no digest yet"
    assert digest()
    assert key not in messages(sink)[-1]["message"]
