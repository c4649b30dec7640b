"""Simulated days for the replays of the monitor: what the tables would have shown, minute by minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.replay import ALLOWANCES, Newest, Replay, Rule, cadence_rule, collected, replay, synced
from drawsguard.draws.cadence import Cadence
from drawsguard.settings import get_settings
from local.feed.simulator import FeedConfig, Simulator

#: Two halves of 30 healthy days; they contain both changes of daylight saving in Vancouver.
HEALTHY_STARTS = (datetime(2025, 2, 22, tzinfo=UTC), datetime(2025, 10, 18, tzinfo=UTC))
HEALTHY_DAYS = 15

#: Each fault class: what is down, the table that shows it, and for how long.
BREAKS = tuple(
    (what, table, timedelta(hours=hours))
    for what, table in (("collector", "source.draws"), ("sync", "target.draws"))
    for hours in (1, 9)
)
BREAK_AT = datetime(2025, 10, 21, 2, 0, tzinfo=UTC)

Stopped = Callable[[datetime], bool]


def never(_moment: datetime) -> bool:
    """Nothing is down."""
    return False


def during(start: datetime, length: timedelta) -> Stopped:
    """Return a rule for a downtime from ``start`` for ``length``."""
    return lambda moment: start <= moment < start + length


def tables(start: datetime, days: int, *, collector: Stopped = never, sync: Stopped = never) -> dict[str, Newest]:
    """Simulate the feed with its ordinary faults and return what source and target show."""
    visible = [
        (draw.timestamp, draw.published_at)
        for draw in Simulator(FeedConfig()).draws(start - timedelta(hours=3), start + timedelta(days=days))
        if not draw.unpublished and not draw.history_only and draw.malformed is None
    ]
    source = collected(visible, collector)
    return {"source.draws": Newest(source), "target.draws": Newest(synced(source, sync))}


def rule(newest: dict[str, Newest], table: str) -> Rule:
    """Return the freshness rule of a table."""
    return cadence_rule(newest[table], Cadence.from_settings(get_settings()), ALLOWANCES[table])


@dataclass(frozen=True)
class Detection:
    """A broken day: what was announced, and how long after the condition was visible (None: never)."""

    seen: Replay
    after_visible: timedelta | None
    after_break: timedelta | None


def broken_day(what: str, table: str, length: timedelta) -> Detection:
    """Replay the day around a downtime of ``what``."""
    start, end = BREAK_AT - timedelta(hours=20), BREAK_AT + length
    newest = tables(start, 2, **{what: during(BREAK_AT, length)})
    judged = rule(newest, table)
    seen = replay(judged, start, end, load_alert_config().policy)
    if seen.first_alert_at is None:
        return Detection(seen, None, None)
    seconds = range(0, int(length.total_seconds()), 5)
    visible = next(BREAK_AT + timedelta(seconds=n) for n in seconds if judged(BREAK_AT + timedelta(seconds=n)))
    return Detection(seen, seen.first_alert_at - visible, seen.first_alert_at - BREAK_AT)
