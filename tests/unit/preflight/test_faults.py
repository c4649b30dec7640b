"""Each thing is broken once, where no engine of ours can be broken that way, and is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import requests
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud.bigquery import SchemaField, TimePartitioning

from drawsguard.deadlines import load_deadlines
from drawsguard.identity.model import Answer
from drawsguard.preflight import (
    airflow,
    bigquery,
    channels,
    google_identity,
    hive,
    mail,
    mysql,
    pubsub,
    redis_instances,
    zones,
)
from drawsguard.preflight.model import Check, Finding, FolderProbe, Status
from drawsguard.preflight.run import look
from drawsguard.settings import Settings, get_settings
from drawsguard.sql import SQL_ROOT
from local.config import MYSQL_GRANTS


@dataclass
class World:
    """A world in which the test says what is there."""

    settings: Settings = field(default_factory=get_settings)
    sends_messages: bool = False
    folder_probes: list[FolderProbe] = field(default_factory=list)
    executor: str = "CeleryExecutor"
    auth_manager: str = "airflow.…SimpleAuthManager"
    bigquery_emulator: str = ""
    client: Any = None
    pages: Mapping[str, Any] = field(default_factory=dict)
    users: list[str] = field(default_factory=lambda: ["approver", "second_approver"])
    session: Any = None
    answer: Callable[[str, str, Any], Answer] = lambda *_: Answer(200, {})
    queue: Any = None
    alert_channels: list[Any] = field(default_factory=list)

    def warehouse(self) -> Any:
        return self.client

    def sees_probe(self, token: str) -> bool:
        return Path(self.settings.artifact(f"preflight/{token}")).exists()

    def airflow(self, path: str) -> Mapping[str, Any]:
        for start, page in self.pages.items():
            if path.startswith(start):
                return page
        raise LookupError("connection airflow_api_default")

    def simple_users(self) -> list[str]:
        return self.users

    @contextmanager
    def smtp(self) -> Iterator[Any]:
        yield self.session

    def google(self) -> Any:
        return SimpleNamespace(call=lambda method, url, body=None: self.answer(method, url, body))

    def pubsub(self) -> Any:
        return self.queue

    def channels(self) -> list[Any]:
        return self.alert_channels


def found(checks: tuple[Check, ...], name: str, world: World) -> list[Finding]:
    """Run the check of that name."""
    (check,) = [check for check in checks if check.name == name]
    return look(check, world)


def only(findings: list[Finding], status: Status) -> Finding:
    """Return the one finding of a status."""
    (one,) = [finding for finding in findings if finding.status is status]
    return one


# --- BigQuery ----------------------------------------------------------------------------------------------
def datasets_at(place: str) -> Any:
    return mock.Mock(get_dataset=mock.Mock(return_value=SimpleNamespace(location=place)))


def test_a_dataset_in_another_location_is_named_with_both() -> None:
    findings = found(bigquery.CHECKS, "location", World(client=datasets_at("EU")))
    assert [finding.status for finding in findings] == [Status.FAIL] * 3
    assert findings[1].found == "pc28: EU，应为 expected us-central1"
    assert "DRAWSGUARD_LOCATION" in findings[1].advice
    fine = found(bigquery.CHECKS, "location", World(client=datasets_at("US-CENTRAL1")))
    assert {finding.status for finding in fine} == {Status.PASS}


def test_a_missing_dataset_is_named() -> None:
    client = mock.Mock(get_dataset=mock.Mock(side_effect=NotFound("no")))
    assert "no dataset drawsguard" in found(bigquery.CHECKS, "location", World(client=client))[0].found


def granting(*rights: str) -> Callable[[str, str, Any], Answer]:
    return lambda _method, _url, _body: Answer(200, {"permissions": list(rights)})


@pytest.mark.parametrize(
    ("rights", "status", "named"),
    [
        ((), Status.FAIL, "bigquery.jobs.create"),
        (("bigquery.jobs.create",), Status.WARN, "bigquery.jobs.listAll"),
        (("bigquery.jobs.create", "bigquery.jobs.listAll"), Status.PASS, "bigquery.jobs.create"),
    ],
)
def test_a_missing_right_on_the_project_is_named(rights: tuple[str, ...], status: Status, named: str) -> None:
    (finding,) = found(bigquery.CHECKS, "project_rights", World(answer=granting(*rights)))
    assert finding.status is status
    assert named in finding.found


def test_rights_that_nobody_can_tell_are_a_warning() -> None:
    world = World(answer=lambda *_: Answer(403, {"error": {"message": "API disabled"}}))
    assert found(bigquery.CHECKS, "project_rights", world)[0].status is Status.WARN


def table_client(*held: str) -> Any:
    answer = {"permissions": list(held)}
    return mock.Mock(get_table=mock.Mock(), test_iam_permissions=mock.Mock(return_value=answer))


def test_a_missing_right_on_a_dataset_is_named() -> None:
    world = World(client=table_client("bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.update"))
    findings = found(bigquery.CHECKS, "table_rights", world)
    assert findings[0].found == "drawsguard: 缺少 missing bigquery.tables.updateData"
    assert {finding.status for finding in findings} == {Status.FAIL}
    fine = found(bigquery.CHECKS, "table_rights", World(client=table_client(*bigquery.TABLE_RIGHTS)))
    assert {finding.status for finding in fine} == {Status.PASS}


def like(expected: bigquery.ExpectedTable, **changes: Any) -> Any:
    """Return the table as BigQuery would tell of it."""
    schema = [
        SchemaField(
            name,
            kind.removesuffix("[]"),
            mode="REPEATED" if kind.endswith("[]") else ("REQUIRED" if name in expected.required else "NULLABLE"),
        )
        for name, kind in expected.columns.items()
    ]
    day = TimePartitioning() if expected.partitioned else None
    return SimpleNamespace(**{"schema": schema, "time_partitioning": day, "range_partitioning": None} | changes)


def named_table(name: str) -> bigquery.ExpectedTable:
    return next(one for one in bigquery.expected_tables(get_settings()) if f"{one.dataset}.{one.name}" == name)


def test_the_expected_tables_are_read_from_the_schema() -> None:
    draws = named_table("pc28.draws")
    assert draws.columns["numbers"] == "INTEGER[]"
    assert draws.columns["timestamp"] == "TIMESTAMP"
    assert draws.partitioned
    assert "updated_at" in draws.columns.keys() - draws.required
    assert "period" in draws.required
    assert not named_table("pc28_monitor.schema_migrations").partitioned
    log = named_table("pc28_monitor.cloudscheduler_googleapis_com_executions")
    assert log.columns["jsonpayload_logging_attemptfinished"] == "RECORD"
    assert set(log.columns) >= {"logName", "insertId", "httpRequest"}
    assert len(bigquery.expected_tables(get_settings())) > 12


def tables_where(name: str, table: Any) -> World:
    every = {f"{one.dataset}.{one.name}": like(one) for one in bigquery.expected_tables(get_settings())}

    def get_table(asked: str, timeout: float) -> Any:
        chosen = (every | {name: table})[asked]
        if chosen is None:
            raise NotFound(asked)
        return chosen

    return World(client=mock.Mock(get_table=get_table))


def without(table: Any, column: str) -> Any:
    table.schema = [one for one in table.schema if one.name != column]
    return table


def test_tables_as_the_schema_makes_them_pass() -> None:
    (finding,) = found(bigquery.CHECKS, "tables", tables_where("pc28.draws", like(named_table("pc28.draws"))))
    assert finding.status is Status.PASS


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda _: None, "不存在 missing: pc28.draws"),
        (lambda table: without(table, "synced_at"), "pc28.draws: 缺列 no column synced_at"),
        (lambda table: setattr(table, "time_partitioning", None) or table, "没有分区 not partitioned"),
        (
            lambda table: (
                setattr(
                    table,
                    "schema",
                    [*without(table, "period").schema, SchemaField("period", "STRING", mode="REQUIRED")],
                )
                or table
            ),
            "period 是 is STRING，应为 expected INTEGER",
        ),
    ],
)
def test_a_table_from_before_is_named_with_what_it_lacks(change: Callable[[Any], Any], named: str) -> None:
    world = tables_where("pc28.draws", change(like(named_table("pc28.draws"))))
    assert named in only(found(bigquery.CHECKS, "tables", world), Status.FAIL).found


def test_a_table_that_may_hold_nulls_is_a_warning() -> None:
    table = like(named_table("pc28.draws"))
    table.schema = [
        SchemaField(one.name, one.field_type, mode=one.mode) for one in table.schema if one.name != "period"
    ]
    table.schema.append(SchemaField("period", "INTEGER", mode="NULLABLE"))
    assert "period" in only(found(bigquery.CHECKS, "tables", tables_where("pc28.draws", table)), Status.WARN).found


def refusing(refuse: Callable[[str], Exception | None]) -> World:
    def query(text: str, *, job_config: Any, **_: Any) -> None:
        assert job_config.dry_run, "a statement would have been run"
        if error := refuse(text):
            raise error

    return World(client=mock.Mock(query=query))


def test_every_statement_is_dry_run_and_accepted() -> None:
    (finding,) = found(bigquery.CHECKS, "statements", refusing(lambda _: None))
    assert finding.status is Status.PASS
    count = sum(len(call.texts(get_settings())) for call in bigquery.calls())
    assert f" {count} " in finding.found


def test_a_refused_statement_is_named_with_the_reason() -> None:
    world = refusing(lambda text: BadRequest("Syntax error: NEW is reserved") if text.startswith("MERGE") else None)
    finding = only(found(bigquery.CHECKS, "statements", world), Status.FAIL)
    assert "sync/merge_draws.sql" in finding.found
    assert "NEW is reserved" in finding.found


def test_statements_that_name_missing_tables_are_one_line() -> None:
    world = refusing(lambda text: NotFound("Table pc28.draws") if ".draws`" in text else None)
    findings = found(bigquery.CHECKS, "statements", world)
    assert "tables are missing" in only(findings, Status.FAIL).found
    assert "warehouse_schema" in only(findings, Status.FAIL).advice
    assert "history/" in only(findings, Status.WARN).found


def test_an_emulator_is_never_sent_a_statement_that_changes_something() -> None:
    def reads(text: str) -> None:
        assert text.lstrip().upper().startswith(("SELECT", "WITH", "--"))

    world = refusing(reads)  # type: ignore[arg-type]
    world.bigquery_emulator = "http://127.0.0.1:1"
    findings = found(bigquery.CHECKS, "statements", world)
    assert "sync/merge_draws.sql" not in only(findings, Status.PASS).found
    assert only(findings, Status.WARN).found[:2].isdigit()


# --- Google, Pub/Sub ---------------------------------------------------------------------------------------
def test_an_api_that_is_off_is_named_with_its_services() -> None:
    world = World(answer=lambda *_: Answer(403, {"error": {"message": "Cloud Run Admin API has not been used"}}))
    (finding,) = found(google_identity.CHECKS, "cloud_run", world)
    assert finding.status is Status.FAIL
    assert "collector, data-sync-service" in finding.found
    assert "PERMISSION_DENIED (HTTP 403) Cloud Run Admin API" in finding.found


def test_a_missing_permission_of_the_repair_is_named() -> None:
    (finding,) = found(google_identity.CHECKS, "rights", World(answer=granting("run.services.get")))
    assert "run.services.setIamPolicy" in finding.found
    assert finding.status is Status.FAIL


TOPIC = "projects/p/topics/data-sync-failures"


def queue(**changes: Any) -> Any:
    whole = {"topic": lambda: TOPIC, "subscription": lambda: (TOPIC, 300), "missing_rights": list}
    return SimpleNamespace(**(whole | changes))


def missing() -> Any:
    raise NotFound("Resource not found (resource=data-sync-failures)")


@pytest.mark.parametrize(
    ("name", "changes", "named"),
    [
        ("topic", {"topic": missing}, "data-sync-failures"),
        ("subscription", {"subscription": missing}, "data-sync-failures"),
        ("subscription", {"subscription": lambda: ("_deleted-topic_", 300)}, "_deleted-topic_"),
        ("subscription", {"subscription": lambda: (TOPIC, 10)}, "ack deadline 10 s"),
        ("rights", {"missing_rights": lambda: ["pubsub.topics.publish"]}, "pubsub.topics.publish"),
    ],
)
def test_a_fault_of_pubsub_is_named(name: str, changes: dict[str, Any], named: str) -> None:
    (finding,) = found(pubsub.CHECKS, name, World(queue=queue(**changes)))
    assert finding.status is Status.FAIL
    assert named in finding.found
    assert found(pubsub.CHECKS, name, World(queue=queue()))[0].status is Status.PASS


# --- mail, alerts ------------------------------------------------------------------------------------------
def session(**changes: Any) -> Any:
    fine = {"mail": (250, b"ok"), "rcpt": (250, b"ok"), "noop": (250, b"ok")} | changes
    return mock.Mock(
        **{f"{name}.return_value": value for name, value in fine.items()},
        sock=SimpleNamespace(getpeername=lambda: ("127.0.0.1", 25)),
    )


@pytest.mark.parametrize(
    ("changes", "status", "named"),
    [
        ({"mail": (550, b"relay denied")}, Status.FAIL, "MAIL FROM airflow@example.com: 550"),
        ({"rcpt": (550, b"no such user")}, Status.FAIL, "RCPT TO draws-oncall@example.com: 550"),
        ({"rcpt": (451, b"greylisted")}, Status.WARN, "451"),
    ],
)
def test_a_refused_address_is_named_and_no_mail_is_sent(changes: dict[str, Any], status: Status, named: str) -> None:
    smtp = session(**changes)
    findings = found(mail.CHECKS, "addresses", World(session=smtp))
    assert findings[0].status is status
    assert named in findings[0].found
    smtp.data.assert_not_called()


def test_addresses_that_are_taken_pass_and_the_transaction_is_given_up() -> None:
    smtp = session()
    assert {one.status for one in found(mail.CHECKS, "addresses", World(session=smtp))} == {Status.PASS}
    smtp.rset.assert_called_once()
    smtp.data.assert_not_called()


def channel(*tags: str, problem: str = "") -> Any:
    return SimpleNamespace(name="json://sink", tags=frozenset(tags), send=mock.Mock(return_value=problem))


def test_a_priority_without_a_channel_is_named() -> None:
    world = World(alert_channels=[channel("P1", "P2")])
    assert only(found(channels.CHECKS, "configured", world), Status.FAIL).found == "P0 没有通道 has no channel"
    assert found(channels.CHECKS, "configured", World())[0].status is Status.FAIL
    only_mail = World(alert_channels=[channel("mail"), channel("mail", "escalation")])
    assert "mail is the only" in only(found(channels.CHECKS, "configured", only_mail), Status.WARN).found


def test_the_second_recipient_is_no_channel_for_a_first_announcement_and_is_missed() -> None:
    alone = World(alert_channels=[channel("escalation")])
    assert "P0 没有通道" in found(channels.CHECKS, "configured", alone)[0].found
    nobody = World(alert_channels=[channel("chat")])
    assert "no second recipient" in only(found(channels.CHECKS, "configured", nobody), Status.WARN).found


def test_a_message_is_sent_only_when_asked_for() -> None:
    quiet, broken = channel(), channel(problem="404 not found")
    (finding,) = found(channels.CHECKS, "delivery", World(alert_channels=[quiet]))
    assert finding.status is Status.WARN
    quiet.send.assert_not_called()
    findings = found(channels.CHECKS, "delivery", World(alert_channels=[quiet, broken], sends_messages=True))
    assert [one.status for one in findings] == [Status.PASS, Status.FAIL]
    assert findings[1].found == "json://sink: 404 not found"


# --- Airflow -----------------------------------------------------------------------------------------------
def pools(**changes: Any) -> dict[str, Any]:
    import json

    wanted = json.loads(airflow.POOLS.read_text())
    return {"/pools": {"pools": [{"name": name, **(pool | changes.get(name, {}))} for name, pool in wanted.items()]}}


def test_a_user_who_may_not_read_runs_or_the_audit_log_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each DAG that is asked about: a list of all DAGs is filtered, and refused to nobody."""
    pages: dict[str, Any] = {f"/dags/{dag_id}/dagRuns?": {"dag_runs": []} for dag_id in load_deadlines()}
    pages |= {f"/eventLogs?dag_id={dag_id}&": {"event_logs": []} for dag_id in ("monitoring_checks", "alert_digest")}
    assert found(airflow.CHECKS, "history", World(pages=pages))[0].status is Status.PASS
    for page in pages:
        left = {path: answer for path, answer in pages.items() if path != page}
        assert found(airflow.CHECKS, "history", World(pages=left))[0].status is Status.WARN

    def refuses(self: World, path: str) -> Any:
        if "points_push" in path:
            raise requests.HTTPError(f"403 Forbidden: {path}")
        return {"dag_runs": [], "event_logs": []}

    monkeypatch.setattr(World, "airflow", refuses)
    (finding,) = found(airflow.CHECKS, "history", World())
    assert finding.status is Status.FAIL
    assert "403 Forbidden: /dags/points_push/" in finding.found


def test_pools_as_configured_pass_and_without_rest_nobody_knows() -> None:
    assert found(airflow.CHECKS, "pools", World(pages=pools()))[0].status is Status.PASS
    (finding,) = found(airflow.CHECKS, "pools", World())
    assert finding.status is Status.WARN
    assert "airflow_api_default" in finding.found


def test_a_missing_pool_and_one_with_two_slots_are_named() -> None:
    pages = pools(draws_target={"slots": 2})
    pages["/pools"]["pools"] = [one for one in pages["/pools"]["pools"] if one["name"] != "monitoring"]
    failures = [one for one in found(airflow.CHECKS, "pools", World(pages=pages)) if one.status is Status.FAIL]
    assert [one.found for one in failures] == ["缺少 missing monitoring", "draws_target: slots = 2，应为 expected 1"]


def test_an_approver_who_does_not_exist_is_named() -> None:
    world = World(users=["approver"])
    assert only(found(airflow.CHECKS, "approvers", world), Status.FAIL).found == "不存在 unknown: second_approver"
    assert {one.status for one in found(airflow.CHECKS, "approvers", World())} == {Status.PASS}


def test_under_fab_users_and_roles_are_asked_for_and_ids_are_wanted() -> None:
    settings = get_settings().model_copy(update={"approvers": "alice=3,bob=4,role:points_approver"})
    pages = {
        "/auth/fab/v1/users": {"users": [{"username": "alice"}]},
        "/auth/fab/v1/roles": {"roles": [{"name": "Admin"}]},
    }
    world = World(settings=settings, auth_manager="auth_managers.fab.ApproverRolesFabAuthManager", pages=pages)
    finding = only(found(airflow.CHECKS, "approvers", world), Status.FAIL)
    assert finding.found == "不存在 unknown: bob, role:points_approver"
    nameless = get_settings().model_copy(update={"approvers": "alice,bob"})
    pages["/auth/fab/v1/users"]["users"].append({"username": "bob"})
    world = World(settings=nameless, auth_manager=world.auth_manager, pages=pages)
    assert "alice, bob" in only(found(airflow.CHECKS, "approvers", world), Status.WARN).found


def test_a_manager_that_lists_nobody_and_a_lonely_approver_are_warnings() -> None:
    world = World(auth_manager="airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager")
    assert found(airflow.CHECKS, "approvers", world)[0].status is Status.WARN
    alone = World(settings=get_settings().model_copy(update={"approvers": "approver"}))
    assert "one person only" in only(found(airflow.CHECKS, "approvers", alone), Status.WARN).found


def in_folder(folder: Path, *probes: FolderProbe, executor: str = "CeleryExecutor") -> list[Finding]:
    settings = get_settings().model_copy(update={"artifacts_address": str(folder)})
    world = World(settings=settings, folder_probes=list(probes), executor=executor)
    return found(airflow.CHECKS, "folder", world)


def test_a_worker_that_cannot_write_or_writes_elsewhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "preflight").mkdir()
    for host in ("one", "two"):
        (tmp_path / "preflight" / host).touch()
    one, two = FolderProbe("one", "one"), FolderProbe("two", "two")
    assert in_folder(tmp_path, one, two)[0].status is Status.PASS
    assert in_folder(tmp_path, one, executor="LocalExecutor")[0].status is Status.PASS
    assert in_folder(tmp_path, one)[0].status is Status.WARN
    refused = only(in_folder(tmp_path, one, two, FolderProbe("three", "", "Permission denied")), Status.FAIL)
    assert refused.found == f"three: {tmp_path}/: Permission denied"
    elsewhere = only(in_folder(tmp_path, one, FolderProbe("four", "four")), Status.FAIL)
    assert "not the same place: four" in elsewhere.found
    assert in_folder(tmp_path)[0].status is Status.FAIL


def test_a_folder_that_cannot_be_written_is_the_answer_of_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hooks.artifacts_probe import probe

    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", str(tmp_path / "file"))
    get_settings.cache_clear()
    try:
        answer = probe("worker-1")
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert answer["token"] == ""
    assert "NotADirectoryError" in answer["error"] or "FileExistsError" in answer["error"]


def test_settings_that_point_nowhere_are_named() -> None:
    (finding,) = found(airflow.CHECKS, "settings", World())
    assert "DRAWSGUARD_POINTS_OWNER_ADDRESS = {owner}@example.com" in finding.found
    own = dict.fromkeys(airflow.untouched(get_settings()), "https://ours.cn")
    world = World(settings=get_settings().model_copy(update=own))
    assert found(airflow.CHECKS, "settings", world)[0].status is Status.PASS


# --- zone data ---------------------------------------------------------------------------------------------
def engine_says(name: str, text: str | None, emulator: str = "") -> Finding:
    told = {("America/Vancouver", zones.MOMENTS[1]): text}
    with mock.patch.dict(zones._TOLD, {name: lambda _: told}):
        (finding,) = zones.engine(World(bigquery_emulator=emulator), name)  # type: ignore[arg-type]
    return finding


def test_an_engine_with_other_zone_data_is_named_with_both_answers() -> None:
    ours = zones.told_by_python("America/Vancouver", zones.MOMENTS[1])
    other = "2026-11-15 06:00:00"
    for name in ("BigQuery", "Hive", "MySQL"):
        assert engine_says(name, ours).status is Status.PASS
        finding = engine_says(name, other)
        assert finding.status is Status.FAIL
        assert other in finding.found
        assert ours in finding.found
    assert engine_says("MySQL", None).status is Status.WARN
    assert engine_says("BigQuery", other, emulator="http://127.0.0.1:1").status is Status.WARN


def test_old_zone_data_of_python_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "told_by_python", lambda *_: "2026-11-15 04:00:00")
    (finding,) = found(zones.CHECKS, "python", World())
    assert finding.status is Status.WARN
    assert "2026-11-15 04:00:00，应为 expected 2026-11-15 05:00:00" in finding.found
    monkeypatch.setattr(zones, "told_by_python", lambda *_: "2026-11-15 05:00:00")
    assert found(zones.CHECKS, "python", World())[0].status is Status.PASS


# --- MySQL -------------------------------------------------------------------------------------------------
GRANTS = [
    "GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*'",
    "GRANT SELECT, INSERT ON `governance_audit`.* TO `u`@`%`",
    "GRANT SELECT ON `rsp\\_datagovern`.* TO `u`@`%`",
    "GRANT UPDATE ON `points_%`.* TO `u`@`%`",
    "GRANT DELETE ON `points_lifecycle`.`batch` TO `u`@`%`",
    "GRANT `a_role`@`%` TO `u`@`%`",
]


@pytest.mark.parametrize(
    ("schema", "rights"),
    [
        ("governance_audit", {"USAGE", "SELECT", "INSERT"}),
        ("rsp_datagovern", {"USAGE", "SELECT"}),
        ("rspxdatagovern", {"USAGE"}),
        ("points_lifecycle", {"USAGE", "UPDATE"}),
    ],
)
def test_rights_are_read_from_grants(schema: str, rights: set[str]) -> None:
    assert mysql.rights_on(GRANTS, schema) == rights


def test_the_required_rights_are_those_of_the_embedded_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/mysql.md, the embedded users and preflight say the same; a test of the schema compares the first two."""
    for environment in ("intranet", "extranet"):
        for kind in ("backup", "scratch", "journal"):
            monkeypatch.setenv(f"DRAWSGUARD_{environment}_{kind}_SCHEMA".upper(), f"points_{kind}_{environment}")
    get_settings.cache_clear()
    try:
        for server, schemas in MYSQL_GRANTS.items():
            wanted = mysql.required_rights(server, f"cvs_{server}")  # type: ignore[arg-type]
            assert {name: ", ".join(rights) for name, rights in wanted.items()} == schemas
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


def test_every_statement_of_mysql_belongs_to_a_server() -> None:
    files = {path.relative_to(SQL_ROOT / "mysql").as_posix() for path in (SQL_ROOT / "mysql").rglob("*.sql")}
    prepared = {*mysql.files_of("governance"), *mysql.files_of("intranet")}
    left = files - prepared
    assert left == {file for file in files if file.startswith("schema/")} | set(mysql._NOT_PREPARED)
    assert not set(mysql.files_of("governance")) & set(mysql.files_of("extranet"))


def test_parameters_become_question_marks() -> None:
    text = "SELECT 1 FROM t WHERE id IN %(ids)s AND a = %(a)s AND b LIKE 'x%%'"
    assert mysql.as_prepared(text) == "SELECT 1 FROM t WHERE id IN (?) AND a = ? AND b LIKE 'x%'"


# --- Hive, Redis -------------------------------------------------------------------------------------------
def test_every_parameter_of_hive_has_a_value() -> None:
    import re

    known = hive.values(get_settings()).keys()
    for file in hive.files():
        for names in hive.names_of(file):
            for text in hive.statements_in(file, **names):
                assert set(re.findall(r"%\((\w+)\)s", text)) <= known, file


class HiveServer:
    """A connection that answers from a table of statements."""

    def __init__(self, answers: Mapping[str, list[tuple[Any, ...]]]) -> None:
        self.answers = answers
        self.rows: list[tuple[Any, ...]] = []

    def cursor(self) -> HiveServer:
        return self

    def close(self) -> None:
        pass

    def execute(self, text: str, _bound: Any = None) -> None:
        for start, rows in self.answers.items():
            if text.startswith(start):
                self.rows = rows
                return
        self.rows = []

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.rows


TABLES = {
    "SHOW DATABASES": [("cma",), ("datalake_platform",)],
    "SHOW TABLES IN cma LIKE": [("src_evt",)],
    "SHOW TABLES IN cma": [(name.split(".")[1],) for name in hive.table_names()],
    "SHOW TABLES IN datalake_platform": [("cma_hudi",)],
    "DESCRIBE FORMATTED": [("Table Type:", "MANAGED_TABLE", None), ("Location:", "hdfs://n/feed", None)],
}


def on_hive(name: str, answers: Mapping[str, Any], **settings: Any) -> list[Finding]:
    # The test's own answers come first: the first that fits is given.
    server = HiveServer({**answers, **{start: rows for start, rows in TABLES.items() if start not in answers}})
    world: Any = World(settings=get_settings().model_copy(update=settings))
    world.hive = contextmanager(lambda: iter([server]))
    return found(hive.CHECKS, name, world)


def test_an_external_table_that_cannot_be_emptied_is_named() -> None:
    external = [("Table Type:", "EXTERNAL_TABLE", None), ("", "transient_lastDdlTime", "1")]
    findings = on_hive("tables", {"DESCRIBE FORMATTED cma.base_evt_day": external})
    assert only(findings, Status.FAIL).found.startswith("cma.base_evt_day: 外部表")
    purged = [*external, ("", "external.table.purge", "true")]
    assert [one.status for one in on_hive("tables", {"DESCRIBE FORMATTED cma.base_evt_day": purged})] == [Status.PASS]


def test_a_missing_table_of_hive_is_named() -> None:
    findings = on_hive("tables", {"SHOW TABLES IN datalake_platform": []})
    assert "datalake_platform.cma_hudi" in only(findings, Status.FAIL).found
    (skipped,) = on_hive("statements", {"SHOW TABLES IN datalake_platform": []})
    assert skipped.status is Status.FAIL


def test_a_missing_right_of_hive_is_named_in_its_words() -> None:
    refused = [("INPUTS: ",), ("AUTHORIZATION_FAILURES: ",), ("  No privilege 'Select' found for inputs cma_hudi",)]
    answers = {"SELECT current_user": [("etl",)], "EXPLAIN AUTHORIZATION": refused}
    finding = only(on_hive("rights", answers), Status.FAIL)
    assert "No privilege 'Select' found" in finding.found
    assert finding.found.startswith("etl: ")
    fine = {"SELECT current_user": [("etl",)], "EXPLAIN AUTHORIZATION": [("INPUTS: ",)]}
    assert on_hive("rights", fine)[0].status is Status.PASS


def test_a_feed_elsewhere_is_named() -> None:
    partition = {"SHOW PARTITIONS": [("pt_year=2026/pt_month=01/pt_day=02",)]}
    assert on_hive("feed", partition, points_feed_root="/feed")[0].status is Status.PASS
    finding = only(on_hive("feed", partition, points_feed_root="/other"), Status.FAIL)
    assert "hdfs://n/feed，应为 expected /other" in finding.found
    assert on_hive("feed", {}, points_feed_root="/feed")[0].status is Status.WARN


def test_too_few_partitions_for_a_statement_are_named() -> None:
    limit = {"SET hive.exec.max.dynamic.partitions.pernode": [("hive.exec.max.dynamic.partitions.pernode=10",)]}
    finding = only(on_hive("settings", limit), Status.FAIL)
    assert "hive.exec.max.dynamic.partitions.pernode = 10" in finding.found


def test_a_plan_that_is_an_error_is_none() -> None:
    wrong = [("Error occurred during query planning: \n[PARSE_SYNTAX_ERROR]",)]
    findings = on_hive("statements", {"EXPLAIN INSERT OVERWRITE TABLE cma.base_evt_day": wrong})
    assert "telemetry/window/base_evt_day.sql" in only(findings, Status.FAIL).found


def test_instances_that_nothing_cleans_are_asked_for_an_answer_only() -> None:
    swept = redis_instances.swept_instances()
    assert "evt-001-redis" in swept
    assert "marker-001-ssdb" not in swept
    world: Any = World()
    world.redis = mock.Mock(side_effect=LookupError("The conn_id `marker_001_ssdb` isn't defined"))
    (check,) = [one for one in redis_instances.CHECKS if one.part == "Redis marker-001-ssdb"]
    assert [one.status for one in look(check, world)] == [Status.WARN]
