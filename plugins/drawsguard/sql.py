"""Statements live in files under ``include/sql/<engine>/<stage>/``; this module loads them and fills in names.

It knows no engine. Jinja fills in identifiers only (projects, datasets, tables, columns), each held against a pattern;
values travel as bound parameters of the engine's own driver. Views and functions take no parameters: the files of
`SCHEMA` may name the settings of `drawsguard.schema_constants` as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import dropwhile
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from drawsguard.schema_constants import schema_constants
from drawsguard.settings import IDENTIFIER_PATTERN, INCLUDE, MYSQL_IDENTIFIER, get_settings

#: The folder that `render` reads from.
SQL_ROOT = INCLUDE / "sql"

#: Files below it may name the constants of `drawsguard.schema_constants`.
SCHEMA = "bigquery/schema/"

#: Settings that every statement may name without passing them.
DEFAULT_IDENTIFIERS = ("project", "location", "source_dataset", "target_dataset", "monitor_dataset")

Identifiers = str | Sequence[str]


@lru_cache(maxsize=2)
def _environment(root: Path) -> Environment:
    # Nothing is escaped: the output is SQL, and every value that reaches it has passed _checked().
    return Environment(  # noqa: S701
        loader=FileSystemLoader(root), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )


def _checked(name: str, value: Identifiers, pattern: str) -> Identifiers:
    for part in [value] if isinstance(value, str) else value:
        if not isinstance(part, str) or not re.fullmatch(pattern, part):
            raise ValueError(
                f"Identifier {name}={part!r} does not match {pattern}. Only names are rendered into a "
                "statement; bind values as query parameters instead."
            )
    return value


def render(path: str, /, **identifiers: Identifiers) -> str:
    """Return the statement in ``include/sql/<path>``, without its header comment, with its identifiers filled in.

    Project, location and dataset names come from the settings unless passed.

    :param path: file below ``include/sql``, e.g. ``bigquery/sync/merge_draws.sql``.
    :param identifiers: a name, or a sequence of names, for each further placeholder of the file.
    :raises ValueError: when an identifier is not a plain name.
    :raises jinja2.UndefinedError: when the file names a placeholder that was not passed.
    :raises jinja2.TemplateNotFound: when there is no such file.
    """
    return render_from(SQL_ROOT, path, **identifiers)


def render_from(root: Path, path: str, /, **identifiers: Identifiers) -> str:
    """Return the statement in ``<root>/<path>`` as `render` does: for statements that are not part of production."""
    settings = get_settings()
    names: dict[str, Identifiers] = {name: getattr(settings, name) for name in DEFAULT_IDENTIFIERS} | identifiers
    pattern = MYSQL_IDENTIFIER if path.startswith("mysql/") else IDENTIFIER_PATTERN
    checked = {name: _checked(name, value, pattern) for name, value in names.items()}
    constants = schema_constants(settings) if path.startswith(SCHEMA) else {}
    text = _environment(root).get_template(path, globals=dict(constants)).render(checked)
    return without_header(text)


def without_header(text: str) -> str:
    """Return the text without its leading comment block, which is for readers of the file and not for the engine."""
    lines = text.splitlines(keepends=True)
    return "".join(dropwhile(lambda line: line.startswith("--") or not line.strip(), lines))
