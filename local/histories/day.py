"""A day with its faults, and a monitor that has to find what is visible and nothing else.

A day is played as the schedules would: polls and syncs every ten minutes. An episode is ten to sixteen faults that heal
by themselves, often one that somebody has to see, and the recovery; then nothing may be lost or doubled and the
features have to equal the oracle. What is visible from which moment on is computed here, from the simulator's calendar,
and never from what the pipeline or its views say.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from google.cloud.bigquery import Client

from drawsguard.draws.collect.feed import parse_answer, require_draws
from drawsguard.draws.collect.poll import recorded_poll
from drawsguard.draws.collect.source_repository import SourceRepository
from drawsguard.draws.window import Window
from local.feed.simulator import NO_FAULTS, FeedConfig, Simulator
from local.histories import oracle
from local.histories.faults import Fault, FaultyClient
from local.histories.monitor import Monitor
from local.histories.oracle import Mismatch, Version
from local.histories.world import SECOND, World

BEIJING = ZoneInfo("Asia/Shanghai")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TICK = 10 * MINUTE

#: Days on which clocks change somewhere, and Mondays with their longer pause.
SPECIAL = tuple(
    datetime(*day, tzinfo=UTC)
    for day in ((2025, 3, 9), (2025, 11, 2), (2026, 3, 8), (2026, 11, 1), (2026, 11, 2), (2025, 7, 14), (2025, 12, 31))
)

#: Draws overdue that make a table stale, and the time that a draw may take to each (data-stale runbook).
STALE = 3
ALLOWED = {"source.draws": 180, "target.draws": 540, "target.draws_14w": 1200}
CHECK_OF = {
    "source.draws": "check:draws_are_collected_in_time:source.draws",
    "target.draws": "check:draws_are_synced_in_time:target.draws",
    "target.draws_14w": "check:features_are_refreshed_in_time:target.draws_14w",
}
#: A draw is missing when the one after it is settled.
SETTLED = 20 * MINUTE
#: Rejected rows a Beijing day that are no incident.
TOLERATED_ROWS = 20

Row = dict[str, Any]
Spoil = Callable[[list[Row]], Any]


@dataclass
class Tally:
    """What came of the days played: faults by kind, what was wrong, and how fast faults were found (seconds)."""

    faults: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    other: int = 0
    false_alarms: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    detected: list[float] = field(default_factory=list)
    rounds: int = 0

    def count(self, kind: str) -> None:
        self.faults[kind] = self.faults.get(kind, 0) + 1


@dataclass(frozen=True)
class PlayedDay:
    """A day that was played."""

    seed: int
    lines: list[str]
    tally: Tally
    seconds: float

    @property
    def problems(self) -> list[str]:
        """Everything that was not as it has to be."""
        return [*self.tally.wrong, *self.tally.false_alarms, *self.tally.unseen]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"day of seed {self.seed}: {sum(self.tally.faults.values())} faults, {len(self.problems)} problems",
                *[f"  {problem}" for problem in self.problems[:20]],
                "what happened:",
                *[f"  {line}" for line in self.lines],
                f"play it again: make soak-draws SEED={self.seed} SIZE=day",
            ]
        )


class Day(World):
    """One simulated day: the feed as JSON, the tasks as scheduled, the monitor."""

    def __init__(self, client: Client, rng: random.Random) -> None:
        super().__init__(client, horizon=rng.randint(20, 50))
        self.rng, self.tally, self.monitor = rng, Tally(), Monitor(client)
        self.task_time = 20 * SECOND
        any_day = datetime(2025, 1, 6, tzinfo=UTC) + rng.randrange(690) * DAY
        start = rng.choice(SPECIAL) if rng.random() < 0.3 else any_day
        self.now = start + rng.randrange(86_400) * SECOND
        self.simulator = Simulator(FeedConfig(seed=rng.randrange(10**6), rates=NO_FAULTS))
        self._shown_until = self.now - 3 * HOUR
        #: Every draw, as it was first published.
        self.drawn: dict[int, Version] = {}
        #: Draws that the feed keeps back.
        self.withheld: set[int] = set()
        #: Rejected rows by Beijing day, as the quarantine tells them apart.
        self.rejected: dict[str, set[str]] = {}

    # --- the feed -----------------------------------------------------------------------------------------------
    def show(self) -> None:
        """Let the feed publish what was drawn by now."""
        periods = self.simulator.periods(self._shown_until, self.now - 8 * SECOND)
        self._shown_until = max(self._shown_until, self.now - 8 * SECOND)
        for draw in map(self.simulator.draw, periods):
            at = draw.timestamp
            digits = cast("oracle.Digits", tuple(self.rng.randrange(10) for _ in range(3)))
            version = Version(draw.period, at, digits, at + self.rng.randrange(2, 8) * SECOND)
            self.drawn[draw.period] = version
            if draw.period not in self.withheld:
                self.feed[draw.period] = version

    def newest(self, most: int = 60) -> list[Version]:
        """Return the newest draws that the feed shows."""
        return [self.feed[period] for period in sorted(self.feed)[-most:]]

    def unseen(self) -> list[Version]:
        """Return the draws that the feed shows and the source has not."""
        return [version for version in self.newest() if version.period not in self.source]

    # --- tasks --------------------------------------------------------------------------------------------------
    def poll(self, spoil: Spoil | None = None, fault: Fault | None = None, *, skew: timedelta = timedelta()) -> str:
        """Poll the feed's newest draws once, and again when the task failed, as Airflow does.

        :param spoil: makes another answer of the rows.
        :param skew: how wrong the worker's clock is.
        """
        self.show()
        shown = self.newest()
        polled_at = self.clock() + skew
        rows = [_row(version) for version in shown]
        content = spoil(rows) if spoil else rows
        body = content if isinstance(content, str) else _body(content)
        self._expect(body, shown, polled_at)
        for attempt in _attempts(fault):
            ended = self._task("poll", lambda: self._read(body, polled_at), attempt)
            if ended == "ended":
                break
        self._report("task:draw_collect.collect", ended)
        return ended

    def _read(self, body: str, polled_at: datetime) -> None:
        source = SourceRepository(cast(Client, self.client), "draw_collect", "collect")
        with recorded_poll(source, "latest", self._run_id(), 1, 1) as poll:
            answer = parse_answer(body, polled_at)
            poll.write([answer])
            require_draws(answer)

    def attempt_to_read(self, body: str, polled_at: datetime) -> None:
        """Let one attempt of a poll meet an answer; the task has others."""
        self._set_aside(polled_at, *unread(body))
        self._task("poll", lambda: self._read(body, polled_at), None)

    @staticmethod
    def window(start: datetime, end: datetime) -> Window:
        """Return a window."""
        return Window(start, end)

    def _expect(self, body: str, shown: list[Version], polled_at: datetime) -> None:
        """Work out what the source has to gain from a poll, and which rows are to be set aside."""
        said = spoken(body)
        known = {version.period: version for version in shown}
        for period, versions in said.items():
            if len({(one.timestamp, one.numbers) for one in versions}) > 1:
                self._set_aside(polled_at, *[f"{period} {one}" for one in versions])
                continue
            seen = versions[0]
            true = self.drawn.get(period)
            misdated = true is None or abs(seen.timestamp - true.timestamp) > 5 * MINUTE
            if seen.timestamp > polled_at + 2 * MINUTE or misdated:
                self._set_aside(polled_at, f"{period} {seen}")
                continue
            seen = replace(seen, created_at=min(known[period].created_at, polled_at))
            stored = self.source.setdefault(period, [])
            gained = oracle.collected(stored, seen, polled_at)
            if gained is not None:
                stored.append(gained)
            if not stored:
                del self.source[period]
        self._set_aside(polled_at, *unread(body))

    def _set_aside(self, at: datetime, *rows: str) -> None:
        self.rejected.setdefault(f"{at.astimezone(BEIJING):%F}", set()).update(rows)

    def run(self, name: str, fault: Fault | None = None) -> str:
        """Run a task by its name, and once more when it failed."""
        work = {"sync": self.sync, "repair": self.repair, "reconcile": self.reconcile, "refresh": self.refresh}[name]
        for attempt in _attempts(fault):
            ended = cast("Callable[..., str]", work)(fault=attempt)
            if ended == "ended":
                break
        dag = "feature_refresh" if name == "refresh" else f"draw_{name}"
        self._report(f"task:{dag}.{name}", ended)
        return ended

    def elsewhere(self, name: str) -> None:
        """Run a task on another scheduler, in the middle of what happens here."""
        mine, self.client = self.client, FaultyClient(self._plain)
        try:
            self.say(f"meanwhile, on another scheduler: {name}")
            if name == "poll":
                self.poll()
            else:
                self.run(name)
        finally:
            self.client = mine

    def _report(self, key: str, ended: str) -> None:
        """Tell the monitor how a task ended; one that is killed tells nothing."""
        if ended == "ended" or ended.startswith("raised"):
            self.monitor.signal(key, ended != "ended", ended)

    def tick(self, *, without: Iterable[str] = ()) -> None:
        """Let ten minutes pass, poll and sync, except what is stopped; features follow when they are looked at."""
        self.now += TICK - 2 * self.task_time
        if "poll" not in without:
            self.poll()
        if "sync" not in without:
            self.run("sync")

    # --- the day ------------------------------------------------------------------------------------------------
    def play(self, episodes: int, quiet: Sequence[Mishap], visible: Sequence[Visible]) -> None:
        """Play the day.

        :param quiet: mishaps that nobody has to see.
        :param visible: mishaps that somebody has to see.
        """
        self.show()
        self.poll()
        self.sync(Window(self.now - 4 * HOUR, self.now))
        self.run("refresh")
        for number in range(1, episodes + 1):
            self.say(f"episode {number}")
            self.tick()
            for _ in range(self.rng.randint(10, 16)):
                self.rng.choice(quiet)(self)
            if self.rng.random() < 0.6:
                self._visible(self.rng.choice(visible))
            self._settle(number)
        self.tally.rounds = self.monitor.rounds

    def _settle(self, number: int) -> None:
        """Recover, and hold everything against the truth."""
        self.withheld.clear()
        self.feed |= {period: version for period, version in self.drawn.items() if period not in self.feed}
        self.tick(without=["sync"])
        # To the last draw, which only the next interval would cover.
        self._report("task:draw_sync.sync", self.sync(Window(self.now - HOUR, self.now)))
        for name in ("repair", "refresh"):
            self.run(name)
        if wrong := self.mismatches():  # what no window covers is the reconcile's
            self.say(f"left to the reconcile: {'; '.join(map(str, wrong[:3]))}")
            for name in ("reconcile", "refresh"):
                self.run(name)
            wrong = self.mismatches()
        for mismatch in wrong:
            self._wrong(number, mismatch)
        self.now = _next_minute(self.now)
        for key in self.monitor.round(self.now):
            if not self._many_rejected(key):
                self.tally.false_alarms.append(f"episode {number}: {key} fires after everything is right again")
        self.monitor.forget()

    def _wrong(self, number: int, mismatch: Mismatch) -> None:
        kind = {"missing": "lost", "doubled": "doubled"}.get(mismatch.problem, "other")
        setattr(self.tally, kind, getattr(self.tally, kind) + 1)
        self.tally.wrong.append(f"episode {number}: {mismatch}")

    def _many_rejected(self, key: str) -> bool:
        """Whether it is right that the check of the quarantine fires for a day."""
        name, _, day = key.removeprefix("check:").partition(":")
        return name == "feed_rows_are_valid" and len(self.rejected.get(day, ())) > TOLERATED_ROWS

    def _visible(self, happen: Callable[[Day], Sight]) -> None:
        """Let something happen that has to be seen: not before it is visible, and within a minute from then on."""
        before = self._quiet_round()
        sight = happen(self)
        if sight.since is None:
            return
        seen_by = _next_minute(sight.since)
        # A task's own report cannot be heard before it is made; a view could say too much too early.
        for moment in (seen_by - MINUTE, seen_by) if sight.key.startswith("check:") else (seen_by,):
            if moment < before:
                continue
            self.now = max(self.now, moment)
            firing = self.monitor.round(moment)
            for key in firing:
                too_early = key.startswith(sight.key) and moment < sight.since
                if too_early or not (key.startswith((sight.key, *sight.also)) or self._many_rejected(key)):
                    self.tally.false_alarms.append(f"{sight.what}: {key} at {moment:%m-%d %H:%M}: {firing[key]}")
        fired_at = self.monitor.fired_at(sight.key)
        if fired_at is None:
            self.tally.unseen.append(f"{sight.what}: {sight.key} is visible since {sight.since:%m-%d %H:%M:%S}, unseen")
        else:
            self.tally.detected.append((fired_at - sight.since).total_seconds())
            self.say(f"{sight.key} fired {self.tally.detected[-1]:.0f} s after it was visible")

    def _quiet_round(self) -> datetime:
        """Judge the present, in which nothing that is visible has happened."""
        self.poll()
        for name in ("sync", "repair", "refresh"):
            self.run(name)
        self.now = _next_minute(self.now)
        for key, detail in self.monitor.round(self.now).items():
            if not self._many_rejected(key):
                self.tally.false_alarms.append(f"{key} at {self.now:%m-%d %H:%M} without a cause: {detail}")
        return self.now

    def stale_from(self, table: str, last: datetime) -> datetime:
        """Return from when on a table is stale whose last draw is this one: a draw is overdue, and two after it."""
        due = [draw.timestamp for draw in self.simulator.draws(last + SECOND, last + 6 * HOUR)][:STALE]
        return due[-1] + timedelta(seconds=ALLOWED[table])


@dataclass(frozen=True)
class Sight:
    """What can be seen of a fault: the alert, from when on (None: nothing after all), and alerts that may follow."""

    what: str
    key: str = ""
    since: datetime | None = None
    also: tuple[str, ...] = ()


Mishap = Callable[[Day], None]
Visible = Callable[[Day], Sight]


def _attempts(fault: Fault | None) -> tuple[Fault | None, Fault | None]:
    """Return what happens to a task's two attempts: only what lasts befalls both."""
    return fault, fault if fault is not None and fault.kind in ("read-only", "over quota") else None


def _next_minute(moment: datetime) -> datetime:
    return moment + (-(moment - datetime.fromtimestamp(0, UTC)) % MINUTE)


def _row(version: Version) -> Row:
    local = version.timestamp.astimezone(BEIJING)
    row: Row = {
        "nbr": version.period,
        "number": "+".join(map(str, version.numbers)),
        "date": f"{local:%Y-%m-%d}",
        "time": f"{local:%H:%M:%S}",
        "created_at": version.created_at.isoformat(),
    }
    return row | ({"updated_at": version.updated_at.isoformat()} if version.updated_at else {})


def _body(rows: Any) -> str:
    return json.dumps({"message": "success", "data": rows}, ensure_ascii=False)


# --- what an answer says, told independently of the parser -------------------------------------------------------
def _rows_of(body: str) -> list[Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return []
    whole = isinstance(answer, dict) and answer.get("message") == "success" and isinstance(answer.get("data"), list)
    return cast("list[Any]", answer["data"]) if whole else []


def _said(row: Any) -> Version | None:
    """Return the draw that a row states by the documented rules, or None."""
    if not isinstance(row, dict) or "nbr" not in row or "time" not in row:
        return None
    number = row.get("number", row.get("num"))
    text = "+".join(map(str, number)) if isinstance(number, list) else str(number)
    for full, half in zip("０１２３４５６７８９＋，,", "0123456789+++", strict=True):
        text = text.replace(full, half)
    parts = [part.strip() for part in text.split("+")]
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and int(part) < 10 for part in parts):
        return None
    at = datetime.fromisoformat(f"{row['date']}T{row['time']}").replace(tzinfo=BEIJING).astimezone(UTC)
    stamps = [datetime.fromisoformat(row[key]) if row.get(key) else None for key in ("created_at", "updated_at")]
    digits = cast("oracle.Digits", tuple(int(part) for part in parts))
    return Version(int(float(row["nbr"])), at, digits, stamps[0] or at, stamps[1])


def spoken(body: str) -> dict[int, list[Version]]:
    """Return the draws that an answer states, by period."""
    said: dict[int, list[Version]] = {}
    for row in _rows_of(body):
        version = _said(row)
        if version is not None:
            said.setdefault(version.period, []).append(version)
    return said


def unread(body: str) -> list[str]:
    """Return what of an answer is set aside because it states no draw: rows, or the whole."""
    rows = _rows_of(body)
    return [json.dumps(row, sort_keys=True) for row in rows if _said(row) is None] if rows else [body[:4000]]
