"""Histories of the draw pipeline end in the truth: known ones, and random ones with a new seed every day.

``make soak-draws SEED=…`` plays the history of a failure again, ``make soak-draws`` plays hundreds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.draws.repair import repairer
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from local.histories.faults import Fault
from local.histories.oracle import Version
from local.histories.player import CADENCE, DAY, HOUR, SMALL, play
from local.histories.world import BEGINNING, SECOND, World
from tests.integration.draws_warehouse import draws_warehouse

pytestmark = pytest.mark.integration

#: How long random histories are played (seconds), and how many at most; the last one may end a bit later.
PLAYED_FOR, MOST = 40.0, 12


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, "V024__repair_log") as client:
        yield client


@pytest.fixture
def world(client: Client) -> World:
    return World(client)


def draws(periods: range, step: timedelta = CADENCE) -> dict[int, Version]:
    """Return draws whose digits follow from the period, ``step`` apart, each published 10 s after it was drawn."""
    return {
        period: Version(period, at, (period % 10, period * 7 % 9, period // 3 % 10), at + 10 * SECOND)
        for period in periods
        for at in [BEGINNING + (period - 1000) * step]
    }


def everything(versions: dict[int, Version]) -> Window:
    return Window(BEGINNING - 20 * DAY, max(version.timestamp for version in versions.values()) + SECOND)


def settled(world: World, versions: dict[int, Version], missing: tuple[int, ...] = ()) -> None:
    """Have all but the missing draws collected, synced and refreshed."""
    world.now = max(version.timestamp for version in versions.values()) + 20 * SECOND
    world.collect(*[version for period, version in versions.items() if period not in missing])
    world.sync(everything(versions))
    world.refresh()


def moved(version: Version, by: timedelta, at: datetime) -> Version:
    return replace(version, timestamp=version.timestamp + by, updated_at=at)


def ends_in_the_truth(world: World) -> None:
    failures = world.full_round()
    assert world.mismatches() == [], "\n".join(world.lines)
    assert failures == []


# --- known histories --------------------------------------------------------------------------------------------
def test_two_late_draws_of_which_one_reads_the_other(world: World) -> None:
    """They lie in windows of their own: what the first one writes must not hide that the second has changed."""
    versions = draws(range(1000, 1100), 2 * HOUR)
    settled(world, versions, missing=(1010, 1035))
    world.wait(20 * DAY)
    world.refresh()
    world.collect(versions[1010], versions[1035])
    ends_in_the_truth(world)


def test_a_correction_whose_sync_is_killed_and_repeated(world: World) -> None:
    versions = draws(range(1000, 1060))
    settled(world, versions)
    world.wait(5 * DAY)
    world.collect(replace(versions[1020], numbers=(9, 9, 9)))
    assert world.sync(everything(versions), Fault("killed", 3, after=True)) != "ended"
    world.sync(everything(versions))
    ends_in_the_truth(world)


def test_an_impossible_span_beside_holes(world: World) -> None:
    versions = draws(range(1000, 1060))
    late = replace(versions[1019], timestamp=versions.pop(1020).timestamp + 400 * SECOND)
    world.insert(late)
    settled(world, versions, missing=(1005, 1019, 1030))
    world.publish(versions[1005], versions[1030])
    ends_in_the_truth(world)


def test_a_draw_of_the_first_day_moves(world: World) -> None:
    versions = draws(range(1000, 1060), HOUR)
    settled(world, versions, missing=(1040,))
    world.publish(versions[1040])
    world.wait(3 * DAY)
    world.insert(moved(versions[1004], -10 * DAY, world.now))
    ends_in_the_truth(world)


def test_one_late_neighbour_keeps_no_draw_out(world: World) -> None:
    """It fits every stored draw, since the one that it contradicts is missing; the feed is asked beyond it."""
    versions = draws(range(1000, 1060))
    late = replace(versions[1030], timestamp=versions[1031].timestamp + 60 * SECOND)
    settled(world, versions | {1030: late}, missing=(1031,))
    world.publish(versions[1031])
    world.wait(2 * HOUR)
    ends_in_the_truth(world)


def test_draws_that_nobody_has_keep_no_other_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairer, "MOST_DRAWS", 5)
    versions = draws(range(1000, 1060))
    for period in range(1010, 1018):
        del versions[period]
    settled(world, versions, missing=(1040,))
    world.publish(versions[1040])
    world.wait(3 * DAY)
    for _ in range(3):
        world.wait(180 * SECOND)
        world.repair()
    ends_in_the_truth(world)


def test_a_row_that_somebody_put_back_is_found_however_old_it_is(world: World) -> None:
    versions = draws(range(1000, 1060))
    settled(world, versions)
    world.collect(replace(versions[1020], numbers=(9, 9, 9), updated_at=world.now))
    world.sync(everything(versions))
    world.wait(10 * DAY)
    world.reconcile()
    world.put_back(versions[1020])
    ends_in_the_truth(world)


def test_the_old_day_of_a_moved_draw_is_synced_again(world: World) -> None:
    versions = draws(range(1000, 1060))
    settled(world, versions)
    world.insert(moved(versions[1030], -10 * DAY, world.now))
    world.wait(HOUR)
    world.reconcile()
    world.wait(2 * DAY)
    world.reconcile()
    world.wait(12 * DAY)
    world.sync(Window(versions[1030].timestamp - 20 * SECOND, versions[1030].timestamp + 20 * SECOND))
    ends_in_the_truth(world)


def test_a_moved_draw_before_a_draw_that_is_corrected_twice(world: World) -> None:
    versions = draws(range(1000, 1060))
    settled(world, versions)
    world.insert(moved(versions[1030], -3 * DAY, world.now))
    world.sync(everything(versions))
    world.refresh()
    for numbers in ((1, 1, 1), (2, 2, 2)):
        world.wait(HOUR)
        world.collect(replace(versions[1025], numbers=numbers))
        world.sync(everything(versions))
        world.refresh()
    ends_in_the_truth(world)


def test_a_draw_that_moves_out_of_the_range_that_is_synced(world: World) -> None:
    versions = draws(range(1000, 1060))
    settled(world, versions)
    world.wait(5 * DAY)
    world.insert(moved(versions[1020], 4 * HOUR, world.now))
    world.sync(Window(versions[1010].timestamp, versions[1030].timestamp))
    ends_in_the_truth(world)


def test_a_hole_behind_a_draw_with_an_early_date(world: World) -> None:
    versions = draws(range(1000, 1240), 2 * HOUR)
    versions[1150] = replace(versions[1150], timestamp=versions[1150].timestamp - 10 * DAY)
    missing = 1070
    world.now = versions[1239].timestamp + 20 * SECOND
    world.insert(*[version for period, version in versions.items() if period != missing])
    world.publish(versions[missing])
    world.sync(everything(versions))
    ends_in_the_truth(world)


def test_a_draw_that_the_feed_misdates_by_days(world: World) -> None:
    """It is set aside, digits and all; what the source has stays the truth until the feed shows a time that fits."""
    versions = draws(range(1000, 1060), 2 * HOUR)
    settled(world, versions)
    corrected = replace(versions[1050], numbers=(9, 0, 9))
    world.collect(replace(corrected, timestamp=corrected.timestamp - 3 * DAY), fit=False)
    ends_in_the_truth(world)
    world.collect(corrected)
    ends_in_the_truth(world)


def test_a_draw_that_nobody_had_arrives_late(world: World) -> None:
    """The feed is asked for it less and less often; once the source has it, the next repair needs no answer."""
    versions = draws(range(1000, 1060), HOUR)
    settled(world, versions, missing=(1030,))
    world.repair()
    world.wait(10 * HOUR)
    world.repair()
    world.wait(HOUR)
    world.collect(versions[1030])
    world.wait(HOUR)
    world.repair()
    assert [mismatch for mismatch in world.mismatches() if mismatch.table == "draws"] == []
    ends_in_the_truth(world)


# --- random histories -------------------------------------------------------------------------------------------
def test_random_histories_end_in_the_truth(client: Client) -> None:
    """New seeds every day; HISTORIES_SEED is the first seed instead."""
    first = int(os.environ.get("HISTORIES_SEED") or f"{datetime.now(UTC):%Y%m%d}00")
    started = time.monotonic()
    played = 0
    while played < MOST and time.monotonic() - started < PLAYED_FOR:
        history = play(client, first + played, SMALL)
        print(f"seed {history.seed}: {len(history.lines)} steps, {history.seconds:.1f} s")  # noqa: T201 - the log
        assert not history.mismatches, f"\n{history}"
        assert not history.failures, f"\n{history}"
        played += 1


# --- the check itself -------------------------------------------------------------------------------------------
def test_what_is_planted_in_the_tables_is_found(client: Client, world: World) -> None:
    """The comparison reads the whole tables: one fault of each kind, and each is named."""
    versions = draws(range(1000, 1040))
    settled(world, versions)
    assert world.mismatches() == []
    drawn, features = get_settings().table("target", "draws"), get_settings().table("target", "draws_14w")
    for statement in (
        f"INSERT INTO {drawn} SELECT * FROM {drawn} WHERE timestamp >= '2000-01-01' AND period = 1001",
        f"UPDATE {drawn} SET numbers = [0, 0, 1] WHERE timestamp >= '2000-01-01' AND period = 1002",
        f"DELETE FROM {drawn} WHERE timestamp >= '2000-01-01' AND period = 1003",
        f"INSERT INTO {features} SELECT * FROM {features} WHERE ts_utc >= '2000-01-01' AND issue = 1004",
        f"UPDATE {features} SET since_sum_13 = 3 WHERE ts_utc >= '2000-01-01' AND issue = 1005",
        f"DELETE FROM {features} WHERE ts_utc >= '2000-01-01' AND issue = 1006",
    ):
        client.query(statement).result()
    found = {(mismatch.table, mismatch.period, mismatch.problem) for mismatch in world.mismatches()}
    assert found == {
        ("draws", 1001, "doubled"), ("draws", 1002, "stale"), ("draws", 1003, "missing"),
        ("draws_14w", 1004, "doubled"), ("draws_14w", 1005, "wrong"), ("draws_14w", 1006, "missing"),
    }  # fmt: skip
