"""How many statements change each table on an ordinary day, against what BigQuery allows.

BigQuery lets a table be modified 1,500 times a day by load, copy and query jobs that write to it. DML is not refused
by that limit but counts towards it: a table that takes more DML a day refuses load and copy jobs.

The model is `tests.sql.analyzer.ordinary`. Each INSERT, UPDATE, DELETE or MERGE that is sent counts once for its
target, whether or not it changes a row, times the runs that the DAG's schedule makes in a day.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
import sqlglot
from sqlglot import exp

from drawsguard.settings import REPOSITORY
from drawsguard.warehouse.bill import streaming_dollars
from tests.sql.analyzer.flow import draws_a_day
from tests.sql.analyzer.ordinary import ORDINARY, Ordinary, record, schedule_of, times_a_day, times_a_month

ALLOWED = 1500


def changed_table(text: str) -> str | None:
    """Return the table that a statement changes, as dataset and name; None for all else."""
    tree = sqlglot.parse_one(text, dialect="bigquery")
    if not isinstance(tree, exp.Merge | exp.Insert | exp.Update | exp.Delete):
        return None
    table = tree.this.find(exp.Table) if not isinstance(tree.this, exp.Table) else tree.this
    return ".".join(part.name for part in table.parts[1:])


def statements_a_day(dags: Mapping[str, Callable[[], Sequence[Ordinary]]]) -> dict[str, float]:
    """Return how many DML statements each table takes on an ordinary day."""
    totals: dict[str, float] = defaultdict(float)
    for dag, ordinary in dags.items():
        for made in ordinary():
            changed = Counter(table for one in record(dag, made).sent if (table := changed_table(one.text)))
            for table, count in changed.items():
                totals[table] += count * times_a_day(dag, made)
    return dict(totals)


def test_every_scheduled_dag_is_in_the_model() -> None:
    files = [path for team in ("draws", "operations") for path in (REPOSITORY / "dags" / team).glob("*.py")]
    names = {f"{path.parent.name}/{path.stem}" for path in files}
    assert {name for name in names if schedule_of(name)} | {"draws/draw_news"} == set(ORDINARY)


def test_tables_take_fewer_statements_a_day_than_load_jobs_allow() -> None:
    figures = statements_a_day(ORDINARY)
    assert figures["pc28.draws"] >= draws_a_day()  # the model sees what it is about
    assert {table: count for table, count in figures.items() if count > ALLOWED} == {}


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("MERGE `p.d.t` AS t USING (SELECT 1 AS a) AS s ON FALSE WHEN NOT MATCHED THEN INSERT ROW", "d.t"),
        ("INSERT INTO `p.d.t` (a) SELECT 1", "d.t"),
        ("UPDATE `p.d.t` SET a = 1 WHERE b = 1", "d.t"),
        ("DELETE FROM `p.d.t` WHERE b = 1", "d.t"),
        ("SELECT a FROM `p.d.t`", None),
        ("CREATE TABLE `p.d.t` (a INT64)", None),
    ],
)
def test_changed_table_is_found(text: str, table: str | None) -> None:
    assert changed_table(text) == table


def test_too_many_statements_would_be_seen() -> None:
    """The negative case: four times as many draws lift their table above the limit."""
    ordinary = ORDINARY["draws/draw_news"]
    crowded = {"draws/draw_news": lambda: [replace(one, often=4 * (one.often or 0)) for one in ordinary()]}
    assert statements_a_day(crowded)["pc28.draws"] > ALLOWED


def test_the_logs_of_polls_refreshes_and_checks_are_streamed() -> None:
    """The rows cost next to nothing (US dollars a month), and no statement writes them."""
    dollars = 0.0
    tables = set()
    dags = ("draws/draw_collect", "draws/feature_refresh", "operations/monitoring_checks")
    for dag, made in ((name, made) for name in dags for made in ORDINARY[name]()):
        rows = record(dag, made).streamed
        tables |= {table for table, _ in rows}
        assert all(row["insertId"] for _, row in rows)
        dollars += times_a_month(dag, made) * streaming_dollars(len(json.dumps(row["json"])) for _, row in rows)
    assert tables == {"collect_log", "feature_update_log", "check_log"}
    assert dollars < 0.25
