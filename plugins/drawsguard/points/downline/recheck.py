"""Use of points after a moment: just before the downline, and while a batch is observed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from drawsguard.points.database import stream
from drawsguard.points.review.usage import ERROR, OPERATIONS, Parser
from drawsguard.points.telemetry.oper_type import CHECK_COUNT, numbers_in


class Sign(NamedTuple):
    """A sign of life of a point: ``use`` or ``error``, the metric, when it was last seen (business time), how often."""

    kind: str
    point_id: int
    oper_type: str
    last_seen: datetime
    times: int


def signs_since(
    governance: Any,
    since: datetime,
    points: frozenset[int],
    members: Mapping[int, Iterable[int]],
    parse: Parser,
) -> list[Sign]:
    """Return the newest sign of every metric that concerns one of ``points``, alone or through a tag.

    :param governance: a prepared connection to rsp_datagovern.
    A metric that cannot be read is use of every point whose number it holds, or that of one of its tags.

    :param since: naive business time; a metric last seen before then is not a sign.
    :param members: points of each tag, whatever the tag's status.
    """
    newest: dict[tuple[int, str], Sign] = {}
    for oper_type, seen, count in stream(governance, "downline/observe/used_since.sql", {"since": since}):
        if oper_type == CHECK_COUNT:
            continue
        operation, concerned = _concerned(oper_type, points, members, parse)
        for point in concerned:
            sign = Sign("error" if operation == ERROR else "use", point, oper_type, seen, int(count))
            known = newest.get((point, oper_type))
            if known is None or (sign.last_seen, sign.times) > (known.last_seen, known.times):
                newest[point, oper_type] = sign
    governance.rollback()
    return [newest[key] for key in sorted(newest)]


def _concerned(
    oper_type: str, points: frozenset[int], members: Mapping[int, Iterable[int]], parse: Parser
) -> tuple[str, frozenset[int]]:
    """Return the operation of a metric, and those of ``points`` that it concerns."""
    parsed = parse(oper_type)
    if parsed is not None and parsed[0] in (*OPERATIONS, ERROR):
        operation, kind, number = parsed
        return operation, points.intersection(members.get(number, ())) if kind == "tag" else points & {number}
    numbers = numbers_in(oper_type)
    by_tag = (points.intersection(members.get(number, ())) for number in numbers)
    return "", (points & numbers).union(*by_tag)
