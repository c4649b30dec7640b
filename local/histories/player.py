"""Random histories: what happens to the draws, and which task runs, dies or is repeated when, is drawn from a seed.

The choices depend on the seed and on what was handed to the pipeline, never on what the pipeline answered: the same
seed tells the same story to any version of the code. ``make soak-draws SEED=…`` plays chosen seeds again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from google.cloud.bigquery import Client

from drawsguard.draws.window import Window
from local.histories import oracle
from local.histories.faults import Fault
from local.histories.oracle import Digits, Mismatch, Version
from local.histories.world import BEGINNING, SECOND, SLOT, World

CADENCE = timedelta(seconds=210)
#: How far a draw moves and still stays between its neighbours, wherever these move within the same bound.
NEAR = timedelta(seconds=90)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

FIRST_PERIOD = 1000

#: How many mismatches a failure names; it tells the whole history.
SHOWN_MISMATCHES = 12


@dataclass(frozen=True)
class Size:
    """How large a history is: its draws, how many of them are there before it begins, and the features' horizon."""

    name: str
    draws: tuple[int, int]
    horizon: tuple[int, int]
    settled: int = 0


SMALL = Size("small", (60, 200), (20, 50))
#: At the real horizon, and so large that it ends within the history.
FULL = Size("full", (5150, 5250), (5000, 5000), settled=5000)
#: At the real horizon, which reaches over all of it.
HORIZON = Size("horizon", (60, 200), (5000, 5000))
SIZES = {size.name: size for size in (SMALL, FULL, HORIZON)}


@dataclass(frozen=True)
class History:
    """A history that was played: its story, how the tasks of the last round failed, and what is wrong in the end."""

    seed: int
    size: Size
    lines: list[str]
    failures: list[str]
    mismatches: list[Mismatch]
    seconds: float

    def __str__(self) -> str:
        """Return what a person needs to look into it."""
        shown = [f"  {mismatch}" for mismatch in self.mismatches[:SHOWN_MISMATCHES]]
        if len(self.mismatches) > len(shown):
            shown.append(f"  and {len(self.mismatches) - len(shown)} more")
        return "\n".join(
            [
                f"seed {self.seed} ({self.size.name}): {len(self.mismatches)} mismatches after one full round",
                *shown,
                *[f"  the last round: {failure}" for failure in self.failures],
                "history:",
                *[f"  {line}" for line in self.lines],
                f"play it again: make soak-draws SEED={self.seed} SIZE={self.size.name}",
            ]
        )


def play(client: Client, seed: int, size: Size = SMALL) -> History:
    """Play the history of a seed in the warehouse of the settings, which is emptied first."""
    started = time.monotonic()
    world = World(client)
    tell(world, seed, size)
    failures = world.full_round()
    return History(seed, size, world.lines, failures, world.mismatches(), time.monotonic() - started)


def tell(world: World, seed: int, size: Size) -> None:
    """Let everything happen to an empty world that the seed says."""
    rng = random.Random(f"{size.name} {seed}")
    world.now = BEGINNING + rng.randrange(86_400) * SECOND
    world.horizon = rng.randint(*size.horizon)
    _Player(world, rng, rng.randint(*size.draws), size.settled).play()


class _Player:
    def __init__(self, world: World, rng: random.Random, draws: int, settled: int) -> None:
        self.world, self.rng, self.settled = world, rng, settled
        self.periods = range(FIRST_PERIOD, FIRST_PERIOD + draws)
        times = self._times(draws, world.now)
        #: Each draw as it was first published.
        self.drawn = {
            period: Version(period, at, self._digits(), at + rng.randrange(1, 20) * SECOND)
            for period, at in zip(self.periods, times, strict=True)
        }
        inner = self.periods[max(5, settled - 60) : -5]
        #: Draws that only the feed's history ever has, and draws that nobody has.
        self.hidden = {period for period in inner if rng.random() < 0.04}
        self.unpublished = {period for period in inner if rng.random() < 0.015} - self.hidden
        self.late = {p for p in inner if rng.random() < 0.06} - self.hidden - self.unpublished
        self.held: list[int] = []

    def play(self) -> None:
        position = self._begin()
        while position < len(self.periods):
            size = self.rng.randint(8, max(16, (len(self.periods) - self.settled) // 2))
            self._deliver(list(self.periods[position : position + size]))
            position += size
            for _ in range(self.rng.randint(1, 4)):
                self._anything()
        if late := self._arriving(1.0):
            self.world.collect(*late, what="collect late:")
        for _ in range(self.rng.randint(1, 5)):
            self._anything()

    # --- draws ------------------------------------------------------------------------------------------------------
    def _times(self, draws: int, first: datetime) -> list[datetime]:
        """Return when the draws are: at the cadence, with long pauses, or only a few a day."""
        kind = self.rng.choice(["cadence", "cadence", "pauses", "few a day"]) if not self.settled else "cadence"
        step = self.rng.choice([1, 2, 4]) * HOUR if kind == "few a day" else CADENCE
        times = [first]
        while len(times) < draws:
            pause = self.rng.randrange(1, 60) * HOUR if kind == "pauses" and self.rng.random() < 0.05 else timedelta()
            times.append(times[-1] + step + pause)
        self.world.say(f"{draws} draws: {kind}; horizon {self.world.horizon}")
        return times

    def _digits(self) -> Digits:
        return self.rng.randrange(10), self.rng.randrange(10), self.rng.randrange(10)

    def _begin(self) -> int:
        """Put what is settled before the history begins into place."""
        if self.settled:
            past = [self.drawn[period] for period in self.periods[: self.settled]]
            past = [version for version in past if version.period not in self.hidden | self.unpublished | self.late]
            self.world.now = past[-1].timestamp + 30 * SECOND
            self.world.insert(*past, what="the source has")
            self.held += sorted(self.late & {*self.periods[: self.settled]})
            self.world.feed |= {p: self.drawn[p] for p in self.periods[: self.settled] if p in self.hidden}
            self.world.sync(Window(past[0].timestamp, past[-1].timestamp + SECOND))
            self.world.refresh()
        return self.settled

    def _deliver(self, periods: list[int]) -> None:
        """Let the next draws be drawn; the collector sees most of them."""
        last = self.drawn[periods[-1]]
        self.world.now = max(self.world.now, last.created_at) + self.rng.randrange(5, 60) * SECOND
        hidden = [self.drawn[period] for period in periods if period in self.hidden]
        late = [period for period in periods if period in self.late]
        known = [self.drawn[period] for period in late if self.rng.random() < 0.5]
        self.held += late
        if hidden or known:
            self.world.publish(*hidden, *known)
        seen = [self.drawn[p] for p in periods if p not in self.hidden | self.unpublished | self.late]
        seen += self._arriving(0.3)
        if seen and self.rng.random() < 0.15:
            self.world.insert(*seen)
        elif seen:
            self.world.collect(*seen, fault=self._fault(0.1))

    def _arriving(self, chance: float) -> list[Version]:
        """Return the draws that are late and come now: each with this chance."""
        arriving = [period for period in self.held if self.rng.random() < chance]
        self.held = [period for period in self.held if period not in arriving]
        return [self.drawn[period] for period in arriving]

    # --- anything that can happen -----------------------------------------------------------------------------------
    def _anything(self) -> None:
        self.world.now += self.rng.randrange(1, 600) * SECOND
        steps: dict[Callable[[], None], int] = {
            self._sync_latest: 5,
            self._sync_range: 3,
            self._sync_old_interval: 1,
            self._repair: 3,
            self._reconcile: 2,
            self._refresh: 5,
            self._rebuild: 1,
            self._correct_through_the_feed: 3,
            self._misdate_in_the_feed: 1,
            self._correct_in_the_source: 4,
            self._double: 1,
            self._older_version: 1,
            self._equally_new: 1,
            self._lose_log_rows: 1,
            self._spoil: 1,
            self._jump: 1,
        }
        self.rng.choices([*steps], [*steps.values()])[0]()

    def _fault(self, chance: float) -> Fault | None:
        if self.rng.random() >= chance:
            return None
        kind = self.rng.choice(["killed", "killed", "timed out"])
        return Fault(kind, self.rng.choice([1, 2, 2, 3, 3, 4, 5, 6, 8, 11]), self.rng.random() < 0.6)  # type: ignore[arg-type]

    def _with_faults(self, task: Callable[[Fault | None], object]) -> None:
        """Run a task; one that fell ill is often repeated, and its log row is sometimes lost."""
        before = self.world.now
        fault = self._fault(0.35)
        task(fault)
        if fault is None:
            return
        if self.rng.random() < 0.2:
            self.world.lose_log_rows(self.rng.choice(["sync_log", "feature_update_log"]), before)
        if self.rng.random() < 0.6:
            self.world.now += self.rng.randrange(1, 300) * SECOND
            task(None)

    def _sync_latest(self) -> None:
        self._with_faults(lambda fault: self.world.sync(fault=fault))

    def _sync_range(self) -> None:
        span = self._span()
        self._with_faults(lambda fault: self.world.sync(span, fault))
        if self.rng.random() < 0.3:
            self.world.sync(span)

    def _sync_old_interval(self) -> None:
        moment = self._some_version().timestamp
        start = moment - (moment - BEGINNING) % SLOT
        self._with_faults(lambda fault: self.world.sync(fault=fault, interval=Window(start, start + SLOT)))

    def _repair(self) -> None:
        span = self._span() if self.rng.random() < 0.2 else None
        self.world.feed_is_down = self.rng.random() < 0.15
        if self.world.feed_is_down:
            self.world.say("the feed is down")
        self._with_faults(lambda fault: self.world.repair(span, fault))
        self.world.feed_is_down = False

    def _reconcile(self) -> None:
        self._with_faults(self.world.reconcile)

    def _refresh(self) -> None:
        self._with_faults(lambda fault: self.world.refresh(fault=fault))

    def _rebuild(self) -> None:
        span = self._span()
        self._with_faults(lambda fault: self.world.refresh(span, fault))

    def _span(self) -> Window:
        """Return a span of time around some draws."""
        one, other = sorted([self._some_version().timestamp, self._some_version().timestamp])
        return Window(one - self.rng.choice([0, 1, 600, 7200]) * SECOND, other + self.rng.choice([1, 600]) * SECOND)

    def _some_version(self, *, early: bool = False) -> Version:
        """Return the newest version of a draw that the source has."""
        periods = sorted(self.world.source)
        if self.settled:  # what is interesting is near the ends, and a horizon before the end
            periods = self.rng.choice([periods[:300], periods[-300:], periods])
        if early:
            periods = periods[: len(periods) // 3 + 1]
        period = self.rng.choice(periods)
        return oracle.newest(self.world.source[period])[period]

    def _correct_through_the_feed(self) -> None:
        """Let the feed show one to three draws with other digits, or a bit earlier or later, in order."""
        corrected = {}
        for _ in range(self.rng.randint(1, 3)):
            version = self._some_version()
            if abs(version.timestamp - self.drawn[version.period].timestamp) <= NEAR:
                corrected[version.period] = replace(
                    version,
                    numbers=self._digits(),
                    timestamp=self._nearby(version.period) if self.rng.random() < 0.4 else version.timestamp,
                    updated_at=self.world.now if self.rng.random() < 0.5 else None,
                )
        if corrected:
            self.world.collect(*corrected.values(), what="collect corrections:")

    def _misdate_in_the_feed(self) -> None:
        """Let the feed show a draw among ten others that it cannot have been drawn among; nobody may believe it."""
        version = self._some_version()
        ordered = [self.drawn[period] for period in sorted(self.world.source) if self._is_near(period)]
        others = [one for one in ordered if abs(one.period - version.period) > 10 and one.timestamp < self.world.now]
        if len(others) > 20:
            wrong = replace(
                version,
                numbers=self._digits(),
                timestamp=self.rng.choice(others).timestamp + 20 * SECOND,
                updated_at=self.world.now if self.rng.random() < 0.5 else None,
            )
            self.world.collect(wrong, what="the feed misdates:", fit=False)

    def _is_near(self, period: int) -> bool:
        """Return whether no version of a draw lies far from where it was first published."""
        return all(abs(v.timestamp - self.drawn[period].timestamp) <= NEAR for v in self.world.source[period])

    def _nearby(self, period: int) -> datetime:
        """Return a time near a draw's first one: it stays in order, whatever such times its neighbours have."""
        moved = self.drawn[period].timestamp + self.rng.randrange(-1, 2) * self.rng.randrange(1, NEAR.seconds) * SECOND
        return min(moved, self.world.now - SECOND)

    def _correct_in_the_source(self) -> None:
        """Put newer versions of one to three draws into the source, which may lie seconds to days from the old ones."""
        for _ in range(self.rng.randint(1, 3)):
            version = self._some_version(early=self.rng.random() < 0.3)
            now = self.world.now
            stamps = {"updated_at": now} if self.rng.random() < 0.7 else {"created_at": now, "updated_at": None}
            self.world.insert(
                replace(version, numbers=self._digits(), timestamp=self._anywhere(version), **stamps),
                what="correct in the source:",
            )

    def _anywhere(self, version: Version) -> datetime:
        """Return a time for a correction: mostly the old one, else seconds to days from it, never in the future."""
        if self.rng.random() < 0.5:
            return version.timestamp
        whole = all(version.period + step in self.world.source for step in (-2, -1, 1, 2))
        if not whole or self.rng.random() < 0.3:
            return self._nearby(version.period)
        far = self.rng.choice([self.rng.randrange(1, 12) * HOUR, self.rng.randrange(1, 16) * DAY])
        moved = version.timestamp + self.rng.choice([-1, 1]) * far
        return moved if moved < self.world.now else version.timestamp - far

    def _double(self) -> None:
        """Put a version into the source that it has already."""
        version = self._some_version()
        self.world.insert(*[version] * self.rng.randint(1, 2), what="double in the source:")

    def _older_version(self) -> None:
        version = self._some_version()
        older = version.written_at - self.rng.randrange(1, 3000) * SECOND
        self.world.insert(
            replace(version, numbers=self._digits(), created_at=older, updated_at=None),
            what="an older version comes into the source:",
        )

    def _equally_new(self) -> None:
        """Put a version into the source that is as new as the newest and says something else."""
        version = self._some_version()
        self.world.insert(replace(version, numbers=self._digits()), what="an equally new version:")

    def _lose_log_rows(self) -> None:
        table = self.rng.choice(["sync_log", "feature_update_log"])
        self.world.lose_log_rows(table, self.world.now - self.rng.choice([HOUR, DAY, 30 * DAY]))

    def _spoil(self) -> None:
        table = self.rng.choice(["draws", "draws_14w"])
        spoil = self.rng.choice([self.world.double_row, self.world.lose_row])
        spoil(table, self._some_version().period)

    def _jump(self) -> None:
        self.world.wait(self.rng.choice([6 * HOUR, 2 * DAY, 8 * DAY, 20 * DAY]))
