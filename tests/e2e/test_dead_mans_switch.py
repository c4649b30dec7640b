"""The dead man's switch: the scheduler is killed, then the triggerer, and somebody outside is told.

Its Airflow runs one small DAG only, so it is also the one that sends telemetry: that costs this stack next to nothing.
"""

from __future__ import annotations

import mailbox
import shutil
from collections.abc import Iterator
from email.header import decode_header, make_header
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from local.airflow_api import AirflowApi, wait_for
from local.services import AIRFLOW_PROCESSES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

#: The DAG pings every minute. On a busy machine a task may take most of another.
WATCHER = {"WATCHER_PERIOD": "70", "WATCHER_GRACE": "40", "TELEMETRY": "1"}


@pytest.fixture(scope="module")
def stack_with_watcher(make_stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An Airflow of its own, whose processes the tests may kill."""
    state: Path = tmp_path_factory.mktemp("switch")
    embedded = make_stack(state, WATCHER)
    try:
        yield embedded.require("smtp", "watcher", "telemetry", *AIRFLOW_PROCESSES)
    finally:
        embedded.down()
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def beating(stack_with_watcher: Any) -> Any:
    """The same, when the first sign of life has arrived."""
    api = AirflowApi.of(stack_with_watcher.config)
    wait_for("the DAG to be parsed", lambda: "heartbeat" in api.dags(), timeout=240)
    api.pause("heartbeat", paused=False)
    wait_for("the first ping", lambda: status(stack_with_watcher) == "up", timeout=240, pause=2)
    return stack_with_watcher


def status(embedded: Any) -> str:
    (check,) = requests.get(f"{address(embedded)}/api/v3/checks/", timeout=10).json()["checks"]
    return str(check["status"])


def address(embedded: Any) -> str:
    return str(embedded.config.url("watcher", "WATCHER_PORT"))


def told(embedded: Any) -> list[str]:
    """What people were mailed by the watcher."""
    mails = mailbox.Maildir(embedded.config.directory("smtp") / "maildir")
    subjects = [str(make_header(decode_header(mail["Subject"]))) for mail in mails]
    return sorted(subject for subject in subjects if subject.startswith(("DOWN", "UP")))


def is_calm(embedded: Any) -> bool:
    """Whether Airflow beats in time, and each outage that people were told of ended with a mail."""
    subjects = told(embedded)
    downs = [subject for subject in subjects if subject.startswith("DOWN")]
    return status(embedded) in ("up", "grace") and 2 * len(downs) == len(subjects)


def test_metrics_traces_and_lineage_of_a_running_airflow_arrive(beating: Any) -> None:
    def arrived(kind: str) -> list[dict[str, Any]]:
        receiver = beating.config.url("telemetry", "TELEMETRY_PORT")
        return list(requests.get(f"{receiver}/{kind}", timeout=30).json())

    def ended() -> bool:
        return ("heartbeat", "COMPLETE") in {(one["job"], one["event"]) for one in arrived("lineage")}

    def sent(kind: str, prefix: str) -> bool:
        return any(str(entry["name"]).startswith(prefix) for entry in arrived(kind))

    wait_for("the end of the run to arrive", ended, timeout=120, pause=1)
    # Each process sends its own when it sees fit: the scheduler, the DAG processor, and a task's at its end.
    for kind, prefix in (
        ("traces", "dag_run.heartbeat"),
        ("traces", "task_run."),
        ("metrics", "airflow.scheduler_heartbeat"),
        ("metrics", "airflow.dag_processing.processes"),
    ):
        assert wait_for(f"{prefix} of the {kind}", partial(sent, kind, prefix), timeout=120, pause=1)


@pytest.mark.parametrize("process", ["airflow-scheduler", "airflow-triggerer"])
def test_a_killed_process_is_told_outside_and_so_is_its_return(beating: Any, process: str) -> None:
    wait_for("a beat in time, with every mail about it", lambda: is_calm(beating), timeout=240)
    before = told(beating)
    beating.stack.kill(process)
    wait_for("the watcher to go down", lambda: status(beating) == "down", timeout=240, pause=1)
    wait_for("the mail", lambda: len(told(beating)) == len(before) + 1, timeout=30, pause=1)
    beating.stack.up([process])
    wait_for("the next ping", lambda: status(beating) == "up", timeout=400, pause=2)
    wait_for("the mail of its return", lambda: is_calm(beating), timeout=30)
    new = told(beating)
    assert len([subject for subject in new if subject.startswith("DOWN")]) == len(before) // 2 + 1
    assert len([subject for subject in new if subject.startswith("UP")]) == len(before) // 2 + 1
