"""One whole stack with a running Airflow for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.airflow_api import AirflowApi
from local.prepare import prepare
from local.services import SERVICES


@pytest.fixture(scope="package")
def airflow_stack(make_stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A whole stack, apart from the services of other tests, whose data its DAGs would meet."""
    state: Path = tmp_path_factory.mktemp("e2e")
    embedded = make_stack(state, first_port=35000)
    try:
        embedded.require(*[service.name for service in SERVICES])
        prepare(AirflowApi.of(embedded.config))
        yield embedded
    finally:
        embedded.stack.down()
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="package")
def airflow(airflow_stack: Any) -> AirflowApi:
    """The running Airflow of ``airflow_stack``, signed in as admin."""
    return AirflowApi.of(airflow_stack.config)
