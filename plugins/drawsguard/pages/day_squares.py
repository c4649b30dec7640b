"""Days as squares: a column a week, Monday on top, as people know it from calendars of contributions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

#: Distance from one square to the next, and its side (units of the drawing).
STEP, SIDE = 14, 11
#: Room for the names of the weekdays, and of the months.
LEFT, TOP = 26, 18


class Day(NamedTuple):
    """One day: ``kind`` names its colour, ``text`` is what a reader sees on it."""

    day: date
    kind: str
    text: str


class Square(NamedTuple):
    """A day's place in the drawing."""

    x: int
    y: int
    kind: str
    text: str


@dataclass(frozen=True)
class Calendar:
    """A drawing of days."""

    squares: tuple[Square, ...]
    months: tuple[tuple[int, int], ...]
    width: int
    height: int = TOP + 7 * STEP
    side: int = SIDE

    @property
    def weekdays(self) -> list[tuple[int, int]]:
        """(number from Monday, y) of the weekdays that are named."""
        return [(weekday, TOP + weekday * STEP + SIDE - 2) for weekday in (0, 2, 4)]


def calendar(days: Iterable[Day]) -> Calendar:
    """Return the drawing of days, which come in order and without gaps."""
    ordered = list(days)
    if not ordered:
        return Calendar((), (), LEFT)
    first = ordered[0].day.weekday()
    squares, months = [], []
    for number, one in enumerate(ordered):
        week, weekday = divmod(first + number, 7)
        squares.append(Square(LEFT + week * STEP, TOP + weekday * STEP, one.kind, one.text))
        if one.day.day == 1:
            months.append((LEFT + week * STEP, one.day.month))
    last_week = (first + len(ordered) - 1) // 7
    return Calendar(tuple(squares), tuple(months), LEFT + (last_week + 1) * STEP)
