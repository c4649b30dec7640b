"""Replays of every check of include/config/checks.yaml on simulated days.

A reduced pipeline says what each monitoring view would show at a minute; the real definitions judge it, and the real
life cycle of alerts says what would be announced. The views themselves are tested on the emulator.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.replay import ALLOWANCES, MINUTE, STALE_DRAWS, Arrival, Newest, collected, synced
from drawsguard.alerts.state import Event, Kind, Message, delivered, due_messages, fold, observe
from drawsguard.draws.cadence import Cadence
from drawsguard.identity.model import load_services
from drawsguard.monitoring.checks import judge, load_checks
from drawsguard.monitoring.observation import Observation
from drawsguard.settings import get_settings
from local.feed.simulator import FeedConfig, Simulator

#: Freshness allowances of the three tables (seconds); a test compares them with the view.
TABLES = ALLOWANCES | {"target.draws_14w": 1200}
SETTLED = timedelta(minutes=20)
SLOT = timedelta(minutes=5)
BEIJING = ZoneInfo("Asia/Shanghai")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """What is broken, and for how long; ``expected`` is the alert that has to report it."""

    what: str
    length: timedelta
    expected: str


FAULTS = (
    Fault("collector stopped", timedelta(hours=2), "check:draws_are_collected_in_time:source.draws"),
    Fault("sync stopped", timedelta(hours=2), "check:draws_are_synced_in_time:target.draws"),
    Fault("sync slow", timedelta(hours=3), "check:draws_are_synced_in_time:target.draws"),
    Fault("features stopped", timedelta(hours=2), "check:features_are_refreshed_in_time:target.draws_14w"),
    Fault("draws lost in collection", timedelta(hours=1), "check:collection_has_no_holes:"),
    Fault("draws lost in sync", timedelta(hours=1), "check:collected_draws_reach_the_business_table:"),
    Fault("feed contradicts itself", timedelta(hours=3), "check:draws_do_not_contradict_each_other:"),
    Fault("feed malformed", timedelta(hours=3), "check:feed_rows_are_valid:"),
    Fault("sync runs fail now and then", timedelta(hours=3), "check:sync_intervals_succeed:24 h"),
    Fault("sync log stopped", timedelta(hours=1), "check:sync_ran_lately:24 h"),
    Fault("scheduler refused", timedelta(hours=1), "check:scheduler_jobs_succeed:data-sync-job"),
    Fault("service errors", timedelta(minutes=30), "check:services_answer_without_errors:data-sync-service"),
    Fault("identity broken", timedelta(hours=1), "check:identities_pass:data-sync-service"),
    Fault("monitor stopped", timedelta(minutes=30), "check:monitor_runs_every_minute:monitoring_checks"),
)
FAULT_AT = datetime(2025, 10, 21, 2, 0, tzinfo=UTC)


class Steps:
    """A number that changes at known times."""

    def __init__(self, changes: Iterable[tuple[datetime, int]] = ()) -> None:
        ordered = sorted(changes)
        self._times = [at for at, _ in ordered]
        self._sums = [0]
        for _, change in ordered:
            self._sums.append(self._sums[-1] + change)

    def at(self, moment: datetime) -> int:
        """Return the value at a moment."""
        return self._sums[bisect.bisect_right(self._times, moment)]


@cache
def stale_from(cadence: Cadence, last: datetime) -> datetime:
    """Return when as many draws are overdue after the one at ``last`` as make a table stale, without any allowance."""
    for _ in range(STALE_DRAWS):
        last = cadence.next_expected(last)
    return last


def _chance(*parts: object) -> float:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=4).digest()) / 2**32


class Pipeline:
    """What the monitoring views show, minute by minute, from ``start`` for ``days`` days, with at most one fault."""

    def __init__(self, start: datetime, days: int, fault: Fault | None = None, begins: datetime = FAULT_AT) -> None:
        self._fault, self._begins = fault, begins
        self._start, self._end = start, start + timedelta(days=days)
        self._cadence = Cadence.from_settings(get_settings())
        self._services = load_services().services
        self._tables, self._days = self._draws()
        runs = self._grid(SLOT)
        failed = self._during("sync stopped", "sync log stopped")
        refused = self._during("sync runs fail now and then")
        good = [not failed(run) and not (refused(run) and run.minute % 15 == 0) for run in runs]
        self._good_slots = [run - SLOT for run, fine in zip(runs, good, strict=True) if fine]
        self._bad_slots = [run - SLOT for run, fine in zip(runs, good, strict=True) if not fine]
        self._calls = {one.job: self._attempts(one.name, one.max_silence_minutes) for one in self._services}
        self._errors = {one.name: self._server_errors(one.name) for one in self._services}

    def _during(self, *whats: str) -> Callable[[datetime], bool]:
        fault, begins = self._fault, self._begins
        if fault is None or fault.what not in whats:
            return lambda _moment: False
        ends = begins + fault.length
        return lambda moment: begins <= moment < ends

    def _grid(self, step: timedelta) -> list[datetime]:
        first = self._start - timedelta(days=2)
        return [first + n * step for n in range(int((self._end - first) / step))]

    def silent(self, now: datetime) -> bool:
        """Whether the monitor is down now."""
        return self._during("monitor stopped")(now)

    # --- draws ------------------------------------------------------------------------------------
    def _draws(self) -> tuple[dict[str, Newest], dict[str, dict[str, Steps]]]:
        """Return the newest draw of each table, and the counts of each Beijing day."""
        draws = [d for d in Simulator(FeedConfig()).draws(self._start - timedelta(hours=3), self._end)
                 if not d.unpublished]  # fmt: skip
        slow, losing = self._during("sync slow"), self._during("draws lost in collection")
        skipping, contradicts = self._during("draws lost in sync"), self._during("feed contradicts itself")
        malformed, stalled = self._during("feed malformed"), self._during("features stopped")
        sync_stopped = self._during("sync stopped")
        ends = self._begins + (self._fault.length if self._fault else timedelta())

        def every_third(moment: datetime) -> bool:
            return int(moment.timestamp() // 210) % 3 == 0

        # A draw that only the history has is read when the next one shows that it is missing.
        shown = [
            (d.timestamp, ends if losing(d.timestamp) and every_third(d.timestamp)
             else after.published_at if d.history_only else d.published_at)
            for d, after in zip(draws, [*draws[1:], draws[-1]], strict=True)
        ]  # fmt: skip
        source = collected(shown, self._during("collector stopped"))
        target = [
            Arrival(arrival.drawn_at, ends + MINUTE)
            if skipping(arrival.drawn_at) and every_third(arrival.drawn_at)
            else arrival
            for arrival in synced(source, lambda run: sync_stopped(run) or (slow(run) and run.minute % 30 != 0))
        ]
        features = [
            Arrival(one.drawn_at, (ends if stalled(one.present_at) else one.present_at) + timedelta(seconds=40))
            for one in target
        ]
        changes: dict[str, dict[str, list[tuple[datetime, int]]]] = {}

        def count(draw_time: datetime, column: str, since: datetime, until: datetime | None = None) -> None:
            day = changes.setdefault(str(draw_time.astimezone(BEIJING).date()), {})
            day.setdefault(column, []).append((since, 1))
            if until is not None:
                day[column].append((until, -1))

        gap = self._during("collector stopped")
        for draw, at_source, at_target in zip(draws, source, target, strict=True):
            present = at_source.present_at
            settled = draw.timestamp + SETTLED
            # While the collector is down no later draw shows the gap; history fills it before the next one.
            if present > settled and not gap(settled) and not gap(draw.timestamp):
                count(draw.timestamp, "missing_periods", settled, present)
            if at_target.present_at > present + SETTLED:
                count(draw.timestamp, "unsynced_periods", present + SETTLED, at_target.present_at)
            if draw.corrected_at or contradicts(draw.timestamp):
                count(draw.timestamp, "conflicting_periods", draw.corrected_at or present)
            if draw.malformed is not None or malformed(draw.timestamp):
                count(draw.timestamp, "invalid_rows", present)
        newest = {"source.draws": source, "target.draws": target, "target.draws_14w": features}
        return (
            {name: Newest(arrivals) for name, arrivals in newest.items()},
            {day: {name: Steps(found) for name, found in columns.items()} for day, columns in changes.items()},
        )

    # --- calls ------------------------------------------------------------------------------------
    def _attempts(self, service: str, silence: int) -> list[datetime]:
        """Return the successful attempts of a job; one in a hundred fails by itself."""
        refused = self._during("scheduler refused", "identity broken")
        return [
            at for at in self._grid(timedelta(minutes=max(1, silence // 5)))
            if _chance(service, at) > 0.01 and not (service == "data-sync-service" and refused(at))
        ]  # fmt: skip

    def _server_errors(self, service: str) -> list[datetime]:
        """Return the 5xx answers of a service; one call in 300 fails by itself."""
        broken = self._during("service errors")
        return [
            at for at in self._grid(MINUTE)
            if _chance("5xx", service, at) < 1 / 300 or (service == "data-sync-service" and broken(at))
        ]  # fmt: skip

    # --- views ------------------------------------------------------------------------------------
    def rows(self, now: datetime) -> dict[str, tuple[Row, ...]]:
        """Return what each view shows at ``now``, in the columns that are judged."""
        return {
            "cloud_freshness_v": tuple(self._freshness(name, now) for name in TABLES),
            "collection_quality_v": tuple(self._quality(now - timedelta(days=n), now) for n in range(7)),
            "sync_success_rate_v": (self._success(now),),
            "scheduler_execution_v": tuple(
                {"job_name": one.job, "is_latest": True,
                 "success_overdue": self._overdue(self._calls[one.job], now, one.max_silence_minutes)}
                for one in self._services
            ),
            "cloudrun_invocation_v": tuple(
                {"service_name": one.name, "is_latest": True,
                 "errors_last_15min": _within(self._errors[one.name], now - timedelta(minutes=15), now)}
                for one in self._services
            ),
            "identity_service_v": tuple(
                {"service_name": one.name, "failing_checks": self._failing_checks(one.name, now)}
                for one in self._services
            ),
            "monitor_heartbeat_v": ({"monitor": "monitoring_checks", "longest_gap_seconds": self._gap(now)},),
        }  # fmt: skip

    def _freshness(self, table: str, now: datetime) -> Row:
        last = self._tables[table].at(now)
        stale = last is None or now - timedelta(seconds=TABLES[table]) >= stale_from(self._cadence, last)
        return {"table_name": table, "status": "stale" if stale else "fresh"}

    def _quality(self, moment: datetime, now: datetime) -> Row:
        day = str(moment.astimezone(BEIJING).date())
        counts = self._days.get(day, {})
        columns = ("missing_periods", "unsynced_periods", "conflicting_periods", "invalid_rows")
        return {"beijing_day": day} | {name: counts[name].at(now) if name in counts else 0 for name in columns}

    def _success(self, now: datetime) -> Row:
        oldest, newest = now - timedelta(hours=24), now - timedelta(minutes=10)
        good, bad = (_within(slots, oldest, newest) for slots in (self._good_slots, self._bad_slots))
        # A slot is logged when its run has ended, a slot and some seconds later.
        index = bisect.bisect_right(self._good_slots, now - SLOT - timedelta(seconds=15)) - 1
        since = (now - self._good_slots[index]).total_seconds() / 60
        return {
            "window_name": "24 h",
            "success_rate": round(100 * good / (good + bad), 3),
            "minutes_since_success": round(since, 2),
        }

    @staticmethod
    def _overdue(successes: Sequence[datetime], now: datetime, silence: int) -> bool:
        index = bisect.bisect_right(successes, now) - 1
        return index < 0 or now - successes[index] > silence * MINUTE

    def _failing_checks(self, service: str, now: datetime) -> int:
        """Judge by the newest five-minute round of identity checks, which takes 20 s."""
        checked = now - timedelta(seconds=(now.timestamp() - 20) % 300 + 20)
        return 3 if service == "data-sync-service" and self._during("identity broken")(checked) else 0

    def _gap(self, now: datetime) -> int:
        """Return the longest pause between two rounds within the last hour (seconds)."""
        if self._fault is None or self._fault.what != "monitor stopped":
            return 60
        ends = self._begins + self._fault.length
        return round(self._fault.length.total_seconds()) + 60 if ends <= now < ends + timedelta(minutes=30) else 60


def _within(times: Sequence[datetime], after: datetime, until: datetime) -> int:
    return bisect.bisect_right(times, until) - bisect.bisect_right(times, after)


@dataclass(frozen=True)
class Seen:
    """What a replay of all checks saw: minutes judged, when each alert fired, and when it was announced."""

    minutes: int
    fired: dict[str, datetime]
    announced: dict[str, datetime]


@cache
def _definitions() -> tuple[Any, ...]:
    return load_checks().checks


def replay_checks(pipeline: Pipeline, start: datetime, end: datetime) -> Seen:
    """Judge every check at every minute of ``[start, end)`` through the whole life cycle of alerts."""
    policy = load_alert_config().policy
    judged: dict[Any, list[Observation]] = {}
    events: list[Event] = []
    minutes, fired, announced = 0, dict[str, datetime](), dict[str, datetime]()
    for n in range(int((end - start) / MINUTE)):
        now = start + n * MINUTE
        if pipeline.silent(now):
            continue
        minutes += 1
        observations: list[Observation] = []
        shown = pipeline.rows(now)
        for check in _definitions():
            # Most minutes show the same as the one before: a view's rows are judged once.
            situation = (check.name, tuple(tuple(row.values()) for row in shown[check.view]))
            if situation not in judged:
                judged[situation] = [outcome.observation() for outcome in judge(check, shown[check.view])]
            observations += judged[situation]
        if not events and not any(one.firing for one in observations):
            continue
        board = fold(events)
        new = observe(board, observations, now, policy)
        fired |= {event.alert_key: now for event in new if event.kind is Kind.FIRED and event.alert_key not in fired}
        events += new
        for message, alert in due_messages(board.with_events(new), now, policy):
            events.append(delivered(alert, message, now, ["replay"]))
            if message is Message.FIRING:
                announced.setdefault(alert.key, now)
    return Seen(minutes, fired, announced)


@dataclass(frozen=True)
class Finding:
    """How a fault was found: the seconds from its being visible in a view to its alert and to the announcement."""

    fault: Fault
    seen: Seen
    alert_key: str | None
    visible_at: datetime | None
    detect_seconds: float | None


def find(fault: Fault) -> Finding:
    """Replay the day of a fault and return how it was found; ``alert_key`` None: it was not."""
    pipeline = Pipeline(FAULT_AT - timedelta(days=1), 2, fault)
    start, end = FAULT_AT - timedelta(hours=2), FAULT_AT + fault.length + timedelta(hours=1)
    seen = replay_checks(pipeline, start, end)
    key = next((one for one in sorted(seen.fired) if one.startswith(fault.expected)), None)
    if key is None:
        return Finding(fault, seen, None, None, None)
    visible = _visible_at(pipeline, key, seen.fired[key])
    return Finding(fault, seen, key, visible, (seen.fired[key] - visible).total_seconds())


def _visible_at(pipeline: Pipeline, key: str, fired_at: datetime) -> datetime:
    """Return since when the view shows what fired, to five seconds."""
    check = load_checks().of_key(key)
    assert check is not None  # noqa: S101 - keys of replayed alerts are those of checks
    moment = fired_at
    while fired_at - moment < timedelta(minutes=5):
        earlier = moment - timedelta(seconds=5)
        outcomes = judge(check, pipeline.rows(earlier)[check.view])
        if not any(check.key(one.subject) == key and one.status == "fail" for one in outcomes):
            return moment
        moment = earlier
    return moment
