"""Run the statements of ``include/sql/mysql`` on a DB-API connection (mysqlclient)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drawsguard.sql import Identifiers

#: Schemas on each environment's own server. Production grants the points users CREATE and DROP there only.
BACKUP_SCHEMA = "points_backup"
SCRATCH_SCHEMA = "points_scratch"

#: A last_modify_time as text: what the server casts it to, in UTC; empty for NULL.
TimeText = str


def statement(path: str, **identifiers: Identifiers) -> str:
    """Return the statement in ``include/sql/mysql/<path>``."""
    # That module loads BigQuery's client, which takes seconds: DAG files must parse without it.
    from drawsguard.sql import render

    return render(f"mysql/{path}", **identifiers)


def prepare(connection: Any) -> Any:
    """Make a fresh connection fit for the lifecycle: UTC, explicit transactions. Returns the connection."""
    connection.autocommit(False)
    with closing(connection.cursor()) as cursor:
        # TIMESTAMP columns are shown, and taken back, in the session's zone.
        cursor.execute("SET time_zone = '+00:00'")
    return connection


def close(connection: Any) -> None:
    """Close a connection, unless it is closed already: closing twice is an error of the driver's."""
    if connection.open:
        connection.close()


def fetch(
    connection: Any, path: str, values: Mapping[str, Any] | None = None, **identifiers: Identifiers
) -> list[tuple[Any, ...]]:
    """Return all rows of a query file."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement(path, **identifiers), values)
        return list(cursor.fetchall())


def stream(
    connection: Any, path: str, values: Mapping[str, Any] | None = None, **identifiers: Identifiers
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query file without holding them; finish before the connection's next statement."""
    from MySQLdb.cursors import SSCursor

    with closing(connection.cursor(SSCursor)) as cursor:
        cursor.execute(statement(path, **identifiers), values)
        while block := cursor.fetchmany(10_000):
            yield from block


def execute(connection: Any, path: str, values: Mapping[str, Any] | None = None, **identifiers: Identifiers) -> int:
    """Run a statement file and return the number of affected rows; the caller commits."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement(path, **identifiers), values)
        return int(cursor.rowcount)


def execute_many(connection: Any, path: str, rows: Sequence[Mapping[str, Any]], **identifiers: Identifiers) -> None:
    """Run an INSERT file for many rows; the caller commits."""
    if rows:
        with closing(connection.cursor()) as cursor:
            cursor.executemany(_without_comments(statement(path, **identifiers)), rows)


def run_script(connection: Any, path: str, **identifiers: Identifiers) -> None:
    """Run a migration file, statement by statement."""
    with closing(connection.cursor()) as cursor:
        for part in re.split(r";\s*\n", _without_comments(statement(path, **identifiers))):
            if part.strip():
                cursor.execute(part)
    connection.commit()


def _without_comments(text: str) -> str:
    # The driver joins many rows into one INSERT only when the statement starts with it.
    return re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)


def utc(moment: datetime) -> datetime:
    """Return an aware datetime as the naive UTC that DATETIME columns hold."""
    return moment.astimezone(UTC).replace(tzinfo=None)
