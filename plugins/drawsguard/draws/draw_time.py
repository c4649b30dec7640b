"""The one rule for a draw's time: it must fit the draws around it.

Periods are drawn one after the other, so **times grow with periods**, and between two draws that are N periods apart
lie at least N × draw interval × `SHORTEST_SHARE`. Pauses, maintenance and outages only lengthen that, by any amount,
so there is no upper bound; a time ahead of the clock is refused by `drawsguard.draws.collect.feed`. A time may
therefore move by seconds or minutes between its neighbours, and never past one of them.

Which of two draws that contradict each other is wrong is decided by all others: the longest run of draws that fit
together is believed, and a draw is out of place when no such run holds it. One wrong draw among its neighbours thus
never keeps a right one out; where it is one word against another, both stand.

The rule is applied where draws come in (`drawsguard.draws.collect.poll`), and where a repair needs to know when a
missing draw was drawn. Everything downstream is right for any time: a row is found by its period, wherever it lies
(`drawsguard.draws.sync.period_hours`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum

#: Share of the draw interval that lies between two draws at least. Small, so that a feed with a faster cadence than the
#: setting says is no fault; large enough that draws dated a day early are found after an outage of most of a day.
SHORTEST_SHARE = 0.05

#: Stored draws that fit together before they may refuse one: fewer could be the wrong ones themselves.
LEAST_WITNESSES = 3

Times = Mapping[int, datetime]


class Fit(Enum):
    """How a draw stands among others: in every longest run that fits together, in one of several, or in none."""

    SURE = "sure"
    POSSIBLE = "possible"
    OUT = "out of place"


def least_distance(periods: int, interval: timedelta) -> timedelta:
    """Return how far apart in time two draws are at least.

    :param periods: how many periods they are apart.
    :param interval: between two draws.
    """
    return periods * interval * SHORTEST_SHARE


def fits(times: Times, interval: timedelta) -> dict[int, Fit]:
    """Return how each draw fits the others, by period.

    :param times: of the draws, by period, in any order.
    :param interval: between two draws.
    """
    periods = sorted(times)
    # With the least distance taken off, draws that fit together are those that never fall.
    ahead = [_ahead(period, times[period], interval) for period in periods]
    before = _longest_ending(ahead)
    after = _longest_ending([-value for value in reversed(ahead)])[::-1]
    longest = max(before, default=0)
    through = [start + end - 1 for start, end in zip(before, after, strict=True)]
    rivals = Counter(start for start, length in zip(before, through, strict=True) if length == longest)
    return {
        period: Fit.OUT if length < longest else Fit.SURE if rivals[start] == 1 else Fit.POSSIBLE
        for period, start, length in zip(periods, before, through, strict=True)
    }


def sure_times(times: Times, interval: timedelta) -> dict[int, datetime]:
    """Return the times of the draws that fit the others beyond doubt, in the order of their periods."""
    return {period: times[period] for period, fit in fits(times, interval).items() if fit is Fit.SURE}


def out_of_place(incoming: Times, stored: Times, interval: timedelta) -> dict[int, str]:
    """Return which of the incoming draws break the rule, by period, with the draw that each contradicts.

    What is stored and fits together decides first, so that many wrong draws of one answer cannot outvote it; then the
    incoming draws are held against each other.

    One stored draw alone refuses none: it may be the wrong one, and then it would keep the right ones out for ever.

    :param incoming: times of draws that are new, or of versions that are.
    :param stored: times of the stored draws around them; a stored version of an incoming draw has no say about it.
    :param interval: between two draws.
    """
    witnesses = sure_times({p: at for p, at in stored.items() if p not in incoming}, interval)
    if len(witnesses) < LEAST_WITNESSES:
        witnesses = {}
    refused = _refused(incoming, witnesses, interval, least=2)
    left = {period: drawn_at for period, drawn_at in incoming.items() if period not in refused}
    together = dict(witnesses or stored) | left
    judged = fits(together, interval)
    sure = {period: together[period] for period, fit in judged.items() if fit is Fit.SURE}
    out = {period: drawn_at for period, drawn_at in left.items() if judged[period] is Fit.OUT}
    unnamed = {
        period: f"Drawn at {at.isoformat()}, which fits none of the draws around it." for period, at in out.items()
    }
    return refused | unnamed | _refused(out, sure, interval)


def _refused(incoming: Times, witnesses: Times, interval: timedelta, least: int = 1) -> dict[int, str]:
    """Return which draws contradict the nearest witness on a side; what fits these two fits all.

    :param witnesses: times that fit together, in the order of their periods.
    :param least: how many witnesses a draw has to contradict on one side.
    """
    periods = list(witnesses)
    times = [_ahead(period, witnesses[period], interval) for period in periods]
    refused = {}
    for period, drawn_at in incoming.items():
        after = bisect_right(periods, period)
        before = bisect_left(periods, period) - 1
        ahead = _ahead(period, drawn_at, interval)
        # Witnesses never fall, so those that a draw contradicts are the nearest ones.
        if max(before + 1 - bisect_right(times, ahead), bisect_left(times, ahead) - after) < least:
            continue
        for at in (before, after):
            if 0 <= at < len(periods) and not _fit(period, drawn_at, periods[at], witnesses[periods[at]], interval):
                refused[period] = _contradiction(period, drawn_at, periods[at], witnesses[periods[at]], interval)
    return refused


def _ahead(period: int, drawn_at: datetime, interval: timedelta) -> int:
    """Return the time (microseconds) less the least that the periods up to this one take."""
    least = round(interval.total_seconds() * SHORTEST_SHARE * 1_000_000)
    return round(drawn_at.timestamp() * 1_000_000) - period * least


def _fit(period: int, drawn_at: datetime, other: int, other_at: datetime, interval: timedelta) -> bool:
    first, second = sorted([(period, drawn_at), (other, other_at)])
    return _ahead(*first, interval) <= _ahead(*second, interval)


def _contradiction(period: int, drawn_at: datetime, other: int, other_at: datetime, interval: timedelta) -> str:
    return (
        f"Drawn at {drawn_at.isoformat()}; draw {other} was drawn at {other_at.isoformat()}, so draw {period} is "
        f"expected {_bound(period, other, other_at, interval)}."
    )


def _bound(period: int, other: int, other_at: datetime, interval: timedelta) -> str:
    apart = abs(period - other)
    try:
        distance = least_distance(apart, interval)
        if period < other:
            return f"at {(other_at - distance).isoformat()} or earlier"
        return f"at {(other_at + distance).isoformat()} or later"
    except OverflowError:  # milliseconds, or two numbers glued together: nearly anything may come as a period
        return f"{apart} periods apart, beyond any calendar"


def _longest_ending(values: Sequence[int]) -> list[int]:
    """Return, for each value, the length of the longest run ending there whose values never fall."""
    tails: list[int] = []
    lengths = []
    for value in values:
        at = bisect_right(tails, value)
        tails[at : at + 1] = [value]
        lengths.append(at + 1)
    return lengths
