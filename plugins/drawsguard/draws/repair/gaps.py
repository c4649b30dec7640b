"""Finding missing draws: one by one in a window, and by the counts of days in the whole history."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

from drawsguard.draws.retention import EARLIEST
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.parameters import Typed
from drawsguard.warehouse.runner import StatementRunner

Cause = Literal["not_synced", "not_collected"]

#: How far beyond the requested range neighbours are searched, so that a gap at its edge is found.
MARGIN = timedelta(days=1)

DAY = timedelta(days=1)

#: Spans of suspicious days that one run compares draw by draw; with more, the runs take turns.
MOST_SPANS = 20
TURN = timedelta(minutes=5)


@dataclass(frozen=True)
class Gap:
    """A run of missing draws. ``start`` and ``end`` are the times of its neighbours, or of the unsynced draw itself."""

    first: int
    last: int
    cause: Cause
    start: datetime
    end: datetime

    @property
    def periods(self) -> range:
        return range(self.first, self.last + 1)


def find_gaps(statements: StatementRunner, window: Window, settled_before: datetime) -> list[Gap]:
    """Return the missing draws whose hole reaches into ``window``, oldest first.

    :param settled_before: draws collected, and gaps that ended, from then on are still under way, unless the draws are
        older than what a scheduled sync looks back to.
    """
    rows = statements.rows(
        "repair/missing_periods.sql",
        search_from=max(window.start - MARGIN, EARLIEST),
        search_to=window.end + MARGIN,
        settled_before=settled_before,
        synced_from=settled_before - timedelta(minutes=get_settings().sync_lookback_minutes),
    )
    gaps = [Gap(r["first_period"], r["last_period"], r["cause"], r["gap_start"], r["gap_end"]) for r in rows]
    return [gap for gap in gaps if gap.end >= window.start and gap.start < window.end]


def find_gaps_anywhere(
    statements: StatementRunner, recent: Window, settled_before: datetime, known: Collection[int]
) -> list[Gap]:
    """Return the missing draws of ``recent``, and then those of the whole history before it.

    Older days are judged by the counts that BigQuery keeps of each hour; only days with too few draws, and what the
    source holds from before the first one, are compared draw by draw. So the cost does not grow with the table.

    :param settled_before: see `find_gaps`.
    :param known: older draws that are missing and need not be found again.
    """
    gaps = dict.fromkeys(find_gaps(statements, recent, settled_before))
    days = statements.rows(
        "repair/suspicious_days.sql",
        earliest=EARLIEST,
        recent_from=recent.start,
        known=Typed("INT64", sorted(known)),
    )
    first_day = days[0]["day"] + DAY if days else recent.start
    suspicious = joined(Window(row["day_before"], row["day"] + DAY) for row in days if row["missing"] > 0)
    for span in [Window(EARLIEST, first_day), *in_turn(suspicious, settled_before)]:
        found = find_gaps(statements, span, settled_before)
        gaps |= dict.fromkeys(gap for gap in found if not set(gap.periods).issubset(known))
    return list(gaps)


def in_turn(spans: list[Window], now: datetime) -> list[Window]:
    """Return the spans that are compared now: all of them, or another `MOST_SPANS` of them every five minutes."""
    if len(spans) <= MOST_SPANS:
        return spans
    first = int(now.timestamp() // TURN.total_seconds()) * MOST_SPANS % len(spans)
    return (spans[first:] + spans[:first])[:MOST_SPANS]


def first_draws(gaps: Iterable[Gap], most: int) -> list[Gap]:
    """Return the gaps from the first on, cut off after ``most`` draws."""
    taken: list[Gap] = []
    for gap in gaps:
        if most <= 0:
            break
        last = min(gap.last, gap.first + most - 1)
        taken.append(Gap(gap.first, last, gap.cause, gap.start, gap.end))
        most -= len(taken[-1].periods)
    return taken


def joined(windows: Iterable[Window]) -> list[Window]:
    """Return the windows in order, those that touch or overlap joined."""
    spans: list[Window] = []
    for window in sorted(windows, key=lambda window: window.start):
        if spans and window.start <= spans[-1].end:
            spans[-1] = spans[-1].covering(window)
        else:
            spans.append(window)
    return spans


def spans_of(gaps: Iterable[Gap], margin: timedelta = timedelta(0)) -> list[Window]:
    """Return the spans of time that hold the gaps with a margin on both sides, overlapping ones joined."""
    return joined(Window(gap.start - margin, gap.end + margin + timedelta(seconds=1)) for gap in gaps)


def _neighbours_joined(gaps: list[Gap]) -> list[Gap]:
    """Join neighbouring gaps of one cause: a run of many unsynced draws is one entry, not one per draw."""
    ordered = sorted(gaps, key=lambda gap: gap.first)
    runs = ordered[:1]
    for before, gap in pairwise(ordered):
        if gap.cause == before.cause and gap.first == before.last + 1:
            runs[-1] = Gap(runs[-1].first, gap.last, gap.cause, runs[-1].start, gap.end)
        else:
            runs.append(gap)
    return runs


def describe_gaps(gaps: list[Gap]) -> list[dict[str, Any]]:
    """Return the gaps as JSON values, oldest first, neighbours joined."""
    return [
        {
            "first_period": gap.first,
            "last_period": gap.last,
            "draws": len(gap.periods),
            "cause": gap.cause,
            "from": gap.start.isoformat(),
            "to": gap.end.isoformat(),
        }
        for gap in _neighbours_joined(gaps)
    ]
