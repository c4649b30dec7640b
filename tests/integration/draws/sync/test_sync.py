"""The sync against the BigQuery emulator: whatever arrives in whatever order, the business table is the truth."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from drawsguard.draws.model import Draw
from drawsguard.draws.sync.target import MERGE_STATEMENT, DrawsDifferError, SyncPlan, TargetRepository
from drawsguard.draws.window import Window
from drawsguard.settings import REPOSITORY, get_settings
from drawsguard.sql import render
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.runner import StatementRunner
from operators.draws.sync.draw_sync_operator import DrawSyncOperator
from operators.draws.sync.draw_verify_operator import DrawVerifyOperator
from tests.integration.sync_support import (
    MIGRATIONS,
    SLOT,
    Row,
    collect,
    context,
    newest_versions,
    sync,
    sync_log,
    target_rows,
)

pytestmark = pytest.mark.integration

T0 = datetime(2025, 10, 2, 23, 50, tzinfo=UTC)  # the draws below cross a UTC midnight
CADENCE = timedelta(seconds=210)
INTERVALS = [Window(T0 + n * SLOT, T0 + (n + 1) * SLOT) for n in range(6)]
EVERYTHING = Window(T0, T0 + timedelta(minutes=30))


def draw(index: int, digit: int = 1, *, corrected: int | None = None, moved: timedelta = timedelta()) -> Draw:
    """Draw number ``index``; ``corrected`` is how many minutes after the draw this version was published."""
    drawn = T0 + index * CADENCE
    created = drawn + timedelta(seconds=5)
    updated = None if corrected is None else drawn + timedelta(minutes=corrected)
    return Draw.derive(1000 + index, drawn + moved, (digit, 2, 3), created, updated)


@pytest.fixture(scope="module")
def warehouse(stack: Any) -> Iterator[Client]:
    """Datasets of this module's own."""
    stack.require("bigquery")
    with pytest.MonkeyPatch.context() as environment:
        suffix = uuid.uuid4().hex[:8]
        for dataset in ("source", "target", "monitor"):
            environment.setenv(f"DRAWSGUARD_{dataset.upper()}_DATASET", f"sync_{dataset}_{suffix}")
        get_settings.cache_clear()
        settings = get_settings()
        client = Client(project=settings.project, credentials=AnonymousCredentials(), location=settings.location)
        for migration in MIGRATIONS:
            client.query(render(f"bigquery/schema/{migration}.sql")).result(timeout=60)
        yield client
        for name in (settings.source_dataset, settings.target_dataset, settings.monitor_dataset):
            client.delete_dataset(name, delete_contents=True, not_found_ok=True)
    get_settings.cache_clear()


def empty(client: Client) -> None:
    for table in (("source", "draws"), ("target", "draws"), ("monitor", "sync_log")):
        client.query(f"TRUNCATE TABLE {get_settings().table(*table)}").result()


@pytest.fixture
def client(warehouse: Client) -> Client:
    """The warehouse, emptied."""
    empty(warehouse)
    return warehouse


def assert_truth(client: Client, draws: list[Draw]) -> None:
    rows = target_rows(client)
    assert len(rows) == len(set(rows)) == len({row.period for row in rows})
    assert set(rows) == newest_versions(draws)


# --- what a run does ------------------------------------------------------------------------------------
def test_repeated_runs_change_nothing(client: Client) -> None:
    draws = [draw(index) for index in range(5)]
    collect(client, [*draws, *draws])

    first = sync(INTERVALS[0], run_after=T0)
    sync(Window(T0, EVERYTHING.end))
    written = {row["synced_at"] for row in client.query(_synced_at()).result()}
    sync(Window(T0, EVERYTHING.end))

    assert first["dry_run"] is False
    assert_truth(client, draws)
    assert {row["synced_at"] for row in client.query(_synced_at()).result()} == written


def _synced_at() -> str:
    return f"SELECT synced_at FROM {get_settings().table('target', 'draws')} WHERE timestamp >= TIMESTAMP '2000-01-01'"


def test_one_log_row_an_interval_with_job_and_counts(client: Client) -> None:
    collect(client, [draw(0), draw(1)])
    sync(INTERVALS[0])
    sync(INTERVALS[0])

    (row,) = sync_log(client)
    assert (row["status"], row["mode"], row["error"]) == ("success", "interval", None)
    assert (row["interval_start"], row["interval_end"]) == (INTERVALS[0].start, INTERVALS[0].end)
    assert row["window_start"] == INTERVALS[0].start - timedelta(minutes=get_settings().sync_lookback_minutes)
    assert row["affected"] == 0  # the second attempt found nothing to do
    assert row["job_id"].startswith("airflow_")


def test_corrections_win_with_and_without_a_newer_time(client: Client) -> None:
    history = [
        draw(0, 1),
        draw(0, 5, corrected=3),
        draw(1, 4, corrected=9),
        draw(1, 1),
        draw(2, 1),
        draw(2, 2),  # same times, other values: the order of the values decides
    ]
    for version in history:
        collect(client, [version])
        sync(Window(T0, EVERYTHING.end))
    assert_truth(client, history)


@pytest.mark.parametrize("moved", [timedelta(minutes=15), timedelta(days=-6), timedelta(days=6)])
def test_a_correction_that_moves_a_draw_in_time_leaves_one_row(client: Client, moved: timedelta) -> None:
    before, after = draw(0, 1), draw(0, 2, corrected=3, moved=moved)
    collect(client, [before, draw(1)])
    sync(INTERVALS[0])
    collect(client, [after])
    sync(INTERVALS[0])
    sync(Window(after.timestamp, after.timestamp + SLOT))
    sync(INTERVALS[0])
    assert_truth(client, [before, draw(1), after])


def test_an_outage_heals_with_the_first_run_after_it(client: Client) -> None:
    hours = [draw(index) for index in range(-200, 5)]  # about twelve hours
    start = T0 - timedelta(hours=12)
    collect(client, hours)
    sync(Window(start, start + SLOT))
    sync(INTERVALS[0])
    synced = {row.period for row in target_rows(client)}
    assert {d.period for d in hours if start <= d.timestamp < INTERVALS[0].end} <= synced


@pytest.mark.parametrize("minutes", [-30, 30])
def test_a_scheduler_whose_clock_was_wrong_loses_and_doubles_nothing(client: Client, minutes: int) -> None:
    """Two schedulers in turn: the first one's intervals lie beside the real time, and so does its watermark."""
    for number, interval in enumerate(INTERVALS[:4]):
        collect(client, [d for d in map(draw, range(9)) if interval.start <= d.timestamp < interval.end])
        off = timedelta(minutes=minutes) if number < 2 else timedelta()
        sync(Window(interval.start + off, interval.end + off))
    assert_truth(client, [d for d in map(draw, range(9)) if d.timestamp < INTERVALS[3].end])


def test_a_range_beyond_a_gap_does_not_move_the_watermark(client: Client) -> None:
    start = T0 - timedelta(hours=12)
    collect(client, [draw(index) for index in range(-200, 5)])
    sync(Window(start, start + SLOT))
    sync(**{"from": T0.isoformat(), "to": EVERYTHING.end.isoformat()})
    plan = SyncPlan.from_json(sync(INTERVALS[0]))
    assert plan.window.start == start + SLOT


def test_a_run_without_a_logical_date_takes_the_last_slot(client: Client) -> None:
    collect(client, [draw(0)])
    plan = SyncPlan.from_json(sync(run_after=T0 + SLOT + timedelta(seconds=2)))
    assert plan.window.end == T0 + SLOT
    assert_truth(client, [draw(0)])


def test_a_dry_run_reports_and_writes_nothing(client: Client) -> None:
    collect(client, [draw(0), draw(1)])
    answer = sync(INTERVALS[0], dry_run=True)
    assert answer["would_repair"] == [[1000, "missing"], [1001, "missing"]]
    assert target_rows(client) == []
    assert sync_log(client) == []
    with pytest.raises(AirflowSkipException):
        DrawVerifyOperator(task_id="verify", plan=answer).execute({})


def test_a_window_without_draws_is_a_success(client: Client) -> None:
    sync(INTERVALS[0])
    assert [row["status"] for row in sync_log(client)] == ["success"]


def test_a_wrong_range_is_refused_before_anything_runs(client: Client) -> None:
    with pytest.raises(AirflowFailException, match="Nothing was run"):
        sync(**{"from": EVERYTHING.end.isoformat(), "to": T0.isoformat()})
    assert sync_log(client) == []


def test_a_failed_attempt_is_logged_and_raised(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    collect(client, [draw(0)])
    with monkeypatch.context() as patch:
        patch.setattr("drawsguard.warehouse.job_configuration.render", lambda _path: "MERGE nowhere")
        with pytest.raises(Exception, match=r"(?i)syntax|parse|invalid"):
            sync(INTERVALS[0])
    (row,) = sync_log(client)
    assert row["status"] == "failed"
    assert row["error"]

    sync(INTERVALS[0])
    (row,) = sync_log(client)
    assert (row["status"], row["error"]) == ("success", None)
    assert_truth(client, [draw(0)])


# --- the verification -------------------------------------------------------------------------------------
@pytest.fixture
def synced(client: Client) -> SyncPlan:
    collect(client, [draw(0, 1), draw(0, 4, corrected=3), draw(1), draw(2)])
    return SyncPlan.from_json(sync(Window(T0, EVERYTHING.end)))


def verify(plan: SyncPlan) -> None:
    DrawVerifyOperator(task_id="verify", plan=plan.to_json()).execute({})


@pytest.mark.parametrize(
    ("damage", "period", "problem"),
    [
        ("DELETE FROM {target}", 1001, "missing: 1001"),
        ("UPDATE {target} SET numbers = [9, 9, 9], sum_value = 27", 1001, "foreign: 1001"),
        (
            "UPDATE {target} SET numbers = [1, 2, 3], sum_value = 6, odd_even = 'even', updated_at = NULL",
            1000,
            "stale: 1000",
        ),
        ("INSERT INTO {target} SELECT * FROM {target}", 1002, "duplicate: 1002"),
    ],
)
def test_verification_names_what_is_wrong(
    client: Client, synced: SyncPlan, damage: str, period: int, problem: str
) -> None:
    verify(synced)  # the truth is accepted
    target = get_settings().table("target", "draws")
    client.query(
        f"{damage.format(target=target)} WHERE period = {period} AND timestamp >= TIMESTAMP '2000-01-01'"
    ).result()
    with pytest.raises(DrawsDifferError, match=problem) as caught:
        verify(synced)
    assert "expected" in str(caught.value)
    assert "actual" in str(caught.value)


def test_verification_does_not_demand_what_arrived_during_the_run(client: Client, synced: SyncPlan) -> None:
    late = draw(1, 7, corrected=8)
    collect(client, [late], ingested_at=synced.as_of)
    verify(synced)
    collect(client, [late])
    with pytest.raises(DrawsDifferError, match="stale: 1001"):
        verify(synced)  # the same version, from before the run


# --- any history, any order ---------------------------------------------------------------------------------
VERSIONS = st.builds(
    draw,
    st.integers(0, 7),
    st.integers(0, 9),
    corrected=st.none() | st.integers(1, 30),
    moved=st.sampled_from([timedelta(), timedelta(), timedelta(minutes=12), timedelta(minutes=-12), timedelta(days=3)]),
)
STEPS = st.lists(st.lists(VERSIONS, max_size=6) | st.sampled_from(INTERVALS), min_size=2, max_size=6)


@given(steps=STEPS, last=st.permutations(INTERVALS))
@profile(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_history_in_any_order_ends_in_the_truth(
    warehouse: Client, steps: list[list[Draw] | Window], last: list[Window]
) -> None:
    """Arrivals (late, doubled, corrected, moved, holes) and runs interleave; at last each interval runs once more."""
    empty(warehouse)
    arrived: list[Draw] = []
    for step in [*steps, *last]:
        if isinstance(step, Window):
            merge(warehouse, step)
        else:
            collect(warehouse, step)
            arrived += step
    within = {d.period for d in arrived if EVERYTHING.start <= d.timestamp < EVERYTHING.end}
    truth = {row for row in newest_versions(arrived) if row.period in within}
    rows = target_rows(warehouse)
    assert len(rows) == len({row.period for row in rows})
    assert truth <= set(rows)
    assert {row.period for row in rows} - within == {row.period for row in set(rows) - truth}


def merge(client: Client, window: Window) -> None:
    """The operator's plan and MERGE, without Airflow and log around them."""
    now = datetime.now(UTC)
    warehouse = TargetRepository(client, dag_id="draw_sync", task_id="sync")
    plan = warehouse.plan_window(window, now)
    StatementRunner(client, "draw_sync", "sync").run(MERGE_STATEMENT, **plan.bounds(), synced_at=now)
    assert warehouse.differences(plan, settled_before=now) == []


# --- faults -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", ["planned", "submitted", "merged"])
def test_a_worker_killed_at_any_step_leaves_work_that_the_next_attempt_finishes(client: Client, step: str) -> None:
    draws = [draw(0), draw(0, 4, corrected=3), draw(1)]
    collect(client, draws)
    script = REPOSITORY / "tests" / "integration" / "killed_sync.py"
    command = [sys.executable, str(script), step, T0.isoformat(), EVERYTHING.end.isoformat()]
    killed = subprocess.run(command, cwd=REPOSITORY, env=_environment(), capture_output=True, text=True, check=False)
    assert killed.returncode == 137, killed.stderr
    assert sync_log(client) == []  # an interval without a row counts as failed

    verify(SyncPlan.from_json(sync(Window(T0, EVERYTHING.end))))
    assert_truth(client, draws)
    assert [row["status"] for row in sync_log(client)] == ["success"]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY / "plugins")}


def test_a_restarted_warehouse_keeps_what_was_written(client: Client, stack: Any) -> None:
    collect(client, [draw(0), draw(1)])
    sync(INTERVALS[0])
    stack.restart("bigquery")
    collect(client, [draw(2)])
    sync(Window(T0, EVERYTHING.end))
    assert_truth(client, [draw(0), draw(1), draw(2)])


def test_an_unreachable_warehouse_fails_the_run_and_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    collect(client, [draw(0)])

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(Client, "query", unreachable)
        patch.setattr("time.sleep", lambda _: None)
        with pytest.raises(StatementError, match="refused") as caught:
            DrawSyncOperator(task_id="sync", slot=SLOT).execute(context(INTERVALS[0]))
    assert any("sync_log" in note for note in caught.value.__notes__)
    sync(INTERVALS[0])
    assert target_rows(client) == [Row(1000, T0, (1, 2, 3), T0 + timedelta(seconds=5), None)]
