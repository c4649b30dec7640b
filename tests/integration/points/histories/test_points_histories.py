"""Years of the points lifecycle lose nothing: random ones with a new seed every day, and what would be lost is found.

``make soak-points SEED=… SIZE=…`` plays the history of a failure again, ``make soak-points`` plays a thousand faults.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from drawsguard.points.environments import journal_schema
from local.config import Config
from local.points_histories.oracle import Step
from local.points_histories.player import CALM, SHORT, play
from local.points_histories.world import LostError, World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

#: How long random histories are played (seconds).
PLAYED_FOR = 45.0


@pytest.fixture(scope="module")
def config(stack: Any) -> Config:
    found: Config = stack.require("mysql", "redis").config
    return found


@pytest.fixture
def world(config: Config) -> Iterator[World]:
    made = World(config, Random(1))
    with made.around.entered():
        yield made
    made.close()


# --- random histories -------------------------------------------------------------------------------------------
def test_random_histories_lose_nothing(config: Config) -> None:
    """New seeds every day; POINTS_HISTORIES_SEED is the first seed instead."""
    first = int(os.environ.get("POINTS_HISTORIES_SEED") or f"{datetime.now(UTC):%Y%m%d}00")
    started = time.monotonic()
    played = 0
    while (left := PLAYED_FOR - (time.monotonic() - started)) > 0:
        history = play(config, first + played, SHORT, left)
        print(f"seed {history.seed}: {history.faults.total()} faults, {history.seconds:.1f} s")  # noqa: T201 - the log
        assert not history.lost, f"\n{history}"
        played += 1


def test_without_faults_everything_comes_to_its_end(config: Config) -> None:
    """What loses nothing because it does nothing would pass the others."""
    history = play(config, 3, CALM)
    assert not history.lost, f"\n{history}"
    assert history.faults == {}
    assert all(history.done[what] > 0 for what in ("downlined", "restored", "deleted keys")), f"\n{history}"


# --- the judge itself -------------------------------------------------------------------------------------------
def lost_in(world: World) -> str:
    """Return what the oracle says of a step in which something happened behind everybody's back."""
    with pytest.raises(LostError) as lost:
        world.look(Step("a step", world.now))
    return str(lost.value)


def test_what_nobody_approved_is_found(world: World) -> None:
    world.sight.sql("intranet", "UPDATE define_nosdata_general SET status = -80 WHERE id = 101")
    assert "intranet define_nosdata_general 101 changed, and nobody approved it" in lost_in(world)

    world.sight.redis["evt-001-redis"].flushdb()
    assert "of point 101 was deleted, and nobody approved it" in lost_in(world)

    columns = "batch_id, environment, table_name, row_id, identity, old_status, ordinal, kind, cluster,"
    columns += " last_modify_time, state, digest, changed_at"
    values = "'b1', 'intranet', 'define_nosdata_general', 101, 'x', 1, 0, 'point', 'c', '', 'downlined', 'd', NOW()"
    journal = f"{journal_schema('intranet')}.points_journal"
    world.sight.sql("intranet", f"INSERT INTO {journal} ({columns}) VALUES ({values})")
    world.look(Step("a step", world.now))
    world.sight.sql("intranet", f"DELETE FROM {journal}")
    assert "the journal lost" in lost_in(world)
