"""Hive refuses what it should: each broken statement beside the sound one that it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pyhive.exc import OperationalError

from tests.conftest import STACK_ENVIRONMENT
from tests.sql.hive.genuine_hive import NO_COUNTERS, Connection, Judge

TABLES = (
    "CREATE DATABASE control",
    "CREATE TABLE control.days (ts STRING, kind STRING, eid BIGINT) PARTITIONED BY (day STRING) STORED AS PARQUET",
    "CREATE EXTERNAL TABLE control.kept (ts STRING) TBLPROPERTIES ('external.table.purge' = 'false')",
    "CREATE EXTERNAL TABLE control.purged (ts STRING) TBLPROPERTIES ('external.table.purge' = 'true')",
)
DAY = "SELECT kind, MAX(ts) AS last FROM control.days WHERE day = '2024-07-29' GROUP BY kind"
PLAIN = "SELECT ts AS last FROM control.days WHERE day = '2024-07-29'"
JOIN = (
    "SELECT a.eid, b.eid AS other FROM control.days a JOIN control.days b ON a.kind = b.kind "
    "WHERE a.day = '2024-07-29' AND b.day = '2024-07-28'"
)
INSERT = "INSERT OVERWRITE TABLE control.days PARTITION (day = '2024-07-29') SELECT 'a', 'b', 1"
UNION = (
    "SELECT kind FROM (SELECT kind FROM control.days WHERE day = '2024-07-29' UNION ALL "
    "SELECT kind FROM control.days WHERE day = '2024-07-28') two"
)
TRUNCATE = "TRUNCATE TABLE control.days"
DROP = "ALTER TABLE control.days DROP IF EXISTS PARTITION (day = '2024-07-29')"

#: (what is broken, the sound statement, what is replaced, by what, what Hive says). All are compiled and not run.
CONTROLS = [
    ("syntax", DAY, "FROM", "FORM", "missing EOF"),
    ("semicolon", DAY, "GROUP BY kind", "GROUP BY kind;", "cannot recognize input"),
    ("reserved word as an alias", DAY, "AS last", "AS table", "ParseException"),
    ("unknown column", DAY, "MAX(ts)", "MAX(time)", "Invalid table alias or column reference"),
    ("unknown table", DAY, "control.days", "control.dayz", "Table not found"),
    ("unknown database", DAY, "control.days", "controls.days", "Table not found"),
    ("unknown function", DAY, "MAX(", "MAXIMUM(", "Invalid function"),
    ("argument of a function", DAY, "MAX(ts)", "MAX(ts, kind)", "Exactly one argument"),
    ("not grouped", DAY, "MAX(ts)", "ts", "not in GROUP BY key"),
    ("aggregate in WHERE", DAY, "WHERE day =", "WHERE MAX(day) =", "Not yet supported place for UDAF"),
    ("count compared with text", DAY, "GROUP BY", "AND eid > kind GROUP BY", "Unsafe compares"),
    ("cartesian product", JOIN, "JOIN control.days b ON a.kind = b.kind", "CROSS JOIN control.days b", "Cartesian"),
    ("join without an equality", JOIN, "a.kind = b.kind", "1 = 1", "Cartesian products are disabled"),
    ("ORDER BY without LIMIT", f"{DAY} ORDER BY kind LIMIT 9", " LIMIT 9", "", "Order by-s without limit"),
    ("no partition filter", DAY, "WHERE day = '2024-07-29'", "", "without a partition filter"),
    ("too few columns", INSERT, "'a', 'b', 1", "'a', 'b'", "Cannot insert into target table"),
    ("unknown partition column", INSERT, "day =", "hour =", "hour"),
    ("dynamic partition alone", INSERT, "(day = '2024-07-29') SELECT 'a',", "(day) SELECT 'a', 'c',", "strict mode"),
    ("branches of other columns", UNION, "ALL SELECT kind", "ALL SELECT kind, eid", "Schema of both sides of union"),
    ("TRUNCATE of an external table", TRUNCATE, "days", "kept", "Cannot truncate non-managed table"),
    ("TRUNCATE with a property that 2.3 does not know", TRUNCATE, "days", "purged", "Cannot truncate non-managed"),
    # What Spark takes.
    ("alias used beside it", PLAIN, "AS last", "AS last, concat(last, '') AS again", "Invalid table alias"),
    ("FILTER of an aggregate", DAY, "MAX(ts)", "MAX(ts) FILTER (WHERE eid > 0)", "ParseException"),
    ("REFRESH", TRUNCATE, "TRUNCATE", "REFRESH", "ParseException"),
    ("DROP of a range that is none", DROP, "(day = '2024-07-29')", "('2024-07-29')", "ParseException"),
]


@pytest.fixture(scope="module")
def hive(judge: Judge) -> Iterator[Connection]:
    with closing(judge.connect()) as connection:
        for statement in TABLES:
            connection.cursor().execute(statement)
        yield connection


@pytest.mark.parametrize(
    ("_what", "sound", "part", "other", "said"), CONTROLS, ids=[control[0] for control in CONTROLS]
)
def test_a_broken_statement_is_refused(
    hive: Connection, _what: str, sound: str, part: str, other: str, said: str
) -> None:
    assert part in sound
    hive.cursor().execute(f"EXPLAIN {sound}")
    with pytest.raises(OperationalError, match=said):
        hive.cursor().execute(f"EXPLAIN {sound.replace(part, other)}")


def test_a_union_as_the_last_step_of_an_insert_fails_when_it_runs(hive: Connection) -> None:
    """EXPLAIN takes it: this is why statements are executed, and not only compiled."""
    branches = "SELECT MAX(ts), kind, SUM(eid) FROM control.days WHERE day = '1' GROUP BY kind"
    insert = f"INSERT OVERWRITE TABLE control.days PARTITION (day = '2') {branches} UNION ALL {branches}"
    cursor = hive.cursor()
    cursor.execute("INSERT OVERWRITE TABLE control.days PARTITION (day = '1') SELECT 'a', 'b', 1")
    cursor.execute(f"EXPLAIN {insert}")
    with pytest.raises(OperationalError, match="MapRedTask"):
        cursor.execute(insert)


def test_neither_this_jvm_nor_sparks_keeps_counters_in_the_systems_folder(judge: Judge) -> None:
    assert list(Path("/tmp").glob(f"hsperfdata_*/{judge.pid}")) == []
    assert NO_COUNTERS in STACK_ENVIRONMENT["JAVA_TOOL_OPTIONS"]
