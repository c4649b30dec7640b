"""What can be known of a monitoring view without a query: from metadata, the rows of a few days, and the clock.

A view's answer is read once and carried over. For each view there is a look here: from free evidence it names what is
bad now, and what will be bad when nothing happens. As long as that is what it was when the view was read, the view
would say the same again. What is named and fails a check has to fail in the view as well: where it does not, one of the
two is wrong, and the view is read until they agree. A look that cannot tell returns None, and the view is read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from drawsguard.draws.cadence import Cadence

Row = Mapping[str, Any]
#: Dataset (``source``, ``target``, ``monitor``) and name.
TableName = tuple[str, str]

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
LATER = datetime(2200, 1, 1, tzinfo=UTC)

#: As in the views; a test keeps them equal.
STALE_DRAWS = 3
SETTLED = timedelta(minutes=20)
#: A draw that was collected so long after it was drawn came with a load of history, which has longer to be synced.
HISTORY, LOADED = timedelta(hours=1), timedelta(hours=1)
SLOT = timedelta(minutes=5)
SLOT_DUE = timedelta(minutes=10)
ERROR_MEMORY = timedelta(minutes=15)
IDENTITY_MEMORY = timedelta(minutes=15)
IDENTITY_CHECKS = range(1, 8)

#: Days (UTC) in which a table's newest draw is looked for.
FRESH_DAYS = 2
#: Days (UTC) of a table of draws that a look lists: they hold the present Beijing day and the one before as a whole.
TAIL_DAYS = 3
#: Days (UTC) that hold all Beijing days of the quality view.
VIEW_DAYS = 8
#: More errors than this are not remembered one by one.
MOST = 400
#: The log sink brings an error into the table some time after it can be listed.
SINK_DELAY_MINUTES = 5


class ServiceError(NamedTuple):
    """A 5xx answer: whose, and when it was given."""

    service: str
    at: datetime


class FreeSource(Protocol):
    """What is free of charge."""

    def rows(self, table: TableName) -> int:
        """Return how many rows a table has."""

    def of_day(self, table: TableName, day: date, columns: Mapping[str, str]) -> Sequence[Row]:
        """Return the rows of a table's partition of a day (UTC)."""

    def service_errors(self, since: datetime, services: frozenset[str]) -> Mapping[str, ServiceError] | None:
        """Return each logged 5xx answer of these services by its id; None when the log cannot be read."""


@dataclass(frozen=True)
class Situation:
    """When and by what a view is looked at.

    :param rows: the view's answer when it was read, in types of JSON.
    :param read_at: when it was read (aware).
    :param last_round: when the monitor's round before this one was; None when it is not known.
    :param limits: the check's value for each judged column.
    :param note: what an earlier look at the same answer noted.
    """

    now: datetime
    rows: Sequence[Row]
    read_at: datetime
    last_round: datetime | None
    limits: Mapping[str, float]
    cadence: Cadence
    timezone: ZoneInfo
    note: Mapping[str, Any] = field(default_factory=dict)

    def limit(self, column: str) -> float:
        """Return the check's value for a column; infinite where nobody checks it."""
        return self.limits.get(column, math.inf)


class Judged(NamedTuple):
    """A judged column, and the subject that it is judged for."""

    column: str
    subject: str


@dataclass(frozen=True)
class Seen:
    """What a look found.

    :param bad: what is bad, or will be without news, each with the time from which it is.
    :param means: which of it fails a check, and of what; the rest only has to stay as it was.
    :param again: when to look again although nothing changed.
    :param note: for later looks at the same answer.
    """

    bad: Mapping[str, datetime]
    means: Mapping[str, Judged] = field(default_factory=dict)
    again: datetime | None = None
    note: Mapping[str, Any] = field(default_factory=dict)

    def now(self, moment: datetime) -> frozenset[str]:
        """Return what is bad at a moment."""
        return frozenset(name for name, since in self.bad.items() if since <= moment)

    def until(self, moment: datetime) -> datetime | None:
        """Return when to look again at the latest, None when only news can change anything."""
        times = [since for since in self.bad.values() if since > moment]
        return min([*times, *([self.again] if self.again else [])], default=None)


Look = Callable[[FreeSource, Situation], Seen | None]


@dataclass(frozen=True)
class Watched:
    """How a view is watched.

    :param tables: those whose change is news for it.
    :param columns: what a look needs of its rows beside the judged columns.
    :param blind: nothing free tells of a recovery: while it fails, it is read every time.
    """

    look: Look
    tables: tuple[TableName, ...] = ()
    columns: tuple[str, ...] = ()
    blind: bool = False


_SOURCE: TableName = ("source", "draws")
_TARGET: TableName = ("target", "draws")
_FEATURES: TableName = ("target", "draws_14w")
_QUARANTINE: TableName = ("source", "draws_quarantine")
_SYNC_LOG: TableName = ("monitor", "sync_log")
_IDENTITY_LOG: TableName = ("monitor", "identity_check_log")

#: Column of time and allowance of each table that has to be fresh.
_FRESH: Mapping[TableName, tuple[str, timedelta]] = {
    _SOURCE: ("timestamp", timedelta(seconds=180)),
    _TARGET: ("timestamp", timedelta(seconds=540)),
    _FEATURES: ("ts_utc", timedelta(seconds=1200)),
}


def _days(now: datetime, count: int) -> list[date]:
    today = now.astimezone(UTC).date()
    return [today - timedelta(days=n) for n in reversed(range(count))]


def _tail(free: FreeSource, table: TableName, now: datetime, count: int, columns: Mapping[str, str]) -> list[Row]:
    return [row for day in _days(now, count) for row in free.of_day(table, day, columns)]


def _known(rows: Iterable[Row], column: str, now: datetime) -> Iterable[Row]:
    """Return the rows that the views know now: a clock that is ahead has stamped some with a time to come."""
    return (row for row in rows if row[column] <= now)


def freshness(free: FreeSource, at: Situation) -> Seen | None:
    """A table is stale from a time on that follows from its newest draw."""
    bad, means = {}, {}
    for table, (_, allowance) in _FRESH.items():
        newest, name = _newest(free, table, at.now), ".".join(table)
        what = f"{name} is stale" if newest else f"{name} shows no draw of two days"
        means[what] = Judged("status", name)
        bad[what] = at.cadence.overdue_from(newest, STALE_DRAWS, allowance) if newest else LONG_AGO
    return Seen(bad, means)


def _newest(free: FreeSource, table: TableName, now: datetime) -> datetime | None:
    column, _ = _FRESH[table]
    rows = _tail(free, table, now, FRESH_DAYS, {column: "TIMESTAMP"})
    return max((row[column] for row in _known(rows, column, now)), default=None)


def behind(free: FreeSource, cadence: Cadence, now: datetime) -> dict[str, int]:
    """Return how many draws each table is behind; of one without a draw of two days: at least so many."""
    found = {}
    for table, (_, allowance) in _FRESH.items():
        newest = _newest(free, table, now) or now - FRESH_DAYS * DAY
        found[".".join(table)] = cadence.overdue_draws(newest, now, allowance)
    return found


_SOURCE_COLUMNS = {"period": "INT64", "timestamp": "TIMESTAMP", "ingested_at": "TIMESTAMP", "numbers": "INT64[]"}


def quality(free: FreeSource, at: Situation) -> Seen | None:
    """Holes, draws that were not synced, and corrections of the last days; what is older must not have changed."""
    source, synced = _listed(free, _days(at.now, TAIL_DAYS))
    first_day = f"{_days(at.now, TAIL_DAYS)[0]:%F}"
    body = [free.rows(_SOURCE) - len(source), free.rows(_TARGET) - len(synced)]
    quarantined = free.rows(_QUARANTINE)
    note: Mapping[str, Any] = at.note or {
        "first_day": first_day,
        "body": body,
        "quarantined": quarantined,
        "will_be_bad": {name: since.isoformat() for name, since in _will_be_bad(free, at).items()},
    }
    draws = _by_period(source)
    waiting = _incomplete(draws, synced, at.timezone)
    for name, since in note["will_be_bad"].items():
        waiting[name] = min(datetime.fromisoformat(since), waiting.get(name, LATER))
    bad = waiting | _conflicts(draws, at) | {f"judged on {at.now.astimezone(at.timezone):%F}": LONG_AGO}
    if (note["first_day"], note["body"]) != (first_day, body):
        bad[f"older draws changed: {first_day} {body}"] = LONG_AGO
    room = at.limit("invalid_rows") - max((row["invalid_rows"] for row in at.rows), default=0)
    fresh = quarantined - note["quarantined"]
    if fresh < 0 or fresh > max(room, 0):
        bad[f"{quarantined} rows were quarantined"] = LONG_AGO
    midnight = datetime.combine(at.now.astimezone(at.timezone).date() + DAY, time(), at.timezone).astimezone(UTC)
    utc_midnight = datetime.combine(at.now.astimezone(UTC).date() + DAY, time(), UTC)
    means = {name: Judged(*reversed(name.split())) for name in waiting}
    return Seen(bad, means, min(midnight, utc_midnight), note)


def _listed(free: FreeSource, days: Iterable[date]) -> tuple[list[Row], list[int]]:
    """Return the rows of some days in the source, and the periods of the same days in the target."""
    source: list[Row] = []
    target: list[int] = []
    for day in days:
        source += free.of_day(_SOURCE, day, _SOURCE_COLUMNS)
        target += [row["period"] for row in free.of_day(_TARGET, day, {"period": "INT64"})]
    return source, target


def _will_be_bad(free: FreeSource, at: Situation) -> dict[str, datetime]:
    """Return what time alone will make bad of the older draws in the view; they are listed at a reading only."""
    source, synced = _listed(free, _days(at.now, VIEW_DAYS))
    older = datetime.combine(_days(at.now, TAIL_DAYS)[0], time(), UTC)
    waiting = _incomplete(_by_period(source), synced, at.timezone, older)
    return {name: since for name, since in waiting.items() if since > at.now}


def _incomplete(
    draws: Mapping[int, _Draw], synced: Iterable[int], zone: ZoneInfo, end: datetime = LATER
) -> dict[str, datetime]:
    """Return since when draws before ``end`` are missing, or unsynced, of each business day and judged column."""
    missing, unsynced = _holes(draws, zone, end), _unsynced(draws, set(synced), zone, end)
    return {f"{day} missing_periods": since for day, since in missing.items()} | {
        f"{day} unsynced_periods": since for day, since in unsynced.items()
    }


@dataclass
class _Draw:
    time: datetime
    ingested_at: datetime
    results: set[tuple[int, ...]]

    @property
    def is_history(self) -> bool:
        """Whether it was collected so late that a load brought it."""
        return self.ingested_at - self.time > HISTORY

    @property
    def shown_at(self) -> datetime:
        """From when on a hole beside it is one: a load that is under way fills holes."""
        return self.ingested_at if self.is_history else self.time


def _by_period(source: Iterable[Row]) -> dict[int, _Draw]:
    draws: dict[int, _Draw] = {}
    for row in source:
        draw = draws.setdefault(row["period"], _Draw(row["timestamp"], row["ingested_at"], set()))
        draw.time = min(draw.time, row["timestamp"])
        draw.ingested_at = min(draw.ingested_at, row["ingested_at"])
        draw.results.add(tuple(row["numbers"]))
    return draws


def _holes(draws: Mapping[int, _Draw], zone: ZoneInfo, end: datetime) -> dict[str, datetime]:
    """A hole shows when both draws beside it are settled; the view counts it for the day of the one after it."""
    found = (
        (draws[after], max(draws[before].shown_at, draws[after].shown_at) + SETTLED)
        for before, after in pairwise(sorted(draws))
        if after > before + 1 and draws[before].time < end
    )
    return _by_day(found, zone)


def _unsynced(draws: Mapping[int, _Draw], target: set[int], zone: ZoneInfo, end: datetime) -> dict[str, datetime]:
    waiting = (
        (draw, draw.ingested_at + (LOADED if draw.is_history else SETTLED))
        for period, draw in draws.items()
        if period not in target and draw.time < end
    )
    return _by_day(waiting, zone)


def _by_day(found: Iterable[tuple[_Draw, datetime]], zone: ZoneInfo) -> dict[str, datetime]:
    """Return since when this is so of each business day: the checks judge days."""
    bad: dict[str, datetime] = {}
    for draw, since in found:
        day = f"{draw.time.astimezone(zone):%F}"
        bad[day] = min(since, bad.get(day, since))
    return bad


def _conflicts(draws: Mapping[int, _Draw], at: Situation) -> dict[str, datetime]:
    """Days with more corrected draws than allowed; of the day that is listed in part, any new one."""
    counts = Counter(draw.time.astimezone(at.timezone).date() for draw in draws.values() if len(draw.results) > 1)
    whole_from = at.now.astimezone(at.timezone).date() - DAY
    limit = at.limit("conflicting_periods")
    return {
        f"{day:%F} was corrected" if day >= whole_from else f"{day:%F} was corrected {count} times": LONG_AGO
        for day, count in counts.items()
        if count > limit or day < whole_from
    }


_SYNC_COLUMNS = {
    "dag_id": "STRING",
    "mode": "STRING",
    "status": "STRING",
    "interval_start": "TIMESTAMP",
    "finished_at": "TIMESTAMP",
}


def sync_success(free: FreeSource, at: Situation) -> Seen | None:
    """The intervals of 24 hours, and when the end of the last success will be too long ago."""
    succeeded = [
        row
        for row in _known(_tail(free, _SYNC_LOG, at.now, 2, _SYNC_COLUMNS), "finished_at", at.now)
        if (row["dag_id"], row["mode"], row["status"]) == ("draw_sync", "interval", "success")
    ]
    good = {row["interval_start"] for row in succeeded}
    expected = next((row["expected"] for row in at.rows if row["window_name"] == "24 h"), 0)
    if not good or not expected:
        return None
    due = at.now - SLOT_DUE
    # A pipeline that is younger than a day has fewer slots: those that it had when the view was read, and since.
    begin = max(at.now - DAY, at.read_at - SLOT_DUE - expected * SLOT)
    first = datetime.fromtimestamp(-(-begin.timestamp() // SLOT.total_seconds()) * SLOT.total_seconds(), UTC)
    slots = [first + n * SLOT for n in range(round(DAY / SLOT) + 2)]
    failed = [slot for slot in slots if slot <= due and slot not in good]
    bad, means = {}, {}
    if "minutes_since_success" in at.limits:
        allowed = timedelta(minutes=at.limits["minutes_since_success"])
        # The view counts whole seconds, and has to count more than allowed.
        bad["no success for too long"] = max(row["finished_at"] for row in succeeded) + allowed + timedelta(seconds=1)
        means["no success for too long"] = Judged("minutes_since_success", "24 h")
    if 100 * (expected - len(failed)) < at.limits.get("success_rate", 0) * expected:
        bad["too many intervals failed"] = max(failed) + SLOT_DUE
        means["too many intervals failed"] = Judged("success_rate", "24 h")
    # The next slot becomes due, with or without a success.
    return Seen(bad, means, min(slot for slot in [*slots, slots[-1] + SLOT] if slot > due) + SLOT_DUE)


def scheduler(_free: FreeSource, at: Situation) -> Seen | None:
    """Each job's success is too long ago from a time on that the view states. New attempts can only be better."""
    latest = {f"{row['job_name']} has not succeeded": row for row in at.rows if row["is_latest"]}
    return Seen(
        {name: datetime.fromisoformat(row["overdue_at"] or LONG_AGO.isoformat()) for name, row in latest.items()},
        {name: Judged("success_overdue", row["job_name"]) for name, row in latest.items()},
    )


def services(free: FreeSource, at: Situation) -> Seen | None:
    """Each answer with an error, from the log that the sink reads: again for some minutes, since the sink is slow.

    A service that is called rarely fails slowly: while it has given no good answer, what the view knew at its reading
    counts with what came since.
    """
    unseen_from = at.read_at - SINK_DELAY_MINUTES * MINUTE
    # The project may have services that the view does not know.
    known = frozenset(row["service_name"] for row in at.rows)
    errors = free.service_errors(min(unseen_from, at.now - ERROR_MEMORY), known)
    if errors is None or len(errors) > MOST:
        return None
    many = {row["service_name"] for row in at.rows if _errors(row, errors, unseen_from) > at.limit("errors_last_15min")}
    ages = {
        name: min(SINK_DELAY_MINUTES, max(0, int((at.now - error.at) / MINUTE)))
        for name, error in errors.items()
        if error.service in many
    }
    return Seen(
        {f"error {name} of {age} minutes ago": LONG_AGO for name, age in ages.items()}, again=at.now + MINUTE / 2
    )


def _errors(row: Row, logged: Mapping[str, ServiceError], unseen_from: datetime) -> int:
    """Return how many errors of a service the view counts at the most."""
    times = [error.at for error in logged.values() if error.service == row["service_name"]]
    if (row["status"] or 500) < 500:
        return len(times)  # no error is older than its last good answer: all that still count are in the log
    return max(len(times), (row["errors_last_15min"] or 0) + sum(at >= unseen_from for at in times))


_IDENTITY_COLUMNS = {"service": "STRING", "check_number": "INT64", "checked_at": "TIMESTAMP", "status": "STRING"}


def identity(free: FreeSource, at: Situation) -> Seen | None:
    """Each check's newest result, and when it will be too old."""
    newest: dict[tuple[str, int], Row] = {}
    results = _tail(free, _IDENTITY_LOG, at.now, 2, _IDENTITY_COLUMNS)
    for row in _known(results, "checked_at", at.now):
        key = (row["service"], row["check_number"])
        if key not in newest or newest[key]["checked_at"] < row["checked_at"]:
            newest[key] = row
    bad, means = {}, {}
    for service in sorted({row["service_name"] for row in at.rows}):
        for number in IDENTITY_CHECKS:
            found = newest.get((service, number))
            if found is None or found["status"] in ("pass", "warn"):
                name = f"{service}/{number} was not checked"
                bad[name] = LONG_AGO if found is None else found["checked_at"] + IDENTITY_MEMORY
            else:
                name = f"{service}/{number} fails"
                bad[name] = LONG_AGO
            means[name] = Judged("failing_checks", service)
    to_come = (row["checked_at"] for row in results if row["checked_at"] > at.now)
    return Seen(bad, means, min(to_come, default=None))


def heartbeat(_free: FreeSource, at: Situation) -> Seen | None:
    """The round before this one tells whether there was a gap."""
    if at.last_round is None or "longest_gap_seconds" not in at.limits:
        return None
    limit = timedelta(seconds=at.limits["longest_gap_seconds"])
    return Seen({f"silent since {at.last_round.isoformat()}": at.last_round + limit}, again=at.now + MINUTE / 2)


#: A view that is not here is read in every round.
WATCHED: Mapping[str, Watched] = {
    "cloud_freshness_v": Watched(freshness, (_SOURCE, _TARGET, _FEATURES)),
    "collection_quality_v": Watched(quality, (_SOURCE, _TARGET, _QUARANTINE)),
    "sync_success_rate_v": Watched(sync_success, (_SYNC_LOG,), ("expected",)),
    "scheduler_execution_v": Watched(scheduler, columns=("overdue_at",), blind=True),
    "cloudrun_invocation_v": Watched(services, columns=("status",)),
    "identity_service_v": Watched(identity, (_IDENTITY_LOG,)),
    "monitor_heartbeat_v": Watched(heartbeat, blind=True),
}
