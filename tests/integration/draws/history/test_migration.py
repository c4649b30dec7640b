"""Legacy draws into a partitioned table: month by month, restarted anywhere, cut over once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from google.cloud.bigquery import Client

from drawsguard.draws.history.migration import HistoryMigration, MigrationDiffersError, Side, month_window
from drawsguard.draws.retention import EARLIEST
from drawsguard.draws.window import Window
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner
from operators.draws.history.draw_history_copy_operator import DrawHistoryCopyOperator
from operators.draws.history.draw_history_cut_over_operator import DrawHistoryCutOverOperator
from operators.draws.history.draw_history_prepare_operator import DrawHistoryPrepareOperator
from tests.integration.approval_driver import ApprovalDriver, approvers
from tests.integration.draws.history.legacy_tables import create_draws
from tests.integration.draws_warehouse import draws_warehouse, rows
from tests.integration.sync_support import sync, target_rows

pytestmark = pytest.mark.integration

T0 = datetime(2024, 11, 29, tzinfo=UTC)
STEP = timedelta(hours=6)
COUNT = 150  # 37 days over three months


@pytest.fixture
def client(stack: Any) -> Iterator[Client]:
    """A warehouse whose source is an unpartitioned table without ``ingested_at``, as it was before."""
    with draws_warehouse(stack, "V025__history_migration_log", "V041__check_log", "R__020_draw_fault") as client:
        create_draws(client, "source")
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
    return HistoryMigration(StatementRunner(client, "test", "test"), "source", "run", lambda: datetime.now(UTC))


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


@pytest.fixture
def driver(stack: Any, client: Client) -> Iterator[ApprovalDriver]:
    """A run that is to switch the names; January 2025 has not ended when it starts."""
    stack.require("mysql")
    started = datetime(2025, 1, 20, tzinfo=UTC)
    with approvers():
        yield ApprovalDriver("draw_history_migration", {"side": "source", "cut_over": True}, started_at=started)


def copy_all(driver: ApprovalDriver) -> list[str]:
    """Run the tasks before the cut-over as the DAG chains them; return the copied months."""
    months = driver.run(DrawHistoryPrepareOperator(task_id="prepare"))
    return [driver.run(DrawHistoryCopyOperator(task_id="copy_month", month=month))["month"] for month in months]


def cut_over(side: Side = "source") -> DrawHistoryCutOverOperator:
    return DrawHistoryCutOverOperator(task_id=f"cut_over_{side}", side=side)


def test_the_names_are_switched_on_the_asked_side_after_another_persons_approval(
    client: Client, driver: ApprovalDriver
) -> None:
    months = ["2024-11", "2024-12", "2025-01"]
    driver.params["cut_over"] = False
    assert copy_all(driver) == months
    with pytest.raises(AirflowSkipException, match="Trigger again with cut_over"):
        driver.run(cut_over())
    driver.new_run()
    driver.params["cut_over"] = True
    assert copy_all(driver) == months
    with pytest.raises(AirflowSkipException, match="migrates the source side"):
        driver.run(cut_over("target"))
    task = cut_over()
    digest = driver.ask(task)
    assert "| 2024-12 | 124 |" in str(task.body)
    assert "2025-01" not in str(task.body), "what is written to goes on changing while the question waits"
    insert(client, [COUNT])
    assert not migration(client).is_done()
    figures = driver.answer(task, digest)
    assert [month["month"] for month in figures] == months
    assert migration(client).is_done()
    assert count(client, "draws") == COUNT + 1
    assert driver.kinds() == ["asked", "approved", "started", "finished"]
    audit = rows(client, f"SELECT actor, action, digest FROM {get_settings().table('monitor', 'operation_audit')}")
    assert sorted((row["action"], row["actor"]) for row in audit) == [
        ("approved", "approver"),
        ("cut over", "requester"),
    ]
    assert {row["digest"] for row in audit} == {digest}
    with pytest.raises(AirflowSkipException, match="switched before"):
        driver.run(cut_over())
    with pytest.raises(AirflowSkipException, match="nothing to copy"):
        copy_all(driver)


def test_no_way_round_the_approval_switches_the_names(client: Client, driver: ApprovalDriver) -> None:
    copy_all(driver)
    # A1: what XComs and task states say is not read; the task asks.
    task = cut_over()
    digest = driver.ask(task)
    for user, answered in (("requester", digest), (None, digest), ("approver", "0" * 64)):
        with pytest.raises(AirflowFailException):
            driver.answer(task, answered, user)
    assert not migration(client).is_done()
    # A3: a month that had ended changes while the question waits.
    insert(client, [3], digit=7, updated="TIMESTAMP '2025-01-20 00:00:00+00'")
    driver.new_run()
    copy_all(driver)
    task = cut_over()
    digest = driver.ask(task)
    insert(client, [4], digit=7, updated="TIMESTAMP '2025-01-20 00:00:00+00'")
    with pytest.raises((AirflowFailException, RefusedError), match="2024-11"):
        driver.answer(task, digest)  # not copied: both sides differ
    copy_all(driver)
    with pytest.raises(AirflowFailException, match="new run"):
        driver.run(cut_over())  # copied and cleared: another question under the old text
    assert not migration(client).is_done()
    # A2: the run of an approval ended and is cleared, before and after the approval expired.
    driver.new_run()
    task = cut_over()
    digest = driver.ask(task)
    driver.new_run(driver.run_id)
    with pytest.raises(AirflowFailException, match="new run"):
        driver.answer(task, digest)
    with pytest.raises(AirflowFailException, match="new run"):
        driver.run(cut_over())
    assert not migration(client).is_done()


@pytest.mark.parametrize("when", ["between the names", "after the names"])
def test_a_cut_over_that_died_is_finished_under_its_approval(
    client: Client, driver: ApprovalDriver, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    copy_all(driver)
    task = cut_over()
    digest = driver.ask(task)
    run, renamed = StatementRunner.run, []

    def run_or_die(statements: StatementRunner, file: str, *arguments: Any, **values: Any) -> Any:
        if renamed[-1:] == [when]:
            raise ConnectionError("killed")
        result = run(statements, file, *arguments, **values)
        if file == "history/rename.sql":
            renamed.append("after the names" if renamed else "between the names")
        return result

    with monkeypatch.context() as patch:
        patch.setattr(StatementRunner, "run", run_or_die)
        with pytest.raises(ConnectionError):
            driver.answer(task, digest)
    driver.run(cut_over())
    assert migration(client).is_done()
    assert driver.kinds() == ["asked", "approved", "started", "finished"]


def test_a_cut_over_that_died_between_the_two_names_is_finished(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = migration(client)
    for month in moved.prepare():
        moved.copy(month)
    run, renames = StatementRunner.run, []

    def dies(self: StatementRunner, path: str, *args: Any, **values: Any) -> Any:
        if path == "history/rename.sql":
            renames.append(path)
            if len(renames) == 2:
                raise KeyboardInterrupt
        return run(self, path, *args, **values)

    with monkeypatch.context() as patch:
        patch.setattr(StatementRunner, "run", dies)
        with pytest.raises(KeyboardInterrupt):
            moved.cut_over()
    assert not moved.exists("draws")
    assert not moved.is_done()
    migration(client).cut_over()
    assert moved.is_done()
    assert count(client, "draws") == COUNT


def test_the_statistics_follow_the_target_to_its_new_table(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    create_draws(client, "target")
    copied = (get_settings().table(side, "draws") for side in ("target", "source"))
    client.query("INSERT INTO {} SELECT * FROM {}".format(*copied)).result()
    moved = HistoryMigration(StatementRunner(client, "test", "test"), "target", "run", lambda: datetime.now(UTC))
    moved.cut_over()
    target, statistics = (get_settings().table("target", name) for name in ("draws", "draws_hourly_mv"))
    client.query(f"DELETE FROM {target} WHERE timestamp >= TIMESTAMP '2000-01-01' AND period < 1010").result()
    assert rows(client, f"SELECT SUM(draws) AS n FROM {statistics}") == [{"n": COUNT - 10}]
    # On BigQuery the view still stands on the renamed table until it is rebuilt; also when a run died before that.
    made: list[str] = []
    run = StatementRunner.run
    monkeypatch.setattr(
        StatementRunner, "run", lambda self, path, *a, **v: (made.append(path), run(self, path, *a, **v))[1]
    )
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
