"""Which span of time a sync run has to cover.

All spans are half-open, ``start <= t < end``, with aware times in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from drawsguard.refusal import RefusedError

#: ``interval``: a slot of the schedule, extended by lookback and watermark. ``range``: exactly what a person asked for.
#: ``news``: the slot that has not ended yet, extended in the same way; it counts for no watermark.
Mode = Literal["interval", "range", "news"]


class InvalidRangeError(RefusedError, ValueError):
    """The range that a person asked for makes no sense; nothing was run."""


@dataclass(frozen=True)
class Window:
    """A half-open span of time.

    :raises ValueError: when a bound has no time zone, or the span is empty.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"Window {self.start} – {self.end} needs bounds with a time zone.")
        if self.start >= self.end:
            raise ValueError(f"Window {self.start} – {self.end} is empty: its start must be before its end.")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))

    def covering(self, other: Self | None) -> Self:
        """Return the smallest window that holds both."""
        return self if other is None else type(self)(min(self.start, other.start), max(self.end, other.end))

    def pieces(self, length: timedelta) -> list[Self]:
        """Return consecutive windows of ``length``, the last one shorter, that together are this one."""
        starts = [self.start + at * length for at in range(-(-(self.end - self.start) // length))]
        return [type(self)(start, min(start + length, self.end)) for start in starts]

    def __str__(self) -> str:
        return f"[{self.start.isoformat()}, {self.end.isoformat()})"


@dataclass(frozen=True)
class SyncRequest:
    """What one run is asked to sync: its interval, how it came about, and whether to change anything."""

    interval: Window
    mode: Mode
    dry_run: bool = False


def requested_range(start: str | None, end: str | None) -> Window | None:
    """Return the range of the run's params ``from`` and ``to`` (ISO 8601), or None when neither is given.

    :raises InvalidRangeError: when one is missing, not a time with a zone, or they are in the wrong order.
    """
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise InvalidRangeError(
            f"Give both 'from' and 'to', or neither: from={start!r}, to={end!r}. Nothing was run; trigger again."
        )
    try:
        return Window(datetime.fromisoformat(start), datetime.fromisoformat(end))
    except ValueError as error:
        raise InvalidRangeError(
            f"from={start!r}, to={end!r} is not a range: {error} Write times such as 2025-10-03T09:00:00+08:00, "
            "'from' before 'to'. Nothing was run; trigger again."
        ) from error


def latest_slot(at: datetime, every: timedelta) -> Window:
    """Return the last complete slot of the grid ``every`` (counted from the epoch) at the time ``at``."""
    end = at - (at - datetime.fromtimestamp(0, UTC)) % every
    return Window(end - every, end)


def news_request(now: datetime, every: timedelta) -> SyncRequest:
    """Return what a run has to sync that was started by news: all until now, in the slot of ``now``.

    :param every: length of the schedule's slots.
    """
    begin = latest_slot(now, every).end
    return SyncRequest(Window(begin, begin + every), "news")


def sync_request(params: dict[str, Any], interval: Window | None, run_after: datetime, every: timedelta) -> SyncRequest:
    """Return what a run has to sync.

    :param params: the run's params ``from``, ``to`` and ``dry_run``.
    :param interval: the run's data interval; None for a run without a logical date, which takes the last complete slot.
    :param run_after: when the run was due.
    :param every: length of the schedule's slots.
    :raises InvalidRangeError: see `requested_range`.
    """
    asked = requested_range(params.get("from"), params.get("to"))
    dry_run = bool(params.get("dry_run"))
    if asked is not None:
        return SyncRequest(asked, "range", dry_run)
    return SyncRequest(interval or latest_slot(run_after, every), "interval", dry_run)


def sync_window(request: SyncRequest, lookback: timedelta, watermark: datetime | None) -> Window:
    """Return the span to sync.

    An interval, also one that has not ended, reaches back by the lookback (late and corrected draws), and to the
    watermark when that is older still: so the first run after an outage of any length covers all of it. A range is
    taken as asked for.

    :param watermark: everything before it was synced by earlier intervals; None when there was none yet.
    """
    if request.mode == "range":
        return request.interval
    start = request.interval.start - lookback
    return Window(start if watermark is None else min(start, watermark), request.interval.end)
