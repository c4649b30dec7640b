"""Points whose lifetime nobody controls: without an owner, without a lifetime, idle; and how their number grows.

A point's lifetime has to be controlled from its creation. This report is what makes the next cleanup smaller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from drawsguard.points.cleanup.estimate import Estimate
from drawsguard.points.definitions import Definition
from drawsguard.points.review.usage import Usage

NOBODY = "(无负责人 nobody)"
UNKNOWN_MONTH = "(未知 unknown)"


class LifetimePoint(NamedTuple):
    """A point that is served.

    :param eid: the point's id.
    :param cluster: its cluster.
    :param owner: its owner; empty for nobody.
    :param month: month of its creation, e.g. ``2024-07``; None when not known.
    :param idle_days: days since it was last queried or updated, or since its creation when it never was; None when
        neither is known.
    :param has_lifetime: whether every sampled key of it expires; None when no key was found.
    """

    eid: int
    cluster: str
    owner: str
    month: str | None
    idle_days: int | None
    has_lifetime: bool | None


def lifetime_point(definition: Definition, usage: Usage, estimate: Estimate | None, today: date) -> LifetimePoint:
    """Return what the report knows about one point.

    :param definition: its row; times are naive business time.
    :param usage: its use in all of the statistics.
    :param estimate: what was sampled of its keys; None when its structure or instance could not be read.
    :param today: the business day of the report.
    """
    seen = [
        moment
        for moment in (usage.last_query, usage.last_query_by_tag, usage.last_update, usage.last_update_by_tag)
        if moment is not None
    ]
    last: datetime | None = max(seen) if seen else definition.created_time
    created = definition.created_time
    return LifetimePoint(
        definition.point_id,
        definition.cluster,
        definition.people.strip(),
        f"{created:%Y-%m}" if created else None,
        max(0, (today - last.date()).days) if last else None,
        None if estimate is None or not estimate.sampled else estimate.without_ttl == 0,
    )


@dataclass(frozen=True)
class LifetimeReport:
    """The report.

    :param points: every served point, once.
    :param idle_days: thresholds of the idle columns (days).
    """

    points: Sequence[LifetimePoint]
    idle_days: tuple[int, ...]

    def by(self, key: str) -> list[tuple[str, int, int, int, int, tuple[int, ...]]]:
        """Return (name, points, without owner, without lifetime, lifetime unknown, idle per threshold) by group.

        :param key: ``cluster`` or ``owner``.
        """
        groups: dict[str, list[LifetimePoint]] = {}
        for point in self.points:
            groups.setdefault(getattr(point, key) or NOBODY, []).append(point)
        return [
            (
                name,
                len(points),
                sum(not point.owner for point in points),
                sum(point.has_lifetime is False for point in points),
                sum(point.has_lifetime is None for point in points),
                tuple(sum((point.idle_days or 0) >= days for point in points) for days in self.idle_days),
            )
            for name, points in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
        ]

    def growth(self) -> list[tuple[str, int, int]]:
        """Return (month, points created in it that are still served, all served points up to it), oldest first.

        A month in which none was created is a row as well: a line drawn through the rows shows the pace.
        """
        months = Counter(point.month or UNKNOWN_MONTH for point in self.points)
        total = months.pop(UNKNOWN_MONTH, 0)
        rows = [(UNKNOWN_MONTH, total, total)] if total else []
        for month in _months(min(months), max(months)) if months else ():
            total += months[month]
            rows.append((month, months[month], total))
        return rows

    def created_until(self, month: str) -> list[tuple[str, int]]:
        """Return (month, points created in it that are still served) of the twelve months that end with ``month``.

        :param month: yyyy-MM.
        """
        year, number = map(int, month.split("-"))
        first = f"{year - (number < 12)}-{number % 12 + 1:02d}"
        created = Counter(point.month for point in self.points)
        return [(one, created[one]) for one in _months(first, month)]

    @property
    def without_owner(self) -> list[LifetimePoint]:
        """Points without an owner."""
        return [point for point in self.points if not point.owner]

    @property
    def without_lifetime(self) -> list[LifetimePoint]:
        """Points of which a sampled key never expires."""
        return [point for point in self.points if point.has_lifetime is False]

    @property
    def lifetime_unknown(self) -> int:
        """How many points no key was found of."""
        return sum(point.has_lifetime is None for point in self.points)

    def idle(self) -> Mapping[int, int]:
        """Return the number of points idle for at least each threshold (days)."""
        return {days: sum((point.idle_days or 0) >= days for point in self.points) for days in self.idle_days}


def first_of_each(definitions: Iterable[Definition]) -> list[Definition]:
    """Return one row per point: the oldest, since a point is as old as its first row."""
    oldest: dict[int, Definition] = {}
    for definition in definitions:
        known = oldest.get(definition.point_id)
        if known is None or _age_key(definition) < _age_key(known):
            oldest[definition.point_id] = definition
    return [oldest[eid] for eid in sorted(oldest)]


def _age_key(definition: Definition) -> tuple[bool, datetime]:
    return definition.created_time is None, definition.created_time or datetime.min  # noqa: DTZ901 - naive throughout


def _months(first: str, last: str) -> Iterator[str]:
    """Yield every month from ``first`` to ``last``, yyyy-MM."""
    year, month = map(int, first.split("-"))
    while (name := f"{year:04d}-{month:02d}") <= last:
        yield name
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
