"""What MySQL 8.4 and the MariaDB that runs here do differently, where it matters to us (docs/mysql.md has the list).

The embedded server has MySQL's defaults wherever it can be given them; with ENGINE=mysql the same runs on MySQL itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import MySQLdb
import pytest

from drawsguard.points.cleanup.ticket_repository import lock_name
from drawsguard.points.database import DEFINITIONS_MODE, SQL_MODE, close, prepare, utc
from drawsguard.points.downline.backup import back_up
from drawsguard.points.downline.execution import Execution, verify_downline
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.restore import plan_restore
from local.config import MYSQL_GRANTS, Config, mysql_database
from local.services import MYSQL_SQL_MODE
from tests.integration.points_world import BATCH, World, new_world, small_world
from tests.sql import mysql_rules
from tests.sql.test_mysql_rules import NEGATIVE

pytestmark = pytest.mark.integration


@pytest.fixture
def config(stack: Any) -> Config:
    return stack.require("mysql").config


@pytest.fixture
def world(config: Config) -> Iterator[World]:
    made = new_world(config)
    made.load(*small_world())
    yield made
    close(made.governance)


def raw(config: Config, user: str, **options: Any) -> Any:
    """A connection as the driver makes it, not prepared."""
    return MySQLdb.connect(
        host=config.host("mysql"), port=config.port("MYSQL_PORT"), user=user, charset="utf8mb4",
        password=config.secret(f"mysql_{user}"), database=mysql_database(user), **options,
    )  # fmt: skip


def value(connection: Any, expression: str, *values: Any) -> Any:
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SELECT {expression}", values or None)
        ((found,),) = cursor.fetchall()
    return found


# --- the server's defaults ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("explicit_defaults_for_timestamp", 1),
        ("max_allowed_packet", 64 * 1024**2),
        ("group_concat_max_len", 1024),
        ("innodb_autoinc_lock_mode", 2),
        ("character_set_server", "utf8mb4"),
        ("innodb_strict_mode", 1),
        ("lower_case_table_names", 0),
    ],
)
def test_embedded_server_has_the_defaults_of_mysql_8_4(config: Config, variable: str, expected: Any) -> None:
    with closing(raw(config, "governance")) as connection:
        assert value(connection, f"@@GLOBAL.{variable}") == expected


def test_embedded_server_has_the_sql_mode_of_mysql_8_4(config: Config) -> None:
    with closing(raw(config, "governance")) as connection:
        assert set(value(connection, "@@GLOBAL.sql_mode").split(",")) == set(MYSQL_SQL_MODE.split(","))


def test_embedded_server_compares_as_the_collation_of_mysql_8_4(config: Config) -> None:
    """As utf8mb4_0900_ai_ci: neither case nor accents count, a blank at the end does."""
    with closing(raw(config, "intranet_schema")) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("CREATE TABLE cvs_intranet.probe (a VARCHAR(20))")
        try:
            cursor.execute("INSERT INTO cvs_intranet.probe VALUES ('José')")
            cursor.execute("SELECT a = 'jose', a = 'JOSÉ', a = 'José ' FROM cvs_intranet.probe")
            assert cursor.fetchall() == ((1, 1, 0),)
        finally:
            cursor.execute("DROP TABLE cvs_intranet.probe")


# --- the session ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ours", [SQL_MODE, DEFINITIONS_MODE])
@pytest.mark.parametrize("mode", ["", "ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES", "TRADITIONAL"])
def test_prepared_connection_has_our_mode_whatever_the_server_s_is(config: Config, mode: str, ours: str) -> None:
    with closing(prepare(raw(config, "governance", sql_mode=mode), ours)) as connection:
        found = set(value(connection, "@@SESSION.sql_mode").split(","))
        assert found == set(ours.split(","))
        assert value(connection, "'a' || ''") == 0  # an OR: two words would be one otherwise
        assert value(connection, "%s", 'it\'s \\ "x"') == 'it\'s \\ "x"'


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO define_nosdata_general (id, status, cluster) VALUES (99, 1, REPEAT('x', 65))",
        "INSERT INTO define_nosdata_general (id, status, created_time) VALUES (99, 1, 'yesterday')",
        "INSERT INTO define_nosdata_general (id, status, created_time) VALUES (99, 1, '0000-00-00')",
        "INSERT INTO define_nosdata_general (id, status, created_time) VALUES (99, 1, '2024-02-31')",
        "INSERT INTO define_nosdata_general (id) VALUES (99)",  # no implicit default for status
        "INSERT INTO define_nosdata_general (id, status) VALUES (99, 2147483648)",
        "UPDATE define_nosdata_general SET status = 1 / 0 WHERE id = 1",
        "CREATE TABLE unheard_of (a INT) ENGINE = Unheard",
        "SELECT id, people FROM define_nosdata_general GROUP BY id",
    ],
)
def test_what_a_lax_server_would_bend_is_refused(world: World, statement: str) -> None:
    with (
        closing(prepare(raw(world.config, "intranet_schema", sql_mode=""))) as connection,
        closing(connection.cursor()) as cursor,
        pytest.raises(MySQLdb.Error),
    ):
        cursor.execute(statement)


# --- tables that are not tidy -------------------------------------------------------------------------------
def through_downline_and_restore(world: World) -> None:
    """Report, backup, downline and restore; every row of the environment is as before."""
    world.confirm()
    with world.environment("intranet") as connection, closing(connection.cursor()) as cursor:

        def everything() -> list[Any]:
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
            found = []
            for (table,) in sorted(cursor.fetchall()):
                cursor.execute(
                    "SELECT GROUP_CONCAT(CONCAT('CAST(`', column_name, '` AS CHAR)') ORDER BY ordinal_position)"
                    " FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s",
                    (table,),
                )
                ((columns,),) = cursor.fetchall()
                cursor.execute(f"SELECT {columns} FROM {table}")
                found += [(table, *row) for row in cursor.fetchall()]
            connection.commit()
            return sorted(found, key=str)

        before = everything()
        planned = world.prepare_change("intranet")
        assert {1, 2} <= planned.plan.points()
        assert planned.plan.differences == ()
        assert world.execute(planned, connection) == len(planned.plan.rows)
        assert verify_downline(connection, Journal(connection, BATCH, "intranet")).wrong == ()
        assert everything() != before
        journal = Journal(connection, BATCH, "intranet")
        plan = plan_restore(connection, journal, BATCH, "intranet", None)
        Execution(connection, journal, lambda: False, plan.digest, 2).restore(plan)
        assert everything() == before


def test_zero_and_impossible_dates_go_down_and_come_back(world: World) -> None:
    dates = [
        (1, "2021-03-04 05:06:07", "0000-00-00 00:00:00"),
        (4, "0000-00-00 00:00:00", "0000-00-00 00:00:00"),  # of unknown age: no candidate, and backed up
        (5, "2021-00-10 00:00:00", "2021-03-04 05:06:07"),
        (6, "2021-02-31 00:00:00", "2021-03-04 05:06:07"),
    ]
    with closing(raw(world.config, "intranet_schema", sql_mode="ALLOW_INVALID_DATES")) as connection:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            zero = "NOT NULL DEFAULT '0000-00-00 00:00:00'"
            cursor.execute(
                f"ALTER TABLE define_nosdata_general MODIFY created_time DATETIME {zero},"
                f" MODIFY last_modify_time TIMESTAMP {zero} ON UPDATE CURRENT_TIMESTAMP"
            )
            for point, created, modified in dates:
                cursor.execute(
                    "UPDATE define_nosdata_general SET created_time = %s, last_modify_time = %s WHERE id = %s",
                    (created, modified, point),
                )
        connection.commit()
    through_downline_and_restore(world)
    columns = "id, CAST(created_time AS CHAR), CAST(last_modify_time AS CHAR)"
    kept = world.sql("intranet", f"SELECT {columns} FROM define_nosdata_general WHERE id IN (1, 4, 5, 6) ORDER BY id")
    assert kept == dates


def test_generated_columns_go_down_and_come_back(world: World) -> None:
    world.sql(
        "intranet",
        "ALTER TABLE define_nosdata_general ADD alive INT AS (status > 0) VIRTUAL, ADD label VARCHAR(300) AS"
        " (CONCAT(lv1, '/', lv2)) STORED",
    )
    through_downline_and_restore(world)
    computed = world.sql(
        "intranet", "SELECT alive = (status > 0), label = CONCAT(lv1, '/', lv2) FROM define_nosdata_general"
    )
    assert set(computed) == {(1, 1)}


def test_columns_with_names_of_any_script_go_down_and_come_back(world: World) -> None:
    world.sql("intranet", "ALTER TABLE define_nosdata_general ADD 备注 VARCHAR(20) NULL, ADD `größe-2` INT NULL")
    world.sql("intranet", "UPDATE define_nosdata_general SET 备注 = CONCAT('第', id), `größe-2` = id")
    through_downline_and_restore(world)
    kept = world.sql("intranet", "SELECT 备注, `größe-2` FROM define_nosdata_general WHERE id = 2")
    assert kept == [("第2", 2)]


def test_hidden_key_of_a_table_without_one_is_copied(world: World) -> None:
    """As sql_generate_invisible_primary_key makes it; the numbers of deleted rows are gaps."""
    world.sql(
        "intranet",
        "ALTER TABLE define_nosdata_general"
        " ADD my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY",
    )
    world.sql("intranet", "DELETE FROM define_nosdata_general WHERE id = 3")
    numbers = "SELECT my_row_id, id FROM define_nosdata_general ORDER BY my_row_id"
    before = world.sql("intranet", numbers)
    assert before[-1][0] > len(before)
    through_downline_and_restore(world)
    assert world.sql("intranet", numbers) == before


def test_hooks_open_the_environments_so(stack: Any) -> None:
    from hooks import points_databases

    stack.require("mysql")
    with points_databases.environment("intranet") as connection:
        assert set(value(connection, "@@SESSION.sql_mode").split(",")) == set(DEFINITIONS_MODE.split(","))
    with points_databases.governance() as connection:
        assert set(value(connection, "@@SESSION.sql_mode").split(",")) == set(SQL_MODE.split(","))


def test_zero_in_a_column_that_counts_up_is_copied_as_zero(world: World) -> None:
    with world.environment("intranet_schema") as connection, closing(connection.cursor()) as cursor:
        cursor.execute("CREATE TABLE define_nosdata_zero (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, status INT)")
        cursor.execute("INSERT INTO define_nosdata_zero VALUES (0, 1), (5, 1)")
        connection.commit()
    try:
        with world.environment("intranet") as connection:
            backup = back_up(connection, BATCH, "intranet", "define_nosdata_zero")
            assert sorted(value_list(connection, f"id FROM {backup.place}")) == [0, 5]
    finally:
        world.sql("intranet", "DROP TABLE define_nosdata_zero")


def value_list(connection: Any, expression: str) -> list[Any]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SELECT {expression}")
        return [found for (found,) in cursor.fetchall()]


def test_columns_of_different_collations_go_down_and_come_back(world: World) -> None:
    world.sql(
        "intranet",
        "ALTER TABLE define_nosdata_general MODIFY lv1 VARCHAR(255) CHARACTER SET latin1 COLLATE latin1_swedish_ci,"
        " MODIFY lv2 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,"
        " MODIFY people VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    )
    world.sql("intranet", "UPDATE define_nosdata_general SET lv1 = 'é', lv2 = '积分', people = 'José' WHERE id = 2")
    through_downline_and_restore(world)
    kept = world.sql("intranet", "SELECT lv1, lv2, people FROM define_nosdata_general WHERE id = 2")
    assert kept == [("é", "积分", "José")]


# --- names ----------------------------------------------------------------------------------------------
def test_every_table_of_ours_compares_names_by_every_character(world: World) -> None:
    found = {}
    for server, schemas in MYSQL_GRANTS.items():
        ours = [name for name in schemas if not name.startswith(("cvs_", "points_backup_", "points_scratch_"))]
        with closing(raw(world.config, f"{server}_schema")) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(
                "SELECT c.table_schema, c.table_name, c.column_name, c.collation_name FROM information_schema.columns c"
                " WHERE c.table_schema IN %s AND c.collation_name IS NOT NULL"
                # One row; and a table whose key is ascii_bin, with words of our own beside it.
                " AND c.table_name NOT IN ('schema_version', 'evidence_batch')",
                (tuple(ours),),
            )
            for schema, table, column, collation in cursor.fetchall():
                found[schema, table, column] = collation
    assert len(found) > 100
    assert {key: collation for key, collation in found.items() if collation not in ("utf8mb4_bin", "ascii_bin")} == {}


def test_owners_that_differ_in_case_or_accents_are_two(world: World) -> None:
    """One row for both would be told of neither twice: the second owner had the mail again at every retry."""
    observations = world.repositories.observations
    owners = ["jose", "José", "JOSE", "lin"]
    for owner in owners:
        observations.save_notice(BATCH, 7, owner, 3)
    begun = utc(datetime.now(UTC) - timedelta(days=1))
    assert sorted(owner for _, owner in observations.notices(BATCH, begun)) == sorted(owners)


# --- locks --------------------------------------------------------------------------------------------------
def test_names_of_locks_fit_into_64_characters() -> None:
    assert len(lock_name("b" * 40 + "/redis_evt_old/" + "x" * 100)) <= 64
    assert len(f"approval-{2**63 - 1}") <= 64
    assert len("drawsguard_schema_governance") <= 64


def test_a_session_holds_several_locks_and_another_gets_none_of_them(config: Config) -> None:
    with closing(raw(config, "governance")) as first, closing(raw(config, "governance")) as second:
        assert [value(first, "GET_LOCK(%s, 0)", name) for name in ("one", "two", "one")] == [1, 1, 1]
        assert [value(second, "GET_LOCK(%s, 0)", name) for name in ("one", "two")] == [0, 0]
        assert value(first, "RELEASE_LOCK('one')") == 1
        assert value(second, "GET_LOCK('one', 0)") == 0  # taken twice, given back once
        assert value(first, "RELEASE_LOCK('one')") == 1
        assert value(second, "GET_LOCK('one', 0)") == 1
        assert value(second, "RELEASE_LOCK('nobody has it')") is None
    with closing(raw(config, "governance")) as third:  # the server ends a session a moment after its client
        assert [value(third, "GET_LOCK(%s, 10)", name) for name in ("one", "two")] == [1, 1]


# --- only on MySQL --------------------------------------------------------------------------------------------
only_on_mysql = pytest.mark.skipif(os.environ.get("ENGINE") != "mysql", reason="MariaDB cannot be set so")


@only_on_mysql
def test_users_sign_in_with_the_default_plugin_of_mysql(config: Config) -> None:
    with closing(raw(config, "governance")) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SHOW CREATE USER CURRENT_USER()")
        assert "IDENTIFIED WITH 'caching_sha2_password'" in cursor.fetchone()[0]


@only_on_mysql
def test_mysql_refuses_a_longer_name_of_a_lock(config: Config) -> None:
    with closing(raw(config, "governance")) as connection, pytest.raises(MySQLdb.Error, match="64 characters"):
        value(connection, "GET_LOCK(REPEAT('a', 65), 0)")


@only_on_mysql
def test_reserved_words_of_the_server_are_those_of_the_rule(config: Config) -> None:
    with closing(raw(config, "governance")) as connection:
        words = set(value_list(connection, "word FROM information_schema.keywords WHERE reserved = 1"))
    assert len(words) > 250
    assert words <= mysql_rules.RESERVED


@only_on_mysql
def test_mysql_refuses_what_the_rules_refuse(config: Config) -> None:
    accepted = []
    for rule, sql in NEGATIVE:
        with closing(raw(config, "intranet_schema")) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("USE points_scratch_intranet")
            cursor.execute("CREATE TEMPORARY TABLE u (a INT)")
            if not sql.startswith("CREATE TABLE"):
                cursor.execute("CREATE TEMPORARY TABLE t (a INT PRIMARY KEY, b TEXT)")
            try:
                cursor.execute(sql)
            except MySQLdb.Error as error:
                if error.args[0] not in (1044, 1142, 1227):  # these: only for want of rights
                    continue
            if rule is not mysql_rules.stores_no_program:
                accepted.append(sql)
    assert accepted == []
