"""Replays of simulated days: does the monitor stay quiet on healthy ones, and does it see the broken ones.

The pipeline is reduced to when draws are visible, collected and synced; the monitor judges every minute with the rules
that the views and the alert life cycle use. One replay judges a fixed limit as well, for comparison.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from drawsguard.alerts.state import Event, Message, Policy, delivered, due_messages, fold, observe
from drawsguard.draws.cadence import Cadence
from drawsguard.monitoring.observation import Observation, Priority

MINUTE = timedelta(minutes=1)

#: As in R__310_cloud_freshness_v.sql; a test keeps the two equal.
ALLOWANCES = {"source.draws": 180, "target.draws": 540}
STALE_DRAWS = 3


@dataclass(frozen=True)
class Arrival:
    """One draw, and when it is in the table (aware times)."""

    drawn_at: datetime
    present_at: datetime


@dataclass(frozen=True)
class Replay:
    """What a replay saw: minutes judged, minutes on which the rule fired, and alerts that were announced."""

    minutes: int
    firing_minutes: int
    alerts: int
    first_alert_at: datetime | None

    @property
    def firing_share(self) -> float:
        """Share of the judged minutes on which the rule fired, 0 to 1."""
        return self.firing_minutes / self.minutes


def collected(visible: Iterable[tuple[datetime, datetime]], stopped: Callable[[datetime], bool]) -> list[Arrival]:
    """Return when draws are in the source: at the first half-minute poll after they are visible, plus 5 s.

    :param visible: (time of the draw, time from which the feed shows it).
    :param stopped: whether the collector is down at a moment.
    """
    arrivals = []
    for drawn_at, shown_at in visible:
        poll = _next(shown_at, timedelta(seconds=30))
        while stopped(poll):
            poll += timedelta(seconds=30)
        arrivals.append(Arrival(drawn_at, poll + timedelta(seconds=5)))
    return arrivals


def synced(source: Sequence[Arrival], stopped: Callable[[datetime], bool]) -> list[Arrival]:
    """Return when draws are in the target: at the first five-minute run after they are in the source, plus 15 s."""
    arrivals = []
    for arrival in source:
        run = _next(arrival.present_at, timedelta(minutes=5))
        while stopped(run):
            run += timedelta(minutes=5)
        arrivals.append(Arrival(arrival.drawn_at, run + timedelta(seconds=15)))
    return arrivals


def _next(moment: datetime, step: timedelta) -> datetime:
    seconds = step.total_seconds()
    return moment + timedelta(seconds=-moment.timestamp() % seconds)


class Newest:
    """The newest draw that a table shows at any moment."""

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        ordered = sorted(arrivals, key=lambda one: one.present_at)
        self._times = [one.present_at for one in ordered]
        self._newest: list[datetime] = []
        for one in ordered:
            self._newest.append(max(one.drawn_at, self._newest[-1]) if self._newest else one.drawn_at)

    def at(self, moment: datetime) -> datetime | None:
        """Return the time of the newest draw, None when there is none yet."""
        index = bisect.bisect_right(self._times, moment)
        return self._newest[index - 1] if index else None


Rule = Callable[[datetime], bool]


def cadence_rule(newest: Newest, cadence: Cadence, allowance_seconds: int) -> Rule:
    """Return the rule of the freshness view: three draws or more are overdue."""

    def fires(now: datetime) -> bool:
        last = newest.at(now)
        return last is None or cadence.overdue_draws(last, now, timedelta(seconds=allowance_seconds)) >= STALE_DRAWS

    return fires


def fixed_rule(newest: Newest, limit: timedelta = timedelta(seconds=300)) -> Rule:
    """Return the rule of a fixed age limit, which ignores cadence and maintenance."""

    def fires(now: datetime) -> bool:
        last = newest.at(now)
        return last is None or now - last > limit

    return fires


def replay(rule: Rule, start: datetime, end: datetime, policy: Policy, key: str = "check:replay") -> Replay:
    """Judge every minute of ``[start, end)`` through the whole life cycle, and return what would have been sent."""
    events: list[Event] = []
    alerts = firing_minutes = minutes = 0
    first_alert_at = None
    now = start
    while now < end:
        judged_at, firing = now, rule(now)
        minutes += 1
        firing_minutes += firing
        now += MINUTE
        if not firing and not events:
            continue  # nothing is open and nothing begins
        board = fold(events)
        if not any(alert.open for alert in board.alerts.values()):
            # Only recent events decide then; folding the whole history each minute would be quadratic.
            events = [event for event in events if judged_at - event.event_at < timedelta(hours=6)]
            board = fold(events)
        new = observe(board, [Observation(key, firing, Priority.P0, "")], judged_at, policy)
        events += new
        for message, alert in due_messages(board.with_events(new), judged_at, policy):
            events.append(delivered(alert, message, judged_at, ["replay"]))
            if message is Message.FIRING:
                alerts += 1
                first_alert_at = first_alert_at or judged_at
    return Replay(minutes, firing_minutes, alerts, first_alert_at)
