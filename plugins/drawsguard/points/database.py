"""Run the statements of ``include/sql/mysql`` on a DB-API connection (mysqlclient)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drawsguard.sql import Identifiers

#: A last_modify_time as text: what the server casts it to, in UTC; empty for NULL.
TimeText = str

_STRICT = "STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
#: How MySQL judges our statements, whatever the server's own mode is: strict, and with plain quotes.
SQL_MODE = f"{_STRICT},NO_ZERO_DATE,NO_ZERO_IN_DATE"
#: The mode for definition tables. They may hold zero and impossible dates, or 0 in a column that counts up: these are
#: copied and restored as they are.
DEFINITIONS_MODE = f"{_STRICT},ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"


def statement(path: str, **identifiers: Identifiers) -> str:
    """Return the statement in ``include/sql/mysql/<path>``."""
    # Imported here: that module loads BigQuery's client, which takes seconds; DAG files must parse without it.
    from drawsguard.sql import render

    return render(f"mysql/{path}", **identifiers)


def prepare(connection: Any, sql_mode: str = SQL_MODE) -> Any:
    """Prepare a fresh connection for the lifecycle: SQL mode, UTC, explicit transactions. Return it.

    :param sql_mode: `DEFINITIONS_MODE` for a connection to an environment.
    """
    connection.autocommit(False)
    with closing(connection.cursor()) as cursor:
        cursor.execute("SET sql_mode = %s", (sql_mode,))
        # TIMESTAMP columns are read and written in the session's time zone.
        cursor.execute("SET time_zone = '+00:00'")
    return connection


def close(connection: Any) -> None:
    """Close a connection, unless it is closed already: closing it twice is an error in the driver."""
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
    """Yield the rows of a query file without buffering them; finish before the connection's next statement."""
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


def statements_of(text: str) -> list[str]:
    """Return the statements of a file of several, without its comments."""
    return [part for part in re.split(r";\s*\n", _without_comments(text)) if part.strip()]


def _without_comments(text: str) -> str:
    # The driver joins many rows into one INSERT only when the statement starts with it.
    return re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)


def utc(moment: datetime) -> datetime:
    """Return an aware datetime as the naive UTC that DATETIME columns hold."""
    return moment.astimezone(UTC).replace(tzinfo=None)


@contextmanager
def transaction(connection: Any) -> Iterator[None]:
    """Commit what the body does, or roll all of it back."""
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
