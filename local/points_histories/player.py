"""Random years: what is used, delivered, decided, approved, broken and repaired when is drawn from a seed.

Everything that goes on is a process: it does something, and says after which time it goes on. Processes take turns by
the clock, so a report, a push, a downline that waits for its approval, a restore and a cleanup meet as they do in a
company. ``make soak-points SEED=…`` plays a year again.
"""

from __future__ import annotations

import heapq
import random
import time as wall
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from local.config import Config
from local.points_histories.approvals import Approvals
from local.points_histories.evidence import Evidence
from local.points_histories.people import People
from local.points_histories.telemetry import DAY, WINDOW_DAYS
from local.points_histories.world import BEGINNING, LostError, World, at

Process = Iterator[timedelta]


@dataclass(frozen=True)
class Size:
    """How long a history is (days), and how likely a fault is in a task."""

    name: str
    days: int
    fault: float


YEAR = Size("year", 365, 0.25)
SHORT = Size("short", 100, 0.25)
#: Without any fault: everything comes to its end.
CALM = Size("calm", 42, 0.0)
SIZES = {size.name: size for size in (YEAR, SHORT, CALM)}


@dataclass(frozen=True)
class History:
    """A year that was played: its story, what was lost, and what went wrong in it."""

    seed: int
    size: Size
    days: int
    lines: list[str]
    lost: list[str]
    faults: Counter[str]
    done: Counter[str]
    failures: Counter[str]
    seconds: float

    def __str__(self) -> str:
        """Return what a person needs to look into it."""
        return "\n".join(
            [
                f"seed {self.seed} ({self.size.name}): {self.faults.total()} faults, {len(self.lost)} lost",
                *[f"  {problem}" for problem in self.lost],
                f"  faults: {_counted(self.faults)}",
                f"  done: {_counted(self.done)}",
                "history:",
                *[f"  {line}" for line in self.lines],
                f"play it again: make soak-points SEED={self.seed} SIZE={self.size.name}",
            ]
        )


def play(config: Config, seed: int, size: Size = SHORT, seconds: float = float("inf")) -> History:
    """Play the history of a seed on the stack's MySQL and Redis, which are emptied first.

    :param seconds: the history ends early, at the evening of a day, when it takes longer.
    """
    started = wall.perf_counter()
    rng = random.Random(f"points {size.name} {seed}")
    world = World(config, rng)
    try:
        with world.around.entered():
            try:
                Player(world, rng, size).play(lambda: wall.perf_counter() - started > seconds)
            except LostError as error:
                world.say(f"LOST: {error}")
            days = (world.today - BEGINNING).days
    finally:
        world.close()
    taken = wall.perf_counter() - started
    oracle = world.oracle
    return History(seed, size, days, world.lines, oracle.lost, world.faults, oracle.done, world.failures, taken)


class Player:
    """Plays one history."""

    def __init__(self, world: World, rng: random.Random, size: Size) -> None:
        self.world, self.rng, self.size = world, rng, size
        approvals = Approvals(world, rng, size.fault)
        self.evidence = Evidence(world, rng, approvals)
        self.people = People(world, rng, approvals)
        self._waiting: list[tuple[datetime, int, Process]] = []
        self._number = 0

    def play(self, tired: Callable[[], bool]) -> None:
        for before in range(WINDOW_DAYS + 10, 0, -1):
            day = BEGINNING - before * DAY
            self.world.telemetry.deliver(day, at(day + DAY, time(3)))
            self.evidence.habits(day)
        end = at(BEGINNING + self.size.days * DAY, time(0))
        self._begin(at(BEGINNING, time(0)), self.evidence.days())
        self._begin(at(BEGINNING, time(8)), self.people.days(self._spawn))
        while self._waiting:
            moment, _, process = heapq.heappop(self._waiting)
            if moment >= end or tired():
                break
            self._resume(max(moment, self.world.now), process)
        self.world.say("the end: everything that is out of service is restored")
        self._finish()

    def _spawn(self, process: Process) -> None:
        self._begin(self.world.now, process)

    def _begin(self, moment: datetime, process: Process) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (moment, self._number, process))

    def _resume(self, moment: datetime, process: Process) -> None:
        self.world.move_to(moment)
        span = next(process, None)
        if span is not None:
            self._begin(self.world.now + span, process)

    def _finish(self) -> None:
        """Restore everything without a fault: what the journal and the backups say is enough."""
        for _ in self.people.restore_everything():
            pass


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counter.items())) or "none"
