"""docker-compose gives the stack of `make up`: the same services, settings, connections, pools and start code.

The environment of each container goes through the same local/config.py as in the container itself; what it says about
a service must then be true of that service in docker-compose.yaml.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from drawsguard.settings import Settings
from local.config import AUTH_MANAGERS, MYSQL_GRANTS, Config
from local.docker import entry
from local.services import MYSQL_OPTIONS, SERVICES, Service
from tests.compose import rules
from tests.compose.rules import REPOSITORY, Compose

#: Names that local/config.py gives to services, where the container is named otherwise.
CONTAINER = {"airflow": "airflow-api-server"}

#: The ports that images of others listen on.
ENGINE_PORTS = {"mysql": 3306, "redis": 6379, "smtp": 1025, "pubsub": 8085, "postgres": 5432, "broker": 6379}


@pytest.fixture
def compose() -> Compose:
    return rules.load()


def config_of(compose: Compose, service: str, state: Path) -> Config:
    """Return what local/config.py reads in the container of ``service``."""
    return Config(state, 19000, {name: str(v) for name, v in compose["services"][service]["environment"].items()})


def addresses(environment: dict[str, str]) -> dict[str, tuple[str, int]]:
    """Return variable → host and port of everything that Airflow's processes and tasks connect to."""
    found = {}
    for name, value in environment.items():
        if name.startswith("AIRFLOW_CONN_") and value.startswith("{"):
            connection = json.loads(value)
            if "host" in connection:
                found[name] = (connection["host"], connection["port"])
            for channel in connection.get("extra", {}).get("config", []):
                parts = urlsplit(channel["path"])
                found[f"{name} {parts.scheme}"] = (str(parts.hostname), int(parts.port or 0))
        elif name.endswith("_EMULATOR_HOST") and "://" not in value:
            host, port = value.split(":")
            found[name] = (host, int(port))
        elif "://" in value and not name.endswith("_BASE_URL"):
            parts = urlsplit(value)
            found[name] = (str(parts.hostname), int(parts.port or 0))
    return found


def wrong_addresses(compose: Compose, state: Path) -> list[str]:
    """Say which address of the Airflow containers is not that of a service which listens there."""
    config = config_of(compose, "airflow-scheduler", state)
    environment = Config(state, 19000, config.environ | entry.container_environment(config)).airflow_environment()
    broken = []
    for variable, (host, port) in addresses(environment | entry.container_environment(config)).items():
        service = compose["services"].get(host)
        if service is None:
            broken.append(f"{variable}: there is no service {host}")
        elif port != (listens := port_of(compose, host, state)):
            broken.append(f"{variable}: {host} listens on {listens}, not on {port}")
    return broken


def port_of(compose: Compose, container: str, state: Path) -> int:
    """Return the port that a container listens on: ours by the code that starts it, others by their image."""
    if container in ENGINE_PORTS:
        return ENGINE_PORTS[container]
    service = next(s for s in SERVICES if s.name == container)
    return config_of(compose, container, state).port(service.ports[0])


def embedded(state: Path) -> Config:
    return Config(state / "embedded", 19000, {})


# --- services -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_each_embedded_service_is_a_container(service: Service, compose: Compose) -> None:
    assert service.name in compose["services"], "add it to docker-compose.yaml; its image may be drawsguard/airflow"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_our_images_run_the_same_start_code_and_probe(service: Service, compose: Compose) -> None:
    container = compose["services"][service.name]
    if not container["image"].startswith("drawsguard/"):
        assert service.name in ENGINE_PORTS
        return
    assert container["command"] == f"python -m local.docker.entry run {service.name}"
    assert container["environment"]["BIND_HOST"] == "0.0.0.0"  # noqa: S104 - inside the container's own network
    probe = container["healthcheck"]["test"]
    if service.name == "airflow-scheduler":
        assert f":{container['environment']['SCHEDULER_HEALTH_PORT']}/health" in probe[-1]
    else:
        assert probe == ["CMD", "python", "-m", "local.docker.entry", "probe", service.name]


def waits_for(compose: Compose, service: str) -> set[str]:
    """Return what must be healthy or have ended before ``service`` starts, directly or through another."""
    found: set[str] = set()
    unread = [service]
    while unread:
        needs = set(compose["services"][unread.pop()].get("depends_on", {})) - found
        found |= needs
        unread += needs
    return found


def test_the_stack_is_opened_when_every_service_is_ready(compose: Compose) -> None:
    """As `make up` does: a schema or a scheduled run that meets a missing service fails and alerts for nothing."""
    assert {service.name for service in SERVICES} <= waits_for(compose, "open")


def test_published_ports_lead_to_the_port_that_the_service_listens_on(compose: Compose, tmp_path: Path) -> None:
    published = {
        name: int(str(port).rsplit(":", 1)[1])
        for name, service in compose["services"].items()
        for port in service.get("ports", [])
    }
    assert published.pop("smtp") == 8025  # Mailpit's page; its SMTP port stays inside
    assert published == {name: port_of(compose, name, tmp_path) for name in published}
    assert {"airflow-api-server", "bigquery", "hive", "mysql", "redis", "pubsub"} <= set(published)


def test_mysql_behaves_as_in_the_embedded_stack(compose: Compose) -> None:
    assert compose["services"]["mysql"]["command"] == ["mysqld", *MYSQL_OPTIONS]


def test_the_emulator_of_pubsub_serves_the_project_and_port_of_the_settings(compose: Compose) -> None:
    environment = compose["services"]["airflow-scheduler"]["environment"]
    command = compose["services"]["pubsub"]["command"]
    assert f"--host-port=0.0.0.0:{environment['PUBSUB_PORT']}" in command
    assert f"--project={Settings().project}" in command


# --- settings and connections ---------------------------------------------------------------------------
def test_airflow_gets_every_variable_of_the_embedded_stack(compose: Compose, tmp_path: Path) -> None:
    config = config_of(compose, "airflow-scheduler", tmp_path)
    assert set(config.airflow_environment()) == set(embedded(tmp_path).airflow_environment())


def test_only_places_differ_from_the_embedded_stack(compose: Compose, tmp_path: Path) -> None:
    config = config_of(compose, "airflow-scheduler", tmp_path)
    ours, theirs = config.connections(), embedded(tmp_path).connections()
    for name in ours:
        assert _without_place(ours[name]) == _without_place(theirs[name]), name


def _without_place(connection: str) -> Any:
    """Return a connection without host, port and password, which differ from stack to stack."""
    if not connection.startswith("{"):
        parts = urlsplit(connection)
        return parts.scheme, parts.username, parts.path, parts.query
    document = {k: v for k, v in json.loads(connection).items() if k not in ("host", "port", "password")}
    for channel in document.get("extra", {}).get("config", []):
        channel["path"] = _without_place(channel["path"])
    return document


def test_every_connection_leads_to_a_service_that_listens_there(compose: Compose, tmp_path: Path) -> None:
    assert wrong_addresses(compose, tmp_path) == []


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MYSQL_HOST", "mysql8", "there is no service mysql8"),
        ("MYSQL_PORT", "3307", "mysql listens on 3306, not on 3307"),
        ("HIVE_HOST", None, "there is no service 127.0.0.1"),
        ("FEED_PORT", "8099", "feed listens on 8060, not on 8099"),
        ("AIRFLOW_HOST", "airflow", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL: there is no service airflow"),
        ("POSTGRES_HOST", "metadata", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: there is no service metadata"),
        ("BROKER_HOST", "rabbit", "AIRFLOW__CELERY__BROKER_URL: there is no service rabbit"),
        ("PUBSUB_PORT", None, "pubsub listens on 8085, not on 19052"),
    ],
)
def test_a_wrong_address_is_found(
    variable: str, value: str | None, message: str, compose: Compose, tmp_path: Path
) -> None:
    # The merge key gives all services one mapping: the scheduler gets its own.
    scheduler = compose["services"]["airflow-scheduler"]
    scheduler["environment"] = {k: v for k, v in scheduler["environment"].items() if k != variable}
    if value is not None:
        scheduler["environment"][variable] = value
    assert message in "\n".join(wrong_addresses(compose, tmp_path))


def test_every_connection_that_the_settings_name_is_there(compose: Compose, tmp_path: Path) -> None:
    names = {field for field in Settings.model_fields if field.endswith("_conn_id")}
    wanted = {f"AIRFLOW_CONN_{getattr(Settings(), field).upper()}" for field in names}
    assert len(wanted) >= 7
    assert wanted <= set(config_of(compose, "airflow-scheduler", tmp_path).connections())


def test_folders_that_tasks_share_lie_in_the_shared_volume(compose: Compose) -> None:
    """A default below .local is one machine's folder; in containers every Airflow process must see the same files."""
    local = [f for f, info in Settings.model_fields.items() if ".local" in str(info.default)]
    assert local
    scheduler = compose["services"]["airflow-scheduler"]
    assert "airflow:/stack/airflow" in scheduler["volumes"]
    for field in local:
        assert scheduler["environment"].get(f"DRAWSGUARD_{field.upper()}", "").startswith("/stack/airflow/"), field


def test_hive_reads_the_telemetry_that_the_settings_name(compose: Compose, tmp_path: Path) -> None:
    """Hive reads the daily feed itself, so its container must see the folder that the tasks name."""
    environment = config_of(compose, "airflow-scheduler", tmp_path).airflow_environment()
    feed = Path(environment["DRAWSGUARD_POINTS_FEED_ROOT"]).relative_to(tmp_path)
    assert f"{feed.parts[0]}:/stack/{feed.parts[0]}" in compose["services"]["airflow-scheduler"]["volumes"]
    assert f"{feed.parts[0]}:/stack/{feed.parts[0]}:ro" in compose["services"]["hive"]["volumes"]


def test_volumes_of_our_images_belong_to_the_user_that_writes_them(compose: Compose) -> None:
    """A new volume takes the owner of the folder in the image; a folder that is not there would be root's."""
    dockerfile = (REPOSITORY / "local" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    made = re.search(r"cd /stack.*?install --directory --owner airflow ([\w ]+)", dockerfile, re.DOTALL)
    assert made is not None
    mounted = {
        target.removesuffix(":ro").removeprefix("/stack/")
        for service in compose["services"].values()
        if service["image"].startswith("drawsguard/")
        for target in (volume.partition(":")[2] for volume in service["volumes"])
        if target.startswith("/stack/")
    }
    assert mounted <= set(made[1].split())


def settings_named(text: str) -> set[str]:
    return set(re.findall(r"\bDRAWSGUARD_[A-Z0-9_]+(?=\s*[=:])", text))


def unknown_settings(text: str) -> set[str]:
    known = {f"DRAWSGUARD_{field.upper()}" for field in Settings.model_fields}
    return settings_named(text) - known


def test_every_setting_named_is_one_that_the_code_reads(compose: Compose) -> None:
    for path in ("docker-compose.yaml", "local/docker/settings.env"):
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        assert settings_named(text), path
        assert unknown_settings(text) == set(), path
    assert unknown_settings("DRAWSGUARD_DRAW_EMAIL=a@example.com") == {"DRAWSGUARD_DRAW_EMAIL"}


def test_each_process_that_reads_settings_gets_the_file_of_settings(compose: Compose) -> None:
    without = [
        name
        for name, service in compose["services"].items()
        if service["image"] == "drawsguard/airflow:1.0.0" and service.get("env_file") != "local/docker/settings.env"
    ]
    assert without == []


# --- auth manager -----------------------------------------------------------------------------------------
def test_every_airflow_process_has_the_auth_manager_that_was_asked_for(compose: Compose, tmp_path: Path) -> None:
    processes = [name for name in compose["services"] if name.startswith("airflow-")]
    assert len(processes) >= 5
    for name in processes:
        config = config_of(compose, name, tmp_path)
        assert config.auth_manager == "simple"
        chosen = Config(tmp_path, 19000, config.environ | {"AUTH_MANAGER": "fab"}).airflow_environment()
        assert chosen["AIRFLOW__CORE__AUTH_MANAGER"] == AUTH_MANAGERS["fab"]


def test_an_unknown_auth_manager_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AUTH_MANAGER is 'ldap'; the embedded stack has simple and fab"):
        Config(tmp_path, 19000, {"AUTH_MANAGER": "ldap"}).airflow_environment()


def test_approvers_have_the_ids_of_the_auth_manager(tmp_path: Path) -> None:
    """FAB's ids are known once its users are made; the API server is started before that and asks nobody."""
    fab = Config(tmp_path, 19000, {"AUTH_MANAGER": "fab"})
    assert fab.approvers() == "approver,second_approver"
    fab.user_ids_file.write_text(json.dumps({"admin": "1", "approver": "3", "second_approver": "4"}))
    assert fab.approvers() == "approver=3,second_approver=4"
    assert Config(tmp_path, 19000, {}).approvers() == "approver=approver,second_approver=second_approver"


# --- pools ------------------------------------------------------------------------------------------------
def test_pools_come_from_the_same_file(compose: Compose) -> None:
    """The API server's start imports include/config/pools.json: the folder is mounted where the code looks."""
    server = compose["services"]["airflow-api-server"]
    assert "./include:/opt/drawsguard/include:ro" in server["volumes"]
    assert next(s for s in SERVICES if s.name == "airflow-api-server").prepare.__name__ == "initialise_airflow"


def missing_pools(source: str, pools: set[str]) -> set[str]:
    return set(re.findall(r"""\bpool=["'](\w+)["']""", source)) - pools


def test_every_pool_of_the_dags_is_in_the_file() -> None:
    pools = set(json.loads((REPOSITORY / "include" / "config" / "pools.json").read_text(encoding="utf-8")))
    pools.add("default_pool")  # Airflow makes it itself
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "dags").rglob("*.py"))
    assert missing_pools(sources, set())
    assert missing_pools(sources, pools) == set()
    assert missing_pools('X(pool="nowhere")', pools) == {"nowhere"}


# --- secrets ----------------------------------------------------------------------------------------------
def test_the_first_step_makes_every_secret_that_is_read(compose: Compose, tmp_path: Path) -> None:
    config = config_of(compose, "secrets", tmp_path)
    entry.make_secrets(config)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert rules.secret_files(compose) >= {"postgres", "mysql_root", "redis", "broker"}
    assert rules.secret_files(compose) <= set(made)
    assert all(len(value) >= 12 and value == value.strip() for value in made.values())
    # A read-only volume: nothing may be left that a container would have to make.
    scheduler = config_of(compose, "airflow-scheduler", tmp_path)
    scheduler.airflow_environment()
    entry.container_environment(scheduler)
    scheduler.passwords()
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


# --- MySQL's users ----------------------------------------------------------------------------------------
class FakeMySql:
    """A MySQL connection and cursor that has given rights and records what is executed."""

    def __init__(self, rights: set[tuple[str, str, str]]) -> None:
        self.rights = rights
        self.executed: list[str] = []

    def cursor(self) -> FakeMySql:
        return self

    def __enter__(self) -> FakeMySql:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, statement: str) -> None:
        self.executed.append(statement)

    def fetchall(self) -> list[tuple[str, str, str]]:
        return sorted(self.rights)

    def close(self) -> None:
        return None


RIGHTS = {
    (f"'{server}'@'%'", schema, right)
    for server, grants in MYSQL_GRANTS.items()
    for schema, rights in grants.items()
    for right in rights.split(", ")
}


@pytest.mark.parametrize(
    ("rights", "taken_back"),
    [
        (set(), False),  # the first start
        (RIGHTS | {("'governance_schema'@'%'", "governance_audit", "DROP")}, False),
        (RIGHTS | {("'governance'@'%'", "governance_audit", "DELETE")}, True),
        (RIGHTS | {("'intranet'@'%'", "points_backup", "SELECT")}, True),  # a schema of an earlier version
    ],
)
def test_a_start_takes_no_right_from_a_running_task(
    rights: set[tuple[str, str, str]], taken_back: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every `docker-compose up` makes the users again: between REVOKE and GRANT a task's statement would be refused."""
    server = FakeMySql(rights)
    monkeypatch.setattr("MySQLdb.connect", lambda **_: server)
    entry.make_mysql_users(embedded(tmp_path))
    assert any(statement.startswith("REVOKE") for statement in server.executed) is taken_back
    assert any(statement.startswith("GRANT SELECT, INSERT ON governance_audit.*") for statement in server.executed)


# --- executors --------------------------------------------------------------------------------------------
def test_the_celery_profile_has_worker_and_broker_and_nothing_else_has_a_profile(compose: Compose) -> None:
    profiles = {name: s["profiles"] for name, s in compose["services"].items() if "profiles" in s}
    assert profiles == {"broker": ["celery"], "airflow-worker": ["celery"]}


def test_without_the_profile_metadata_is_on_postgres_and_tasks_run_in_the_scheduler(
    compose: Compose, tmp_path: Path
) -> None:
    config = config_of(compose, "airflow-scheduler", tmp_path)
    metadata = config.airflow_environment()["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert re.fullmatch(r"postgresql\+psycopg2://airflow:[\w-]+@postgres:5432/airflow", metadata)
    assert config.environ["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_celery_without_its_broker_is_refused_with_what_to_do() -> None:
    entry.check_broker({"AIRFLOW__CORE__EXECUTOR": "LocalExecutor"}, "nowhere.invalid")
    entry.check_broker({"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"}, "localhost")
    with pytest.raises(SystemExit, match=r"docker-compose --profile celery up -d"):
        entry.check_broker({"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"}, "nowhere.invalid")


# --- images -----------------------------------------------------------------------------------------------
def unpinned_bases(dockerfile: str) -> list[str]:
    stages = set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, re.MULTILINE))
    return [
        base
        for base in re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
        if base not in stages and not rules.PINNED.search(base)
    ]


def test_images_are_built_from_a_pinned_base_and_the_locks() -> None:
    dockerfile = (REPOSITORY / "local" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert unpinned_bases(dockerfile) == []
    assert unpinned_bases("FROM python:3.11-slim AS build\nFROM build") == ["python:3.11-slim"]
    for install in re.findall(r"pip install.*", dockerfile):
        assert "--no-deps --require-hashes" in install
        assert "requirements.lock" in install


def test_each_target_that_compose_builds_is_a_stage(compose: Compose) -> None:
    dockerfile = (REPOSITORY / "local" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, re.MULTILINE))
    targets = {s["image"]: s["build"]["target"] for s in compose["services"].values() if "build" in s}
    assert set(targets.values()) <= stages
    assert all(image == f"drawsguard/{target}:1.0.0" for image, target in targets.items())


def test_the_build_context_holds_neither_state_nor_secrets() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules_in_force = [line for line in lines if line and not line.startswith("#")]
    assert rules_in_force[0] == "*"
    assert not any(line.startswith(("!.local", "!.git", "!.venv", "!.env")) for line in rules_in_force)
