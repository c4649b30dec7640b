"""Which points are candidates for the downline, and in which class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from drawsguard.points.definitions import Definition
from drawsguard.points.policy import Selection
from drawsguard.points.review.usage import Usage, UsageIndex

#: From here on a spreadsheet does not keep a number's last digits.
_NO_CELL_KEEPS = 10**15


class PointClass(StrEnum):
    """The three anomaly classes of a point in the statistics window."""

    READ_ONLY = "read_only"
    WRITE_ONLY = "write_only"
    UNUSED = "unused"

    @property
    def label(self) -> str:
        """The bilingual name, as people read it."""
        return {"read_only": "只读不写 read-only", "write_only": "只写不读 write-only", "unused": "不读不写 unused"}[
            self
        ]


class Candidate(NamedTuple):
    """A point that may be taken offline: its class, its definition and its use."""

    point_class: PointClass
    definition: Definition
    usage: Usage


@dataclass
class Outcome:
    """The result for every live point: the candidates, and the number of others by reason."""

    candidates: list[Candidate] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def class_of(usage: Usage) -> PointClass | None:
    """Return the anomaly class, or None for a point that was both queried and updated."""
    if usage.queries and usage.updates:
        return None
    if usage.queries:
        return PointClass.READ_ONLY
    return PointClass.WRITE_ONLY if usage.updates else PointClass.UNUSED


def reason_against(definition: Definition, selection: Selection, window_start: datetime) -> str | None:
    """Return why a point's row can never be a candidate, or None.

    A row without a creation time has no known age and is never a candidate.
    """
    if definition.cluster not in selection.clusters:
        return "cluster not selected"
    if definition.modeltype not in selection.modeltypes:
        return "modeltype not selected"
    if definition.point_id >= _NO_CELL_KEEPS:
        return "id of more than 15 digits, which no spreadsheet keeps"
    if definition.created_time is None:
        return "age unknown"
    if definition.created_time >= window_start:
        return "younger than the window"
    return None


def classify(
    definitions: Iterable[Definition], usage: UsageIndex, selection: Selection, window_start: datetime
) -> Outcome:
    """Decide for every live point whether it is a candidate, in one pass.

    A point with several live rows is a candidate only when every row may be one: the downline changes them all.
    Candidates come in the order class, cluster, table, id.

    :param definitions: live rows; any order.
    :param usage: use in the window, with use through tags already counted for each point.
    :param window_start: first moment of the window (naive business time).
    """
    outcome = Outcome()
    found: dict[int, Candidate] = {}
    barred: set[int] = set()
    for definition in definitions:
        point = definition.point_id
        used = usage.of(point)
        point_class = class_of(used)
        if point_class is None:
            reason: str | None = "in use"
        elif max(used.queries, used.updates) >= _NO_CELL_KEEPS:
            reason = "count of more than 15 digits, which no spreadsheet keeps"
        elif usage.is_unreadable(point):
            reason = "use unknown: telemetry of it cannot be read"
        else:
            reason = reason_against(definition, selection, window_start)
        if reason is not None:
            outcome.others[reason] += 1
            barred.add(point)
        elif point not in found and point_class is not None:
            found[point] = Candidate(point_class, definition, used)
    outcome.candidates = sorted(_allowed(found, barred, outcome.others), key=_order)
    return outcome


def _allowed(found: dict[int, Candidate], barred: set[int], others: Counter[str]) -> Iterator[Candidate]:
    for point, candidate in found.items():
        if point in barred:
            others["another live row is not selectable"] += 1
        else:
            yield candidate


def _order(candidate: Candidate) -> tuple[str, str, str, int]:
    definition = candidate.definition
    return candidate.point_class, definition.cluster, definition.table, definition.point_id
