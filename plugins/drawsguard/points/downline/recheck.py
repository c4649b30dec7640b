"""Use of points that those who approved their downline did not know: just before it, and while it is observed.

They knew the use of the report's window that made the point a candidate: reads of a read-only point, writes of a
write-only one. Any other use is news, whenever it was: telemetry arrives late, and a day is summed again when it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from drawsguard.points.database import stream
from drawsguard.points.review.classify import PointClass
from drawsguard.points.review.usage import ERROR, OPERATIONS, QUERY, UPDATE, Parser
from drawsguard.points.telemetry.oper_type import CHECK_COUNT, numbers_in

#: The operations of a report's window that made a point a candidate of each class.
_KNOWN: Mapping[PointClass, frozenset[str]] = {
    PointClass.READ_ONLY: frozenset({QUERY}),
    PointClass.WRITE_ONLY: frozenset({UPDATE}),
    PointClass.UNUSED: frozenset(),
}


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


def unknown_use(
    governance: Any,
    window: tuple[date, date],
    classes: Mapping[int, PointClass],
    members: Mapping[int, Iterable[int]],
    parse: Parser,
) -> list[Sign]:
    """Return the use of points that nobody knew who approved their downline by a report.

    :param window: first and last day of the report (business days).
    :param classes: the points in question, each with its class in the report.
    :param members: points of each tag, whatever the tag's status.
    """
    first, last = window
    ended = datetime.combine(last + timedelta(days=1), time.min)

    def is_known(sign: Sign) -> bool:
        parsed = parse(sign.oper_type)
        return sign.last_seen < ended and parsed is not None and parsed[0] in _KNOWN[classes[sign.point_id]]

    signs = signs_since(governance, datetime.combine(first, time.min), frozenset(classes), members, parse)
    return [sign for sign in signs if sign.kind == "use" and not is_known(sign)]


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
