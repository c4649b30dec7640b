"""A pipeline in memory, at the grain of rows: what its tables hold at a moment, what is free to know of them, and what
the monitoring views say. The views are written once more here, in Python and without looking at the carried answers.
"""

from __future__ import annotations

import bisect
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from drawsguard.draws.cadence import Cadence
from drawsguard.identity.model import load_services
from drawsguard.monitoring.carried import Carried, Carrier, as_text, load
from drawsguard.monitoring.checks import Checks
from drawsguard.monitoring.news import ServiceError, TableName
from drawsguard.settings import get_settings

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SLOT = timedelta(minutes=5)
DAY = timedelta(days=1)
BEIJING = ZoneInfo("Asia/Shanghai")
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
SERVICES = load_services().services
#: The service with the longest time between two calls.
RARELY_CALLED = max(SERVICES, key=lambda service: service.max_silence_minutes).name

SOURCE, TARGET, FEATURES = ("source", "draws"), ("target", "draws"), ("target", "draws_14w")
QUARANTINE, SYNC_LOG = ("source", "draws_quarantine"), ("monitor", "sync_log")
IDENTITY_LOG = ("monitor", "identity_check_log")
#: The column that each table is partitioned by.
PARTITIONED_BY = {
    SOURCE: "timestamp", TARGET: "timestamp", FEATURES: "ts_utc", QUARANTINE: "first_seen_at",
    SYNC_LOG: "finished_at", IDENTITY_LOG: "checked_at",
}  # fmt: skip


@dataclass
class Stored:
    """A row with the time from which it is there, and until when."""

    values: Mapping[str, Any]
    since: datetime
    until: datetime = NEVER


@dataclass(frozen=True)
class Faults:
    """What is broken from ``begin`` to ``end``, by name; see `WatchedDay`."""

    begin: datetime
    end: datetime
    what: str = ""

    def on(self, what: str, moment: datetime) -> bool:
        """Whether this is broken at a moment."""
        return self.what == what and self.begin <= moment < self.end


@dataclass
class WatchedDay:
    """The tables from two days before ``start`` on, for ``days`` days.

    :param corrections_an_hour: how many draws are corrected.
    """

    start: datetime
    days: int
    faults: Faults
    corrections_an_hour: float = 0.5
    seed: int = 1
    now: datetime = field(init=False)
    silent: Callable[[datetime], bool] = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.start
        self.cadence = Cadence.from_settings(get_settings())
        self._random = random.Random(self.seed)
        self.tables: dict[TableName, list[Stored]] = {table: [] for table in PARTITIONED_BY}
        self.rounds: list[datetime] = []
        self.attempts: dict[str, list[datetime]] = {}
        self.errors: list[tuple[str, str, datetime]] = []
        self.good_answers: dict[str, list[datetime]] = defaultdict(list)
        self.reads: dict[str, int] = defaultdict(int)
        self.free_calls = 0
        self._fill()
        self._days: dict[tuple[TableName, date], list[Stored]] = defaultdict(list)
        for table, stored in self.tables.items():
            for one in stored:
                self._days[table, one.values[PARTITIONED_BY[table]].date()].append(one)
        self._came = {table: sorted(one.since for one in stored) for table, stored in self.tables.items()}
        self._went = {table: sorted(one.until for one in stored) for table, stored in self.tables.items()}
        for stored in self.tables.values():
            stored.sort(key=lambda one: one.since)
        self._columns = _Columns.of(self)

    # --- what happens -----------------------------------------------------------------------------------------
    def _fill(self) -> None:
        begin, end = self.start - 4 * DAY, self.start + self.days * DAY
        on, period, at = self.faults.on, 1000, begin
        while at < end:
            at, period = self.cadence.next_expected(at), period + 1
            self._draw(period, at)
        for n in range(int((end - self.start + 2 * DAY) / SLOT)):
            slot = self.start - 2 * DAY + n * SLOT
            run = slot + SLOT
            if not on("sync stopped", run) and not on("sync log stopped", run):
                failed = on("sync fails now and then", run) and run.minute % 15 == 0
                ended = run + timedelta(seconds=self._random.uniform(8, 20))
                self._store(SYNC_LOG, ended + SECOND, finished_at=ended, interval_start=slot, dag_id="draw_sync",
                            mode="interval", status="failed" if failed else "success")  # fmt: skip
            for service in SERVICES:
                for number in range(1, 8):
                    fails = on("identity broken", run) and service.name == "collector" and number == 3
                    if run > self.start - SLOT * 6 and not on("identity checks stopped", run):
                        result = {"service": service.name, "check_number": number, "checked_at": run + SECOND}
                        self._store(IDENTITY_LOG, run + 20 * SECOND, status="fail" if fails else "pass", **result)
        for service in SERVICES:
            step = timedelta(minutes=service.max_silence_minutes // 3)
            calls = [begin + n * step for n in range(int((end - begin) / step))]
            self.attempts[service.job] = [
                call for call in calls
                if self._random.random() > 0.01 and not (service.name == "collector" and on("scheduler refused", call))
            ]  # fmt: skip
            for n, call in enumerate(calls):
                often = 0.5 if service.name == "collector" and on("service errors", call) else 1 / 300
                often = 1 if service.name == RARELY_CALLED and on("rare calls fail", call) else often
                if call >= self.start - DAY and self._random.random() < often:
                    self.errors.append((f"{service.name}-{n}", service.name, call + timedelta(seconds=7)))
                else:
                    self.good_answers[service.name].append(call + timedelta(seconds=7))
        self.silent = lambda moment: on("monitor stopped", moment)

    def _draw(self, period: int, at: datetime) -> None:
        on, seen = self.faults.on, at + timedelta(seconds=self._random.uniform(5, 40))
        if on("collector stopped", seen):
            seen = self.faults.end + timedelta(seconds=20)
        if on("draws lost in collection", at) and period % 3 == 0:
            seen = self.faults.end + SLOT
        gone = (
            self.faults.begin if self.faults.what == "draws deleted" and at.date() == self.start.date() - DAY else NEVER
        )
        gone = gone if period % 50 == 0 else NEVER
        row = {"period": period, "timestamp": at, "ingested_at": seen, "numbers": [period % 10, 1, 2]}
        self._store(SOURCE, seen, gone, **row)
        often = 1.0 if on("feed contradicts itself", at) else self.corrections_an_hour * 210 / 3600
        if self._random.random() < often:
            late = seen + timedelta(seconds=self._random.uniform(60, 1800))
            self._store(SOURCE, late, **row | {"ingested_at": late, "numbers": [period % 10, 2, 2]})
        if self._random.random() < (0.5 if on("feed malformed", at) else 0.005):
            self._store(QUARANTINE, seen, first_seen_at=seen)
        synced = self._next_run(seen)
        if on("draws lost in sync", at) and period % 3 == 0:
            synced = self.faults.end + SLOT
        self._store(TARGET, synced, timestamp=at, period=period)
        computed = synced + timedelta(seconds=40)
        if on("features stopped", computed):
            computed = self.faults.end + timedelta(seconds=40)
        self._store(FEATURES, computed, ts_utc=at, issue=period)

    def _next_run(self, moment: datetime) -> datetime:
        run = moment + timedelta(seconds=-moment.timestamp() % 300)
        while self.faults.on("sync stopped", run):
            run += SLOT
        return run + timedelta(seconds=12)

    def _store(self, table: TableName, since: datetime, until: datetime = NEVER, **values: Any) -> None:
        self.tables[table].append(Stored(values, since, until))

    # --- what is free -----------------------------------------------------------------------------------------
    def rows(self, table: TableName) -> int:
        self.free_calls += 1
        return self._passed(self._came[table]) - self._passed(self._went[table])

    def changed_at(self, table: TableName) -> datetime:
        changes = [times[: self._passed(times)][-1:] for times in (self._came[table], self._went[table])]
        return max((at for last in changes for at in last), default=self.start)

    def _passed(self, times: Sequence[datetime]) -> int:
        return bisect.bisect_right(times, self.now)

    def of_day(self, table: TableName, day: date, columns: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        self.free_calls += 1
        return [{name: one.values[name] for name in columns} for one in self._present(self._days[table, day])]

    def service_errors(self, since: datetime, services: frozenset[str]) -> Mapping[str, ServiceError]:
        self.free_calls += 1
        of_these = [one for one in self.errors if one[1] in services]
        return {name: ServiceError(service, at) for name, service, at in of_these if since <= at <= self.now}

    def _present(self, stored: Sequence[Stored]) -> list[Stored]:
        return [one for one in stored if one.since <= self.now < one.until]

    # --- what the views say -----------------------------------------------------------------------------------
    def view(self, name: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return the columns of a view's rows now, in their order."""
        return [{column: row[column] for column in columns} for row in getattr(self, name)()]

    def read(self, name: str, columns: Sequence[str]) -> list[Mapping[str, Any]] | str:
        """Return the columns of a view's rows, and count the reading."""
        self.reads[name] += 1
        return list(self.view(name, columns))

    def cloud_freshness_v(self) -> list[dict[str, Any]]:
        rows = []
        for table, column, allowance in (
            (SOURCE, "timestamp", 180), (TARGET, "timestamp", 540), (FEATURES, "ts_utc", 1200),
        ):  # fmt: skip
            came = self.tables[table][: self._passed(self._came[table])]
            last = max(one.values[column] for one in came[-200:] if one.until > self.now)
            overdue = self.cadence.overdue_draws(last, self.now, timedelta(seconds=allowance))
            rows.append({"table_name": ".".join(table), "status": "stale" if overdue >= 3 else "fresh"})
        return rows

    def collection_quality_v(self) -> list[dict[str, Any]]:
        columns, now = self._columns, self.now.timestamp()
        present = (columns.since <= now) & (now < columns.until)
        settled = present & (columns.drawn <= now - 1200)
        unsynced = present & (columns.ingested <= now - 1200) & (columns.synced > now)
        corrected = present & (columns.corrected <= now)
        rows, last = [], None
        today = _beijing(self.now)
        for day in (today - timedelta(days=n) for n in range(7, -1, -1)):
            of_day = columns.day == day.toordinal()
            periods = columns.period[settled & of_day]
            expected = 0
            if len(periods):
                expected = int(periods.max()) - (last if last is not None else int(periods.min()) - 1)
                last = int(periods.max())
            rows.append({
                "beijing_day": day,
                "missing_periods": max(expected - len(periods), 0),
                "unsynced_periods": int((unsynced & of_day).sum()),
                "conflicting_periods": int((corrected & of_day).sum()),
                "invalid_rows": int(((columns.invalid <= now) & (columns.invalid_day == day.toordinal())).sum()),
            })  # fmt: skip
        return rows[1:]

    def sync_success_rate_v(self) -> list[dict[str, Any]]:
        good = {one.values["interval_start"] for one in self._present(self.tables[SYNC_LOG][-900:])
                if one.values["status"] == "success"}  # fmt: skip
        slots = _grid(self.now - DAY, self.now - 10 * MINUTE)
        done = [slot for slot in slots if slot in good]
        ended = [one.values["finished_at"] for one in self._present(self.tables[SYNC_LOG][-900:])
                 if one.values["status"] == "success"]  # fmt: skip
        return [{
            "window_name": "24 h", "expected": len(slots), "success_rate": round(100 * len(done) / len(slots), 3),
            "minutes_since_success": int((self.now - max(ended)).total_seconds()) / 60 if ended else 99999,
        }]  # fmt: skip

    def scheduler_execution_v(self) -> list[dict[str, Any]]:
        rows = []
        for service in SERVICES:
            last = self.attempts[service.job][self._passed(self.attempts[service.job]) - 1]
            overdue = last + timedelta(minutes=service.max_silence_minutes, seconds=1)
            rows.append({"job_name": service.job, "is_latest": True, "success_overdue": self.now >= overdue,
                         "overdue_at": overdue})  # fmt: skip
        return rows

    def cloudrun_invocation_v(self) -> list[dict[str, Any]]:
        begin, shown_until = self.now - DAY, self.now - timedelta(seconds=45)  # the log sink takes its time
        rows = []
        for service in SERVICES:
            answers = self.good_answers[service.name]
            good = answers[: bisect.bisect_right(answers, shown_until)][-1:]
            since = min(self.now - 15 * MINUTE, *(good or [begin]))
            errors = sum(name == service.name and max(begin, since) < at <= shown_until for _, name, at in self.errors)
            failed = [at for _, name, at in self.errors if name == service.name and at <= shown_until]
            shown = sorted([(at, 503) for at in failed] + [(at, 200) for at in good])
            status = shown[-1][1] if shown else None
            rows.append({"service_name": service.name, "is_latest": True, "errors_last_15min": errors,
                         "status": status})  # fmt: skip
        return rows

    def identity_service_v(self) -> list[dict[str, Any]]:
        newest: dict[tuple[str, int], Mapping[str, Any]] = {}
        for one in self.tables[IDENTITY_LOG][: self._passed(self._came[IDENTITY_LOG])][-200:]:
            if one.values["checked_at"] >= self.now - 15 * MINUTE:
                newest[one.values["service"], one.values["check_number"]] = one.values
        return [{"service_name": service.name, "failing_checks": sum(
                    newest.get((service.name, number), {}).get("status") not in ("pass", "warn")
                    for number in range(1, 8))}
                for service in SERVICES]  # fmt: skip

    def monitor_heartbeat_v(self) -> list[dict[str, Any]]:
        hour = self.rounds[-250:]
        gaps = [(after - before).total_seconds() for before, after in pairwise(hour)
                if after >= self.now - 60 * MINUTE]  # fmt: skip
        gaps += [(self.now - hour[-1]).total_seconds()] if hour else [99999]
        return [{"monitor": "monitoring_checks", "longest_gap_seconds": max(gaps)}]


@dataclass(frozen=True)
class _Columns:
    """The source's draws by column, in seconds, for the view that looks at all of them every minute."""

    period: Any
    since: Any
    until: Any
    drawn: Any
    ingested: Any
    synced: Any
    corrected: Any
    day: Any
    invalid: Any
    invalid_day: Any

    @classmethod
    def of(cls, world: WatchedDay) -> _Columns:
        synced = {one.values["period"]: one.since.timestamp() for one in world.tables[TARGET]}
        first: dict[int, Stored] = {}
        corrected: dict[int, float] = {}
        for one in world.tables[SOURCE]:
            if one.values["period"] in first:
                corrected.setdefault(one.values["period"], one.since.timestamp())
            first.setdefault(one.values["period"], one)
        stored, never = list(first.values()), NEVER.timestamp()
        invalid = [one.since for one in world.tables[QUARANTINE]]
        return cls(
            np.array(list(first)),
            np.array([one.since.timestamp() for one in stored]),
            np.array([one.until.timestamp() for one in stored]),
            np.array([one.values["timestamp"].timestamp() for one in stored]),
            np.array([one.values["ingested_at"].timestamp() for one in stored]),
            np.array([synced[period] for period in first]),
            np.array([corrected.get(period, never) for period in first]),
            np.array([_beijing(one.values["timestamp"]).toordinal() for one in stored]),
            np.array([at.timestamp() for at in invalid]),
            np.array([_beijing(at).toordinal() for at in invalid]),
        )


def _beijing(moment: datetime) -> date:
    return moment.astimezone(BEIJING).date()


def _grid(after: datetime, until: datetime) -> list[datetime]:
    first = datetime.fromtimestamp(-(-after.timestamp() // 300) * 300, UTC)
    return [first + n * SLOT for n in range(300) if first + n * SLOT <= until]


def played(
    day: WatchedDay,
    checks: Checks,
    hours: int,
    each: Callable[[dict[str, Any]], None],
    ahead: Callable[[datetime], timedelta] = lambda _: timedelta(),
) -> None:
    """Let the monitor make its round in each minute, and pass on what it takes each view to say.

    How often each view is read is counted in ``day.reads``.

    :param ahead: by how much the clock of the monitor's worker is ahead at a moment.
    """
    left, views = as_text(Carried()), checks.views()
    surroundings = {"cadence": day.cadence, "timezone": BEIJING}
    for n in range(60 * hours):
        day.now = day.start + n * MINUTE + 2 * SECOND
        if day.silent(day.now):
            continue
        carrier = Carrier(checks, day, day.read, surroundings, load(left), lambda: day.now + ahead(day.now))
        each({view: carrier.answer(view, columns) for view, columns in views.items()})
        left = as_text(carrier.left)
        day.rounds.append(day.now)
