"""Shared fixtures: the embedded services, started on demand on private ports, and a warehouse of one's own."""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
TEST_STATE = REPOSITORY / ".local" / "test" / str(os.getpid())

# Airflow reads these when it is first imported: they must be set before any test module is.
os.environ["AIRFLOW_HOME"] = str(TEST_STATE / "airflow")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT"] = "120"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(REPOSITORY / "plugins")
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{TEST_STATE}/airflow/airflow.db"


#: Tests side by side look for free ports in ranges of their own.
PORT_RANGE = 6000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

#: Fresh draws every 15 s, and a deadline that a test can wait for.
STACK_ENVIRONMENT = {"FEED_LIVE_INTERVAL": "15", "DRAWSGUARD_SYNC_DEADLINE_SECONDS": "30"}


def _free_port_base(first: int) -> int:
    """Return a base, ``first`` or above, from which all ports of a stack (offsets 0–120) are free at this moment."""
    from local.config import PORT_OFFSETS

    for base in range(first + PORT_RANGE, first + PORT_RANGE + 6000, 150):
        try:
            for offset in PORT_OFFSETS.values():
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + offset))
        except OSError:
            continue
        return base
    raise RuntimeError(f"no 150 free ports in a row from {first} on: end other stacks first")


def pytest_xdist_make_scheduler(config, log):
    """Keep each file's tests on one worker, and those of tests/e2e together: they share one running Airflow."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/e2e" if nodeid.startswith("tests/e2e/") else str(super()._split_scope(nodeid))

    return ByFile(config, log)


class EmbeddedStack:
    """The services that tests asked for, on private ports and in a folder that goes away afterwards."""

    def __init__(self, state: Path, first_port: int) -> None:
        from local.config import Config
        from local.stack import Stack

        # The services get the environment as it is, without what another stack or Airflow's modules added to it.
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW_") and not name.endswith("_EMULATOR_HOST")
        }
        self.config = Config(state, _free_port_base(first_port), environ | STACK_ENVIRONMENT)
        self.stack = Stack(self.config)
        self.stack.ensure_supervisor()

    def export(self) -> EmbeddedStack:
        """Let this process's hooks reach these services."""
        for name, value in self.config.airflow_environment().items():
            if name.startswith("AIRFLOW_CONN_") or name.endswith("_EMULATOR_HOST"):
                os.environ[name] = value
        return self

    def require(self, *services: str) -> EmbeddedStack:
        """Start the services (once) and wait until they are ready."""
        self.stack.up(services)
        return self

    def restart(self, service: str) -> None:
        """Stop a service abruptly (SIGKILL) and start it again, as a crash would."""
        self.stack.kill(service)
        self.stack.up([service])


@pytest.fixture(scope="session")
def stack() -> Iterator[EmbeddedStack]:
    """The embedded services; ``stack.require("bigquery", …)`` starts what a test needs."""
    embedded = EmbeddedStack(TEST_STATE, first_port=22000).export()
    yield embedded
    embedded.stack.down()
    shutil.rmtree(TEST_STATE, ignore_errors=True)


@pytest.fixture(scope="session")
def make_stack() -> type[EmbeddedStack]:
    """How another stack is made, apart from the services that tests share."""
    return EmbeddedStack


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Settings with datasets of their own, so that tests do not meet in one warehouse."""
    from drawsguard.settings import get_settings

    suffix = uuid.uuid4().hex[:8]
    for dataset in ("source", "target", "monitor"):
        monkeypatch.setenv(f"DRAWSGUARD_{dataset.upper()}_DATASET", f"{dataset}_{suffix}")
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()
