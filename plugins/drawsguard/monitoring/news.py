"""What can be known of a monitoring view without a query: from metadata, the rows of a few days, and the clock.

A view's answer is read once and carried over. For each view there is a look here: from free evidence it names what is
bad now, and what will be bad when nothing happens. As long as that is what it was when the view was read, the view
would say the same again. A look that cannot tell returns None, and the view is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Protocol
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

#: Days (UTC) of a table of draws that a look lists: they hold the present Beijing day and the one before as a whole.
TAIL_DAYS = 3
#: More errors than this are not remembered one by one.
MOST = 400
#: The log sink brings an error into the table some time after it can be listed.
SINK_DELAY_MINUTES = 5


class FreeSource(Protocol):
    """What is free of charge."""

    def rows(self, table: TableName) -> int:
        """Return how many rows a table has."""

    def of_day(self, table: TableName, day: date, columns: Mapping[str, str]) -> Sequence[Row]:
        """Return the rows of a table's partition of a day (UTC)."""

    def service_errors(self, since: datetime) -> Mapping[str, datetime] | None:
        """Return when each logged 5xx answer was given, by its id; None when the log cannot be read."""


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


@dataclass(frozen=True)
class Seen:
    """What a look found.

    :param bad: what is bad, or will be without news, each with the time from which it is.
    :param again: when to look again although nothing changed.
    :param note: for later looks at the same answer.
    """

    bad: Mapping[str, datetime]
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

#: Column of time and allowance (seconds) of each table that has to be fresh.
_FRESH: Mapping[TableName, tuple[str, int]] = {
    _SOURCE: ("timestamp", 180),
    _TARGET: ("timestamp", 540),
    _FEATURES: ("ts_utc", 1200),
}


def _days(now: datetime, count: int) -> list[date]:
    today = now.astimezone(UTC).date()
    return [today - timedelta(days=n) for n in reversed(range(count))]


def _tail(free: FreeSource, table: TableName, now: datetime, count: int, columns: Mapping[str, str]) -> list[Row]:
    return [row for day in _days(now, count) for row in free.of_day(table, day, columns)]


def freshness(free: FreeSource, at: Situation) -> Seen | None:
    """A table is stale from a time on that follows from its newest draw."""
    bad = {}
    for table, (column, allowance) in _FRESH.items():
        times = [row[column] for row in _tail(free, table, at.now, 2, {column: "TIMESTAMP"}) if row[column] <= at.now]
        name = ".".join(table)
        if times:
            bad[f"{name} is stale"] = at.cadence.overdue_from(max(times), STALE_DRAWS, timedelta(seconds=allowance))
        else:
            bad[f"{name} shows no draw of two days"] = LONG_AGO
    return Seen(bad)


_SOURCE_COLUMNS = {"period": "INT64", "timestamp": "TIMESTAMP", "ingested_at": "TIMESTAMP", "numbers": "INT64[]"}


def quality(free: FreeSource, at: Situation) -> Seen | None:
    """Holes, draws that were not synced, and corrections of the last days; what is older must not have changed."""
    source = _tail(free, _SOURCE, at.now, TAIL_DAYS, _SOURCE_COLUMNS)
    target = {row["period"] for row in _tail(free, _TARGET, at.now, TAIL_DAYS, {"period": "INT64"})}
    first_day = f"{_days(at.now, TAIL_DAYS)[0]:%F}"
    body = [free.rows(_SOURCE) - len(source), free.rows(_TARGET) - len(target)]
    note: Mapping[str, Any] = {"first_day": first_day, "body": body, "quarantined": free.rows(_QUARANTINE)}
    before = at.note or note
    bad: dict[str, datetime] = {}
    if (before["first_day"], before["body"]) != (first_day, body):
        bad[f"older draws changed: {first_day} {body}"] = LONG_AGO
    draws = _by_period(source)
    bad |= _holes(draws, at.timezone) | _unsynced(draws, target, at.timezone) | _conflicts(draws, at)
    room = at.limits["invalid_rows"] - max((row["invalid_rows"] for row in at.rows), default=0)
    fresh = note["quarantined"] - before["quarantined"]
    if fresh < 0 or fresh > max(room, 0):
        bad[f"{note['quarantined']} rows were quarantined"] = LONG_AGO
    midnight = datetime.combine(at.now.astimezone(at.timezone).date() + DAY, time(), at.timezone).astimezone(UTC)
    utc_midnight = datetime.combine(at.now.astimezone(UTC).date() + DAY, time(), UTC)
    judged_day = at.read_at.astimezone(at.timezone).date()
    bad[f"the day after {judged_day:%F} began"] = datetime.combine(judged_day + DAY, time(), at.timezone)
    return Seen(bad, min(midnight, utc_midnight), before)


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


def _holes(draws: Mapping[int, _Draw], zone: ZoneInfo) -> dict[str, datetime]:
    """A hole shows when both draws beside it are settled; the view counts it for the day of the one after it."""
    found = (
        (draws[after], max(draws[before].shown_at, draws[after].shown_at) + SETTLED)
        for before, after in pairwise(sorted(draws))
        if after > before + 1
    )
    return _by_day("lacks draws", found, zone)


def _unsynced(draws: Mapping[int, _Draw], target: set[int], zone: ZoneInfo) -> dict[str, datetime]:
    waiting = (
        (draw, draw.ingested_at + (LOADED if draw.is_history else SETTLED))
        for period, draw in draws.items()
        if period not in target
    )
    return _by_day("has draws that are not synced", waiting, zone)


def _by_day(what: str, found: Iterable[tuple[_Draw, datetime]], zone: ZoneInfo) -> dict[str, datetime]:
    """Return since when this is so of each business day: the checks judge days."""
    bad: dict[str, datetime] = {}
    for draw, since in found:
        name = f"{draw.time.astimezone(zone):%F} {what}"
        bad[name] = min(since, bad.get(name, since))
    return bad


def _conflicts(draws: Mapping[int, _Draw], at: Situation) -> dict[str, datetime]:
    """Days with more corrected draws than allowed; of the day that is listed in part, any new one."""
    counts = Counter(draw.time.astimezone(at.timezone).date() for draw in draws.values() if len(draw.results) > 1)
    whole_from = at.now.astimezone(at.timezone).date() - DAY
    limit = at.limits["conflicting_periods"]
    return {
        f"{day:%F} was corrected" if day >= whole_from else f"{day:%F} was corrected {count} times": LONG_AGO
        for day, count in counts.items()
        if count > limit or day < whole_from
    }


_SYNC_COLUMNS = {"dag_id": "STRING", "mode": "STRING", "status": "STRING", "interval_start": "TIMESTAMP"}


def sync_success(free: FreeSource, at: Situation) -> Seen | None:
    """The intervals of 24 hours, and when the last success will be too long ago."""
    good = {
        row["interval_start"]
        for row in _tail(free, _SYNC_LOG, at.now, 2, _SYNC_COLUMNS)
        if (row["dag_id"], row["mode"], row["status"]) == ("draw_sync", "interval", "success")
    }
    expected = next((row["expected"] for row in at.rows if row["window_name"] == "24 h"), 0)
    if not good or not expected:
        return None
    due = at.now - SLOT_DUE
    last = max((slot for slot in good if slot <= due), default=at.now - DAY)
    # A pipeline that is younger than a day has fewer slots: those that it had when the view was read, and since.
    begin = max(at.now - DAY, at.read_at - SLOT_DUE - expected * SLOT)
    first = datetime.fromtimestamp(-(-begin.timestamp() // SLOT.total_seconds()) * SLOT.total_seconds(), UTC)
    slots = [first + n * SLOT for n in range(round(DAY / SLOT) + 2)]
    failed = [slot for slot in slots if slot <= due and slot not in good]
    bad = {f"no success since {last.isoformat()}": last + timedelta(minutes=at.limits["minutes_since_success"])}
    if 100 * (expected - len(failed)) < at.limits["success_rate"] * expected:
        bad["too many intervals failed"] = max(failed) + SLOT_DUE
    # The next slot becomes due, with or without a success.
    return Seen(bad, min(slot for slot in [*slots, slots[-1] + SLOT] if slot > due) + SLOT_DUE)


def scheduler(_free: FreeSource, at: Situation) -> Seen | None:
    """Each job's success is too long ago from a time on that the view states. New attempts can only be better."""
    latest = [row for row in at.rows if row["is_latest"]]
    return Seen(
        {
            f"{row['job_name']} has not succeeded": datetime.fromisoformat(row["overdue_at"] or LONG_AGO.isoformat())
            for row in latest
        }
    )


def services(free: FreeSource, at: Situation) -> Seen | None:
    """Each answer with an error, from the log that the sink reads: again for some minutes, since the sink is slow."""
    errors = free.service_errors(at.now - ERROR_MEMORY)
    if errors is None or len(errors) > MOST:
        return None
    if len(errors) <= at.limits["errors_last_15min"]:
        return Seen({}, at.now + MINUTE / 2)  # too few for any service
    ages = {name: min(SINK_DELAY_MINUTES, max(0, int((at.now - when) / MINUTE))) for name, when in errors.items()}
    return Seen({f"error {name} of {age} minutes ago": LONG_AGO for name, age in ages.items()}, at.now + MINUTE / 2)


_IDENTITY_COLUMNS = {"service": "STRING", "check_number": "INT64", "checked_at": "TIMESTAMP", "status": "STRING"}


def identity(free: FreeSource, at: Situation) -> Seen | None:
    """Each check's newest result, and when it will be too old."""
    newest: dict[tuple[str, int], Row] = {}
    for row in _tail(free, _IDENTITY_LOG, at.now, 2, _IDENTITY_COLUMNS):
        key = (row["service"], row["check_number"])
        if key not in newest or newest[key]["checked_at"] < row["checked_at"]:
            newest[key] = row
    bad = {}
    for service in sorted({row["service_name"] for row in at.rows}):
        for number in IDENTITY_CHECKS:
            found = newest.get((service, number))
            name = f"{service}/{number}"
            if found is None:
                bad[f"{name} was not checked"] = LONG_AGO
            elif found["status"] in ("pass", "warn"):
                bad[f"{name} was not checked"] = found["checked_at"] + IDENTITY_MEMORY
            else:
                bad[f"{name} fails"] = LONG_AGO
    return Seen(bad)


def heartbeat(_free: FreeSource, at: Situation) -> Seen | None:
    """The round before this one tells whether there was a gap."""
    if at.last_round is None:
        return None
    limit = timedelta(seconds=at.limits["longest_gap_seconds"])
    return Seen({f"silent since {at.last_round.isoformat()}": at.last_round + limit}, at.now + MINUTE / 2)


#: A view that is not here is read in every round.
WATCHED: Mapping[str, Watched] = {
    "cloud_freshness_v": Watched(freshness, (_SOURCE, _TARGET, _FEATURES)),
    "collection_quality_v": Watched(quality, (_SOURCE, _TARGET, _QUARANTINE)),
    "sync_success_rate_v": Watched(sync_success, (_SYNC_LOG,), ("expected",)),
    "scheduler_execution_v": Watched(scheduler, columns=("overdue_at",), blind=True),
    "cloudrun_invocation_v": Watched(services),
    "identity_service_v": Watched(identity, (_IDENTITY_LOG,)),
    "monitor_heartbeat_v": Watched(heartbeat, blind=True),
}
