"""Shared fixtures: the embedded services, started on demand on private ports, and a warehouse of one's own.

Everything that a test process writes is below two folders of its own, one for temporary files; both go away at its end.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.given_mysql import GivenMysql

REPOSITORY = Path(__file__).resolve().parents[1]
TEST_STATE = REPOSITORY / ".local" / "test" / str(os.getpid())

# Before anything else asks for a temporary folder: this process, and what it starts. Not below the checkout, since
# sockets are made in it and their paths must be short.
TEMPORARY = tempfile.mkdtemp(prefix="drawsguard-")
os.environ["TMPDIR"] = tempfile.tempdir = TEMPORARY
# Where a test that is not about artifacts leaves them; the demo of the same checkout has another folder.
os.environ["DRAWSGUARD_ARTIFACTS_ADDRESS"] = str(TEST_STATE / "artifacts")

# Without its bytecode Airflow is compiled again by each of the hundreds of processes that a run starts, for seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Airflow reads these when it is first imported: they must be set before any test module is.
os.environ["AIRFLOW_HOME"] = str(TEST_STATE / "airflow")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT"] = "120"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(REPOSITORY / "plugins")
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{TEST_STATE}/airflow/airflow.db"


# How long an example takes depends on what else the machine does; what it finds does not.
settings.register_profile("drawsguard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("drawsguard")


def pytest_configure(config: pytest.Config) -> None:
    """Have a full run fail with the names of the statements that it did not execute."""
    # A run that is ended from outside ends as by Ctrl-C: its services and folders go with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from tests.executed_statements import ExecutedStatements
    from tests.given_mysql import Address, GivenMysqlError

    try:
        address = Address.from_environment(os.environ)
    except GivenMysqlError as error:
        raise pytest.UsageError(str(error)) from error
    if address and "PYTEST_XDIST_WORKER" in os.environ:
        raise pytest.UsageError("ENGINE=mysql: all tests share one server, so they run in one process (no -n).")
    config.pluginmanager.register(ExecutedStatements(), "executed-statements")


def pytest_unconfigure() -> None:
    """Leave nothing of this process, whichever fixtures it used."""
    for folder in (TEST_STATE, TEMPORARY):
        shutil.rmtree(folder, ignore_errors=True)


STACK_ENVIRONMENT = {
    # Fresh draws every 15 s, and a deadline that a test can wait for.
    "FEED_LIVE_INTERVAL": "15",
    "DRAWSGUARD_SYNC_DEADLINE_SECONDS": "30",
    # Spark lives for minutes here, on few rows: quick compilation beats good code, and none at all beats both; one
    # thread collects garbage as well as many, and the jars' bytecode is known to be good. Its counters would go to the
    # system's /tmp.
    "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -Dspark.sql.codegen.wholeStage=false"
    " -Dspark.sql.codegen.factoryMode=NO_CODEGEN -XX:+UseSerialGC"
    " -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote -XX:-UsePerfData",
}


#: Ports of the stacks of tests: above those of `make up`, `make demo` and `make bench`, and below those that the system
#: gives to connections, any of which can be in use when a service starts later.
PORTS = range(20000, 32600, 150)
#: Offset of a port that no service has. Bound, it keeps a stack's ports this process's own until the process ends.
PORT_OF_THE_STACK = 149

#: What keeps them: another process that looks for ports at the same time goes on to the next.
_KEPT: list[socket.socket] = []


def free_port_base() -> int:
    """Reserve a base from which all ports of a stack (offsets 0–120) are free at this moment."""
    from local.config import PORT_OFFSETS

    for base in PORTS:
        taken = socket.socket()
        try:
            taken.bind(("127.0.0.1", base + PORT_OF_THE_STACK))
            for offset in PORT_OFFSETS.values():
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + offset))
        except OSError:
            taken.close()
            continue
        _KEPT.append(taken)
        return base
    raise RuntimeError(f"no 150 free ports in a row from {PORTS.start} to {PORTS.stop}: end other stacks first")


#: What runs on one worker: one running Airflow (one file has its own), one JVM with Hive, one with Spark, and
#: what records the statements that the code sends.
LONGEST = ("tests/integration/points/telemetry/", "tests/integration/preflight/")
TOGETHER = (
    ("tests/e2e/test_auth_managers.py",),
    ("tests/e2e/",),
    ("tests/sql/hive/",),
    ("tests/sql/analyzer/",),
    LONGEST,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest on one worker: at the end the others would wait for it."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_xdist_make_scheduler(config, log):
    """Keep each file's tests on one worker, and folders whose files share something that takes long to start."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((group[0] for group in TOGETHER if nodeid.startswith(group)), str(super()._split_scope(nodeid)))

    return ByFile(config, log)


#: Variables besides connections that this process's hooks read.
EXPORTED = ("_EMULATOR_HOST", "_BACKUP_SCHEMA", "_SCRATCH_SCHEMA", "_JOURNAL_SCHEMA")


class EmbeddedStack:
    """The services that tests asked for, on private ports and in a folder that goes away afterwards."""

    def __init__(self, state: Path, environment: Mapping[str, str] | None = None) -> None:
        from local.config import Config
        from local.stack import Stack
        from tests.given_mysql import Address

        # The services get the environment as it is, without what another stack or Airflow's modules added to it.
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW_") and not name.endswith("_EMULATOR_HOST")
        }
        if address := Address.from_environment(environ):
            environ |= {"MYSQL_HOST": address.host, "MYSQL_PORT": str(address.port)}
        self.config = Config(state, free_port_base(), environ | STACK_ENVIRONMENT | dict(environment or {}))
        self.stack = Stack(self.config)
        self.exported = False
        self._given: GivenMysql | None = None
        self.stack.ensure_supervisor()

    def export(self) -> EmbeddedStack:
        """Let this process's hooks reach these services."""
        from drawsguard.settings import get_settings

        for name, value in self.config.airflow_environment().items():
            if name.startswith("AIRFLOW_CONN_") or name.endswith(EXPORTED):
                os.environ[name] = value
        get_settings.cache_clear()
        self.exported = True
        return self

    def require(self, *services: str) -> EmbeddedStack:
        """Start the services (once) and wait until they are ready; MySQL's schemas are up to date if exported."""
        from local.points_schema import migrate_all

        embedded = [service for service in services if service != "mysql" or not self._uses_given_mysql()]
        if embedded:
            self.stack.up(embedded)
        if "mysql" in services and self.exported:  # the names of the schemas are settings of this process
            migrate_all(self.config)
        return self

    def _uses_given_mysql(self) -> bool:
        """Whether MySQL is a server that the tests were given; its schemas and users are made once."""
        from tests.given_mysql import Address, GivenMysql, GivenMysqlError

        address = Address.from_environment(os.environ)
        if address and self._given is None:
            try:
                self._given = GivenMysql(address, self.config)
            except GivenMysqlError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        return address is not None

    def down(self) -> None:
        """End the services, whose data nobody needs any more, and leave a given MySQL as it was found."""
        if self._given:
            self._given.close()
        self.stack.discard()

    def restart(self, service: str) -> None:
        """Stop a service abruptly (SIGKILL) and start it again, as a crash would."""
        if service == "mysql" and self._given:
            pytest.skip("the MySQL server was given to the tests: it is not theirs to restart")
        self.stack.kill(service)
        self.stack.up([service])


@pytest.fixture(scope="session")
def stack() -> Iterator[EmbeddedStack]:
    """The embedded services; ``stack.require("bigquery", …)`` starts what a test needs."""
    embedded = EmbeddedStack(TEST_STATE).export()
    yield embedded
    embedded.down()


@pytest.fixture(scope="session")
def make_stack() -> type[EmbeddedStack]:
    """How another stack is made, apart from the services that tests share."""
    return EmbeddedStack


@pytest.fixture(scope="session")
def ports_of_a_stack() -> Callable[[], int]:
    """How ports are found for a stack that a test makes itself."""
    return free_port_base


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
