"""What was queried and updated, per point, with use through tags counted for each of a tag's points.

Counts and times are kept in flat arrays, one slot per point: a million points take some hundred megabytes, and every
step is one pass over its input.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from drawsguard.points.telemetry.oper_type import CHECK_COUNT, numbers_in

#: Operations that count as use, and the one that reports a failed access.
QUERY, UPDATE = "que", "upd"
OPERATIONS = (QUERY, UPDATE)
ERROR = "err"

#: One row of the statistics: oper_type, when it was last seen (naive, business time), how often.
MetricRow = tuple[str, datetime, int]

#: Reads an oper_type: (operation, kind "eid" or "tag", id), or None when it is not a point's metric.
Parser = Callable[[str], "tuple[str, str, int] | None"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - times of the statistics are naive business time throughout
_NEVER = -1


class Usage(NamedTuple):
    """Use of one point in the window. Counts include use through tags; times are naive business time."""

    queries: int
    last_query: datetime | None
    last_query_by_tag: datetime | None
    updates: int
    last_update: datetime | None
    last_update_by_tag: datetime | None


UNUSED = Usage(0, None, None, 0, None, None)


@dataclass
class UnknownMetrics:
    """oper_types that could not be read: how many of how many rows, and a few of them."""

    rows: int = 0
    total: int = 0
    samples: list[str] = field(default_factory=list)

    @property
    def percent(self) -> float:
        return 100 * self.rows / self.total if self.total else 0.0


class _Counter:
    """Count and last time, alone and by tag, of one operation for every slot."""

    def __init__(self) -> None:
        self.count = array("q")
        self.last = array("q")
        self.last_by_tag = array("q")

    def grow(self) -> None:
        self.count.append(0)
        self.last.append(_NEVER)
        self.last_by_tag.append(_NEVER)


class UsageIndex:
    """Use of every point that the statistics mention, alone or through a tag.

    An oper_type that cannot be read may be use of each point and tag whose number it holds: see `is_unreadable`.

    :param parse: reads an oper_type.
    :param window_start: rows last seen before this (naive business time) do not count as use in the window.
    """

    def __init__(self, parse: Parser, window_start: datetime) -> None:
        self._parse = parse
        self._start = _seconds(window_start)
        self._slots: dict[int, int] = {}
        self._by_operation = {operation: _Counter() for operation in OPERATIONS}
        self._tags: dict[tuple[str, int], tuple[int, int]] = {}
        self._unreadable: set[int] = set()
        self._unreadable_members: set[int] = set()
        self.unknown = UnknownMetrics()

    def add(self, rows: Iterable[MetricRow]) -> None:
        """Count metric rows; a row without a count, or from before the window, is not use."""
        parse, start, tags = self._parse, self._start, self._tags
        for oper_type, seen, count in rows:
            if oper_type == CHECK_COUNT:
                continue
            self.unknown.total += 1
            parsed = parse(oper_type)
            if parsed is None:
                self._note_unknown(oper_type)
                self._unreadable |= numbers_in(oper_type)
                continue
            operation, kind, number = parsed
            if operation == ERROR:
                continue
            if operation not in self._by_operation:  # the pattern knows it, and nobody said what it means
                self._unreadable.add(number)
                continue
            last = _seconds(seen)
            if count <= 0 or last < start:
                continue
            if kind == "tag":
                total, latest = tags.get((operation, number), (0, _NEVER))
                tags[operation, number] = (total + count, max(latest, last))
            else:
                slot, counter = self._slot(number), self._by_operation[operation]
                counter.count[slot] += count
                if last > counter.last[slot]:
                    counter.last[slot] = last

    def spread_tags(self, members: Mapping[int, Iterable[int]]) -> list[int]:
        """Count each tag's use for each of its points; call once, after the last `add`.

        :param members: points of each tag, whatever the tag's status: use through a dead tag is use, too.
        :returns: tags that were used but are defined nowhere.
        """
        for tag in self._unreadable & members.keys():
            self._unreadable_members.update(members[tag])
        undefined = set()
        for (operation, tag), (count, last) in self._tags.items():
            if tag not in members:
                undefined.add(tag)
                continue
            counter = self._by_operation[operation]
            for point in set(members[tag]):
                slot = self._slot(point)
                counter.count[slot] += count
                if last > counter.last_by_tag[slot]:
                    counter.last_by_tag[slot] = last
        self._tags.clear()
        return sorted(undefined)

    def is_unreadable(self, point: int) -> bool:
        """Return whether telemetry that cannot be read may be use of ``point``, alone or through a tag."""
        return point in self._unreadable or point in self._unreadable_members

    def of(self, point: int) -> Usage:
        """Return the use of ``point`` in the window."""
        slot = self._slots.get(point)
        if slot is None:
            return UNUSED
        queries, updates = self._by_operation["que"], self._by_operation["upd"]
        return Usage(
            queries.count[slot],
            _time(queries.last[slot]),
            _time(queries.last_by_tag[slot]),
            updates.count[slot],
            _time(updates.last[slot]),
            _time(updates.last_by_tag[slot]),
        )

    def _slot(self, point: int) -> int:
        slot = self._slots.get(point)
        if slot is None:
            slot = self._slots[point] = len(self._slots)
            for counter in self._by_operation.values():
                counter.grow()
        return slot

    def _note_unknown(self, oper_type: str) -> None:
        self.unknown.rows += 1
        if len(self.unknown.samples) < 10:
            self.unknown.samples.append(oper_type)


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def _time(seconds: int) -> datetime | None:
    return None if seconds == _NEVER else _EPOCH + timedelta(seconds=seconds)
