"""Which days of the window have to be built: those that are new, and those whose source changed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from drawsguard.refusal import RefusedError


class RunDateError(RefusedError, ValueError):
    """The day that a person asked for cannot be worked on; nothing was run."""


class Fingerprint(NamedTuple):
    """What shows whether a source partition changed: its rows and its newest commit."""

    raw_rows: int
    last_commit: str | None


class StatisticsWindow(NamedTuple):
    """The days of one run, all complete: the run's own day is not among them."""

    run_date: date
    first: date
    last: date

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> StatisticsWindow:
        """Return the window from texts, as `texts` gives them.

        :raises ValueError: when one is not a date.
        """
        return cls(*(date.fromisoformat(texts[name]) for name in cls._fields))

    def texts(self) -> dict[str, str]:
        """Return the three dates as yyyy-MM-dd by name: what is passed between tasks."""
        return {name: value.isoformat() for name, value in self._asdict().items()}

    def days(self) -> list[str]:
        """Return every day, yyyy-MM-dd, oldest first."""
        return [(self.first + timedelta(days=i)).isoformat() for i in range((self.last - self.first).days + 1)]


def window_of(run_date: date, days: int) -> StatisticsWindow:
    """Return the window of a run: the ``days`` complete days before ``run_date``."""
    return StatisticsWindow(run_date, run_date - timedelta(days=days), run_date - timedelta(days=1))


def run_date_of(chosen: str | None, scheduled_for: datetime, zone: str) -> date:
    """Return the business day of a run.

    :param chosen: the date an operator chose (yyyy-MM-dd), or None.
    :param scheduled_for: when the run was due (aware).
    :param zone: the business time zone.
    :raises RunDateError: when the chosen text is no date, or lies after the day the run was due.
    """
    due = scheduled_for.astimezone(ZoneInfo(zone)).date()
    if not chosen:
        return due
    try:
        day = date.fromisoformat(chosen)
    except ValueError as error:
        raise RunDateError(f"run_date {chosen!r} is no date: write yyyy-MM-dd and trigger a new run.") from error
    if day > due:
        raise RunDateError(f"run_date {day} is in the future (today is {due}): choose a day whose telemetry exists.")
    return day


def days_to_build(
    window: StatisticsWindow, source: Mapping[str, Fingerprint], built: Mapping[str, Fingerprint], *, rebuild: bool
) -> list[str]:
    """Return the days to build, oldest first.

    A day is built when it never was, when its source has other rows or a newer commit than it was built from, and when
    its source vanished (so that nothing stays that has no source).

    :param source: fingerprint of each source partition in the window.
    :param built: fingerprint that each finished day was built from.
    :param rebuild: build every day again.
    """
    if rebuild:
        return [day for day in window.days() if day in source or day in built]
    return [day for day in window.days() if source.get(day) != built.get(day)]


def first_kept_day(window: StatisticsWindow, kept_days: int) -> str:
    """Return the oldest day, yyyy-MM-dd, whose minutes are kept: ``kept_days`` before the window."""
    return (window.first - timedelta(days=kept_days)).isoformat()


def chunks(days: Iterable[str], size: int) -> list[list[str]]:
    """Split days into lists of at most ``size``."""
    listed = list(days)
    return [listed[start : start + size] for start in range(0, len(listed), size)]
