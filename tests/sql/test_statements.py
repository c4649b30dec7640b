"""Every statement under include/sql obeys the rules; every rule finds the fault that it is about."""

from __future__ import annotations

import logging

import pytest

from tests.sql import rules
from tests.sql.rules import Rule, Statement

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what the parser passes through unread, is_understood reports

STATEMENTS = rules.all_statements()

HEADER = "-- Purpose: p\n-- Grain: g\n"


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
    assert columns["wprojectl.dataset.draws_partitioned"] == "timestamp"


DRAWS = "`wprojectl.pc28.draws`"
MERGE = (
    f"MERGE {DRAWS} AS target USING (SELECT period, numbers, updated_at FROM x QUALIFY 1 = 1) AS source "
    "ON target.period = source.period AND target.timestamp >= @lo "
)
MATERIALIZED = "CREATE MATERIALIZED VIEW IF NOT EXISTS a.b AS SELECT "
PARTITIONED = (
    "CREATE OR REPLACE MATERIALIZED VIEW a.b PARTITION BY DATE(hour) "
    "AS SELECT TIMESTAMP_TRUNC(timestamp, HOUR) AS hour, "
)
OF_DRAWS = f"FROM {DRAWS} WHERE timestamp >= TIMESTAMP '2000-01-01' GROUP BY hour"
REPLACING = (
    f"MERGE {DRAWS} AS target USING (SELECT DISTINCT period, timestamp FROM x) AS source ON FALSE "
    "WHEN NOT MATCHED THEN INSERT ROW WHEN NOT MATCHED BY SOURCE "
)
JOBS = "`wprojectl.region-us`.INFORMATION_SCHEMA.JOBS"
OVERDUE = "`wprojectl.pc28_monitor.overdue_draws`(target.timestamp, source.timestamp, 1)"

NEGATIVE: list[tuple[Rule, str, str]] = [
    (rules.is_understood, "bigquery", "EXECUTE IMMEDIATE 'SELECT 1'"),
    (rules.has_header, "bigquery", "SELECT 1 AS one"),
    (rules.has_header, "mysql", HEADER.replace("-- Grain: g\n", "") + "SELECT 1 AS one"),
    (rules.has_header, "hive", HEADER + "INSERT OVERWRITE TABLE a SELECT 1 AS one"),
    (rules.has_header, "hive", HEADER + "-- Repeatable: it only reads.\nSELECT 1 AS one"),
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
    (rules.filters_partitions, "bigquery", "SELECT period FROM `{{ project }}.{{ dataset }}.draws`"),
    (rules.filters_partitions, "bigquery", "SELECT period FROM `{{ project }}.{{ dataset }}.draws_partitioned`"),
    *(
        (
            rules.filters_partitions,
            "bigquery",
            f"SELECT period FROM `{{{{ project }}}}.{{{{ dataset }}}}.{{{{ {name} }}}}`",
        )
        for name in ("table", "legacy", "partitioned", "adopted")
    ),
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
    (rules.binds_the_clock, "bigquery", "SELECT LEAST(created_at, CURRENT_TIMESTAMP()) AS t FROM t"),
    (rules.binds_the_clock, "bigquery", "SELECT LEAST(@a, CURRENT_TIMESTAMP()) AS t, CURRENT_TIMESTAMP() AS u"),
    (rules.stamps_by_the_engine_at_the_latest, "bigquery", "INSERT INTO t (ingested_at) SELECT @now AS ingested_at"),
    (rules.stamps_by_the_engine_at_the_latest, "bigquery", "UPDATE t SET synced_at = @now WHERE period = 1"),
    (
        rules.stamps_by_the_engine_at_the_latest,
        "bigquery",
        f"MERGE {DRAWS} AS t USING s ON FALSE WHEN NOT MATCHED THEN INSERT (period, synced_at) VALUES (period, @now)",
    ),
    (rules.keeps_materialized_views_incremental, "bigquery", MATERIALIZED + "STDDEV(a) AS deviation FROM t"),
    *(
        (rules.keeps_materialized_views_incremental, "bigquery", sql)
        for sql in (
            PARTITIONED + "SUM(period) / COUNT(*) AS ratio " + OF_DRAWS,
            PARTITIONED + "COUNT(DISTINCT period) AS periods " + OF_DRAWS,
            PARTITIONED + "COUNT(*) AS draws " + OF_DRAWS + " HAVING COUNT(*) > 1",
            PARTITIONED + "COUNT(*) AS draws " + OF_DRAWS + " ORDER BY hour",
            PARTITIONED + f"SUM({OVERDUE}) AS overdue " + OF_DRAWS,
            PARTITIONED + "MAX((SELECT MAX(x) AS x FROM UNNEST(numbers) AS x)) AS most " + OF_DRAWS,
            PARTITIONED + "COUNT(*) AS draws " + OF_DRAWS.replace("draws`", "draws` LEFT JOIN c ON c.p = period"),
            PARTITIONED.replace("PARTITION BY DATE(hour)", "") + "COUNT(*) AS draws " + OF_DRAWS,
            PARTITIONED.replace("DATE(hour)", "RANGE_BUCKET(draws, [1])") + "COUNT(*) AS draws " + OF_DRAWS,
            PARTITIONED.replace("(timestamp", "(created_at") + "COUNT(*) AS draws " + OF_DRAWS,
            # An adopted legacy table has no partitions.
            PARTITIONED + "COUNT(*) AS draws " + OF_DRAWS.replace("pc28.draws", "pc28.legacy_draws"),
        )
    ),
    (
        rules.merges_distinct_rows,
        "bigquery",
        f"MERGE {DRAWS} t USING s.draws s ON FALSE WHEN NOT MATCHED THEN INSERT ROW",
    ),
    (rules.merges_distinct_rows, "bigquery", MERGE.replace("QUALIFY 1 = 1", "") + "WHEN MATCHED THEN DELETE"),
    (rules.merges_without_subqueries, "bigquery", MERGE + "WHEN MATCHED AND 1 = (SELECT 1 AS x) THEN DELETE"),
    (rules.merges_without_subqueries, "bigquery", MERGE + "WHEN MATCHED AND EXISTS (SELECT 1 AS x) THEN DELETE"),
    (rules.merges_without_subqueries, "bigquery", MERGE + "WHEN MATCHED THEN UPDATE SET period = (SELECT 1 AS x)"),
    (
        rules.merges_without_subqueries,
        "bigquery",
        MERGE + "WHEN NOT MATCHED THEN INSERT (period) VALUES ((SELECT 1 AS x))",
    ),
    # The subquery is in the body of the function.
    (rules.merges_without_subqueries, "bigquery", MERGE + f"WHEN MATCHED AND {OVERDUE} > 1 THEN DELETE"),
    (
        rules.merges_nothing_in_its_documented_form,
        "bigquery",
        MERGE.replace("ON target.period = source.period", "ON FALSE") + "WHEN MATCHED THEN DELETE",
    ),
    (rules.filters_partitions, "bigquery", REPLACING + "THEN DELETE"),
    (rules.filters_partitions, "bigquery", REPLACING + "AND target.period = 1 THEN DELETE"),
    (
        rules.names_nothing_by_a_reserved_word,
        "bigquery",
        MERGE.replace("AS source", "AS new") + "WHEN MATCHED THEN DELETE",
    ),
    (rules.names_nothing_by_a_reserved_word, "bigquery", "SELECT 1 AS rows"),
    (rules.names_nothing_by_a_reserved_word, "bigquery", "WITH hash AS (SELECT 1 AS one) SELECT one FROM hash"),
    (rules.counts_jobs_once, "bigquery", f"SELECT COALESCE(SUM(total_slot_ms), 0) AS ms FROM {JOBS}"),
    (
        rules.counts_jobs_once,
        "bigquery",
        f"SELECT SUM(total_bytes_billed) AS billed FROM {JOBS} WHERE statement_type != 'SCRIPT'",
    ),
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
        (rules.filters_partitions, REPLACING + "AND target.timestamp >= @lo AND target.timestamp < @hi THEN DELETE"),
        (rules.merges_nothing_in_its_documented_form, REPLACING + "AND target.timestamp >= @lo THEN DELETE"),
        (rules.merges_without_subqueries, MERGE + "WHEN MATCHED AND target.period IN UNNEST(@periods) THEN DELETE"),
        (rules.names_nothing_by_a_reserved_word, "SELECT 1 AS `rows`, timestamp FROM t"),
        (rules.keeps_materialized_views_incremental, PARTITIONED + "COUNT(*) AS draws, SUM(a * a) AS b " + OF_DRAWS),
        (rules.compares_raw_half_open, f"SELECT DATE(timestamp) AS day FROM {DRAWS} WHERE timestamp >= @lo"),
        (rules.lists_columns, "SELECT COUNT(*) AS n FROM t"),
        (rules.binds_the_clock, "CREATE OR REPLACE VIEW a.b AS SELECT CURRENT_TIMESTAMP() AS now"),
        (rules.binds_the_clock, "SELECT LEAST(@now, CURRENT_TIMESTAMP()) AS ingested_at"),
        (rules.stamps_by_the_engine_at_the_latest, "SELECT LEAST(@now, CURRENT_TIMESTAMP()) AS ingested_at"),
        (rules.bounds_deletes_and_updates, "DELETE FROM t WHERE a >= @lo"),
    ],
)
def test_rule_lets_the_right_form_pass(rule: Rule, sql: str) -> None:
    assert rule(Statement("positive.sql", "bigquery", sql)) == []
