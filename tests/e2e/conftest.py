"""One whole stack with a running Airflow for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.airflow_api import AirflowApi
from local.demo.__main__ import play
from local.demo.context import DemoContext
from local.prepare import prepare
from local.services import SERVICES

#: What tests run by hand, of the DAGs whose schedules the main job starts.
TRIGGERED = ("draw_sync", "oidc_repair")


@pytest.fixture(scope="package")
def airflow_stack(make_stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A whole stack, apart from the services of other tests, whose data its DAGs would meet."""
    state: Path = tmp_path_factory.mktemp("e2e")
    embedded = make_stack(state)
    try:
        embedded.require(*[service.name for service in SERVICES])
        prepare(AirflowApi.of(embedded.config))
        yield embedded
    finally:
        embedded.down()
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="package")
def main_job(airflow_stack: Any) -> Iterator[Future]:
    """The main job while it is played beside the tests that need none of it: it mostly waits for five-minute marks."""
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        yield pool.submit(_play, DemoContext(airflow_stack.config))
    finally:
        pool.shutdown(wait=False)


def _play(context: DemoContext) -> dict[str, dict[str, Any]]:
    """Play the main job, and end the schedules that it started: each of their tasks is seconds of processor time."""
    figures = play(context, names=())
    api = context.api("admin")
    for dag_id, dag in api.dags().items():
        if "points" not in {tag["name"] for tag in dag["tags"]} and dag_id not in TRIGGERED:
            api.pause(dag_id, paused=True)
    return figures


@pytest.fixture(scope="package")
def airflow(airflow_stack: Any, main_job: Future) -> AirflowApi:
    """The running Airflow of ``airflow_stack``, signed in as admin."""
    return AirflowApi.of(airflow_stack.config)
