"""The external watcher of the embedded stack: healthchecks.io's ping protocol, its states, and whom it tells."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from drawsguard.preflight import watcher as preflight
from drawsguard.preflight.model import Status
from hooks.heartbeat_hook import HeartbeatError, HeartbeatHook
from hooks.preflight_connections import PreflightConnections
from local.watcher.check import Check
from local.watcher.server import Watcher, make_server
from operators.operations.heartbeat_operator import HeartbeatOperator

NOW = datetime(2025, 10, 3, 10, 0, tzinfo=UTC)
PERIOD, GRACE = timedelta(seconds=60), timedelta(seconds=120)
SECOND = timedelta(seconds=1)
NEW = Check(PERIOD, GRACE)


# --- states -----------------------------------------------------------------------------------------------------------
def test_a_check_is_up_then_late_then_down_and_up_again() -> None:
    assert NEW.status(NOW + timedelta(days=9)) == "new", "nobody is told before the first ping"
    check = NEW.after("success", NOW)
    moments = (NOW, NOW + PERIOD - SECOND, NOW + PERIOD, NOW + PERIOD + GRACE - SECOND, NOW + PERIOD + GRACE)
    assert [check.status(moment) for moment in moments] == ["up", "up", "grace", "grace", "down"]
    back = NOW + timedelta(hours=1)
    assert check.after("success", back).status(back) == "up"


def test_a_start_that_no_success_follows_is_down_after_the_grace_time() -> None:
    begun = NEW.after("success", NOW).after("start", NOW + 5 * SECOND)
    assert begun.status(NOW + 4 * SECOND + GRACE) == "grace"
    assert begun.status(NOW + 5 * SECOND + GRACE) == "down"
    again = begun.after("start", NOW + PERIOD)
    assert again.status(NOW + 5 * SECOND + GRACE) == "down", "another start is no success"
    assert begun.after("success", NOW + 8 * SECOND).status(NOW + 8 * SECOND + PERIOD) == "grace"


def test_a_failure_is_down_at_once_and_a_log_is_nothing() -> None:
    check = NEW.after("success", NOW)
    assert check.after("fail", NOW + SECOND).status(NOW + SECOND) == "down"
    assert check.after("log", NOW + PERIOD).status(NOW + PERIOD + GRACE) == "down"


#: A check that no watcher has; the same in every process, since it names tests.
UNKNOWN = "00000000-0000-4000-8000-000000000000"


# --- the protocol -----------------------------------------------------------------------------------------------------
class Watched:
    """A running watcher, what it told, and its address."""

    def __init__(self, folder: Path, period: timedelta = PERIOD, grace: timedelta = GRACE) -> None:
        self.check, self.told = str(uuid4()), list[str]()
        self.watcher = Watcher(Check(period, grace), folder, lambda subject, _text: self.told.append(subject))
        self.server = make_server("127.0.0.1", 0, self.check, self.watcher)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def ask(self, path: str, method: str = "GET") -> requests.Response:
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=5)

    @property
    def shown(self) -> dict[str, Any]:
        (one,) = self.ask("/api/v3/checks/").json()["checks"]
        return dict(one)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    one = Watched(tmp_path)
    yield one
    one.server.shutdown()


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_pings_by_every_method_are_taken(watched: Watched, method: str) -> None:
    for number, signal in enumerate(("", "/start", "/fail", "/log", "/0", "/1", "?rid=1"), 1):
        answer = watched.ask(f"/{watched.check}{signal}", method)
        assert (answer.status_code, answer.text) == (200, "" if method == "HEAD" else "OK"), signal
        assert watched.shown["n_pings"] == number


@pytest.mark.parametrize(
    "path", ["/", "/nonsense", "/{check}/nonsense", "/{check}/256", "/{check}/start/x", "/{other}"]
)
def test_what_is_no_ping_is_not_found_and_counts_for_nothing(watched: Watched, path: str) -> None:
    assert watched.ask(path.format(check=watched.check, other=uuid4())).status_code == 404
    assert watched.shown["status"] == "new"


def test_people_are_told_once_when_it_goes_down_and_once_when_it_is_back(tmp_path: Path) -> None:
    watched = Watched(tmp_path, period=timedelta(0), grace=timedelta(milliseconds=1))
    watched.ask(f"/{watched.check}")
    time.sleep(0.05)  # well over its millisecond of grace
    for _ in range(50):
        watched.watcher.look()
    assert [subject[:4] for subject in watched.told] == ["DOWN"]
    watched.ask(f"/{watched.check}")
    told = [subject.split(" ")[0] for subject in watched.told]
    assert told in (["DOWN", "UP"], ["DOWN"]), "it may be late again within the same millisecond"
    flips = watched.ask(f"/api/v3/checks/{watched.check}/flips/").json()["flips"]
    assert [flip["up"] for flip in flips][-1] in (0, 1)
    watched.server.shutdown()


# --- who pings --------------------------------------------------------------------------------------------------------
def connect(monkeypatch: pytest.MonkeyPatch, port: int, password: str, host: str = "127.0.0.1") -> None:
    connection = {"conn_type": "http", "host": host, "port": port, "schema": "http", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_HEARTBEAT_DEFAULT", json.dumps(connection))


def test_the_sign_of_life_goes_out_only_after_the_way_through_the_triggerer(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, watched.port, watched.check)
    operator = HeartbeatOperator(task_id="beat", heartbeat_conn_id="heartbeat_default")
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    assert (watched.shown["status"], watched.shown["started"]) == ("new", True)
    assert isinstance(deferred.value.trigger, TimeDeltaTrigger)
    assert deferred.value.timeout is not None
    getattr(operator, deferred.value.method_name)({})
    assert (watched.shown["status"], watched.shown["started"]) == ("up", False)


def test_without_a_connection_it_is_off_and_preflight_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_HEARTBEAT_DEFAULT", raising=False)
    with pytest.raises(AirflowSkipException, match="nobody outside watches"):
        HeartbeatOperator(task_id="beat", heartbeat_conn_id="nowhere").execute({})
    monkeypatch.setenv("DRAWSGUARD_HEARTBEAT_CONN_ID", "nowhere")
    from drawsguard.settings import Settings

    (finding,) = preflight.takes_pings(PreflightConnections(settings=Settings()))
    assert finding.status is Status.WARN
    assert "nowhere" in finding.found


def test_preflight_pings_and_gives_no_sign_of_life(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, watched.port, watched.check)
    (finding,) = preflight.takes_pings(PreflightConnections())
    assert finding.status is Status.PASS
    assert (watched.shown["status"], watched.shown["n_pings"]) == ("new", 1)


@pytest.mark.parametrize(
    ("password", "port", "error"),
    [
        ("not-a-uuid", None, "is not the UUID of a check"),
        (UNKNOWN, None, "answered 404 'not found', not OK"),
        (UNKNOWN, 1, r"cannot be reached \(ConnectionError\)"),
    ],
)
def test_what_is_wrong_is_named_and_the_secret_is_not(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, password: str, port: int | None, error: str
) -> None:
    connect(monkeypatch, port or watched.port, password)
    with pytest.raises(HeartbeatError, match=error) as raised:
        HeartbeatHook("heartbeat_default").success()
    assert password not in str(raised.value)
    assert raised.value.__cause__ is None or password not in str(raised.value.__cause__)


def test_a_path_of_the_address_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    check = str(uuid4())
    connection = {"conn_type": "http", "host": "https://checks.example.com/ping/", "password": check}
    monkeypatch.setenv("AIRFLOW_CONN_HEARTBEAT_DEFAULT", json.dumps(connection))
    assert HeartbeatHook("heartbeat_default")._address == f"https://checks.example.com/ping/{check}"
