"""Params that hold text a person types: one line or several, of a limited length, without control characters.

Airflow checks them when a run is triggered and answers what is wrong with which param. Later it would be too late: a
NUL cannot be stored, so the task would end before its operator could say anything.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

#: For Python and for browsers; ``$`` would let a line break at the end through.
END = r"(?![\s\S])"
ONE_LINE = rf"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*{END}"
SEVERAL_LINES = rf"^(?:[^\u0000-\u001f\u007f-\u009f]|[\t\n\r])*{END}"
#: A batch of points, as `points_usage_report` names it.
BATCH_ID = rf"^[A-Za-z0-9][A-Za-z0-9_-]{{0,39}}{END}"

#: Marks a param that has no default: whoever triggers has to give it.
_REQUIRED: Any = object()


def text_param(
    description: str,
    *,
    longest: int,
    default: Any = _REQUIRED,
    shortest: int = 0,
    pattern: str = ONE_LINE,
) -> Param:
    """Return a param of text.

    :param description: Chinese first, then English.
    :param longest: :param shortest: characters.
    :param default: None lets it be left out; without one it has to be given.
    :param pattern: what the whole text must match.
    """
    schema: dict[str, Any] = {
        "type": ["null", "string"] if default is None else "string",
        "minLength": shortest,
        "maxLength": longest,
        "pattern": pattern,
    }
    return Param(description=description, **schema) if default is _REQUIRED else Param(default, description, **schema)


def batch_param(description: str, *, default: Any = _REQUIRED) -> Param:
    """Return a param that names a batch of points.

    :param description: Chinese first, then English.
    :param default: None lets it be left out; without one it has to be given.
    """
    return text_param(description, longest=40, default=default, pattern=BATCH_ID)
