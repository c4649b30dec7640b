"""MySQL migrations: from nothing, from the tables of version one, twice, side by side; and what each user may do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from drawsguard.points import schema
from drawsguard.points.database import statements_of
from drawsguard.points.schema import SERVERS, SchemaError, current, migrate, newest, pending, require_current
from local.config import MYSQL_GRANTS, Config
from local.demo.downline import connect
from tests.integration.points_world import empty_schemas

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def config(stack: Any) -> Iterator[Config]:
    """Three servers with empty schemas; up to date again afterwards, for whoever comes next."""
    from local.points_schema import migrate_all

    stack.require("mysql")
    empty_schemas(stack.config)
    yield stack.config
    empty_schemas(stack.config)
    migrate_all(stack.config)


@pytest.fixture(scope="module")
def ready(stack: Any) -> Config:
    """Three servers whose schemas are up to date."""
    return stack.require("mysql").config


def run(config: Config, user: str, text: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(connect(config, user)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(text, values or None)
        rows = list(cursor.fetchall()) if cursor.description else []
        connection.commit()
        return rows


def migrated(config: Config, server: schema.Server) -> list[str]:
    with closing(connect(config, f"{server}_schema")) as connection:
        return migrate(connection, server)


def version_one(config: Config) -> None:
    """What version one created at its connections, with a row in each table that moves."""
    names = {"governance": ["evidence_push", "lifecycle", "cleanup"], "intranet": ["journal"], "extranet": ["journal"]}
    for server, files in names.items():
        with closing(connect(config, f"{server}_schema")) as connection, closing(connection.cursor()) as cursor:
            for name in files:
                text = (FIXTURES / f"v1_V001__{name}.sql").read_text()
                for statement in statements_of(text.replace("{{ backup_schema }}", f"points_backup_{server}")):
                    cursor.execute(statement)
            connection.commit()
    run(
        config, "governance_schema",
        "INSERT INTO points_lifecycle.audit (batch_id, environment, event, actor, detail, happened_at)"
        " VALUES ('b1', '', 'reported', 'requester', '{}', '2024-08-02')",
    )  # fmt: skip
    run(
        config, "governance_schema",
        "INSERT INTO points_lifecycle.approval (batch_id, environment, action, digest, role, decision, responder,"
        " requester, dag_id, run_id, task_id, responded_at, recorded_at) VALUES ('b1', 'intranet', 'downline', 'd',"
        " 'execute', 'approved', 'approver', 'requester', 'points_downline', 'r', 't', '2024-08-02', '2024-08-02')",
    )  # fmt: skip
    run(
        config, "intranet_schema",
        "INSERT INTO points_backup_intranet.points_journal (batch_id, environment, table_name, row_id, identity,"
        " old_status, ordinal, kind, cluster, last_modify_time, state, digest, changed_at)"
        " VALUES ('b1', 'intranet', 't', 1, 'i', 1, 0, 'point', 'c', '', 'downlined', 'd', '2024-08-02')",
    )  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_a_new_server_gets_every_version_once(config: Config, server: schema.Server) -> None:
    with closing(connect(config, f"{server}_schema")) as connection:
        assert current(connection, server) is None
        todo = pending(connection, server)
        assert migrate(connection, server) == todo != []
        assert current(connection, server) == newest(server)
        assert migrate(connection, server) == pending(connection, server) == []


def test_tables_of_version_one_are_taken_over_with_their_rows(config: Config) -> None:
    version_one(config)
    for server in SERVERS:
        migrated(config, server)
    assert run(config, "governance", "SELECT batch_id, event FROM governance_audit.audit") == [("b1", "reported")]
    old = run(config, "governance", "SELECT batch_id, responder FROM governance_audit.approval_v1")
    assert old == [("b1", "approver")]
    copied = run(config, "governance", "SELECT kind, subject, responder, expires_at FROM governance_audit.approval")
    assert copied == [("approved", "b1/intranet", "approver", None)]
    assert run(config, "intranet", "SELECT batch_id FROM points_journal_intranet.points_journal") == [("b1",)]


@pytest.mark.parametrize("broken_after", range(1, 9))
def test_a_migration_that_broke_off_is_finished_by_the_next(
    config: Config, monkeypatch: pytest.MonkeyPatch, broken_after: int
) -> None:
    version_one(config)
    done, real = [], schema.run

    def dying(path: str) -> None:
        if len(done) == broken_after:
            raise KeyboardInterrupt
        real(path)
        done.append(path)

    from drawsguard.points.migrations.governance import (  # noqa: F401 - found by Alembic
        v0001_tables,
        v0002_audit,
        v0003_exact_names,
        v0004_evidence_days,
        v0005_reopen_batches,
    )

    monkeypatch.setattr(schema, "run", dying)
    with pytest.raises(KeyboardInterrupt):
        migrated(config, "governance")
    monkeypatch.undo()
    assert migrated(config, "governance")[-1] == newest("governance")
    assert run(config, "governance", "SELECT COUNT(*) FROM governance_audit.audit") == [(1,)]
    assert run(config, "governance", "SELECT COUNT(*) FROM governance_audit.approval_v1") == [(1,)]


def test_a_batch_that_was_closed_with_a_ticket_of_the_dba_is_being_cleaned_again(config: Config) -> None:
    migrated(config, "governance")
    withdrawn = ("dba_tickets_withdrawn", '{"tickets": ["%s/c/r"]}')
    reported = ("cleanup_reported", '{"closed": true}')
    closed = {
        "handed": ("dba", "handed_over", reported),
        "taken back": ("dba", "withdrawn", reported, withdrawn, ("cleanup_reported", '{"closed": false}')),
        "done": ("dba", "done", reported),
        "own": ("own", "withdrawn", reported, withdrawn),
        "restored": ("dba", "withdrawn", reported),  # all its points: nothing is left to do
        "restored after a halt": ("dba", "withdrawn", withdrawn, reported),
        "another ticket": ("dba", "withdrawn", reported, ("dba_tickets_withdrawn", '{"tickets": ["other/c/r"]}')),
    }
    for name, (executor, state, *events) in closed.items():
        for event, detail in events:
            run(
                config, "governance",
                "INSERT INTO governance_audit.audit (batch_id, environment, event, actor, detail, happened_at)"
                " VALUES (%s, '', %s, 'airflow', %s, '2024-09-02')", name, event, detail.replace("%s", name),
            )  # fmt: skip
        run(
            config, "governance",
            "INSERT INTO points_lifecycle.batch (batch_id, environment, window_start, window_end, candidates,"
            " candidate_digest, state, created_at)"
            " VALUES (%s, 'intranet', '2024-02-03', '2024-07-31', 1, 'd', 'cleaned', '2024-08-02')", name,
        )  # fmt: skip
        run(
            config, "governance",
            "INSERT INTO points_lifecycle.cleanup_ticket (ticket_id, batch_id, cluster, class, executor, digest,"
            " points, instances, state, made_at) VALUES (%s, %s, 'c', 'r', %s, 'd', 1, '[]', %s, '2024-09-02')",
            f"{name}/c/r", name, executor, state,
        )  # fmt: skip
    run(config, "governance_schema", "UPDATE points_lifecycle.schema_version SET version_num = '0004'")
    assert migrated(config, "governance") == ["0005"]
    found = run(config, "governance", "SELECT batch_id FROM points_lifecycle.batch WHERE state = 'cleaning'")
    assert {name for (name,) in found} == {"handed", "taken back"}


def test_two_migrations_of_a_server_do_not_run_side_by_side(config: Config) -> None:
    with closing(connect(config, "governance_schema")) as first, closing(first.cursor()) as cursor:
        cursor.execute("SELECT GET_LOCK('drawsguard_schema_governance', 0)")
        with pytest.raises(SchemaError, match="Another migration of governance is running"):
            migrated(config, "governance")
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(_tried(config))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)).count(str(["0001", "0002", "0003", "0004", "0005"])) == 1


def _tried(config: Config) -> Any:
    try:
        return migrated(config, "governance")
    except SchemaError as error:
        return error


def test_an_older_schema_is_refused_with_what_to_do(config: Config) -> None:
    with closing(connect(config, "governance")) as connection:
        with pytest.raises(SchemaError, match=r"governance is at no version.*points_schema"):
            require_current(connection, "governance")
        migrated(config, "governance")
        require_current(connection, "governance")
        run(config, "governance_schema", "UPDATE points_lifecycle.schema_version SET version_num = '0001'")
        with pytest.raises(SchemaError, match=r"is at 0001, this code needs"):
            require_current(connection, "governance")


def test_a_schema_of_a_newer_version_is_not_touched(config: Config) -> None:
    migrated(config, "governance")
    run(config, "governance_schema", "UPDATE points_lifecycle.schema_version SET version_num = '9999'")
    with closing(connect(config, "governance_schema")) as connection:
        for step in (pending, migrate):  # a dry run does not call it up to date
            with pytest.raises(SchemaError, match=r"at 9999, which this code does not know"):
                step(connection, "governance")


def test_the_journal_is_moved_once_when_the_move_broke_off(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    version_one(config)
    real = schema.run

    def dying(path: str) -> None:
        real(path)
        if path == "environment/move_journal.sql":
            raise KeyboardInterrupt

    monkeypatch.setattr(schema, "run", dying)
    with pytest.raises(KeyboardInterrupt):
        migrated(config, "intranet")
    monkeypatch.undo()
    assert migrated(config, "intranet") == ["0002", "0003"]
    assert run(config, "intranet", "SELECT batch_id FROM points_journal_intranet.points_journal") == [("b1",)]
    assert run(config, "intranet_schema", "SHOW TABLES FROM points_backup_intranet") == []


def test_a_refused_statement_says_where_it_stopped_and_how_to_go_on(config: Config) -> None:
    version_one(config)
    run(config, "intranet_schema", "CREATE TABLE points_journal_intranet.points_journal (a INT)")
    with pytest.raises(SchemaError) as refused:
        migrated(config, "intranet")
    message = str(refused.value)
    assert "schema of intranet, in migration 0002, file environment/move_journal.sql: (1050, " in message
    assert "Statements before it are committed" in message
    assert "trigger points_schema again" in message
    run(config, "intranet_schema", "DROP TABLE points_journal_intranet.points_journal")
    assert migrated(config, "intranet") == ["0002", "0003"]
    assert run(config, "intranet", "SELECT batch_id FROM points_journal_intranet.points_journal") == [("b1",)]


def test_a_user_without_grants_is_told_so(config: Config) -> None:
    with closing(connect(config, "extranet_schema")) as connection:
        for step in (pending, migrate):
            with pytest.raises(SchemaError, match=r"schema of intranet, in the version table: \(1142, .*docs/mysql.md"):
                step(connection, "intranet")


REFUSED = [
    ("governance", "CREATE TABLE points_lifecycle.t (a INT)"),
    ("governance", "ALTER TABLE points_lifecycle.batch ADD COLUMN a INT"),
    ("governance", "DROP TABLE rsp_datagovern.evidence_batch"),
    ("governance", "TRUNCATE TABLE rsp_datagovern.ads_evt_ops_status_ago"),
    ("governance", "UPDATE governance_audit.approval SET responder = 'x' WHERE approval_id = 1"),
    ("governance", "DELETE FROM governance_audit.approval WHERE approval_id = 1"),
    ("governance", "REPLACE INTO governance_audit.approval (approval_id) VALUES (1)"),
    ("governance", "UPDATE governance_audit.audit SET actor = 'x' WHERE audit_id = 1"),
    ("governance", "DELETE FROM governance_audit.audit WHERE audit_id = 1"),
    ("governance", "DROP TABLE governance_audit.approval"),
    ("governance", "TRUNCATE TABLE governance_audit.approval"),
    ("governance", "ALTER TABLE governance_audit.approval ADD COLUMN a INT"),
    ("governance", "ALTER TABLE governance_audit.audit DROP COLUMN actor"),
    ("governance", "RENAME TABLE governance_audit.approval TO points_lifecycle.approval"),
    ("governance", "DROP INDEX answer_once ON governance_audit.approval"),
    ("governance", "CREATE TABLE governance_audit.approval2 LIKE governance_audit.approval"),
    ("governance", "CREATE VIEW points_lifecycle.approval AS SELECT * FROM governance_audit.approval"),
    ("governance", "CREATE TRIGGER governance_audit.t AFTER INSERT ON governance_audit.audit FOR EACH ROW SET @a = 1"),
    ("governance", "LOCK TABLES governance_audit.approval WRITE"),
    ("governance", "INSERT INTO governance_audit.audit (audit_id) VALUES (1) ON DUPLICATE KEY UPDATE actor = 'x'"),
    ("governance", "LOAD DATA LOCAL INFILE '/dev/null' REPLACE INTO TABLE governance_audit.approval"),
    ("governance", "DELETE FROM governance_audit.approval_v1 WHERE approval_id = 1"),
    ("governance", "SELECT COUNT(*) FROM points_journal_intranet.points_journal"),
    ("extranet", "SELECT COUNT(*) FROM points_journal_intranet.points_journal"),
    ("extranet", "UPDATE points_journal_intranet.points_journal SET state = 'restored' WHERE row_id = 1"),
    ("extranet", "INSERT INTO points_journal_intranet.points_journal (batch_id) VALUES ('x')"),
    ("intranet", "INSERT INTO governance_audit.approval (kind) VALUES ('approved')"),
    ("intranet", "CREATE TABLE cvs_intranet.t (a INT)"),
    ("intranet", "DELETE FROM points_journal_intranet.points_journal WHERE row_id = 1"),
    ("intranet", "TRUNCATE TABLE points_journal_intranet.points_journal"),
    ("intranet", "DROP TABLE points_journal_intranet.points_journal"),
    ("intranet", "DROP TABLE points_journal_intranet.schema_version"),
    ("intranet", "RENAME TABLE points_journal_intranet.points_journal TO points_backup_intranet.points_journal"),
    ("intranet", "ALTER TABLE points_journal_intranet.points_journal DROP COLUMN digest"),
    ("extranet", "DROP TABLE points_journal_extranet.points_journal"),
]  # fmt: skip


@pytest.mark.parametrize(("user", "text"), REFUSED, ids=lambda value: value[:60])
def test_what_the_users_of_the_run_time_may_not_do(ready: Config, user: str, text: str) -> None:
    with pytest.raises(MySQLdb.Error) as refused:
        run(ready, user, text)
    assert refused.value.args[0] in (1044, 1142), refused.value  # access denied to the schema, or to the table


def test_the_grants_are_exactly_those_of_the_table(ready: Config) -> None:
    for server, expected in MYSQL_GRANTS.items():
        grants = [str(row[0]).removeprefix("GRANT ") for row in run(ready, server, "SHOW GRANTS")]
        found = {}
        for rights, _, place in (grant.partition(" ON ") for grant in grants):
            if not place.startswith("*.*"):
                found[place.split(".")[0].strip("`")] = set(rights.split(", "))
        assert found == {name: set(rights.split(", ")) for name, rights in expected.items()}
