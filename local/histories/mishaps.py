"""What can happen on a day: mishaps that heal by themselves, and those that somebody has to see.

Each counts itself in the tally of its day. One that is visible says which alert has to find it, and from when on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from drawsguard.draws.window import Window
from local.histories.day import (
    BEIJING,
    CHECK_OF,
    DAY,
    HOUR,
    MINUTE,
    SETTLED,
    TICK,
    TOLERATED_ROWS,
    Day,
    Mishap,
    Row,
    Sight,
    Spoil,
    Visible,
)
from local.histories.faults import Fault, Kind
from local.histories.world import SECOND

TASKS = ("sync", "refresh", "repair", "reconcile")

#: Where in a task something happens: the first statements are the ones that every task has.
AT = (1, 2, 2, 3, 3, 4, 5, 6)


# --- the feed's answers ------------------------------------------------------------------------------------------
def _each(change: Callable[[Row], Row]) -> Spoil:
    return lambda rows: [change(dict(row)) for row in rows]


def _digits(row: Row) -> list[str]:
    return str(row["number"]).split("+")


FULL_WIDTH = str.maketrans("0123456789+", "０１２３４５６７８９＋")

#: Other spellings of the same answer.
SPELLINGS: dict[str, Spoil] = {
    "digits with zeros": _each(lambda row: row | {"number": "+".join(f"0{digit}" for digit in _digits(row))}),
    "digits with commas": _each(lambda row: row | {"number": ",".join(_digits(row))}),
    "full-width digits": _each(lambda row: row | {"number": row["number"].translate(FULL_WIDTH)}),
    "digits as a list": _each(lambda row: row | {"number": [int(digit) for digit in _digits(row)]}),
    "numbers as text": _each(lambda row: row | {"nbr": str(row["nbr"])}),
    "numbers with a point": _each(lambda row: row | {"nbr": float(row["nbr"])}),
    "number called num": _each(lambda row: {("num" if key == "number" else key): value for key, value in row.items()}),
    "rows twice": lambda rows: [*rows, *reversed(rows)],
    "an older answer": lambda rows: rows[:-3],
    "more fields": _each(lambda row: row | {"next": {"nbr": row["nbr"] + 1}, "open": None}),
}

#: Answers that nobody can use, or none of whose rows.
UNUSABLE: dict[str, Spoil] = {
    "HTML with status 200": lambda _rows: "<!DOCTYPE html><html><body>Checking your browser</body></html>",
    "an empty answer": lambda _rows: "",
    "a cut answer": lambda rows: json.dumps({"message": "success", "data": rows})[:-30],
    "a list": lambda rows: json.dumps(rows),
    "another message": lambda rows: json.dumps({"message": "busy", "data": rows}),
    "data in data": lambda rows: json.dumps({"message": "success", "data": {"list": rows}}),
    "no rows": lambda _rows: json.dumps({"message": "success", "data": []}),
    "other names of fields": _each(
        lambda row: {"expect": row["nbr"], "opencode": row["number"], "opentime": row["time"]}
    ),
    "other order of dates": _each(lambda row: row | {"number": " ".join(_digits(row))}),
}


def _last(change: Callable[[Row], list[Row]]) -> Spoil:
    """Change the newest row into others."""
    return lambda rows: [*rows[:-1], *change(dict(rows[-1]))]


def _moved(row: Row, by: timedelta) -> Row:
    at = datetime.fromisoformat(f"{row['date']}T{row['time']}").replace(tzinfo=BEIJING) + by
    return row | {"date": f"{at:%Y-%m-%d}", "time": f"{at:%H:%M:%S}"}


def _other_digits(row: Row) -> Row:
    first, second, third = _digits(row)
    return row | {"number": f"{(int(first) + 1) % 10}+{second}+{third}"}


#: Answers of which one row is wrong; the next answer is right.
WRONG_ROWS: dict[str, Spoil] = {
    "a period with other digits": _last(lambda row: [_other_digits(row)]),
    "a period twice, with two results": _last(lambda row: [row, _other_digits(row)]),
    "a draw from the future": _last(lambda row: [_moved(row, 3 * HOUR)]),
    "a draw a day early": _last(lambda row: [_moved(row, -DAY)]),
    "a draw a day late": _last(lambda row: [_moved(row, DAY)]),
    "two digits": _last(lambda row: [row | {"number": "8+8"}]),
    "no time": _last(lambda row: [{key: value for key, value in row.items() if key != "time"}]),
    "rows that are none": lambda rows: [*rows, None, 7, "x", [], {}],
}


def _answers(kind: str, spoil: Spoil) -> Mishap:
    def happen(day: Day) -> None:
        day.tally.count(f"feed: {kind}")
        day.now += day.rng.randrange(20, 200) * SECOND
        day.say(f"the feed answers: {kind}")
        day.poll(spoil)
        if day.rng.random() < 0.5:
            day.poll()

    return happen


def _one_bad_answer(day: Day) -> None:
    """One answer is unusable; the task's next attempt hears a right one."""
    kind = day.rng.choice([*UNUSABLE])
    day.tally.count(f"feed, once: {kind}")
    day.show()
    rows = [{"nbr": version.period, "number": "1+2+3", "time": "x"} for version in day.newest(3)]
    content = UNUSABLE[kind](rows)
    body = content if isinstance(content, str) else json.dumps({"message": "success", "data": content})
    polled_at = day.clock()
    day.attempt_to_read(body, polled_at)
    day.poll()


# --- BigQuery and the schedulers ---------------------------------------------------------------------------------
def _any_task(day: Day, fault: Fault) -> None:
    name = day.rng.choice(["poll", *TASKS])
    day.tally.count(f"{fault.kind}: {name}")
    day.now += day.rng.randrange(20, 200) * SECOND
    if name == "poll":
        day.poll(fault=fault)
    else:
        day.run(name, fault)


def _passing(kind: Kind) -> Mishap:
    return lambda day: _any_task(day, Fault(kind, day.rng.choice(AT), day.rng.random() < 0.6))


def _slow(day: Day) -> None:
    def meanwhile() -> None:
        day.now += seconds * SECOND

    seconds = day.rng.randrange(20, 170)
    _any_task(day, Fault("slow", day.rng.choice(AT), meanwhile=meanwhile))


def _two_schedulers(day: Day) -> None:
    """The same task runs in the middle of itself, or another one that writes the same tables."""
    name = day.rng.choice(["poll", *TASKS])
    other = name if day.rng.random() < 0.6 else day.rng.choice(["poll", *TASKS])
    day.tally.count(f"two schedulers: {name}, {other}")
    day.now += day.rng.randrange(20, 200) * SECOND
    fault = Fault("overlapped", day.rng.choice(AT), meanwhile=lambda: day.elsewhere(other))
    if name == "poll":
        day.poll(fault=fault)
    else:
        day.run(name, fault)


def _no_scheduler(day: Day) -> None:
    """Nothing runs for a while, the monitor as little as the pipeline; then everything is due at once."""
    day.tally.count("scheduler down")
    day.wait(day.rng.randrange(12, 90) * MINUTE)
    for name in [*day.rng.sample(["poll", *TASKS], 5), "repair"]:
        if name == "poll":
            day.poll()
        else:
            day.run(name)


def _wrong_clock(day: Day) -> None:
    """A worker's clock is up to half an hour behind, or a minute ahead, for one task.

    Further ahead, statements stamp the engine's time, and that of the emulator is no clock of a history: the tests of
    the repair and of the collector look at it.
    """
    off = day.rng.choice([-MINUTE * day.rng.randrange(1, 30), SECOND * day.rng.randrange(10, 60)])
    name = day.rng.choice(["poll", "sync", "refresh", "repair"])
    day.tally.count(f"clock {'ahead' if off > timedelta() else 'behind'}: {name}")
    day.say(f"the clock is off by {off.total_seconds():.0f} s")
    if name == "poll":
        day.poll(skew=off)
        return
    before = day.now
    day.now += off
    day.run(name)
    day.now = before + day.task_time


def _old_interval(day: Day) -> None:
    """An interval of hours ago runs again, as a replayed dead letter or a backfill does."""
    day.tally.count("an old interval again")
    end = day.now - day.rng.randrange(1, 20) * TICK
    start = end - (end - datetime.fromtimestamp(0, end.tzinfo)) % (5 * MINUTE)
    day.sync(interval=day.window(start, start + 5 * MINUTE))


def _somebody_deletes(day: Day) -> None:
    table = day.rng.choice(["draws", "draws_14w"])
    day.tally.count(f"a row of {table} is deleted")
    day.lose_row(table, day.rng.choice(sorted(day.source)))
    day.run("repair" if table == "draws" else "refresh")


def _somebody_doubles(day: Day) -> None:
    table = day.rng.choice(["draws", "draws_14w"])
    day.tally.count(f"a row of {table} is doubled")
    day.double_row(table, day.rng.choice(sorted(day.source)))
    day.run("reconcile" if table == "draws" else "refresh")


def _logs_lost(day: Day) -> None:
    table = day.rng.choice(["sync_log", "feature_update_log", "collect_log"])
    day.tally.count(f"rows of {table} are lost")
    day.lose_log_rows(table, day.now - day.rng.choice([HOUR, 6 * HOUR]))


QUIET: tuple[Mishap, ...] = (
    *(_answers(kind, spoil) for kind, spoil in SPELLINGS.items()),
    *(_answers(kind, spoil) for kind, spoil in WRONG_ROWS.items()),
    *[_one_bad_answer] * 3,
    *[_passing("killed")] * 4,
    *[_passing("timed out")] * 2,
    *[_passing("refused once")] * 3,
    *[_passing("answer lost")] * 4,
    *[_slow] * 2,
    *[_two_schedulers] * 4,
    *[_no_scheduler] * 2,
    *[_wrong_clock] * 3,
    *[_old_interval] * 2,
    *[_somebody_deletes] * 2,
    _somebody_doubles,
    _logs_lost,
)


# --- what has to be seen -----------------------------------------------------------------------------------------
def _feed_unusable(day: Day) -> Sight:
    kind = day.rng.choice([*UNUSABLE])
    day.tally.count(f"feed: {kind}")
    day.say(f"the feed answers: {kind}")
    day.now += day.rng.randrange(1, 60) * SECOND
    day.poll(UNUSABLE[kind])
    return Sight(f"feed: {kind}", "task:draw_collect.collect", day.now)


def _many_bad_rows(day: Day) -> Sight:
    day.tally.count("feed: many bad rows")
    bad: list[Any] = [{"nbr": -number, "number": day.rng.random()} for number in range(TOLERATED_ROWS + 5)]
    already = day.rejected.get(f"{day.now.astimezone(BEIJING):%F}", set())
    day.poll(lambda rows: [*rows, *bad])
    if len(already) > TOLERATED_ROWS + len(bad):
        return Sight("feed: many bad rows")
    today = f"{day.now.astimezone(BEIJING):%F}"
    return Sight("feed: many bad rows", f"check:feed_rows_are_valid:{today}", day.now)


def _stopped(task: str, table: str) -> Visible:
    """A task does not run any more; the others do."""

    def happen(day: Day) -> Sight:
        day.tally.count(f"stopped: {task}")
        # Up to now: an interval ends before it, and its table would be staler than the source's newest draw says.
        day.sync(Window(day.now - HOUR, day.now))
        day.run("refresh")
        last = max(version.timestamp for versions in day.source.values() for version in versions)
        since = day.stale_from(table, last)
        day.say(f"{task} is stopped: {table} is stale from {since:%H:%M:%S}")
        while day.now < since - TICK:
            day.tick(without=[task])
            if task == "sync":
                day.run("refresh")
        # Up to the minute before, so that what is downstream of nothing is fresh.
        if task != "poll":
            day.now = max(day.now, since - 2 * MINUTE)
            day.poll()
        return Sight(f"{task} stopped", CHECK_OF[table], since, tuple(CHECK_OF.values()) + _BEHIND)

    return happen


#: Alerts that follow when a stage stands still for long.
_BEHIND = ("check:collected_draws_reach_the_business_table:",)


def _withheld(day: Day) -> Sight:
    """The feed leaves a draw out, and brings it when the incident is over."""
    day.tally.count("feed: a draw is left out")
    day.show()
    first, after = [*day.simulator.draws(day.now, day.now + 3 * HOUR)][:2]
    day.withheld.add(first.period)
    day.say(f"the feed leaves out {first.period}")
    since = after.timestamp + SETTLED
    polls = 0
    while day.now < since - 3 * MINUTE:
        # More often than the other tasks, as the collector does: only the draw that is left out may be missing.
        day.now += 2 * MINUTE
        day.poll()
        polls += 1
        if polls % 4 == 0:
            day.run("sync")
            day.run("refresh")
    day.poll()
    return Sight("a draw left out", "check:collection_has_no_holes:", since)


def _refusing(kind: Kind) -> Visible:
    """BigQuery takes no writes: the task fails, and its next attempt as well."""

    def happen(day: Day) -> Sight:
        name = day.rng.choice(["poll", "sync", "refresh"])
        day.tally.count(f"{kind}: {name}")
        fault = Fault(kind, 1)
        if name == "poll":
            day.now += 4 * MINUTE  # so that there is something to write
            ended = day.poll(fault=fault)
        else:
            day.poll()
            ended = day.run(name, fault)
        key = {
            "poll": "task:draw_collect.collect",
            "sync": "task:draw_sync.sync",
            "refresh": "task:feature_refresh.refresh",
        }
        return Sight(f"{kind} at {name}", key[name], None if ended == "ended" else day.now)

    return happen


VISIBLE: tuple[Visible, ...] = (
    *[_feed_unusable] * 4,
    _many_bad_rows,
    _stopped("poll", "source.draws"),
    _stopped("sync", "target.draws"),
    _stopped("refresh", "target.draws_14w"),
    *[_withheld] * 2,
    *[_refusing("read-only")] * 2,
    *[_refusing("over quota")] * 2,
)
