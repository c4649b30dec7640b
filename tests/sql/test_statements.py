"""Every statement under include/sql obeys the rules; every rule finds the fault that it is about."""

from __future__ import annotations

import logging

import pytest

from tests.sql import rules
from tests.sql.rules import Rule, Statement

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what the parser passes through unread, is_understood reports

STATEMENTS = rules.all_statements()

HEADER = "-- Purpose: p\n-- Grain: g\n-- Parameters: none\n-- Why it can be re-run: reads only.\n"


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_statement_obeys_every_rule(statement: Statement) -> None:
    found = {rule.__name__: problems for rule in rules.rules_for(statement) if (problems := rule(statement))}
    assert found == {}


def test_all_three_engines_are_covered() -> None:
    assert {statement.dialect for statement in STATEMENTS} == {"bigquery", "hive", "mysql"}


def test_partitioned_tables_are_read_from_the_schema() -> None:
    columns = rules.partition_columns()
    assert columns["wprojectl.drawsguard.draws"] == "timestamp"
    assert columns["wprojectl.pc28.draws"] == "timestamp"


DRAWS = "`wprojectl.pc28.draws`"
MERGE = (
    f"MERGE {DRAWS} AS target USING (SELECT period, numbers, updated_at FROM x QUALIFY 1 = 1) AS source "
    "ON target.period = source.period AND target.timestamp >= @lo "
)
MATERIALIZED = "CREATE MATERIALIZED VIEW IF NOT EXISTS a.b AS SELECT "

NEGATIVE: list[tuple[Rule, str, str]] = [
    (rules.is_understood, "bigquery", "EXECUTE IMMEDIATE 'SELECT 1'"),
    (rules.has_header, "bigquery", "SELECT 1 AS one"),
    (rules.has_header, "mysql", HEADER.replace("-- Grain: g\n", "") + "SELECT 1 AS one"),
    (rules.has_header, "hive", HEADER.replace("reads only.", "") + "SELECT 1 AS one"),
    (rules.renders_identifiers_only, "bigquery", "SELECT period FROM t WHERE day = '{{ day }}'"),
    (rules.renders_identifiers_only, "bigquery", "SELECT period FROM t WHERE period > {{ first + 1 }}"),
    (rules.renders_identifiers_only, "bigquery", "SELECT period FROM t WHERE name IN ({{ names | map('quote') }})"),
    (rules.lists_columns, "bigquery", "SELECT * FROM t"),
    (rules.lists_columns, "bigquery", "SELECT t.* FROM t"),
    (rules.lists_columns, "bigquery", "SELECT * EXCEPT (rn) FROM t"),
    (rules.lists_columns, "mysql", "INSERT INTO a SELECT * FROM b WHERE c = 1"),
    (rules.lists_columns, "hive", "INSERT OVERWRITE TABLE a SELECT * FROM b"),
    (rules.bounds_deletes_and_updates, "bigquery", "DELETE FROM t WHERE TRUE"),
    (rules.bounds_deletes_and_updates, "mysql", "DELETE FROM t"),
    (rules.bounds_deletes_and_updates, "mysql", "UPDATE t SET a = 1"),
    (rules.bounds_deletes_and_updates, "bigquery", MERGE + "WHEN NOT MATCHED BY SOURCE THEN DELETE"),
    (rules.filters_partitions, "bigquery", f"SELECT period FROM {DRAWS}"),
    (rules.filters_partitions, "bigquery", f"SELECT period FROM {DRAWS} WHERE period > 1"),
    (rules.filters_partitions, "bigquery", f"SELECT period FROM {DRAWS} WHERE timestamp >= @lo OR period = 1"),
    (
        rules.filters_partitions,
        "bigquery",
        f"SELECT period FROM {DRAWS} WHERE timestamp >= (SELECT MAX(b) AS b FROM bounds)",
    ),
    (rules.filters_partitions, "bigquery", f"SELECT period FROM {DRAWS} WHERE DATE(timestamp) = @day"),
    (rules.filters_partitions, "bigquery", f"DELETE FROM {DRAWS} WHERE period = 1"),
    (rules.filters_partitions, "bigquery", MERGE.replace(">= @lo", "= source.timestamp") + "WHEN MATCHED THEN DELETE"),
    (
        rules.compares_raw_half_open,
        "bigquery",
        f"SELECT period FROM {DRAWS} WHERE DATE(timestamp, 'Asia/Shanghai') = @day",
    ),
    (rules.compares_raw_half_open, "bigquery", f"SELECT period FROM {DRAWS} WHERE timestamp BETWEEN @lo AND @hi"),
    (
        rules.compares_raw_half_open,
        "bigquery",
        f"SELECT period FROM {DRAWS} WHERE timestamp >= @lo AND timestamp <= @hi",
    ),
    (rules.binds_the_clock, "bigquery", f"SELECT period FROM {DRAWS} WHERE timestamp >= CURRENT_TIMESTAMP()"),
    (rules.binds_the_clock, "bigquery", "SELECT CURRENT_DATE('Asia/Shanghai') AS today"),
    (rules.binds_the_clock, "bigquery", MATERIALIZED + "CURRENT_DATE() AS today FROM t"),
    (rules.keeps_materialized_views_incremental, "bigquery", MATERIALIZED + "STDDEV(a) AS deviation FROM t"),
    (
        rules.merges_distinct_rows,
        "bigquery",
        f"MERGE {DRAWS} t USING s.draws s ON FALSE WHEN NOT MATCHED THEN INSERT ROW",
    ),
    (rules.merges_distinct_rows, "bigquery", MERGE.replace("QUALIFY 1 = 1", "") + "WHEN MATCHED THEN DELETE"),
    (
        rules.compares_versions,
        "bigquery",
        MERGE + "WHEN MATCHED AND source.updated_at > target.updated_at THEN UPDATE SET period = 1",
    ),
    (
        rules.compares_versions,
        "bigquery",
        MERGE + "WHEN MATCHED AND source.numbers <> target.numbers THEN UPDATE SET period = 1",
    ),
    (
        rules.finds_inner_holes,
        "bigquery",
        f"SELECT period FROM s WHERE period > (SELECT MAX(period) AS m FROM {DRAWS} WHERE timestamp >= @lo)",
    ),
    (
        rules.keeps_draws,
        "bigquery",
        "CREATE TABLE IF NOT EXISTS a.draws (period INT64) OPTIONS (partition_expiration_days = 365)",
    ),
    (rules.can_be_repeated, "bigquery", "CREATE TABLE a.b (c INT64)"),
    (rules.can_be_repeated, "bigquery", "CREATE VIEW a.b AS SELECT 1 AS c"),
]


@pytest.mark.parametrize(("rule", "dialect", "sql"), NEGATIVE, ids=lambda value: getattr(value, "__name__", None))
def test_rule_finds_its_fault(rule: Rule, dialect: str, sql: str) -> None:
    assert rule(Statement("negative.sql", dialect, sql)) != []


def test_every_rule_has_a_negative_case() -> None:
    assert {rule for rule, _, _ in NEGATIVE} == set(rules.EVERY_ENGINE) | set(rules.BIGQUERY)


@pytest.mark.parametrize(
    ("rule", "sql"),
    [
        (
            rules.filters_partitions,
            f"SELECT d.period FROM {DRAWS} AS d WHERE @lo <= d.timestamp AND d.timestamp >= @lo",
        ),
        (rules.filters_partitions, MERGE + "WHEN NOT MATCHED THEN INSERT (period) VALUES (1)"),
        (rules.compares_raw_half_open, f"SELECT DATE(timestamp) AS day FROM {DRAWS} WHERE timestamp >= @lo"),
        (rules.lists_columns, "SELECT COUNT(*) AS n FROM t"),
        (rules.binds_the_clock, "CREATE OR REPLACE VIEW a.b AS SELECT CURRENT_TIMESTAMP() AS now"),
        (rules.bounds_deletes_and_updates, "DELETE FROM t WHERE a >= @lo"),
    ],
)
def test_rule_lets_the_right_form_pass(rule: Rule, sql: str) -> None:
    assert rule(Statement("positive.sql", "bigquery", sql)) == []
