"""No statement for MySQL says what MariaDB takes and MySQL 8.4 does not; every rule finds what it is about."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from drawsguard.sql import SQL_ROOT
from tests.sql import mysql_rules
from tests.sql.rules import Rule, Statement

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what the parser passes through unread, is_understood reports

FILES = [Statement.read(path) for path in sorted((SQL_ROOT / "mysql").rglob("*.sql"))]
IN_PYTHON = list(mysql_rules.statements_in_python())


@pytest.mark.parametrize("statement", [*FILES, *IN_PYTHON], ids=lambda statement: statement.name)
def test_statement_is_one_of_mysql_8_4(statement: Statement) -> None:
    found = {rule.__name__: problems for rule in mysql_rules.MYSQL if (problems := rule(statement))}
    assert found == {}


def test_statements_in_python_are_found() -> None:
    texts = [statement.source for statement in IN_PYTHON]
    assert any(text.startswith("SELECT GET_LOCK(") for text in texts)
    assert any("CREATE TABLE filled_in (" in text for text in texts)
    assert any(text.startswith("CREATE USER IF NOT EXISTS 'filled_in'@'%'") for text in texts)


TABLE = "CREATE TABLE t (a INT{}) ENGINE = InnoDB COLLATE = utf8mb4_bin"

NEGATIVE: list[tuple[Rule, str]] = [
    (mysql_rules.names_nothing_by_a_reserved_word, sql)
    for sql in (
        TABLE.format(", rank INT"),
        TABLE.format(", groups INT"),
        TABLE.format(", system INT"),
        TABLE.format(", empty INT"),
        TABLE.format(", KEY stored (a)"),
        "SELECT a AS rows FROM t",
        "SELECT a AS row_number FROM t",
        "SELECT manual FROM t",
        "SELECT a FROM t AS window",
        "SELECT a FROM rank",
        "INSERT INTO t (a, parallel) VALUES (1, 2)",
        "REPLACE INTO t (a, `of`, qualify) VALUES (1, 2, 3)",
        "UPDATE t SET function = 1 WHERE a = 1",
        "DELETE FROM t WHERE cube = 1",
        "WITH recursive_ AS (SELECT 1 AS lead) SELECT lead FROM recursive_",
    )
] + [
    (mysql_rules.is_no_dialect, sql)
    for sql in (
        "INSERT INTO t (a) VALUES (1) RETURNING a",
        "DELETE FROM t WHERE a = 1 RETURNING a",
        "CREATE OR REPLACE TABLE t (a INT)",
        "CREATE SEQUENCE s",
        "SELECT NEXTVAL(s)",
        "SELECT NEXT VALUE FOR s",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS b INT",
        "ALTER TABLE t DROP COLUMN IF EXISTS b",
        "ALTER TABLE IF EXISTS t ADD b INT",
        "CREATE INDEX IF NOT EXISTS i ON t (a)",
        "SET STATEMENT max_statement_time = 1 FOR SELECT 1",
        "CREATE TABLE t (a INT) WITH SYSTEM VERSIONING",
        "CREATE TABLE t (a INT, b INT AS (a) PERSISTENT)",
        "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUE(a)",
        "SELECT a FROM t LIMIT 1 ROWS EXAMINED 10",
        "SELECT a FROM t OFFSET 1 ROWS FETCH FIRST 2 ROWS ONLY",
        "EXECUTE IMMEDIATE ?",
        "SELECT a FROM t FOR UPDATE WAIT 5",
        "CREATE TABLE t (a INT) ENGINE = Aria",
        "CREATE TABLE t (a INET6 NOT NULL)",
        "CREATE TABLE t (a UUID, b INT)",
        "CREATE TABLE t (a INT) COLLATE = utf8mb4_uca1400_ai_ci",
        "CREATE TABLE t (a INT) COLLATE = utf8mb4_general_nopad_ci",
        "SELECT NVL(a, 1) FROM t",
        "SELECT JSON_DETAILED(a) FROM t",
        "SELECT PASSWORD(a) FROM t",
        "SELECT SQL_CACHE a FROM t",
        "CREATE USER a IDENTIFIED VIA unix_socket",
        "GRANT SELECT ON t TO a IDENTIFIED BY 'b'",
        "SHOW MASTER STATUS",
        "ANALYZE SELECT a FROM t",
        "SELECT a FROM t GROUP BY a DESC",
        "SET sql_mode = NO_AUTO_CREATE_USER",
        "SELECT @@tx_isolation",
        "SELECT a FROM t MINUS SELECT a FROM u",
    )
] + [
    (mysql_rules.stores_no_program, "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1"),
    (mysql_rules.stores_no_program, "CREATE DEFINER = `a`@`b` FUNCTION f() RETURNS INT RETURN 1"),
    (mysql_rules.gives_large_columns_no_default, TABLE.format(", b TEXT NOT NULL DEFAULT ''")),
    (mysql_rules.gives_large_columns_no_default, TABLE.format(", b JSON DEFAULT '{}'")),
    (mysql_rules.gives_large_columns_no_default, TABLE.format(", b CHAR(36) DEFAULT UUID()")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "sql"), NEGATIVE, ids=lambda value: getattr(value, "__name__", value))
def test_rule_finds_its_fault(rule: Rule, sql: str) -> None:
    assert rule(Statement("negative.sql", "mysql", sql)) != []


def test_every_rule_has_a_negative_case() -> None:
    assert {rule for rule, _ in NEGATIVE} == set(mysql_rules.MYSQL)


@pytest.mark.parametrize(
    "sql",
    [
        TABLE.format(", `rank` INT, name VARCHAR(9) NULL COMMENT 'RETURNING, PASSWORD(x)', KEY by_a (a)"),
        "SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b DESC) AS place FROM t GROUP BY a ORDER BY a DESC",
        "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)",
        "CREATE OR REPLACE VIEW v AS SELECT a FROM t",
        "CREATE TABLE IF NOT EXISTS t (a INT, b TEXT NULL, c JSON DEFAULT (JSON_ARRAY())) COLLATE = utf8mb4_bin",
        "CREATE TABLE t LIKE u",
        "SELECT GET_LOCK('a', 0)",
        "CREATE USER IF NOT EXISTS 'a'@'%' IDENTIFIED BY 'b'",
    ],
)
def test_the_right_form_passes(sql: str) -> None:
    found = {rule.__name__: problems for rule in mysql_rules.MYSQL if (problems := rule(Statement("p", "mysql", sql)))}
    assert found == {}


def test_python_is_read_with_its_placeholders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.py").write_text(
        'TABLE = """CREATE TABLE {table} (rank INT) COLLATE = utf8mb4_bin"""\n'
        "def f(cursor, name):\n"
        '    cursor.execute(f"INSERT INTO {name} (a) VALUES (%s) RETURNING a", (1,))\n'
    )
    monkeypatch.setattr(mysql_rules, "REPOSITORY", tmp_path)
    monkeypatch.setattr(mysql_rules, "PYTHON_SOURCES", ("bad.py",))
    found = {s.name: [p for rule in mysql_rules.MYSQL for p in rule(s)] for s in mysql_rules.statements_in_python()}
    assert found["bad.py:1"] == ["rank is a reserved word"]
    assert found["bad.py:3"] == ["RETURNING"]
