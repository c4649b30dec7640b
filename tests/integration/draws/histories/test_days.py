"""Days full of faults: nothing is lost or doubled, what is visible is found within a minute, and nothing else is.

``make soak-draws SEED=… SIZE=day`` plays the day of a failure again, ``make soak-draws`` plays a hundred.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.bigquery import Client

from local.histories.day import Day, Sight
from local.histories.mishaps import QUIET, SPELLINGS, UNUSABLE, VISIBLE, WRONG_ROWS
from local.histories.year import MIGRATIONS, play_day
from tests.integration.draws_warehouse import draws_warehouse

pytestmark = pytest.mark.integration

#: How long days are played (seconds), and how many at most; the last one may end a bit later.
PLAYED_FOR, MOST = 45.0, 8


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, "V024__repair_log", *MIGRATIONS) as client:
        yield client


def test_random_days(client: Client) -> None:
    """New seeds every day; HISTORIES_SEED is the first seed instead."""
    first = int(os.environ.get("HISTORIES_SEED") or f"{datetime.now(UTC):%Y%m%d}00")
    started = time.monotonic()
    played = 0
    while played < MOST and time.monotonic() - started < PLAYED_FOR:
        day = play_day(client, first + played, episodes=1)
        faults = sum(day.tally.faults.values())
        print(f"seed {day.seed}: {faults} faults, found after {day.tally.detected} s, {day.seconds:.1f} s")  # noqa: T201
        assert faults
        assert not day.problems, f"\n{day}"
        assert all(seconds < 60 for seconds in day.tally.detected)
        played += 1


def test_a_day_that_goes_wrong_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge itself: what is lost, doubled, cried for nothing or not seen is counted."""
    day = Day(client, random.Random(1))

    def lose_and_double(day: Day) -> None:
        first, second = sorted(day.source)[:2]
        day.lose_row("draws", first)
        day.double_row("draws", second)

    def invisible(day: Day) -> Sight:
        return Sight("nothing at all", "task:draw_collect.collect", day.now)

    run = day.run
    monkeypatch.setattr(day, "run", lambda name, *_: "ended" if name in ("repair", "reconcile") else run(name))
    day.play(1, [lose_and_double], [invisible])
    day._visible(invisible)
    assert day.tally.lost >= 1, "the draw, and its features"
    assert day.tally.doubled >= 1
    assert any("nothing at all" in line for line in day.tally.unseen)
    day.monitor.signal("task:draw_reconcile.reconcile", True, "cried for nothing")
    day._quiet_round()
    assert any("cried for nothing" in line for line in day.tally.false_alarms)


def test_the_mishaps_are_those_of_the_issue() -> None:
    assert len(QUIET) > 40
    assert len(VISIBLE) >= 10
    assert {"digits with zeros", "digits with commas", "full-width digits", "numbers as text"} <= SPELLINGS.keys()
    assert {"HTML with status 200", "data in data", "other names of fields"} <= UNUSABLE.keys()
    assert {"a draw from the future", "a draw a day early", "a period with other digits"} <= WRONG_ROWS.keys()
