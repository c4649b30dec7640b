"""Finding missing draws: one by one in a range of periods, and which ranges those are, by the counts of hours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

from drawsguard.draws.draw_time import SHORTEST_SHARE
from drawsguard.draws.retention import EARLIEST
from drawsguard.draws.spans import joined_ranges
from drawsguard.draws.sync.period_hours import period_hours
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.parameters import Typed
from drawsguard.warehouse.runner import StatementRunner

Cause = Literal["not_synced", "not_collected"]

#: How far beyond the requested range neighbours are searched, so that a gap at its edge is found.
MARGIN = timedelta(days=1)

#: How long after a load of history its draws may wait for their sync before that is an incident.
LOAD = timedelta(hours=1)

#: Draws of one repair at most; the next run continues. A BigQuery request holds 10 MB, parameters included.
MOST_DRAWS = 10_000

#: Ranges of periods that one run compares draw by draw. Beyond it the closest are compared together, with what lies
#: between them: everything is found in one run, at the cost of reading more.
MOST_RANGES = 20


@dataclass(frozen=True)
class Gap:
    """A run of missing draws.

    ``start`` and ``end`` are the earlier and the later time of its neighbours, or the time of the unsynced draw itself.
    They say when it was drawn as far as those times are right; nothing but a description depends on them.
    ``loaded``: it is there because history is being loaded. It is repaired like any other, and is no incident.
    """

    first: int
    last: int
    cause: Cause
    start: datetime
    end: datetime
    loaded: bool = False

    @property
    def periods(self) -> range:
        return range(self.first, self.last + 1)

    def is_possible(self, interval: timedelta) -> bool:
        """Whether so many draws can have been drawn between the neighbours; if not, one of these has a wrong period.

        A short gap always is: there a neighbour's time can as well be what is wrong.

        :param interval: between two draws.
        """
        draws = len(self.periods)
        least_seconds = draws * interval.total_seconds() * SHORTEST_SHARE  # a timedelta ends at a billion days
        return draws <= MOST_DRAWS or least_seconds <= (self.end - self.start).total_seconds()


def find_gaps(statements: StatementRunner, window: Window, settled_before: datetime) -> list[Gap]:
    """Return the missing draws whose hole reaches into ``window``, oldest first.

    :param settled_before: draws collected, and gaps that ended, from then on are still under way, unless the draws are
        older than what a scheduled sync looks back to.
    """
    (found,) = statements.rows(
        "sync/window_periods.sql",
        window_start=max(window.start - MARGIN, EARLIEST),
        window_end=window.end + MARGIN,
    )
    if found["first_period"] is None:
        return []
    periods = range(found["first_period"], found["last_period"] + 1)
    gaps = missing_draws(statements, periods, settled_before)
    return [gap for gap in gaps if gap.end >= window.start and gap.start < window.end]


def find_gaps_anywhere(statements: StatementRunner, settled_before: datetime, known: Collection[int]) -> list[Gap]:
    """Return the missing draws of the whole history, oldest first.

    It is judged by the counts that BigQuery keeps of each hour; only the ranges of periods in which something is wrong
    are compared draw by draw. So the cost does not grow with the table.

    :param settled_before: see `find_gaps`.
    :param known: draws that are missing and need not be found again.
    """
    gaps: dict[Gap, None] = {}
    for periods in unwhole_ranges(statements, known):
        found = missing_draws(statements, periods, settled_before)
        gaps |= dict.fromkeys(part for gap in found for part in cut_out(gap, known))
    return sorted(gaps, key=lambda gap: gap.first)


def missing_draws(statements: StatementRunner, periods: range, settled_before: datetime) -> list[Gap]:
    """Return the missing draws of a range of periods, wherever in time its rows lie, oldest first.

    :param settled_before: see `find_gaps`.
    """
    wider = range(periods.start - 1, periods.stop + 1)
    hours = period_hours(statements, wider)
    if hours is None:
        return []
    reach = timedelta(minutes=get_settings().sync_lookback_minutes)
    rows = statements.rows(
        "repair/missing_periods.sql",
        period_from=wider.start,
        period_until=wider.stop,
        read_from=hours.start,
        read_until=hours.end,
        settled_before=settled_before,
        synced_from=settled_before - reach,
        reach_seconds=int(reach.total_seconds()),
        loaded_from=settled_before - LOAD,
    )
    columns = ("first_period", "last_period", "cause", "gap_start", "gap_end", "loaded")
    return [Gap(*(row[column] for column in columns)) for row in rows]


def unwhole_ranges(statements: StatementRunner, known: Collection[int]) -> list[range]:
    """Return the ranges of periods in which the target lacks a draw or holds one twice, at most `MOST_RANGES`.

    :param known: missing draws that do not count.
    """
    rows = statements.rows("repair/unwhole_periods.sql", known=Typed("INT64", sorted(known)), earliest=EARLIEST)
    return joined_ranges([range(row["first_period"], row["last_period"] + 1) for row in rows], MOST_RANGES)


def first_draws(gaps: Iterable[Gap], most: int) -> list[Gap]:
    """Return the gaps from the first on, cut off after ``most`` draws."""
    taken: list[Gap] = []
    for gap in gaps:
        if most <= 0:
            break
        last = min(gap.last, gap.first + most - 1)
        taken.append(replace(gap, last=last))
        most -= len(taken[-1].periods)
    return taken


def cut_out(gap: Gap, periods: Collection[int]) -> list[Gap]:
    """Return what is left of a gap without these periods, oldest first."""
    edges = [gap.first - 1, *sorted(period for period in periods if period in gap.periods), gap.last + 1]
    return [replace(gap, first=left + 1, last=right - 1) for left, right in pairwise(edges) if right - left > 1]


def cut_to(gap: Gap, periods: Collection[int]) -> list[Gap]:
    """Return the parts of a gap that these periods are, oldest first."""
    runs = [range(period, period + 1) for period in periods if period in gap.periods]
    return [replace(gap, first=run.start, last=run.stop - 1) for run in joined_ranges(runs)]


def span_of(gap: Gap, sure: Mapping[int, datetime]) -> Window:
    """Return the span in which the missing draws were drawn: from the third draw before them whose time is beyond doubt
    to the third one after them, since a neighbour of a missing draw may be wrong and yet fit all that are there.

    Where there is no such draw on a side, the gap's own neighbour stands in.

    :param sure: times by period (see `drawsguard.draws.draw_time.sure_times`).
    """
    before = sorted(at for period, at in sure.items() if period < gap.first)[-3:]
    after = sorted(at for period, at in sure.items() if period > gap.last)[:3]
    start, end = min(before, default=gap.start), max(after, default=gap.end)
    return Window(min(start, end), max(start, end) + timedelta(seconds=1))


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
