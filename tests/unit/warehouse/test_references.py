"""Which tables a statement makes BigQuery read."""

from __future__ import annotations

import pytest

from drawsguard.sql import render
from drawsguard.warehouse.references import definitions, minimum_bytes, referenced_tables

KNOWN = definitions(
    [
        """-- Purpose: `p.d.not_this`
        CREATE OR REPLACE TABLE FUNCTION `p.d.both_at`(as_of TIMESTAMP) AS (
          SELECT a.x FROM `p.d.a` AS a JOIN `p.d.b` AS b ON b.x = a.x -- `p.d.nor_this`
        );
        CREATE OR REPLACE VIEW `p.d.both_v` OPTIONS (description = 'both') AS
        SELECT x FROM `p.d.both_at`(CURRENT_TIMESTAMP());
        CREATE OR REPLACE FUNCTION `p.d.plain`(x INT64) AS (x + 1);""",
        "CREATE OR REPLACE MATERIALIZED VIEW `p.d.sums` AS SELECT COUNT(*) AS n FROM `p.d.a`",
        "CREATE TABLE IF NOT EXISTS `p.d.a` (x INT64)",
    ]
)


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("SELECT 1 AS one", set()),
        ("SELECT x FROM `p.d.a` UNION ALL SELECT x FROM `p.d.a`", {"p.d.a"}),
        ("SELECT x FROM `p.d.both_v`", {"p.d.a", "p.d.b"}),
        ("SELECT x FROM `p.d.both_at`(@at) JOIN `p.d.c` USING (x)", {"p.d.a", "p.d.b", "p.d.c"}),
        ("SELECT `p.d.plain`(x) AS y FROM `p.d.a`", {"p.d.a"}),
        ("SELECT n FROM `p.d.sums`", {"p.d.sums", "p.d.a"}),
        (
            "MERGE `p.d.t` AS t USING (SELECT x FROM `p.d.a`) AS s ON t.x = s.x WHEN MATCHED THEN DELETE",
            {"p.d.t", "p.d.a"},
        ),
        ("INSERT INTO `p.d.t` (x) SELECT x FROM `p.d.a`", {"p.d.a"}),
        ("SELECT x FROM `p.d`.INFORMATION_SCHEMA.PARTITIONS", {"p.d.INFORMATION_SCHEMA.PARTITIONS"}),
        ("CREATE OR REPLACE VIEW `p.d.v` AS SELECT x FROM `p.d.a`", set()),
        ("-- `p.d.a`\nSELECT 1 AS one", set()),
    ],
)
def test_references(statement: str, tables: set[str]) -> None:
    assert referenced_tables(statement, KNOWN) == tables


def test_the_schema_resolves_views_over_functions_over_tables() -> None:
    text = render("bigquery/monitoring/read_view.sql", view="cloud_freshness_v", columns=["status"])
    assert referenced_tables(text) == {
        "wprojectl.drawsguard.draws", "wprojectl.pc28.draws", "wprojectl.pc28.draws_14w",
    }  # fmt: skip
    merge = referenced_tables(render("bigquery/sync/merge_draws.sql"))
    assert merge == {"wprojectl.drawsguard.draws", "wprojectl.pc28.draws"}


@pytest.mark.parametrize(("references", "megabytes"), [(0, 10), (1, 10), (3, 30)])
def test_the_least_that_is_billed(references: int, megabytes: int) -> None:
    assert minimum_bytes(references) == megabytes * 2**20
