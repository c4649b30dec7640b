"""Which tables a statement makes BigQuery read: those that it names, and those behind its views and functions.

The bill of small tables is their number: at least 10 MB are billed for every table that a query references, and at
least 10 MB a query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from drawsguard import sql
from drawsguard.settings import get_settings

#: Least that is billed on demand for each referenced table, and for each query (bytes).
MINIMUM_BYTES = 10 * 1024**2

#: Statements write every table, view and function as one quoted full name; only INFORMATION_SCHEMA stands outside.
_NAME = re.compile(r"`([^`]+)`(\.INFORMATION_SCHEMA\.\w+)?", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*")

#: What is only written to is not read. A MERGE, UPDATE or DELETE reads its target.
_WRITTEN = re.compile(r"\bINSERT\s+(?:INTO\s+)?`[^`]+`", re.IGNORECASE)

_CREATE = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?P<kind>MATERIALIZED\s+VIEW|VIEW|TABLE\s+FUNCTION|FUNCTION|TABLE|SCHEMA)\s+"
    r"(?:IF\s+NOT\s+EXISTS\s+)?`(?P<name>[^`]+)`",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Definition:
    """What stands behind a name: the text of a view or function; a materialized view holds rows of its own, too."""

    text: str
    materialized: bool = False


def definitions(statements: Iterable[str]) -> dict[str, Definition]:
    """Return the views and functions that rendered DDL statements define, by full name."""
    found = {}
    for statement in statements:
        text = _COMMENT.sub("", statement)
        creates = list(_CREATE.finditer(text))
        ends = [following.start() for following in creates[1:]] + [len(text)]
        for create, end in zip(creates, ends, strict=True):
            kind = create["kind"].upper()
            if kind not in ("TABLE", "SCHEMA"):
                found[create["name"]] = Definition(text[create.end() : end], kind.startswith("MATERIALIZED"))
    return found


@lru_cache(maxsize=4)
def _schema(root: Path, *_names: str) -> Mapping[str, Definition]:
    files = sorted((root / "bigquery" / "schema").glob("R__*.sql"))
    return definitions(sql.render_from(root, f"bigquery/schema/{path.name}") for path in files)


def schema_definitions() -> Mapping[str, Definition]:
    """Return the views and functions of the schema under the datasets of the settings."""
    settings = get_settings()
    names = (settings.project, settings.source_dataset, settings.target_dataset, settings.monitor_dataset)
    return _schema(sql.SQL_ROOT, *names)


def referenced_tables(statement: str, known: Mapping[str, Definition] | None = None) -> frozenset[str]:
    """Return the full names of the tables that a rendered statement reads, each once. DDL reads none.

    A materialized view counts beside the table under it: BigQuery reads both when the view lags.

    :param known: views and functions by name; those of the schema unless passed.
    """
    return _followed(statement, known)[0]


def reading_texts(statement: str, known: Mapping[str, Definition] | None = None) -> list[str]:
    """Return the statement without its comments and the texts of the views and functions behind it.

    :param known: as of `referenced_tables`.
    """
    return _followed(statement, known)[1]


def _followed(statement: str, known: Mapping[str, Definition] | None) -> tuple[frozenset[str], list[str]]:
    if _CREATE.search(_COMMENT.sub("", statement)):
        return frozenset(), []
    known = schema_definitions() if known is None else known
    tables: set[str] = set()
    seen: set[str] = set()
    todo = [_WRITTEN.sub("", _COMMENT.sub("", statement))]
    texts = []
    while todo:
        texts.append(todo.pop())
        for name, suffix in _NAME.findall(texts[-1]):
            full_name = name + suffix
            if full_name in seen or full_name.count(".") < 2:
                continue
            seen.add(full_name)
            definition = known.get(full_name)
            if definition is None or definition.materialized:
                tables.add(full_name)
            if definition is not None:
                todo.append(definition.text)
    return frozenset(tables), texts


def named_tables(statement: str) -> frozenset[str]:
    """Return every full name that a rendered statement holds: of tables, views and functions, read or written."""
    return frozenset(name for name, _ in _NAME.findall(_COMMENT.sub("", statement)) if name.count(".") == 2)


def minimum_bytes(references: int) -> int:
    """Return the least that one run is billed for (bytes).

    :param references: how many tables it references.
    """
    return max(1, references) * MINIMUM_BYTES
