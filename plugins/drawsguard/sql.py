"""Statements live in files under ``include/sql/<engine>/<stage>/``; this module loads, names and binds them.

Jinja fills in identifiers only (projects, datasets, tables, columns), each held against a pattern. Values travel as
bound parameters: `bind` gives them their BigQuery types.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import dropwhile
from typing import Any

from google.cloud.bigquery import ArrayQueryParameter, QueryJobConfig, ScalarQueryParameter
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from drawsguard.settings import IDENTIFIER_PATTERN, REPOSITORY, get_settings

#: The folder that `render` reads from.
SQL_ROOT = REPOSITORY / "include" / "sql"

#: Settings that every statement may name without passing them.
DEFAULT_IDENTIFIERS = ("project", "location", "source_dataset", "target_dataset", "monitor_dataset")

Identifiers = str | Sequence[str]
Parameter = ScalarQueryParameter | ArrayQueryParameter


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # Nothing is escaped: the output is SQL, and every value that reaches it has passed _checked().
    return Environment(  # noqa: S701
        loader=FileSystemLoader(SQL_ROOT), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )


def _checked(name: str, value: Identifiers) -> Identifiers:
    for part in [value] if isinstance(value, str) else value:
        if not isinstance(part, str) or not re.fullmatch(IDENTIFIER_PATTERN, part):
            raise ValueError(
                f"Identifier {name}={part!r} does not match {IDENTIFIER_PATTERN}. Only names are rendered into a "
                "statement; bind values as query parameters instead."
            )
    return value


def render(path: str, **identifiers: Identifiers) -> str:
    """Return the statement in ``include/sql/<path>``, without its header comment, with its identifiers filled in.

    Project, location and dataset names come from the settings unless passed.

    :param path: file below ``include/sql``, e.g. ``bigquery/sync/merge_draws.sql``.
    :param identifiers: a name, or a sequence of names, for each further placeholder of the file.
    :raises ValueError: when an identifier is not a plain name.
    :raises jinja2.UndefinedError: when the file names a placeholder that was not passed.
    :raises jinja2.TemplateNotFound: when there is no such file.
    """
    settings = get_settings()
    names: dict[str, Identifiers] = {name: getattr(settings, name) for name in DEFAULT_IDENTIFIERS} | identifiers
    text = _environment().get_template(path).render({name: _checked(name, value) for name, value in names.items()})
    return _without_header(text)


def _without_header(text: str) -> str:
    """Drop the leading comment block: it is written for readers of the file, not for the engine."""
    lines = text.splitlines(keepends=True)
    return "".join(dropwhile(lambda line: line.startswith("--") or not line.strip(), lines))


@dataclass(frozen=True)
class Typed:
    """A value whose BigQuery type cannot be seen from the value itself: NULL, or an empty array.

    ``Typed("TIMESTAMP", None)`` is a NULL timestamp, ``Typed("INT64", [])`` an empty array of integers.
    """

    type: str
    value: Any


# bool before int and datetime before date: each is a subclass of the other.
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (Decimal, "NUMERIC"),
    (str, "STRING"),
    (bytes, "BYTES"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
)


def _type_of(name: str, value: Any) -> str:
    for python_type, bigquery_type in _TYPES:
        if isinstance(value, python_type):
            if isinstance(value, datetime) and value.tzinfo is None:
                raise ValueError(f"Parameter @{name}={value!r} has no time zone; pass an aware datetime.")
            return bigquery_type
    raise TypeError(f"Parameter @{name}={value!r} has no known BigQuery type; wrap it as Typed(type, value).")


def bind(**values: Any) -> list[Parameter]:
    """Return typed query parameters, one a keyword.

    :param values: Python values; datetimes are aware. NULL and empty arrays are wrapped in `Typed`.
    :raises TypeError: when a value's BigQuery type is not known.
    :raises ValueError: when a datetime has no time zone.
    """
    parameters: list[Parameter] = []
    for name, value in values.items():
        bare, declared = (value.value, value.type) if isinstance(value, Typed) else (value, None)
        if isinstance(bare, list | tuple):
            if not bare and declared is None:
                raise TypeError(f"Parameter @{name} is an empty array; wrap it as Typed(type, []).")
            parameters.append(ArrayQueryParameter(name, declared or _type_of(name, bare[0]), list(bare)))
        else:
            parameters.append(ScalarQueryParameter(name, declared or _type_of(name, bare), bare))
    return parameters


def label(text: str) -> str:
    """Return ``text`` as a BigQuery label value: lower case, at most 63 of ``a-z 0-9 _ -``."""
    return re.sub(r"[^a-z0-9_-]", "_", text.lower())[:63]


def query_config(dag_id: str, task_id: str, /, **values: Any) -> QueryJobConfig:
    """Return what every query job carries: bound values, a ceiling on its bytes and the labels ``dag`` and ``task``.

    :param values: see `bind`.
    """
    return QueryJobConfig(
        query_parameters=bind(**values),
        maximum_bytes_billed=get_settings().maximum_bytes_billed,
        labels={"dag": label(dag_id), "task": label(task_id)},
        use_legacy_sql=False,
    )


def job_configuration(statement: str, dag_id: str, task_id: str, /, **values: Any) -> dict[str, Any]:
    """Return the same as a REST resource: the ``configuration`` of a BigQueryInsertJobOperator."""
    configuration = query_config(dag_id, task_id, **values).to_api_repr()
    configuration["query"]["query"] = statement
    return configuration
