"""Legacy draws into a partitioned table: month by month, restarted anywhere, cut over once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from google.cloud.bigquery import Client

from drawsguard.draws.history import HistoryMigration, MigrationDiffersError, month_window
from drawsguard.draws.statements import Statements
from drawsguard.draws.sync import EARLIEST
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from operators.draw_history_operators import (
    DrawHistoryCopyOperator,
    DrawHistoryCutOverOperator,
    DrawHistoryPrepareOperator,
)
from tests.integration.draws_warehouse import draws_warehouse, rows
from tests.integration.sync_support import sync, target_rows

pytestmark = pytest.mark.integration

T0 = datetime(2024, 11, 29, tzinfo=UTC)
STEP = timedelta(hours=6)
COUNT = 150  # 37 days over three months


@pytest.fixture
def client(stack: Any) -> Iterator[Client]:
    """A warehouse whose source is an unpartitioned table without ``ingested_at``, as it was before."""
    with draws_warehouse(stack, "V025__history_migration_log") as client:
        table = get_settings().table("source", "draws")
        columns = (
            "period INT64, timestamp TIMESTAMP, numbers ARRAY<INT64>, sum_value INT64, big_small STRING, "
            "odd_even STRING, created_at TIMESTAMP, updated_at TIMESTAMP"
        )
        client.query(f"DROP TABLE {table}").result()
        client.query(f"CREATE TABLE {table} ({columns})").result()
        insert(client, range(COUNT))
        yield client


def insert(
    client: Client, indices: Any, *, digit: int = 1, sum_value: int | None = None, updated: str = "NULL"
) -> None:
    values = []
    for index in indices:
        at = f"TIMESTAMP '{(T0 + index * STEP).isoformat()}'"
        total = digit + 5 if sum_value is None else sum_value
        labels = f"'{'big' if total >= 14 else 'small'}', '{'odd' if total % 2 else 'even'}'"
        values.append(f"({1000 + index}, {at}, [{digit}, 2, 3], {total}, {labels}, {at}, {updated})")
    client.query(f"INSERT INTO {get_settings().table('source', 'draws')} VALUES {', '.join(values)}").result()


def migration(client: Client) -> HistoryMigration:
    return HistoryMigration(Statements(client, "test", "test"), "source", "run", lambda: datetime.now(UTC))


def count(client: Client, table: str) -> int:
    name = get_settings().table("source", table)
    return rows(client, f"SELECT COUNT(*) AS n FROM {name} WHERE timestamp >= TIMESTAMP '2000-01-01'")[0]["n"]


def test_every_month_is_copied_compared_and_cut_over(client: Client) -> None:
    moved = migration(client)
    months = moved.prepare()
    assert months == ["2024-11", "2024-12", "2025-01"]
    moved.copy("2024-12")
    assert moved.copy("2024-12")["copied"] == 0, "a month that was copied is not copied twice"
    assert count(client, "draws_partitioned") == 31 * 4
    # The run died here; it starts again at the first month.
    figures = [migration(client).copy(month) for month in migration(client).prepare()]
    assert [row["copied"] for row in figures] == [8, 0, COUNT - 8 - 31 * 4]
    insert(client, [COUNT])  # the writer goes on meanwhile
    insert(client, [3], digit=7, updated="TIMESTAMP '2025-01-20 00:00:00+00'")
    cut = moved.cut_over()
    assert sum(row["copied"] for row in cut) == 2
    assert moved.is_done()
    assert count(client, "draws") == count(client, "draws_unpartitioned") == COUNT + 2
    assert moved.prepare() == []
    assert moved.cut_over() == [], "a second cut-over changes nothing"
    log = rows(client, f"SELECT month FROM {get_settings().table('monitor', 'history_migration_log')} ORDER BY month")
    assert [row["month"] for row in log] == ["2024-11", "2024-12", "2025-01", "cut_over"]
    # The readers follow the name: the sync reads the partitioned table now.
    sync(**{"from": T0.isoformat(), "to": (T0 + timedelta(days=60)).isoformat()})
    assert len(target_rows(client)) == COUNT + 1


def test_the_tasks_move_the_months_and_then_the_names_of_the_asked_side_only(client: Client) -> None:
    def run(cut_over: bool) -> tuple[list[str], list[str]]:
        """Run the tasks in the order of the DAG; return the copied months and the sides whose names were switched."""
        context = {"params": {"side": "source", "cut_over": cut_over}, "ti": SimpleNamespace(run_id="run")}
        months = DrawHistoryPrepareOperator(task_id="prepare").execute(context)
        copied = [DrawHistoryCopyOperator(task_id="copy_month", month=month).execute(context) for month in months]
        switched = []
        for side in ("target", "source"):
            operator = DrawHistoryCutOverOperator(task_id=f"cut_over_{side}", side=side)  # type: ignore[arg-type]
            with suppress(AirflowSkipException):
                operator.execute(context)
                switched.append(side)
        return [figures["month"] for figures in copied], switched

    months = ["2024-11", "2024-12", "2025-01"]
    assert run(cut_over=False) == (months, [])
    assert not migration(client).is_done()
    assert run(cut_over=True) == (months, ["source"])
    assert migration(client).is_done()
    with pytest.raises(AirflowSkipException, match="nothing to migrate"):
        run(cut_over=True)


def test_a_cut_over_that_died_between_the_two_names_is_finished(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = migration(client)
    for month in moved.prepare():
        moved.copy(month)
    run, renames = Statements.run, []

    def dies(self: Statements, path: str, *args: Any, **values: Any) -> Any:
        if path == "migration/rename.sql":
            renames.append(path)
            if len(renames) == 2:
                raise KeyboardInterrupt
        return run(self, path, *args, **values)

    with monkeypatch.context() as patch:
        patch.setattr(Statements, "run", dies)
        with pytest.raises(KeyboardInterrupt):
            moved.cut_over()
    assert not moved.exists("draws")
    assert not moved.is_done()
    migration(client).cut_over()
    assert moved.is_done()
    assert count(client, "draws") == COUNT


def test_the_statistics_follow_the_target_to_its_new_table(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sync(**{"from": T0.isoformat(), "to": (T0 + timedelta(days=60)).isoformat()})
    moved = HistoryMigration(Statements(client, "test", "test"), "target", "run", lambda: datetime.now(UTC))
    moved.cut_over()
    target, statistics = (get_settings().table("target", name) for name in ("draws", "draws_hourly_mv"))
    client.query(f"DELETE FROM {target} WHERE timestamp >= TIMESTAMP '2000-01-01' AND period < 1010").result()
    assert rows(client, f"SELECT SUM(draws) AS n FROM {statistics}") == [{"n": COUNT - 10}]
    # On BigQuery the view still stands on the renamed table until it is made anew; also when a run died before that.
    made: list[str] = []
    run = Statements.run
    monkeypatch.setattr(Statements, "run", lambda self, path, *a, **v: (made.append(path), run(self, path, *a, **v))[1])
    assert moved.cut_over() == []
    assert "schema/R__150_draws_hourly_mv.sql" in made


def test_invalid_and_doubled_rows_are_counted_and_stay_behind(client: Client) -> None:
    insert(client, [0, 0, 1])  # exact copies of a version
    insert(client, [200], sum_value=20)
    moved = migration(client)
    figures = {month: moved.copy(month) for month in moved.prepare()}
    assert figures["2024-11"]["copied"] == 8
    assert sum(row["invalid_rows"] for row in figures.values()) == 1
    assert count(client, "draws_partitioned") == COUNT


def test_a_month_that_differs_is_named_and_keeps_the_names(client: Client) -> None:
    moved = migration(client)
    for month in moved.prepare():
        moved.copy(month)
    table = get_settings().table("source", "draws_partitioned")
    client.query(
        f"UPDATE {table} SET numbers = [9, 2, 3] WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = 1020"
    ).result()
    with pytest.raises(MigrationDiffersError, match="2024-12"):
        moved.cut_over()
    assert moved.exists("draws_partitioned")
    assert not moved.exists("draws_unpartitioned")


@pytest.mark.parametrize(("month", "end"), [("2024-12", (2025, 1)), ("2025-01", (2025, 2)), ("2024-02", (2024, 3))])
def test_a_month_ends_where_the_next_begins(month: str, end: tuple[int, int]) -> None:
    year, number = map(int, month.split("-"))
    assert month_window(month) == Window(datetime(year, number, 1, tzinfo=UTC), datetime(*end, 1, tzinfo=UTC))
    assert month_window(month).start > EARLIEST
