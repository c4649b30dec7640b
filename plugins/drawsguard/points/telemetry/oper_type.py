"""The parts of an oper_type: the operation (query or update), by point or by tag, and the id."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

#: The row of the daily flow that counts the minutes of the day; it is not a metric.
CHECK_COUNT = "checkCount"

#: No id has more digits; a longer run is none.
_DIGITS = re.compile(r"(?<![0-9])[0-9]{1,18}(?![0-9])", re.ASCII)

_GROUPS = {"operation", "kind", "number"}


class OperType(NamedTuple):
    """One metric: ``operation`` is que or upd, ``kind`` eid (a point) or tag, ``number`` the id."""

    operation: str
    kind: str
    number: int


def parser(pattern: str) -> Callable[[str], OperType | None]:
    """Return a function that reads an oper_type, or returns None when it is not a point's metric.

    :param pattern: Python regular expression with the groups operation, kind and number.
    :raises ValueError: when the pattern is not a regular expression or lacks a group.
    """
    try:
        compiled = re.compile(pattern, re.ASCII)
    except re.error as error:
        raise ValueError(f"oper_type_pattern {pattern!r} is not a regular expression ({error}); correct it.") from error
    if set(compiled.groupindex) != _GROUPS:
        raise ValueError(
            f"oper_type_pattern {pattern!r} has the groups {sorted(compiled.groupindex)}; it needs {sorted(_GROUPS)}."
        )

    def parse(oper_type: str) -> OperType | None:
        match = compiled.fullmatch(oper_type)
        return OperType(match["operation"], match["kind"], int(match["number"])) if match else None

    return parse


def numbers_in(text: str) -> frozenset[int]:
    """Return every number that an oper_type could mean by itself, whatever else it says.

    What cannot be read is use until proven otherwise: ``que_eid_v2_1024`` may be about point or tag 1024, and about 2.
    """
    return frozenset(int(digits) for digits in _DIGITS.findall(text))


def hive_pattern(pattern: str) -> str:
    """Return the same pattern in the syntax of RLIKE (Java): named groups are written without the P."""
    return pattern.replace("(?P<", "(?<")
