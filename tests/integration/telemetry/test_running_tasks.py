"""Tasks that Airflow runs send their metrics, their trace, and what they read and wrote; here those of `draw_sync`.

`dag.test()` runs them in a process of its own, with the task runner, the listeners and the settings of the stack. What
a scheduler sends of itself is seen in tests/e2e/test_dead_mans_switch.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from drawsguard.settings import REPOSITORY, get_settings
from local.config import Config
from local.telemetry.server import make_server
from tests.integration.draws_warehouse import draws_warehouse

pytestmark = pytest.mark.integration

RUN = """
from airflow.dag_processing.dagbag import DagBag
dag = DagBag("dags/draws/draw_sync.py").dags["draw_sync"]
dag.deadline = None  # dag.test() cannot read the rows that it makes of deadlines
run = dag.test(run_conf={"from": "2025-10-03T09:00:00+08:00", "to": "2025-10-03T10:00:00+08:00"})
raise SystemExit(run.state != "success")
"""


@pytest.fixture(scope="module")
def place(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Callable[[str], list[Any]]]]:
    """Run `draw_sync` once; return the table prefix of its warehouse, and what arrived of a kind at the receiver."""
    folder: Path = tmp_path_factory.mktemp("telemetry")
    server = make_server("127.0.0.1", 0, folder / "received")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told = Config(folder, 0, {"TELEMETRY": "1", "TELEMETRY_PORT": str(server.server_port)})._telemetry()
    with draws_warehouse(stack):
        own = {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
            # An event is sent by a process of its own, which a slow machine would not give time enough.
            "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "120",
        }
        for command in (["-m", "airflow", "db", "migrate"], ["-c", RUN]):
            done = subprocess.run(
                [sys.executable, *command], cwd=REPOSITORY, env=os.environ | told | own,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-4000:]
        address = f"http://127.0.0.1:{server.server_port}"
        yield get_settings().project, lambda kind: requests.get(f"{address}/{kind}", timeout=10).json()
    server.shutdown()
    server.server_close()


def test_a_sync_says_what_it_read_and_wrote(place: Any) -> None:
    project, arrived = place
    settings = get_settings()
    (ended,) = [one for one in arrived("lineage") if (one["job"], one["event"]) == ("draw_sync.sync", "COMPLETE")]
    assert ended["inputs"] == [f"bigquery/{project}.{settings.source_dataset}.draws"]
    assert ended["outputs"] == [f"bigquery/{project}.{settings.target_dataset}.draws"]


def test_a_run_is_one_trace_with_its_tasks(place: Any) -> None:
    _, arrived = place
    spans = arrived("traces")
    (run,) = {span["trace"] for span in spans if span["name"] == "dag_run.draw_sync"}
    assert {"task_run.sync", "task_run.verify"} <= {span["name"] for span in spans if span["trace"] == run}


def test_metrics_of_the_tasks_arrive(place: Any) -> None:
    _, arrived = place
    finished = [one["labels"] for one in arrived("metrics") if one["name"].startswith("airflow.ti.finish")]
    assert finished
