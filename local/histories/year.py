"""Days of a year, one a seed: mishaps drawn from the seed, the recovery, and what was found wrong."""

from __future__ import annotations

import random
import time
from types import SimpleNamespace
from unittest import mock

from google.cloud.bigquery import Client

from drawsguard.warehouse import runner
from local.histories.day import Day, PlayedDay
from local.histories.mishaps import QUIET, VISIBLE

#: What the views of a day stand on, beyond the migrations that every history needs.
MIGRATIONS = ("R__300_overdue_draws", "R__310_cloud_freshness_v", "R__320_collection_quality_v")


def play_day(client: Client, seed: int, episodes: int = 2) -> PlayedDay:
    """Play the day of a seed in the warehouse of the settings, which is emptied first."""
    started = time.monotonic()
    # The runner's pauses between attempts would be real seconds.
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _seconds: None)
    with mock.patch.object(runner, "time", clock):
        day = Day(client, random.Random(f"day {seed}"))
        day.play(episodes, QUIET, VISIBLE)
    return PlayedDay(seed, day.lines, day.tally, time.monotonic() - started)
