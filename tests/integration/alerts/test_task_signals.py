"""From a failed task or a missed deadline to one alert, its mail and its recovery: emulator, sinks, callbacks."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigquery import Client

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.message import Text
from drawsguard.alerts.signals import MAIL_SENT, end, fire
from drawsguard.deadlines import NOT_TOLD
from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.alert_delivery_hook import AlertDeliveryHook
from local.alerts.server import make_server
from notifiers import task_signal
from notifiers.sla_miss import NotToldError
from notifiers.sla_signal import SlaMissAlert, interval_end_of, report_delivery
from notifiers.task_signal import may_end_a_failure, report_failure, report_success
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate

pytestmark = pytest.mark.integration

KEY = "task:draw_sync.sync"
TITLE = "[P0] 任务失败：draw_sync.sync，立即处理 · Task failed: draw_sync.sync, act now"
END = datetime(2025, 10, 3, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, "V040__alert_log", "V041__check_log") as client:
        yield client


@pytest.fixture
def sinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Callable[[], list[str]]]]:
    """A channel each for chat and for the mail of both teams; each name returns the titles that it took."""
    servers, config = {}, []
    for name, tag in (("chat", "chat"), ("draws", "mail,team:draws"), ("points", "mail,team:points")):
        server = servers[name] = make_server("127.0.0.1", 0, tmp_path / name)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        config.append({"path": f"json://127.0.0.1:{server.server_address[1]}/", "tag": tag})
    extra = {"conn_type": "apprise", "extra": {"config": config}}
    monkeypatch.setenv("AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps(extra))

    def titles(port: int) -> list[str]:
        return [one["title"] for one in requests.get(f"http://127.0.0.1:{port}/messages", timeout=5).json()]

    yield {name: lambda port=server.server_address[1]: titles(port) for name, server in servers.items()}
    for server in servers.values():
        server.shutdown()


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What goes to the SMTP server directly, past the alerts."""
    sent: list[dict[str, Any]] = []

    async def connect(self: SmtpHook) -> SmtpHook:
        return self

    async def close(*_: object) -> None:
        return None

    async def send(_self: SmtpHook, **mail: Any) -> None:
        sent.append(mail)

    monkeypatch.setattr(SmtpHook, "get_conn", lambda self: self)
    monkeypatch.setattr(SmtpHook, "__exit__", lambda *_: None)
    monkeypatch.setattr(SmtpHook, "send_email_smtp", lambda _self, **mail: sent.append(mail))
    monkeypatch.setattr(SmtpHook, "__aenter__", connect)
    monkeypatch.setattr(SmtpHook, "__aexit__", close)
    monkeypatch.setattr(SmtpHook, "asend_email_smtp", send)
    return sent


@pytest.fixture
def manager(client: Client) -> AlertManager:
    truncate(client, ("monitor", "alert_log"), ("monitor", "alert_signal"))
    store = MonitoringRepository(client, dag_id="test", task_id="test")
    return AlertManager(store, load_alert_config(), load_checks(), get_settings(), run_id="run")


class Task:
    """A task instance that Airflow hands to callbacks: ``failed`` are the runs in which the task is failed now."""

    def __init__(
        self, dag_id: str = "draw_sync", task_id: str = "sync", run_id: str = "scheduled__1", *,
        try_number: int = 1, failed: tuple[str, ...] = (), previous: str | None = None,
    ) -> None:  # fmt: skip
        self.dag_id, self.task_id, self.run_id = dag_id, task_id, run_id
        self.try_number, self.map_index = try_number, -1
        self._failed, self._previous = failed, previous

    def get_ti_count(
        self, *, dag_id: str, task_ids: list[str], states: list[str], run_ids: list[str] | None = None
    ) -> int:
        assert (dag_id, task_ids, states) == (self.dag_id, [self.task_id], ["failed"])
        return sum(run_ids is None or run in run_ids for run in self._failed)

    def get_previous_dagrun(self) -> Any:
        return SimpleNamespace(state=self._previous) if self._previous else None


def context(task: Task, tags: tuple[str, ...] = ("tier:0",)) -> dict[str, Any]:
    run = SimpleNamespace(
        run_type="scheduled", data_interval_start=END - timedelta(minutes=5), data_interval_end=END,
        dag_id=task.dag_id, run_id=task.run_id, run_after=END, conf={},
    )  # fmt: skip
    dag = DAG(task.dag_id, schedule=None, tags=set(tags), doc_md="A failure means that draws are late.")
    return {"ti": task, "dag_run": run, "dag": dag, "exception": ValueError("no such table")}


def rounds(manager: AlertManager, number: int) -> None:
    """Let the monitor make so many rounds, a minute apart, the first one now."""
    for n in range(number):
        manager.round([], AlertDeliveryHook("apprise_default"), datetime.now(UTC) + timedelta(minutes=n))


def signals(client: Client) -> list[str]:
    table = get_settings().table("monitor", "alert_signal")
    return [row["state"] for row in rows(client, f"SELECT state FROM {table} ORDER BY signalled_at")]


def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the statements that are sent to the warehouse from now on."""
    sent: list[str] = []
    query = MonitoringRepository.query

    def recorded(self: MonitoringRepository, statement: str, *of: Any, **values: Any) -> list[dict[str, Any]]:
        sent.append(statement)
        return query(self, statement, *of, **values)

    monkeypatch.setattr(MonitoringRepository, "query", recorded)
    return sent


# --- tasks ------------------------------------------------------------------------------------------------------------


def test_failures_of_a_long_outage_are_one_alert_one_mail_and_one_recovery(
    client: Client, manager: AlertManager, sinks: Any, mails: list[Any]
) -> None:
    for run in ("scheduled__1", "scheduled__2", "scheduled__3"):
        report_failure(context(Task(run_id=run)))
        rounds(manager, 1)
    notified = [TITLE]
    assert [sinks[name]() for name in ("chat", "draws", "points")] == [notified, notified, []]
    assert mails == [], "the alert is the only mail"
    alert = manager.board(datetime.now(UTC)).open_alert(KEY)
    assert alert is not None
    for part in (
        "ValueError: no such table",
        "attempt 1",
        "draws are late",
        "/runs/scheduled__1/tasks/sync",
    ):
        assert part in alert.detail, part

    report_success(context(Task(run_id="scheduled__4", failed=("scheduled__1",))))
    rounds(manager, 4)
    notified.append("[恢复 recovered] 任务失败：draw_sync.sync · Task failed: draw_sync.sync")
    assert [[title.strip() for title in sinks[name]()] for name in ("chat", "draws", "points")] == [
        notified,
        notified,
        [],
    ]
    report_success(context(Task(run_id="scheduled__5", failed=("scheduled__1",))))
    assert signals(client) == ["firing"] * 3 + ["ok"], "what is over is not ended again"


def test_a_points_failure_reaches_the_points_team(manager: AlertManager, sinks: Any) -> None:
    report_failure(context(Task("points_downline", "execute"), tags=("tier:0", "points")))
    rounds(manager, 1)
    assert [len(sinks[name]()) for name in ("chat", "draws", "points")] == [1, 0, 1]


def test_a_success_without_a_failure_costs_the_warehouse_nothing(
    manager: AlertManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = statements(monkeypatch)
    report_success(context(Task()))
    monkeypatch.setattr(MonitoringRepository, "few_rows", lambda *_: None)
    report_success(context(Task()))
    assert asked == []


@pytest.mark.parametrize("failed", [(), ("scheduled__0",)])
def test_a_success_ends_a_failure_that_airflow_forgot(
    client: Client, manager: AlertManager, failed: tuple[str, ...]
) -> None:
    """Its run was deleted, or somebody marked the task as a success: no instance is failed any more."""
    report_failure(context(Task(run_id="scheduled__1")))
    report_success(context(Task(run_id="scheduled__2", failed=failed)))
    assert signals(client) == ["firing", "ok"]


def test_a_mapped_success_ends_nothing_while_one_beside_it_has_failed(client: Client, manager: AlertManager) -> None:
    report_failure(context(Task(run_id="scheduled__1")))
    report_success(context(Task(run_id="scheduled__1", failed=("scheduled__1",))))
    assert signals(client) == ["firing"]


EIGHT_HOURS, TWO_MINUTES = timedelta(hours=8), timedelta(minutes=2)


@pytest.mark.parametrize(
    ("ahead", "listed"),
    [(EIGHT_HOURS, True), (TWO_MINUTES, True), (-TWO_MINUTES, True), (EIGHT_HOURS, False), (TWO_MINUTES, False)],
)
def test_a_failure_that_a_wrong_clock_reports_is_over_with_the_next_success_and_told_anew_with_the_next_failure(
    client: Client, manager: AlertManager, monkeypatch: pytest.MonkeyPatch, ahead: timedelta, listed: bool
) -> None:
    repository, now = manager._repository, datetime.now(UTC)
    if not listed:
        monkeypatch.setattr(MonitoringRepository, "few_rows", lambda *_: None)
    fire(repository, KEY, Priority.P0, "failed", run_id="1", now=now + ahead)
    for _ in range(2):
        end(repository, KEY, "succeeded", run_id="2", now=now)
    assert signals(client) == ["firing", "ok"], "what is over is not ended again"
    assert [one.firing for one in manager.signals(now)] == [False]
    fire(repository, KEY, Priority.P0, "failed", run_id="3", now=datetime.now(UTC) + ahead)
    assert [one.firing for one in manager.signals(now)] == [True]


@pytest.mark.parametrize("ahead", [EIGHT_HOURS, TWO_MINUTES])
def test_a_success_that_a_clock_ahead_reports_hides_no_later_failure(
    client: Client, manager: AlertManager, ahead: timedelta
) -> None:
    repository, now = manager._repository, datetime.now(UTC)
    fire(repository, KEY, Priority.P0, "failed", run_id="1", now=now)
    end(repository, KEY, "succeeded", run_id="2", now=now + ahead)
    fire(repository, KEY, Priority.P0, "failed", run_id="3", now=datetime.now(UTC))
    assert signals(client) == ["firing", "ok", "firing"]
    assert [one.firing for one in manager.signals(now)] == [True]


def test_what_an_older_version_stamped_with_a_time_to_come_is_over_as_well(
    client: Client, manager: AlertManager
) -> None:
    repository, now = manager._repository, datetime.now(UTC)
    fire(repository, KEY, Priority.P0, "failed", run_id="1", now=now)
    table = get_settings().table("monitor", "alert_signal")
    client.query(f"UPDATE {table} SET signalled_at = TIMESTAMP_ADD(signalled_at, INTERVAL 8 HOUR) WHERE TRUE").result()
    for _ in range(2):
        end(repository, KEY, "succeeded", run_id="2", now=now)
    assert signals(client) == ["firing", "ok"]


def test_a_failure_that_is_known_adds_no_row_and_a_missed_deadline_does(
    client: Client, manager: AlertManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signals are listed free of charge as long as there are few. Of a deadline the newest run counts."""
    monkeypatch.setattr("drawsguard.alerts.signals.MANY", 1)
    for run in ("1", "2"):
        fire(manager._repository, KEY, Priority.P0, "failed", run_id=run, now=datetime.now(UTC))
    assert signals(client) == ["firing"]
    end(manager._repository, KEY, "succeeded", run_id="3", now=datetime.now(UTC))
    fire(manager._repository, KEY, Priority.P0, "failed", run_id="4", now=datetime.now(UTC))
    assert signals(client) == ["firing", "ok", "firing"]
    for run in ("1", "2"):
        fire(manager._repository, "sla:draw_sync", Priority.P0, "late", run_id=run, now=datetime.now(UTC))
    assert signals(client)[3:] == ["firing", "firing"]
    for detail in ("in use", f"in use {MAIL_SENT}"):  # the newest says that a mail was sent
        fire(manager._repository, "points:b", Priority.P1, detail, run_id="1", now=datetime.now(UTC))
    assert signals(client)[5:] == ["firing", "firing"]


def test_a_failure_beside_a_success_is_not_ended_by_it(client: Client, manager: AlertManager) -> None:
    """Of a mapped task one instance succeeds while another fails: the success ends what was heard before."""
    now, repository = datetime.now(UTC) - timedelta(minutes=5), manager._repository
    fire(repository, KEY, Priority.P0, "failed", run_id="1", now=now)

    def beside(_: str | None) -> bool:
        fire(repository, KEY, Priority.P0, "failed beside", run_id="2", now=now + timedelta(minutes=2))
        return True

    end(repository, KEY, "succeeded", run_id="2", now=now + timedelta(minutes=1), is_over=beside)
    assert signals(client) == ["firing", "firing"]
    end(repository, KEY, "succeeded", run_id="3", now=now + timedelta(minutes=3))
    assert signals(client) == ["firing", "firing", "ok"]


def test_a_signal_that_is_sent_again_stays_single(
    client: Client, manager: AlertManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of BigQuery was lost on its way."""
    monkeypatch.setattr(MonitoringRepository, "few_rows", lambda *_: None)
    for _ in range(2):
        fire(manager._repository, KEY, Priority.P0, "failed", run_id="1", now=END)
    assert signals(client) == ["firing"]


@pytest.mark.parametrize(
    ("task", "ends"),
    [
        (Task(), False),
        (Task(try_number=2), True),  # cleared after it failed, or retried
        (Task(failed=("manual__0",)), True),  # also a failure by hand is over with the next good run
        (Task(failed=("scheduled__1",)), False),  # a mapped instance beside this one has failed
    ],
)
def test_which_success_may_end_a_failure(task: Task, ends: bool) -> None:
    assert may_end_a_failure(task) is ends


def test_a_failure_that_cannot_be_reported_is_mailed_once_and_seen(
    monkeypatch: pytest.MonkeyPatch, mails: list[Any]
) -> None:
    def unreachable() -> Client:
        raise GoogleAPIError("BigQuery is out of reach")

    monkeypatch.setattr(task_signal, "warehouse_client", unreachable)
    for previous in ("success", "failed", "failed"):
        with pytest.raises(GoogleAPIError, match="out of reach"):
            report_failure(context(Task(previous=previous)))
    assert [mail["subject"] for mail in mails] == ["[drawsguard] [P0] 任务失败 Task failed: draw_sync.sync"]


# --- deadlines --------------------------------------------------------------------------------------------------------


def miss(run_id: str, dag_id: str = "draw_sync", delivered_by: str = "") -> Any:
    """Do what the triggerer does when a run has missed its deadline; return what Airflow keeps of it."""
    run = {
        "dag_id": dag_id, "dag_run_id": run_id, "state": "running",
        "data_interval_start": "2025-10-03T01:00:00Z", "data_interval_end": "2025-10-03T01:05:00Z",
    }  # fmt: skip
    deadline = {"id": "1", "deadline_time": END + timedelta(seconds=240)}
    notifier = SlaMissAlert(
        to="a@example.com",
        look_at=[],
        priority="P0",
        delivered_by=delivered_by,
        context={"dag_run": run, "deadline": deadline},
    )

    async def send() -> Any:
        return await notifier

    return asyncio.run(send())


def test_an_outage_is_one_mail_and_one_alert_in_chat_and_its_end_is_told_to_both(
    manager: AlertManager, sinks: Any, mails: list[Any]
) -> None:
    miss("scheduled__1")
    rounds(manager, 2)
    assert ["SLA missed: draw_sync" in mail["subject"] for mail in mails] == [True]
    (title,) = sinks["chat"]()
    assert title == "[P0] 超过期限：draw_sync，立即处理 · Deadline missed: draw_sync, act now"
    assert sinks["draws"]() == []
    alert = manager.board(datetime.now(UTC)).open_alert("sla:draw_sync")
    assert alert is not None
    assert "A mail was sent" in alert.detail

    by_hand = context(Task(task_id="verify", run_id="manual__3"))
    by_hand["dag_run"].run_type = "manual"
    report_delivery(by_hand)
    rounds(manager, 4)
    assert manager.board(datetime.now(UTC)).open_alert("sla:draw_sync"), "a run by hand has no deadline to keep"
    report_delivery(context(Task(task_id="verify", run_id="scheduled__3")))
    rounds(manager, 4)
    assert len(sinks["chat"]()) == 2
    (ended,) = sinks["draws"]()
    assert ended.startswith("[恢复 recovered]"), "those who got the mail learn that it is over"
    miss("scheduled__9")
    assert len(mails) == 2, "the next outage is another one"


def test_a_run_whose_data_are_there_has_missed_nothing(
    client: Client, manager: AlertManager, sinks: Any, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def count(**of: Any) -> int:
        asked.append(of)
        return 1 if of["run_ids"] == ["scheduled__delivered"] else 0

    monkeypatch.setattr(RuntimeTaskInstance, "get_ti_count", staticmethod(count))
    miss("scheduled__delivered", delivered_by="verify")
    rounds(manager, 1)
    assert (mails, sinks["chat"]()) == ([], [])
    assert asked == [
        {"dag_id": "draw_sync", "task_ids": ["verify"], "run_ids": ["scheduled__delivered"], "states": ["success"]}
    ]
    miss("scheduled__late", delivered_by="verify")
    assert len(mails) == 1
    truncate(client, ("monitor", "alert_signal"))

    def refuse(**_: Any) -> int:
        raise ConnectionError("the API server is away")

    monkeypatch.setattr(RuntimeTaskInstance, "get_ti_count", staticmethod(refuse))
    miss("scheduled__delivered", delivered_by="verify")
    assert len(mails) == 2, "what cannot be asked is no yes"


def states(monkeypatch: pytest.MonkeyPatch, *of_run: str) -> None:
    """Let Airflow answer with these states of a run, one after the other, the last one for ever."""
    left = list(of_run)
    answer = staticmethod(lambda *_: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(RuntimeTaskInstance, "get_dagrun_state", answer)


@pytest.mark.parametrize("delivered_by", ["", "verify"])
def test_a_run_that_has_succeeded_since_its_deadline_is_told_to_nobody(
    client: Client, manager: AlertManager, mails: list[Any], monkeypatch: pytest.MonkeyPatch, delivered_by: str
) -> None:
    """The triggerer was down when the deadline passed, or a person set the run to success."""
    states(monkeypatch, "success")
    monkeypatch.setattr(RuntimeTaskInstance, "get_ti_count", staticmethod(lambda **_: 0))
    assert NOT_TOLD in miss("scheduled__1", delivered_by=delivered_by)
    assert (mails, signals(client)) == ([], [])


def test_the_mail_says_the_state_that_the_run_has_now(
    manager: AlertManager, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    states(monkeypatch, "as it is by now")
    assert NOT_TOLD not in miss("scheduled__1")
    (mail,) = mails
    assert "as it is by now" in mail["html_content"]


def test_data_that_arrive_while_a_miss_is_told_end_its_alert(
    client: Client, manager: AlertManager, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery came before the signal, and found nothing to end."""
    states(monkeypatch, "running")
    answers = [0, 1]
    monkeypatch.setattr(RuntimeTaskInstance, "get_ti_count", staticmethod(lambda **_: answers.pop(0)))
    miss(scheduled(END), delivered_by="verify")
    assert (len(mails), answers) == (1, [])
    assert signals(client) == ["firing", "ok"]

    truncate(client, ("monitor", "alert_signal"))
    states(monkeypatch, "running", "running", "success")
    miss(scheduled(END))
    assert signals(client) == ["firing", "ok"]


def scheduled(interval_end: datetime) -> str:
    """Return the id that Airflow gives to the scheduled run of an interval."""
    return f"scheduled__{interval_end.isoformat()}"


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(("minutes", "ends"), [(-5, False), (0, True), (5, True)])
def test_only_the_interval_of_the_miss_or_a_later_one_ends_it(
    client: Client, manager: AlertManager, monkeypatch: pytest.MonkeyPatch,
    minutes: int, ends: bool, listed: bool,
) -> None:  # fmt: skip
    """An old run that somebody clears delivers nothing of what is late."""
    fire(manager._repository, "sla:draw_sync", Priority.P0, "late", run_id=scheduled(END), now=datetime.now(UTC))
    if not listed:
        monkeypatch.setattr(MonitoringRepository, "few_rows", lambda *_: None)
    end = END + timedelta(minutes=minutes)
    of = context(Task(task_id="verify", run_id=scheduled(end)))
    of["dag_run"].run_after = end
    report_delivery(of)
    assert signals(client) == (["firing", "ok"] if ends else ["firing"])


@pytest.mark.parametrize(
    ("run_id", "interval_end"),
    [
        (scheduled(END), END),
        ("scheduled__1", None),
        ("scheduled__2025-10-03T01:05:00", None),
        ("manual__2025-10-03T01:05:00+00:00", None),
    ],
)
def test_the_interval_of_a_miss_is_read_off_its_run(run_id: str, interval_end: datetime | None) -> None:
    assert interval_end_of(run_id) == interval_end


@pytest.mark.parametrize(
    ("run_type", "hours", "conf", "ends"),
    [
        ("asset_triggered", 1, {}, True),
        ("asset_triggered", -1, {}, True),  # before it was due
        ("asset_triggered", -24, {}, False),
        ("manual", 1, {}, True),
        ("manual", 1, {"run_date": "2025-10-03"}, True),
        ("manual", 1, {"run_date": "2025-10-01"}, False),
        ("backfill", 1, {}, False),
        ("scheduled", 24, {}, True),
        ("scheduled", -24, {}, False),
    ],
)
def test_a_run_that_delivers_the_day_ends_its_miss(
    client: Client, manager: AlertManager, run_type: str, hours: int, conf: dict[str, str], ends: bool
) -> None:
    fire(manager._repository, "sla:points_push", Priority.P1, "late", run_id=scheduled(END), now=datetime.now(UTC))
    of = context(Task("points_push", "pushed", run_id=f"{run_type}__1"))
    run = of["dag_run"]
    run.run_type, run.conf, run.run_after = run_type, conf, END + timedelta(hours=hours)
    run.data_interval_end = END if run_type == "manual" else None  # as Airflow has it
    report_delivery(of)
    assert signals(client) == (["firing", "ok"] if ends else ["firing"])


def test_a_run_that_a_backfill_plays_again_ends_its_miss(client: Client, manager: AlertManager) -> None:
    """Airflow keeps its id, and changes its type."""
    fire(manager._repository, "sla:points_push", Priority.P1, "late", run_id=scheduled(END), now=datetime.now(UTC))
    of = context(Task("points_push", "pushed", run_id=scheduled(END)))
    of["dag_run"].run_type = "backfill"
    report_delivery(of)
    assert signals(client) == ["firing", "ok"]


def test_a_miss_is_told_although_the_end_of_the_one_before_was_not_reported(
    client: Client, manager: AlertManager, mails: list[Any]
) -> None:
    """A person set its run to success, or the warehouse was away."""
    fire(manager._repository, "sla:draw_sync", Priority.P0, "late", run_id="scheduled__1", now=datetime.now(UTC))
    assert miss("scheduled__2") == "told"
    assert len(mails) == 1
    assert signals(client) == ["firing", "firing"]


@pytest.mark.parametrize("failed", [(), ("scheduled__1",)])
def test_a_delivery_in_time_ends_the_miss_of_a_run_that_airflow_forgot(
    client: Client, manager: AlertManager, monkeypatch: pytest.MonkeyPatch, failed: tuple[str, ...]
) -> None:
    fire(manager._repository, "sla:draw_sync", Priority.P0, "late", run_id="r", now=datetime.now(UTC))
    of = context(Task(task_id="verify", run_id="scheduled__2", failed=failed))
    of["dag_run"].run_after = datetime.now(UTC) - timedelta(seconds=20)
    report_delivery(of)
    assert signals(client) == ["firing", "ok"]
    asked = statements(monkeypatch)
    report_delivery(of)
    assert asked == [], "that nothing is late is known without a query"


@pytest.mark.parametrize(
    ("ended_ago", "failed", "ends"),
    [
        (timedelta(seconds=20), (), False),  # a run in time after runs in time
        (timedelta(seconds=300), (), True),  # the late run itself
        (timedelta(seconds=20), ("scheduled__1",), True),  # the first run after one that delivered nothing
    ],
)
def test_a_delivery_ends_the_miss_and_asks_the_warehouse_only_when_it_may(
    client: Client,
    manager: AlertManager,
    monkeypatch: pytest.MonkeyPatch,
    ended_ago: timedelta,
    failed: Any,
    ends: bool,
) -> None:
    monkeypatch.setattr(MonitoringRepository, "few_rows", lambda *_: None)  # too many signals to list
    fire(manager._repository, "sla:draw_sync", Priority.P0, "late", run_id="r", now=datetime.now(UTC))
    task = Task(task_id="verify", run_id="scheduled__2")
    monkeypatch.setattr(task, "get_ti_count", lambda **of: len(failed) if "failed" in of["states"] else 0)
    asked = context(task)
    asked["dag_run"].run_after = datetime.now(UTC) - ended_ago
    report_delivery(asked)
    assert signals(client) == (["firing", "ok"] if ends else ["firing"])


def test_a_miss_of_a_failed_task_is_not_told_twice(manager: AlertManager, sinks: Any, mails: list[Any]) -> None:
    report_failure(context(Task()))
    miss("scheduled__1")
    rounds(manager, 2)
    assert sinks["chat"]() == [TITLE]
    assert manager.board(datetime.now(UTC)).open_alert("sla:draw_sync"), "it is kept, and in the digest"


def test_a_miss_whose_mail_fails_is_an_alert_that_says_so(
    manager: AlertManager, sinks: Any, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_self: SmtpHook, **_mail: Any) -> None:
        raise ConnectionRefusedError("no mail today")

    monkeypatch.setattr(SmtpHook, "asend_email_smtp", refuse)
    with pytest.raises(ConnectionRefusedError):
        miss("scheduled__1")
    rounds(manager, 1)
    alert = manager.board(datetime.now(UTC)).open_alert("sla:draw_sync")
    assert alert is not None
    assert "The mail could not be sent" in alert.detail
    assert len(sinks["chat"]()) == 1
    assert sinks["draws"]() == sinks["chat"](), "who reads mail only has not heard of it"


def test_a_miss_whose_mail_fails_counts_as_told_only_when_a_channel_took_it(
    manager: AlertManager, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_self: SmtpHook, **_mail: Any) -> None:
        raise ConnectionRefusedError("no mail today")

    monkeypatch.setattr(SmtpHook, "asend_email_smtp", refuse)
    config = [{"path": "json://127.0.0.1:9/", "tag": "mail,team:draws"}]
    monkeypatch.setenv(
        "AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps({"conn_type": "apprise", "extra": {"config": config}})
    )
    with pytest.raises(ConnectionRefusedError):
        miss("scheduled__1")
    rounds(manager, 1)
    (why,) = manager.undelivered
    assert why.startswith("sla:draw_sync: json://127.0.0.1:9/")


def test_a_miss_is_mailed_although_the_warehouse_is_out_of_reach(
    mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable() -> Client:
        raise GoogleAPIError("BigQuery is out of reach")

    monkeypatch.setattr("notifiers.sla_signal.warehouse_client", unreachable)
    with pytest.raises(GoogleAPIError) as refused:
        miss("scheduled__1")
    assert NOT_TOLD not in str(refused.value)
    assert len(mails) == 1

    async def refuse(_self: SmtpHook, **_mail: Any) -> None:
        raise ConnectionRefusedError("no mail today")

    monkeypatch.setattr(SmtpHook, "asend_email_smtp", refuse)
    with pytest.raises(NotToldError, match=NOT_TOLD):
        miss("scheduled__1")


# --- channels ---------------------------------------------------------------------------------------------------------


def test_without_a_chat_what_was_mailed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    config = [{"path": "json://127.0.0.1:9/", "tag": "mail,team:draws"}]
    extra = {"conn_type": "apprise", "extra": {"config": config}}
    monkeypatch.setenv("AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps(extra))
    hook = AlertDeliveryHook("apprise_default")
    taken, problems = hook.send(Text("t", "b", Priority.P0, "draws", chat_only=True))
    assert taken
    assert problems == []
    assert hook.send(Text("t", "b", Priority.P0, "points", chat_only=True)) == ([], []), (
        "nobody was notified: not delivered"
    )


def test_a_flood_is_one_message_for_each_audience(manager: AlertManager, sinks: Any) -> None:
    for n in range(6):
        report_failure(context(Task("points_push", f"t{n}"), tags=("tier:0",)))
        report_failure(context(Task("draw_sync", f"t{n}")))
    rounds(manager, 1)
    assert [len(sinks[name]()) for name in ("chat", "draws", "points")] == [2, 1, 1]
    assert all("6 条告警" in title for title in sinks["draws"]() + sinks["points"]())
