"""Which draws of a year are there: by day, and by hour with a way to the draws of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from drawsguard.pages.day_squares import Calendar, Day, calendar
from drawsguard.settings import get_settings

#: Days of the maps.
DAYS = 365
HOUR = timedelta(hours=1)


class DayRow(NamedTuple):
    """The draws of a Beijing day."""

    day: date
    draws: int
    first_period: int
    last_period: int


@dataclass(frozen=True)
class Completeness:
    """The days of a year; missing counts the periods between the first and the last draw that are known."""

    days: tuple[tuple[date, str, int, int], ...]

    def count(self, kind: str) -> int:
        """How many days are of a kind."""
        return sum(one[1] == kind for one in self.days)

    @property
    def missing(self) -> int:
        """Draws that are missing in all."""
        return sum(one[3] for one in self.days)

    @property
    def flawed(self) -> list[tuple[date, str, int, int]]:
        """Days with missing draws, newest first."""
        return [one for one in reversed(self.days) if one[1] in ("few", "many", "none")]

    def drawing(self, draws: str, missing: str) -> Calendar:
        """Return the days as squares; the words are in the reader's language."""
        return calendar(
            Day(day, kind, f"{day}: {count} {draws}" + (f", {gap} {missing}" if gap else ""))
            for day, kind, count, gap in self.days
        )


#: From so many missing draws on a day counts as one with many: an hour's.
MANY = 17


def completeness_of(rows: Sequence[DayRow], today: date, length: int = DAYS) -> Completeness:
    """Judge each day up to ``today``: complete, few, many, none (no draws), or before (nothing was collected yet).

    Periods are consecutive, also over midnight: what is missing between two days counts for the later one.
    """
    by_day = {row.day: row for row in rows}
    started = min(by_day, default=None)
    found = []
    before: DayRow | None = None
    for offset in range(length - 1, -1, -1):
        day = today - timedelta(days=offset)
        row = by_day.get(day)
        if row is None:
            found.append((day, "before" if started is None or day < started else "none", 0, 0))
            continue
        gap = row.last_period - row.first_period + 1 - row.draws
        if before is not None:
            gap += max(0, row.first_period - before.last_period - 1)
        found.append((day, "many" if gap >= MANY else "few" if gap > 0 else "complete", row.draws, max(0, gap)))
        before = row
    return Completeness(tuple(found))


# --- hours ----------------------------------------------------------------------------------------------------
class HourRow(NamedTuple):
    """The draws of an hour that has some; the time is aware."""

    hour_utc: datetime
    draws: int
    first_period: int
    last_period: int


class HourCell(NamedTuple):
    """An hour: ``kind`` is complete, few, many, none, quiet (no draw was due), or before (nothing is known)."""

    hour: datetime
    kind: str
    draws: int
    missing: int


#: From so many missing draws on an hour counts as one with many: a third of it.
MANY_AN_HOUR = 6


def days_of(hours: Iterable[HourRow]) -> list[DayRow]:
    """Return the business days of some hours, which come oldest first."""
    zone = ZoneInfo(get_settings().business_timezone)
    found: dict[date, DayRow] = {}
    for row in hours:
        day = row.hour_utc.astimezone(zone).date()
        known = found.get(day)
        if known is None:
            found[day] = DayRow(day, row.draws, row.first_period, row.last_period)
        else:
            found[day] = DayRow(
                day, known.draws + row.draws, min(known.first_period, row.first_period),
                max(known.last_period, row.last_period),
            )  # fmt: skip
    return list(found.values())


def hours_of(rows: Iterable[HourRow], until: datetime) -> list[HourCell]:
    """Judge each hour from the first row's up to a time (aware); what is missing before a row counts for its hour.

    :param rows: oldest first.
    """
    found: list[HourCell] = []
    waiting: list[datetime] = []
    before: HourRow | None = None
    for row in rows:
        gap = row.last_period - row.first_period + 1 - row.draws
        if before is not None:
            outside = max(0, row.first_period - before.last_period - 1)
            gap += outside
            hour = before.hour_utc + HOUR
            while hour < row.hour_utc:
                found.append(HourCell(hour, "none" if outside else "quiet", 0, 0))
                hour += HOUR
        kind = "many" if gap >= MANY_AN_HOUR else "few" if gap > 0 else "complete"
        found.append(HourCell(row.hour_utc, kind, row.draws, max(0, gap)))
        before = row
    if before is not None:
        hour = before.hour_utc + HOUR
        while hour <= until:
            waiting.append(hour)
            hour += HOUR
    return found + [HourCell(hour, "before", 0, 0) for hour in waiting]


class Stretch(NamedTuple):
    """Hours of one row of the map: a flawed one stands alone and has an address, others are drawn together."""

    x: int
    y: int
    width: int
    kind: str
    text: str
    at: str


@dataclass(frozen=True)
class HourMap:
    """A map of hours: a column a business day, a row an hour of the day."""

    stretches: tuple[Stretch, ...]
    months: tuple[tuple[int, int], ...]
    first: date
    width: int
    left: int = 26
    top: int = 18
    step_x: int = 3
    step_y: int = 6

    @property
    def height(self) -> int:
        """Units of the drawing."""
        return self.top + 24 * self.step_y

    @property
    def named(self) -> list[tuple[int, int]]:
        """(hour, y) of the hours that are named."""
        return [(hour, self.top + hour * self.step_y + 6) for hour in (0, 6, 12, 18)]


_ALONE = frozenset({"few", "many", "none"})


def hour_map(cells: Iterable[HourCell], today: date, draws: str, missing: str) -> HourMap:
    """Return the drawing of a year up to ``today``; the words are in the reader's language."""
    zone = ZoneInfo(get_settings().business_timezone)
    first = today - timedelta(days=DAYS - 1)
    empty = HourMap((), (), first, 0)
    kinds: dict[tuple[int, int], HourCell] = {}
    for cell in cells:
        local = cell.hour.astimezone(zone)
        column = (local.date() - first).days
        if 0 <= column < DAYS:
            kinds[local.hour, column] = cell
    stretches = []
    for hour in range(24):
        column = 0
        while column < DAYS:
            known = kinds.get((hour, column))
            kind = known.kind if known else "before"
            length = 1
            if kind not in _ALONE:
                while column + length < DAYS and _kind(kinds, hour, column + length) == kind:
                    length += 1
            day = first + timedelta(days=column)
            text, at = "", ""
            if known and kind in _ALONE:
                at = f"{day}T{hour:02}"
                text = f"{day} {hour:02}:00: {known.draws} {draws}, {known.missing} {missing}"
            x, y = empty.left + column * empty.step_x, empty.top + hour * empty.step_y
            stretches.append(Stretch(x, y, length * empty.step_x, kind, text, at))
            column += length
    days = [first + timedelta(days=number) for number in range(DAYS)]
    months = [(empty.left + at * empty.step_x, day.month) for at, day in enumerate(days) if day.day == 1]
    return HourMap(tuple(stretches), tuple(months), first, empty.left + DAYS * empty.step_x)


def _kind(kinds: dict[tuple[int, int], HourCell], hour: int, column: int) -> str:
    cell = kinds.get((hour, column))
    return cell.kind if cell else "before"


def hour_at(text: str) -> datetime | None:
    """Return the hour (aware) that ``YYYY-MM-DDTHH`` names in business time, minutes ignored; None: it names none."""
    try:
        named = datetime.fromisoformat(text)
    except ValueError:
        return None
    if named.tzinfo is not None or not 2000 <= named.year < 2200:
        return None
    zone = ZoneInfo(get_settings().business_timezone)
    return named.replace(minute=0, second=0, microsecond=0, tzinfo=zone).astimezone(UTC)


def missing_in(periods: Sequence[int], first: int | None) -> list[int]:
    """Return the periods that are missing among some in order, from ``first`` on when it is known."""
    if not periods:
        return []
    there = set(periods)
    begin = periods[0] if first is None else min(first, periods[0])
    return [period for period in range(begin, periods[-1]) if period not in there]
