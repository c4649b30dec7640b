"""Preflight on the embedded services: nothing fails where all is prepared, and each thing that is broken is named."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import MySQLdb
import pytest
import redis
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.schema import newest
from drawsguard.preflight.catalogue import checks
from drawsguard.preflight.model import FolderProbe, Row, Status
from drawsguard.preflight.run import run
from drawsguard.settings import get_settings
from drawsguard.warehouse.migrations import Migrator
from hooks.artifacts_probe import probe
from hooks.dead_letter_hook import SUBSCRIPTION, TOPIC, DeadLetterQueue
from hooks.preflight_connections import PreflightConnections
from hooks.warehouse_hook import warehouse_client
from local.golden.load import load_environment
from operators.operations.folder_probe_operator import FolderProbeOperator
from operators.operations.preflight_operator import REPORT_KEY, PreflightOperator
from tests.integration.points_evidence import create_stores, hive
from tests.integration.points_world import World, new_world, small_world

pytestmark = pytest.mark.integration

SERVICES = ("bigquery", "mysql", "redis", "smtp", "google", "alert_sink", "watcher", "nos", "pubsub", "hive")


@pytest.fixture(scope="module")
def prepared(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The embedded services as the DAGs of the schemas leave them, with definition tables and a source of telemetry."""
    stack.require(*SERVICES)
    suffix = uuid.uuid4().hex[:8]
    with pytest.MonkeyPatch.context() as environment:
        for name, value in stack.config.airflow_environment().items():
            if name.startswith("DRAWSGUARD_") and name.endswith("_URL"):
                environment.setenv(name, value)
        environment.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "approver:user,second_approver:user")
        environment.delenv("AIRFLOW_CONN_AIRFLOW_API_DEFAULT")  # no Airflow runs here
        environment.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", str(tmp_path_factory.mktemp("shared")))
        for dataset in ("source", "target", "monitor"):
            environment.setenv(f"DRAWSGUARD_{dataset.upper()}_DATASET", f"{dataset}_{suffix}")
        get_settings.cache_clear()
        Migrator(warehouse_client(), dag_id="d", task_id="t", run_id="r").migrate()
        DeadLetterQueue().set_up()
        world = new_world(stack.config)
        for name, definitions in zip(("intranet", "extranet"), small_world(), strict=True):
            with world.environment(f"{name}_schema") as connection:
                load_environment(connection, definitions)
        create_stores()
        hive("CREATE DATABASE IF NOT EXISTS datalake_platform")
        hive(
            "CREATE TABLE IF NOT EXISTS datalake_platform.cma_hudi (`_hoodie_commit_time` STRING, app STRING, "
            "ts STRING, metric STRING, `instance` STRING, `value` STRING) PARTITIONED BY (pt_dt STRING) "
            "STORED AS PARQUET"
        )
        stack.world = world
        yield stack
    get_settings.cache_clear()


def look(*areas: str, part: str = "", **world: Any) -> list[Row]:
    """Run the checks of some areas, of one part only where it is named."""
    world.setdefault("folder_probes", [FolderProbe(**probe("worker-1"))])
    chosen = [check for check in checks(areas) if check.part.startswith(part)]
    return run(chosen, PreflightConnections(**world))


def failures(*areas: str, part: str = "") -> dict[str, str]:
    """Return what failed: check → what was found, a line each."""
    found: dict[str, str] = {}
    for row in look(*areas, part=part):
        if row.finding.status is Status.FAIL:
            earlier = found.get(row.check.name)
            found[row.check.name] = f"{earlier}\n{row.finding.found}" if earlier else row.finding.found
    return found


def shown(rows: list[Row]) -> str:
    return "\n".join(f"{row.check.part}/{row.check.name}: {row.finding.found}" for row in rows)


@contextmanager
def connection(conn_id: str, **changes: Any) -> Iterator[None]:
    """Change a connection of the environment."""
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    with mock.patch.dict(os.environ, {name: json.dumps(json.loads(os.environ[name]) | changes)}):
        yield


def as_root(stack: Any, *statements: str) -> None:
    socket = str(stack.config.state / "mysql" / "mysqld.sock")
    with closing(MySQLdb.connect(unix_socket=socket, user="root")) as opened, closing(opened.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_nothing_fails_where_all_is_prepared(prepared: Any) -> None:
    rows = look(sends_messages=True)
    assert shown([row for row in rows if row.finding.status is Status.FAIL]) == ""
    warned = {f"{row.check.part}/{row.check.name}" for row in rows if row.finding.status is Status.WARN}
    # What this stack cannot answer is said, and passes nowhere.
    assert warned >= {
        "Airflow: pools/pools", "BigQuery/answers", "BigQuery/table_rights", "BigQuery/statements", "Hive/answers",
        "Hive/rights", "MySQL governance/answers", "Pub/Sub/rights", "Zone data: MySQL/mysql",
    }  # fmt: skip
    passed = {f"{row.check.part}/{row.check.name}" for row in rows if row.finding.status is Status.PASS}
    assert passed >= {
        "BigQuery/migrations", "BigQuery/tables", "Hive/statements", "MySQL intranet/statements", "NOS/answers",
        "Redis evt-001-redis/rights", "SMTP/addresses", "Alerts/delivery", "Google: IAM/iam", "Pub/Sub/subscription",
    }  # fmt: skip


def test_nothing_was_changed(prepared: Any) -> None:
    """Tables, rows and keys are the same after all checks as before."""

    def everything() -> Any:
        client, world = warehouse_client(), prepared.world
        settings = get_settings()
        tables = [
            (table.reference, client.get_table(table.reference).num_rows)
            for dataset in (settings.source_dataset, settings.target_dataset, settings.monitor_dataset)
            for table in client.list_tables(dataset)
        ]
        mysql = [world.sql("intranet", f"CHECKSUM TABLE {name}") for name in ("define_nosdata_general",)]
        server = redis.Redis(port=prepared.config.port("REDIS_PORT"), password=prepared.config.secret("redis"))
        return (
            tables,
            world.rows("intranet"),
            world.rows("extranet"),
            mysql,
            server.info("keyspace"),
            hive("SHOW TABLES IN cma"),
        )

    before = everything()
    look()
    assert everything() == before


# --- MySQL ---------------------------------------------------------------------------------------------------
def test_a_missing_grant_is_named(prepared: Any) -> None:
    as_root(prepared, "REVOKE UPDATE ON cvs_intranet.* FROM 'intranet'@'%'")
    try:
        found = failures("mysql", part="MySQL intranet")
    finally:
        as_root(prepared, "GRANT UPDATE ON cvs_intranet.* TO 'intranet'@'%'")
    assert found["rights"] == "cvs_intranet: 缺少 missing UPDATE"
    assert "downline/set_downline.sql define_nosdata_general" in found["statements"]
    assert failures("mysql", part="MySQL intranet") == {}


def test_an_audit_that_can_be_changed_is_a_warning(prepared: Any) -> None:
    as_root(prepared, "GRANT DELETE ON governance_audit.* TO 'governance'@'%'")
    try:
        rows = look("mysql", part="MySQL governance")
    finally:
        as_root(prepared, "REVOKE DELETE ON governance_audit.* FROM 'governance'@'%'")
    assert "governance_audit: 过多 too many DELETE" in shown([r for r in rows if r.finding.status is Status.WARN])


def test_a_define_table_without_transactions_is_named(prepared: Any) -> None:
    world: World = prepared.world
    world.sql("extranet", "ALTER TABLE define_nosdata_flag ENGINE = MyISAM")
    try:
        found = failures("mysql", part="MySQL extranet")
    finally:
        world.sql("extranet", "ALTER TABLE define_nosdata_flag ENGINE = InnoDB")
    assert found == {"engines": "cvs_extranet.define_nosdata_flag: MyISAM"}


def test_swapped_environments_are_named(prepared: Any) -> None:
    intranet, extranet = "AIRFLOW_CONN_MYSQL_POINTS_INTRANET", "AIRFLOW_CONN_MYSQL_POINTS_EXTRANET"
    with mock.patch.dict(os.environ, {intranet: os.environ[extranet], extranet: os.environ[intranet]}):
        rows = look("mysql", part="MySQL intranet + extranet")
    found = shown([row for row in rows if row.check.name == "right_way_round"])
    assert "journal" in found or "mysql_points_intranet → cvs_extranet" in found
    assert {row.finding.status for row in rows if row.check.name == "right_way_round"} == {Status.FAIL}


def test_one_place_for_both_environments_is_named(prepared: Any) -> None:
    with mock.patch.dict(
        os.environ, {"AIRFLOW_CONN_MYSQL_POINTS_EXTRANET": os.environ["AIRFLOW_CONN_MYSQL_POINTS_INTRANET"]}
    ):
        found = failures("mysql", part="MySQL intranet + extranet")
    assert "同一处 the same place" in found["apart"]


@pytest.mark.parametrize(
    ("setting", "back", "named"),
    [
        ("local_infile = OFF", "local_infile = ON", "local_infile = OFF"),
        ("read_only = ON", "read_only = OFF", "read_only = ON"),
    ],
)
def test_a_setting_of_the_server_is_named(prepared: Any, setting: str, back: str, named: str) -> None:
    as_root(prepared, f"SET GLOBAL {setting}")
    try:
        found = failures("mysql", part="MySQL governance")
    finally:
        as_root(prepared, f"SET GLOBAL {back}")
    assert found["variables"].startswith(named)


def test_a_schema_that_is_too_old_is_named_once(prepared: Any) -> None:
    world: World = prepared.world
    world.sql("governance", "UPDATE points_lifecycle.schema_version SET version_num = '0001'")
    try:
        found = failures("mysql", part="MySQL governance")
    finally:
        world.sql("governance", f"UPDATE points_lifecycle.schema_version SET version_num = '{newest('governance')}'")
    assert found["versions"] == f"版本 version 0001，应为 expected {newest('governance')}"
    assert "not looked at" in found["statements"]


def test_a_wrong_password_is_named_and_stops_nothing(prepared: Any) -> None:
    with connection("mysql_default", password="wrong"):
        rows = look("mysql", "nos")
    assert "Access denied" in shown([row for row in rows if row.check.part == "MySQL governance"])
    assert [row.finding.status for row in rows if row.check.part == "NOS"] == [Status.PASS]


# --- Redis ---------------------------------------------------------------------------------------------------
@pytest.fixture
def redis_user(prepared: Any) -> Iterator[Any]:
    """Give the connection of an instance a user whose ACL the test writes."""
    name = "AIRFLOW_CONN_EVT_001_REDIS"
    port = prepared.config.port("REDIS_PORT")
    server = redis.Redis(port=port, password=prepared.config.secret("redis"))

    def allow(*rules: str) -> None:
        server.execute_command("ACL", "SETUSER", "sweeper", "reset", "on", ">pass", *rules)

    with mock.patch.dict(os.environ, {name: f"redis://sweeper:pass@127.0.0.1:{port}/?db=1"}):
        yield allow
    server.execute_command("ACL", "DELUSER", "sweeper")


def test_redis_without_the_right_to_unlink_is_named(redis_user: Any) -> None:
    redis_user("~*", "+@all", "-unlink")
    found = failures("redis", part="Redis evt-001-redis")
    assert list(found) == ["rights"]
    assert found["rights"].startswith("UNLINK: ")
    redis_user("~*", "+@all")
    assert failures("redis", part="Redis evt-001-redis") == {}


def test_redis_keys_that_an_acl_restricts_are_a_warning(redis_user: Any) -> None:
    redis_user("~evt:*", "+@all")
    (row,) = [row for row in look("redis", part="Redis evt-001-redis") if row.check.name == "rights"]
    assert row.finding.status is Status.WARN


def test_a_connection_that_takes_a_server_for_a_cluster_is_named(prepared: Any) -> None:
    extra = {"AIRFLOW_CONN_EVT_001_REDIS": os.environ["AIRFLOW_CONN_EVT_001_REDIS"].split("?")[0] + "?cluster=true"}
    with mock.patch.dict(os.environ, extra):
        assert "cluster" in failures("redis", part="Redis evt-001-redis")["answers"].casefold()


# --- the others -----------------------------------------------------------------------------------------------
def test_a_service_that_does_not_answer_is_named(prepared: Any) -> None:
    with connection("smtp_default", port=1):
        assert "refused" in failures("mail")["answers"].casefold()
    with mock.patch.dict(os.environ, {"AIRFLOW_CONN_NOS_DEFAULT": "tcp://127.0.0.1:1"}):
        assert "refused" in failures("nos")["answers"].casefold()
    with mock.patch.dict(os.environ, {"AIRFLOW_CONN_HIVESERVER2_DEFAULT": "hiveserver2://127.0.0.1:1/default"}):
        assert set(failures("hive")) == {"answers", "settings", "tables", "statements", "rights", "feed"}


def test_a_missing_topic_and_subscription_are_named(prepared: Any) -> None:
    queue = DeadLetterQueue()
    project = get_settings().project
    queue._hook.subscriber_client.delete_subscription(
        request={"subscription": f"projects/{project}/subscriptions/{SUBSCRIPTION}"}
    )
    assert SUBSCRIPTION in failures("pubsub")["subscription"]
    queue._hook.get_conn().delete_topic(request={"topic": f"projects/{project}/topics/{TOPIC}"})
    found = failures("pubsub")
    assert TOPIC in found["topic"]
    queue.set_up()
    assert failures("pubsub") == {}


def test_an_unknown_kind_of_channel_is_named(prepared: Any) -> None:
    with connection("apprise_default", extra={"config": [{"path": "nosuch://x", "tag": "P0"}]}):
        assert "nosuch://" in failures("alerts")["configured"]


def test_a_missing_table_of_bigquery_is_named(prepared: Any) -> None:
    table = f"{get_settings().target_dataset}.draws_14w"
    warehouse_client().delete_table(table)
    try:
        found = failures("bigquery")
    finally:
        for migration in ("V020__draws_14w",):
            from drawsguard.sql import render

            warehouse_client().query(render(f"bigquery/schema/{migration}.sql")).result()
    assert found["tables"] == f"不存在 missing: {table}"
    assert "draws_14w" in found["statements"]


def test_a_missing_table_of_hive_is_named(prepared: Any) -> None:
    hive("ALTER TABLE cma.evt_rejected RENAME TO cma.evt_rejected_away")
    try:
        found = failures("hive")
    finally:
        hive("ALTER TABLE cma.evt_rejected_away RENAME TO cma.evt_rejected")
    assert found["tables"] == "缺表 missing: cma.evt_rejected"
    assert "cma.evt_rejected" in found["statements"]


# --- the operators ----------------------------------------------------------------------------------------------
def mails(stack: Any) -> list[str]:
    return [path.read_text(errors="replace") for path in (stack.config.state / "smtp" / "maildir" / "new").iterdir()]


def report(areas: list[str], probes: list[dict[str, str]]) -> tuple[Any, dict[str, Any]]:
    """Run the operator as a task; return what it raised, or returned, and the report that it kept."""
    kept: dict[str, Any] = {}
    task_instance = SimpleNamespace(xcom_push=lambda key, value: kept.update({key: value}))
    operator = PreflightOperator(task_id="report", areas=areas, folder_probes=probes)
    try:
        result: Any = operator.execute({"ti": task_instance, "run_id": "manual__1"})  # type: ignore[arg-type]
    except AirflowFailException as error:
        result = error
    return result, kept[REPORT_KEY]


def test_the_operator_keeps_and_mails_the_report_and_fails_when_something_is_missing(prepared: Any) -> None:
    probes = [FolderProbeOperator(task_id="folder", number=number).execute({}) for number in range(2)]  # type: ignore[typeddict-item]
    before = len(mails(prepared))
    result, kept = report(["nos", "mail"], probes)
    assert result == {"checks": 4, "passed": 4, "failed": 0, "warned": 0}
    assert kept["ready"]
    assert len(mails(prepared)) == before + 1
    with mock.patch.dict(os.environ, {"AIRFLOW_CONN_NOS_DEFAULT": "tcp://127.0.0.1:1"}):
        result, kept = report(["nos"], probes)
    assert isinstance(result, AirflowFailException)
    assert "failed 1" in str(result)
    assert kept["failed"] == 1
    assert len(mails(prepared)) == before + 2, "the report is mailed before the task fails"


def test_an_unknown_approver_and_an_unwritable_folder_are_named(prepared: Any) -> None:
    with mock.patch.dict(os.environ, {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "approver:user"}):
        assert failures("airflow")["approvers"] == "不存在 unknown: second_approver"
    with mock.patch.dict(os.environ, {"DRAWSGUARD_ARTIFACTS_ADDRESS": "/proc/nowhere"}):
        get_settings.cache_clear()
        try:
            found = failures("airflow")["folder"]
        finally:
            get_settings.cache_clear()
    assert found.startswith(
        "worker-1: /proc/nowhere/: /proc/nowhere/preflight/worker-1 cannot be reached: FileNotFoundError"
    )
