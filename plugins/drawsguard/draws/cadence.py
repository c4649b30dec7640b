"""When draws are expected: a fixed cadence with a daily maintenance pause. Nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from drawsguard.zones import locked_zone

if TYPE_CHECKING:
    from drawsguard.settings import Settings

Window = tuple[datetime, datetime]

_MONDAY = 0


@dataclass(frozen=True)
class Cadence:
    """The calendar of draws.

    ``interval`` lies between two draws. Maintenance starts every day at ``maintenance_start`` in ``timezone`` (so it
    moves by an hour in UTC with daylight saving) and lasts ``maintenance``, on Mondays ``monday_maintenance``. The
    first draw after it is expected at its end, where the cadence starts again. All arguments of methods are aware.
    """

    interval: timedelta
    timezone: ZoneInfo
    maintenance_start: time = time(4)
    maintenance: timedelta = timedelta(hours=1)
    monday_maintenance: timedelta = timedelta(minutes=90)

    @classmethod
    def from_settings(cls, settings: Settings) -> Cadence:
        return cls(timedelta(seconds=settings.draw_interval_seconds), locked_zone(settings.maintenance_timezone))

    def maintenance_on(self, day: date) -> Window:
        """Return the maintenance of the local ``day`` as a half-open window in UTC."""
        start = datetime.combine(day, self.maintenance_start, self.timezone).astimezone(UTC)
        return start, start + (self.monday_maintenance if day.weekday() == _MONDAY else self.maintenance)

    def in_maintenance(self, moment: datetime) -> bool:
        """Return whether no draw is expected at ``moment`` because of maintenance."""
        start, end = self.maintenance_on(moment.astimezone(self.timezone).date())
        return start <= moment < end

    def open_windows(self, start: datetime, end: datetime) -> Iterator[Window]:
        """Yield the parts of the half-open ``[start, end)`` outside maintenance, oldest first."""
        day = start.astimezone(self.timezone).date()
        opened = start
        while opened < end:
            closed, reopened = self.maintenance_on(day)
            if opened < min(closed, end):
                yield opened, min(closed, end)
            opened = max(opened, reopened)
            day += timedelta(days=1)

    def open_time(self, start: datetime, end: datetime) -> timedelta:
        """Return how much of ``[start, end)`` lies outside maintenance."""
        return sum((closed - opened for opened, closed in self.open_windows(start, end)), timedelta())

    def expected_draws(self, start: datetime, end: datetime) -> int:
        """Return how many draws are expected in ``[start, end)``.

        The cadence is counted from the end of the maintenance before each; a feed that keeps another phase differs by
        at most one between two pauses. Judge completeness by continuity of periods; this is for rates and reports.
        """
        first_day = start.astimezone(self.timezone).date() - timedelta(days=1)
        grid_start = self.maintenance_on(first_day)[1]
        return self._grid_count(grid_start, end) - self._grid_count(grid_start, start)

    def next_expected(self, last_draw: datetime) -> datetime:
        """Return when the draw after the one at ``last_draw`` is expected: one interval later, or after maintenance."""
        expected = last_draw + self.interval
        for moment in (last_draw, expected):
            start, end = self.maintenance_on(moment.astimezone(self.timezone).date())
            if start <= expected and last_draw < end:
                return end
        return expected

    def overdue_draws(self, last_draw: datetime, now: datetime, allowance: timedelta = timedelta()) -> int:
        """Return how many draws should have arrived since ``last_draw`` and have not.

        Freshness is "overdue_draws == 0" with the allowance of the stage that is judged.

        :param last_draw: timestamp of the newest draw that is there.
        :param now: the moment of the judgement.
        :param allowance: time a draw may take to arrive (e.g. sync interval plus run time).
        """
        expected = self.next_expected(last_draw)
        due = now - allowance
        return 0 if due < expected else self._grid_count(expected, due + timedelta(microseconds=1))

    def overdue_from(self, last_draw: datetime, draws: int, allowance: timedelta = timedelta()) -> datetime:
        """Return from when on as many draws are overdue after the one at ``last_draw`` (see `overdue_draws`)."""
        for _ in range(draws):
            last_draw = self.next_expected(last_draw)
        return last_draw + allowance

    def _grid_count(self, start: datetime, end: datetime) -> int:
        """Count the draws in ``[start, end)`` when one falls on ``start`` and on the end of each maintenance."""
        return sum(-(-(closed - opened) // self.interval) for opened, closed in self.open_windows(start, end))
