"""The analyzer refuses what BigQuery refuses: each broken statement beside the sound one that it was made from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drawsguard.settings import get_settings
from tests.sql.analyzer.catalog import Catalog, split
from tests.sql.analyzer.zetasql import Analyzer, RefusedError

TABLES = """
CREATE SCHEMA `p.d`;
CREATE TABLE `p.d.draws` (period INT64 NOT NULL, drawn TIMESTAMP, numbers ARRAY<INT64>, total INT64, size STRING)
PARTITION BY DATE(drawn) OPTIONS (require_partition_filter = TRUE);
CREATE TABLE `p.d.other` (period INT64, size STRING, label STRING);
CREATE VIEW `p.d.sizes_v` AS SELECT size, COUNT(*) AS draws FROM `p.d.draws` GROUP BY size;
CREATE FUNCTION `p.d.doubled`(x INT64) RETURNS INT64 AS (2 * x);
CREATE TABLE FUNCTION `p.d.newer`(since TIMESTAMP) AS SELECT period FROM `p.d.draws` WHERE drawn >= since;
"""
TYPES = {
    "at": {"type": "TIMESTAMP"},
    "number": {"type": "INT64"},
    "text": {"type": "STRING"},
    "list": {"type": "ARRAY", "arrayType": {"type": "INT64"}},
}
MERGE = """MERGE `p.d.draws` AS target USING (SELECT period, 1 AS total, 'big' AS size FROM `p.d.other`) AS source
ON target.period = source.period WHEN MATCHED THEN UPDATE SET total = source.total"""

#: (what is broken, the sound statement, what is replaced by what, what the analyzer says)
CONTROLS: list[tuple[str, str, tuple[str, str], str]] = [
    ("syntax", "SELECT period FROM `p.d.draws`", ("FROM", "FORM"), "Syntax error"),
    ("comma", "SELECT period, total FROM `p.d.draws`", ("period, total", "period, total,,"), "Syntax error"),
    ("reserved alias", MERGE, ("source", "new"), "Unexpected keyword NEW"),
    ("reserved QUALIFY", "SELECT 1 AS one", ("AS one", "AS qualify"), "Unexpected keyword QUALIFY"),
    ("unknown column", "SELECT total FROM `p.d.draws`", ("total", "totl"), "Unrecognized name: totl"),
    ("unknown table", "SELECT period FROM `p.d.draws`", ("p.d.draws", "p.d.drawz"), "Table not found"),
    ("unknown dataset", "SELECT period FROM `p.d.draws`", ("p.d.draws", "p.e.draws"), "Table not found"),
    ("unknown function", "SELECT ABS(1) AS one", ("ABS", "ABSOLUTE"), "Function not found"),
    ("unknown SQL function", "SELECT `p.d.doubled`(1) AS two", ("doubled", "tripled"), "Function not found"),
    ("argument of an SQL function", "SELECT `p.d.doubled`(1) AS two", ("(1)", "('1')"), "No matching signature"),
    ("argument of a function", "SELECT UNIX_MICROS(@at) AS n", ("@at", "@number"), "No matching signature"),
    ("argument of a table function", "SELECT period FROM `p.d.newer`(@at)", ("@at", "@number"), "newer"),
    ("type of a parameter", "SELECT period FROM `p.d.draws` WHERE drawn >= @at", ("@at", "@number"), "No matching"),
    ("parameter not bound", "SELECT @number AS n", ("@number", "@nobody"), "Query parameter 'nobody' not found"),
    ("scalar for an array", "SELECT 1 IN UNNEST(@list) AS found", ("@list", "@number"), "UNNEST"),
    ("not grouped", "SELECT size, MAX(total) AS t FROM `p.d.draws` GROUP BY size", ("MAX(total)", "total"), "neither"),
    (
        "aggregate in WHERE",
        "SELECT 1 AS one FROM `p.d.draws` WHERE total > 1",
        ("total >", "MAX(total) >"),
        "not allowed",
    ),
    (
        "aggregate of an aggregate",
        "SELECT MAX(total) AS t FROM `p.d.draws`",
        ("total", "MIN(total)"),
        "Aggregations of",
    ),
    (
        "ambiguous name",
        "SELECT a.size FROM `p.d.draws` AS a INNER JOIN `p.d.other` AS b ON a.period = b.period",
        ("SELECT a.size", "SELECT size"),
        "ambiguous",
    ),
    ("type in UPDATE of a MERGE", MERGE, ("1 AS total", "'one' AS total"), "cannot be assigned"),
    ("target's column in MERGE", MERGE, ("SET total", "SET totals"), "Unrecognized name: totals"),
    ("column set twice", MERGE, ("SET total = source.total", "SET total = 1, total = 2"), "assigned"),
    (
        "values of an INSERT",
        "INSERT INTO `p.d.other` (period, size) SELECT 1, 'big'",
        ("'big'", "'big', 'more'"),
        "column count",
    ),
    (
        "type of an INSERT",
        "INSERT INTO `p.d.other` (period) SELECT 1",
        ("SELECT 1", "SELECT '1'"),
        "cannot be inserted",
    ),
    (
        "columns of a UNION",
        "SELECT period FROM `p.d.draws` UNION ALL SELECT period FROM `p.d.other`",
        ("SELECT period FROM `p.d.other`", "SELECT label FROM `p.d.other`"),
        "incompatible types",
    ),
    (
        "window without an order",
        "SELECT ROW_NUMBER() OVER (ORDER BY drawn) AS n, RANK() OVER (ORDER BY drawn) AS r FROM `p.d.draws`",
        ("RANK() OVER (ORDER BY drawn)", "RANK() OVER ()"),
        "ORDER BY",
    ),
    (
        "window in WHERE",
        "SELECT period FROM `p.d.draws` QUALIFY ROW_NUMBER() OVER (ORDER BY drawn) = 1",
        ("QUALIFY", "WHERE"),
        "Analytic function",
    ),
    (
        "range of a window",
        "SELECT SUM(total) OVER (ORDER BY period RANGE BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM `p.d.draws`",
        ("ORDER BY period", "ORDER BY size"),
        "RANGE",
    ),
    (
        "equality of arrays",
        "SELECT size = size AS same FROM `p.d.draws`",
        ("size = size", "numbers = numbers"),
        "ARRAY",
    ),
    ("order of arrays", "SELECT size FROM `p.d.draws` ORDER BY size", ("ORDER BY size", "ORDER BY numbers"), "ARRAY"),
    ("column of a view", "SELECT draws FROM `p.d.sizes_v`", ("SELECT draws", "SELECT period"), "Unrecognized name"),
    (
        "option of a table",
        "CREATE TABLE `p.d.t` (a INT64) OPTIONS (description = 'd')",
        ("description", "describe"),
        "option",
    ),
    ("type of an option", "CREATE TABLE `p.d.t` (a INT64) OPTIONS (description = 'd')", ("'d'", "TRUE"), "STRING"),
    ("dataset of a table", "CREATE TABLE `p.d.t` (a INT64)", ("p.d.t", "p.e.t"), "Dataset not found"),
    ("type of a column", "CREATE TABLE `p.d.t` (a INT64)", ("INT64", "INTEGRE"), "Type not found"),
    ("internal type", "CREATE TABLE `p.d.t` (a INT64)", ("INT64", "UINT32"), "Type not found"),
    ("statement that BigQuery has not", "SELECT 1 AS one", ("SELECT 1 AS one", "DESCRIBE TABLE d"), "not supported"),
]


@pytest.fixture(scope="module")
def catalog() -> Iterator[Catalog]:
    with Analyzer() as analyzer:
        catalog = Catalog(analyzer, ("p", f"region-{get_settings().location}"))
        catalog.analyze(TABLES)
        yield catalog


@pytest.mark.parametrize(("sound", "change", "says"), [one[1:] for one in CONTROLS], ids=[one[0] for one in CONTROLS])
def test_broken_statement_is_refused(catalog: Catalog, sound: str, change: tuple[str, str], says: str) -> None:
    catalog.copy().analyze(sound, TYPES)
    assert change[0] in sound
    with pytest.raises(RefusedError, match=says):
        catalog.copy().analyze(sound.replace(*change), TYPES)


def test_migrations_are_judged_in_their_order(catalog: Catalog) -> None:
    """A view before its table is refused, as it is on an empty warehouse."""
    with pytest.raises(RefusedError, match="Table not found"):
        catalog.copy().analyze("CREATE VIEW `p.d.v` AS SELECT a FROM `p.d.t`; CREATE TABLE `p.d.t` (a INT64)")


def test_ddl_is_applied_to_the_copy_alone(catalog: Catalog) -> None:
    changed = catalog.copy()
    changed.analyze("ALTER TABLE `p.d.other` RENAME TO renamed; SELECT label FROM `p.d.renamed`")
    changed.analyze("ALTER TABLE `p.d.renamed` ADD COLUMN more INT64; SELECT more FROM `p.d.renamed`")
    catalog.analyze("SELECT label FROM `p.d.other`")
    with pytest.raises(RefusedError, match="Table not found"):
        changed.analyze("SELECT label FROM `p.d.other`")


def test_names_are_split_where_bigquery_splits_them() -> None:
    text = "SELECT 'a;`b.c`' AS x -- `d.e`;\nFROM `p.d.t`; SELECT 1;\n-- end\n"
    assert split(text) == ["SELECT 'a;`b.c`' AS x -- `d.e`;\nFROM `p`.`d`.`t`", " SELECT 1"]


def test_server_is_ended_with_its_block() -> None:
    with Analyzer() as analyzer:
        server = analyzer.process
        assert server.poll() is None
    assert server.poll() is not None
