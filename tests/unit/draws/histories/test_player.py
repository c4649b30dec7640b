"""The player of histories without a warehouse: its faults, and the stories that seeds tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest

from local.histories.faults import Fault, FaultyClient, Killed, TimedOut
from local.histories.player import FULL, SMALL, Size, tell
from local.histories.world import World


# --- faults -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("after", [True, False])
def test_a_killed_task_does_nothing_more(after: bool) -> None:
    client = FaultyClient(engine := MagicMock())
    client.arm(Fault("killed", 2, after))
    client.query("first")
    with pytest.raises(Killed):
        client.query("second")
    with pytest.raises(Killed):
        client.query("clean-up")
    ran = [call.args[0] for call in engine.query.call_args_list]
    assert ran == ["first", "second"] if after else ["first"]
    client.arm(None)
    client.query("the next task")
    assert engine.query.call_args.args == ("the next task",)


def test_a_task_that_timed_out_may_clean_up() -> None:
    client = FaultyClient(engine := MagicMock())
    client.arm(Fault("timed out", 1, after=False))
    with pytest.raises(TimedOut):
        client.query("first")
    client.query("clean-up")
    assert [call.args[0] for call in engine.query.call_args_list] == ["clean-up"]


def test_neither_fault_is_an_exception_that_a_task_could_catch_by_accident() -> None:
    assert not issubclass(Killed, Exception)
    assert not issubclass(TimedOut, Exception)


# --- stories ----------------------------------------------------------------------------------------------------
class Paper(World):
    """A world in which tasks are told and not done."""

    def _task(self, what: str, work: Callable[[], Any], fault: Fault | None) -> str:  # noqa: ARG002
        return super()._task(what, lambda: None, fault)


def story(seed: int, size: Size = SMALL) -> Paper:
    world = Paper(MagicMock())
    tell(world, seed, size)
    return world


def test_a_seed_tells_the_same_story_each_time() -> None:
    assert story(1).lines == story(1).lines
    assert story(1).truth() == story(1).truth()
    assert story(1).lines != story(2).lines


def test_seeds_tell_of_everything_that_can_happen() -> None:
    worlds = [story(seed) for seed in range(40)]
    told = "\n".join(line for world in worlds for line in world.lines)
    for happening in (
        "cadence", "pauses", "few a day", "collect ", "collect late:", "insert into the source",
        "collect corrections:", "the feed misdates:", "correct in the source:", "double in the source:",
        "an older version", "an equally new version", "the feed's history has", "sync interval", "sync range",
        "repair everything", "repair [", "the feed is down", "reconcile", "refresh what changed", "refresh [",
        "rows of sync_log", "rows of feature_update_log", "somebody doubles", "somebody deletes",
        "20 days, 0:00:00 later",
    ):  # fmt: skip
        assert happening in told, happening
    assert all(50 <= len(world.truth()) <= 200 for world in worlds)
    assert all(20 <= world.horizon <= 50 for world in worlds)
    hidden = [period for world in worlds for period in world.feed.keys() - world.source.keys()]
    assert len(hidden) > 40, "draws that only the feed's history has"
    moves = [
        abs(one.timestamp - other.timestamp).total_seconds()
        for world in worlds
        for versions in world.source.values()
        for one in versions
        for other in versions
    ]
    assert max(moves) > 10 * 86_400
    assert [move for move in moves if 0 < move < 100]


def test_a_full_history_is_longer_than_the_real_horizon() -> None:
    world = story(1, FULL)
    assert world.horizon == 5000
    assert max(world.truth()) - min(world.truth()) > world.horizon
