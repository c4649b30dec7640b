"""Draws that lie elsewhere in time than their neighbours: one round of sync, repair and reconcile ends in the truth.

No draw, span or refusal stops anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.draws.collect.feed import Answer, FeedHttpError
from drawsguard.draws.collect.poll import recorded_poll
from drawsguard.draws.collect.source_repository import SourceRepository
from drawsguard.draws.model import Draw
from drawsguard.draws.repair import reconcile as comparison
from drawsguard.draws.repair.reconcile import reconcile
from drawsguard.draws.repair.repairer import Repair, Repairer, RepairIncompleteError
from drawsguard.draws.replay.resync import resync
from drawsguard.draws.window import SyncRequest, Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate
from tests.integration.sync_support import collect, newest_versions, sync_log, target_rows

pytestmark = pytest.mark.integration

T0 = datetime(2024, 3, 1, 0, 1, tzinfo=UTC)
EVERYTHING = Window(T0 - timedelta(days=30), T0 + timedelta(days=60))
CADENCE, TWO_HOURS = timedelta(seconds=210), timedelta(hours=2)


def draws(count: int, every: timedelta = CADENCE) -> dict[int, Draw]:
    """Draws from period 1000 on."""
    at = (T0 + index * every for index in range(count))
    return {1000 + n: Draw.derive(1000 + n, drawn, (n % 10, 2, 3), drawn) for n, drawn in enumerate(at)}


def moved(draw: Draw, by: timedelta, digit: int | None = None, version: int = 1) -> Draw:
    """A newer version of a draw, at another time."""
    numbers = draw.numbers if digit is None else (digit, 2, 3)
    at = draw.timestamp + by
    return Draw.derive(draw.period, at, numbers, draw.created_at, draw.created_at + timedelta(hours=version))


@pytest.fixture(scope="module")
def warehouse(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, "V024__repair_log", "R__230_mttr_v") as client:
        yield client


class World:
    """The pipeline over a feed whose history is what a test says."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.published: dict[int, Draw] = {}
        self.refuses: set[int] = set()
        self.arrived: list[Draw] = []
        self.spans: list[Window] = []

    def arrive(self, versions: Iterable[Draw], minutes_ago: float = 30) -> None:
        """Append versions to the source, as they are."""
        versions = list(versions)
        self.arrived += versions
        collect(self.client, versions, ingested_at=datetime.now(UTC) - timedelta(minutes=minutes_ago))

    def read_history(self, span: Window) -> None:
        """Read the feed's history into the source, or be refused."""
        self.spans.append(span)
        found = [draw for draw in self.published.values() if span.start <= draw.timestamp < span.end]
        if self.refuses.intersection(draw.period for draw in found):
            raise FeedHttpError("the history answered HTTP 500")
        with recorded_poll(SourceRepository(self.client, "draw_repair", "repair"), "history", "run", 1, 1) as poll:
            poll.write([Answer(datetime.now(UTC), tuple(found), (), len(found))])

    def repairer(self, task_id: str) -> Repairer:
        clock = lambda: datetime.now(UTC)  # noqa: E731
        return Repairer(self.client, f"draw_{task_id}", task_id, "run", 1, self.read_history, clock)

    def sync(self, window: Window = EVERYTHING) -> None:
        names = {"dag_id": "draw_sync", "task_id": "sync", "run_id": "run", "try_number": 1}
        resync(self.client, SyncRequest(window, "range"), **names)  # type: ignore[arg-type]

    def repair(self) -> Repair:
        worker = self.repairer("repair")
        return worker.repair(worker.find(datetime.now(UTC) - timedelta(minutes=5)))

    def reconcile(self) -> int:
        return reconcile(self.repairer("reconcile"), 48).written

    def periods(self) -> list[int]:
        return sorted(row.period for row in target_rows(self.client))

    def repaired(self) -> set[int]:
        table = get_settings().table("monitor", "repair_log")
        return {row["period"] for row in rows(self.client, f"SELECT period FROM {table} WHERE status = 'repaired'")}

    def assert_truth(self, further: Iterable[Draw] = ()) -> None:
        found = target_rows(self.client)
        assert len(found) == len({row.period for row in found}), "a draw is there twice"
        assert {(r.period, r.timestamp, r.numbers) for r in found} == {
            (r.period, r.timestamp, r.numbers) for r in newest_versions([*self.arrived, *further])
        }


@pytest.fixture
def world(warehouse: Client) -> World:
    truncate(
        warehouse, ("source", "draws"), ("source", "draws_quarantine"), ("target", "draws"),
        *(("monitor", table) for table in ("sync_log", "collect_log", "repair_log")),
    )  # fmt: skip
    return World(warehouse)


def remove(world: World, *periods: int, sides: tuple[str, ...] = ("target",)) -> None:
    for side in sides:
        world.client.query(
            f"DELETE FROM {get_settings().table(side, 'draws')} WHERE timestamp >= TIMESTAMP '2000-01-01' "
            f"AND period IN ({', '.join(map(str, periods))})"
        ).result()


def test_a_gap_beside_a_draw_that_is_timed_after_its_successor_is_repaired_and_so_are_the_others(world: World) -> None:
    world.published = draws(41)
    missing = {1005, 1020, 1030}
    there = {period: draw for period, draw in world.published.items() if period not in missing}
    late = there[1019].timestamp + 2.5 * CADENCE  # between 1021 and 1022
    world.published[1019] = there[1019] = Draw.derive(1019, late, (9, 2, 3), late)
    world.arrive(there.values())
    world.sync()

    done = world.repair()
    assert (done.failure, done.repaired) == (None, sorted(missing))
    assert world.repaired() == missing
    world.assert_truth(world.published[period] for period in missing)


@pytest.mark.parametrize("days", [3, -3, -10])
def test_a_draw_of_the_first_day_that_moves_by_days_is_right_after_one_round_and_stops_no_other_repair(
    world: World, days: int
) -> None:
    world.published = draws(60, TWO_HOURS)
    world.arrive(world.published.values())
    world.sync()
    assert world.reconcile() == 0
    world.arrive([moved(world.published[1003], timedelta(days=days), digit=9)])
    remove(world, 1030)
    remove(world, 1040, sides=("source", "target"))

    now = datetime.now(UTC)
    world.sync(Window(now - timedelta(hours=1), now))
    done = world.repair()
    assert (done.failure, done.repaired) == (None, [1030, 1040])
    assert world.reconcile() == 1
    world.assert_truth()
    assert world.repaired() == {1030, 1040}
    # Its old day is synced again, weeks later: it stays one row, and what was read is in the log.
    world.sync(Window(T0, T0 + timedelta(days=1)))
    world.assert_truth()
    assert world.reconcile() == 0


def test_a_hole_that_a_draw_dated_ten_days_early_stands_before_is_found_in_one_round(world: World) -> None:
    world.published = draws(240, TWO_HOURS)
    there = dict(world.published)
    del there[1065]  # day 6, only in the feed
    there[1140] = Draw.derive(1140, there[1140].timestamp - timedelta(days=10), (9, 2, 3), there[1140].created_at)
    world.arrive(there.values())
    world.sync()
    done = world.repair()
    assert (done.failure, done.repaired) == (None, [1065])
    world.assert_truth([world.published[1065]])
    (span,) = world.spans
    assert span.end - span.start < timedelta(days=1), "only what lies around the hole is asked for"


def test_a_whole_history_is_not_read_even_if_a_draw_lies_elsewhere(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = draws(60, TWO_HOURS)
    there[1040] = moved(there[1040], timedelta(days=-2))
    world.arrive(there.values())
    world.sync()
    asked: list[str] = []
    ask = StatementRunner.rows

    def listens(self: StatementRunner, path: str, *args: Any, **values: Any) -> Any:
        asked.append(path)
        return ask(self, path, *args, **values)

    monkeypatch.setattr(StatementRunner, "rows", listens)
    assert world.repair().gaps == []
    assert asked.count("repair/unwhole_periods.sql") == 1
    assert "repair/missing_periods.sql" not in asked


def test_a_double_and_a_hole_that_hide_each_other_are_both_found(world: World) -> None:
    world.arrive(draws(30).values())
    world.sync()
    assert world.reconcile() == 0
    table = get_settings().table("target", "draws")
    columns = "period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, synced_at"
    # In one hour, and a second row in another one: counts and ranges stay those of a whole history.
    for period, shift in ((1004, 0), (1020, -2)):
        world.client.query(
            f"INSERT INTO {table} ({columns}) SELECT period, TIMESTAMP_ADD(timestamp, INTERVAL {shift} HOUR), numbers, "
            "sum_value, big_small, odd_even, created_at, updated_at, synced_at "
            f"FROM {table} WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = {period}"
        ).result()
    remove(world, 1006, 1022)
    assert world.repair().repaired == [1006, 1022]
    assert world.reconcile() > 0
    world.assert_truth()
    assert world.reconcile() == 0


def test_a_span_that_the_feed_refuses_and_a_merge_that_fails_stop_no_other_and_are_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.published = draws(200)
    missing = {1005, 1110}
    world.arrive(draw for period, draw in world.published.items() if period not in missing)
    world.sync()
    remove(world, 1050, 1150)
    world.refuses = {1005}
    merge_run = Repairer._merge_run

    def fails(self: Repairer, run: range, wanted: set[int]) -> int:
        if 1050 in run:
            raise RuntimeError("the engine refused")
        return merge_run(self, run, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(Repairer, "_merge_run", fails)
        done = world.repair()
    assert (done.repaired, done.open) == ([1110, 1150], [1005, 1050])
    assert world.repaired() == {1110, 1150}
    assert isinstance(done.failure, RepairIncompleteError)
    assert all(part in str(done.failure) for part in ("[1005, 1050]", "HTTP 500", "the engine refused"))
    world.refuses = set()
    assert world.repair().repaired == [1005, 1050]


def test_a_range_that_a_draw_left_is_logged_with_what_was_read(world: World) -> None:
    there = draws(10)
    world.arrive(there.values())
    world.sync()
    away = moved(there[1003], timedelta(hours=4))
    world.arrive([away])
    asked = Window(T0, T0 + timedelta(hours=1))
    world.sync(asked)
    world.assert_truth()
    (row,) = [row for row in sync_log(world.client) if row["interval_end"] == asked.end]
    assert (row["affected"], row["interval_start"]) == (1, asked.start)
    assert row["window_start"] <= asked.start
    assert row["window_end"] > away.timestamp


def test_without_the_record_of_the_last_reconcile_everything_is_compared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Today's part of the history would be compared anyway: it is another one here."""
    monkeypatch.setattr(comparison, "review_window", lambda *_: None)
    there = draws(20)
    world.arrive(there.values(), minutes_ago=180)
    world.sync()
    assert world.reconcile() == 0
    # A version that carries an old time of collection is seen by no bound on that time.
    old = moved(there[1002], timedelta(days=-1), digit=9)
    collect(world.client, [old], ingested_at=datetime(2024, 4, 1, tzinfo=UTC))
    assert world.reconcile() == 0
    truncate(world.client, ("monitor", "sync_log"))
    assert world.reconcile() == 1
    world.assert_truth([old])
