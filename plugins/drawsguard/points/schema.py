"""Versioned migrations of the MySQL schemas, by Alembic: one history for each kind of server.

A migration is a module in ``migrations/<governance|environment>``; its DDL stands in ``include/sql/mysql/schema``.
MySQL commits each DDL statement by itself, so every migration can be repeated after it broke off. The users of the run
time have no DDL rights: migrations run under users of their own (DAG ``points_schema``, see docs/mysql.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from drawsguard.points.database import statement, statements_of
from drawsguard.points.environments import backup_schema, journal_schema
from drawsguard.settings import get_settings

Server = Literal["governance", "intranet", "extranet"]
SERVERS: tuple[Server, ...] = ("governance", "intranet", "extranet")


def servers() -> tuple[Server, ...]:
    """Return the servers that this company has: the extranet can be switched off."""
    absent = get_settings().absent
    return tuple(server for server in SERVERS if server not in absent)


#: Where each migration is recorded: a table of one row, in a schema of the server's own.
VERSION_TABLE = "schema_version"

_MIGRATIONS = Path(__file__).parent / "migrations"
_UNKNOWN_TABLE = 1146


class SchemaError(RuntimeError):
    """The schema is not the one that this version of the code needs; the message says what to do."""


@lru_cache(maxsize=3)
def newest(server: Server) -> str:
    """Return the version that the code needs on a server."""
    return max(_versions(server))


def current(connection: Any, server: Server) -> str | None:
    """Return the version of a server's schema, or None where no migration ever ran."""
    from MySQLdb import MySQLError

    with closing(connection.cursor()) as cursor:
        try:
            cursor.execute(statement("schema/current_version.sql", schema=_version_schema(server)))
        except MySQLError as error:
            if error.args[0] != _UNKNOWN_TABLE:
                raise
            return None
        row = cursor.fetchone()
    return str(row[0]) if row else None


def pending(connection: Any, server: Server) -> list[str]:
    """Return the versions that `migrate` would apply, in order.

    :raises SchemaError: when the server's version is not known to this code, or MySQL does not give it.
    """
    with _explained(server, {}):
        found = current(connection, server)
    known = _versions(server)
    if found is not None and found not in known:
        raise SchemaError(
            f"The MySQL schema of {server} is at {found}, which this code does not know: a newer version was "
            "deployed before. Deploy that version again, or restore the backup from before its migration."
        )
    return [version for version in known if found is None or version > found]


def require_current(connection: Any, server: Server) -> None:
    """Refuse to work on a schema that is older than the code.

    :raises SchemaError: naming both versions.
    """
    found = current(connection, server)
    connection.rollback()
    if found is None or found < newest(server):
        raise SchemaError(
            f"The MySQL schema of {server} is at {found or 'no version'}, this code needs {newest(server)}. "
            "Nothing was changed. Trigger the DAG points_schema, then clear this task."
        )


def migrate(connection: Any, server: Server) -> list[str]:
    """Apply what is pending and return it; an empty list means that the schema was up to date.

    :param connection: a connection of mysqlclient whose user may change the server's schemas.
    :raises SchemaError: when another migration of this server is running, a version is not known to this code, or a
        statement failed.
    """
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    with _only_one(connection, server):
        todo = pending(connection, server)
        if not todo:
            return []
        config = Config()
        config.set_main_option("script_location", str(_folder(server)))
        config.set_main_option("version_locations", str(_folder(server)))
        config.set_main_option("path_separator", "os")
        config.attributes["identifiers"] = _identifiers(server)
        progress = config.attributes["progress"] = {}
        script = ScriptDirectory.from_config(config)
        engine = create_engine("mysql+mysqldb://", creator=lambda: connection, poolclass=StaticPool)

        def steps(revision: Any, _context: Any) -> Iterator[Any]:
            for step in script._upgrade_revs("head", revision):  # as env.py does
                progress["version"] = step.revision.revision
                yield step

        with (
            _explained(server, progress),
            EnvironmentContext(config, script, fn=steps) as environment,
            engine.begin() as opened,
        ):
            environment.configure(
                connection=opened, version_table=VERSION_TABLE, version_table_schema=_version_schema(server)
            )
            environment.run_migrations()
    return todo


def run(path: str) -> None:
    """Run a file of ``include/sql/mysql/schema``, statement by statement; for the migrations' own use."""
    from alembic import op

    _attributes()["progress"]["file"] = path
    for text in statements_of(statement(f"schema/{path}", **_attributes()["identifiers"])):
        op.get_bind().exec_driver_sql(text)


def identifier(name: str) -> str:
    """Return the schema behind a name in the SQL files of the server being migrated; for the migrations' own use."""
    return str(_attributes()["identifiers"][name])


def has_table(schema: str, table: str) -> bool:
    """Return whether a table exists; for the migrations' own use."""
    from alembic import op
    from sqlalchemy import inspect

    return bool(inspect(op.get_bind()).has_table(table, schema=schema))


def _attributes() -> dict[str, Any]:
    from alembic import op

    return op.get_context().environment_context.config.attributes  # type: ignore[union-attr]


@contextmanager
def _explained(server: Server, progress: Mapping[str, str]) -> Iterator[None]:
    """Turn an error of MySQL into one that says where a migration stopped, and how to go on.

    :param progress: the ``version`` being applied and its newest ``file``, as far as the migration came.
    """
    from MySQLdb import MySQLError
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (DBAPIError, MySQLError) as error:
        version, file = progress.get("version"), progress.get("file")
        place = f"migration {version}" if version else "the version table"
        raise SchemaError(
            f"MySQL refused a statement on the schema of {server}, in {place}{f', file {file}' if file else ''}: "
            f"{getattr(error, 'orig', None) or error}. Statements before it are committed and may be repeated. "
            "Remove the cause (docs/mysql.md lists schemas and grants), then trigger points_schema again: it goes on."
        ) from error


def _folder(server: Server) -> Path:
    return _MIGRATIONS / ("governance" if server == "governance" else "environment")


def _versions(server: Server) -> list[str]:
    names = (re.match(r"v(\d{4})_\w+\.py$", path.name) for path in _folder(server).glob("v*.py"))
    return sorted(match[1] for match in names if match)


def _version_schema(server: Server) -> str:
    return "points_lifecycle" if server == "governance" else journal_schema(server)


def _identifiers(server: Server) -> dict[str, str]:
    if server == "governance":
        return {}
    return {"backup_schema": backup_schema(server), "journal_schema": journal_schema(server)}


@contextmanager
def _only_one(connection: Any, server: Server) -> Iterator[None]:
    from MySQLdb import MySQLError

    name = f"drawsguard_schema_{server}"
    with closing(connection.cursor()) as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0)", (name,))
        if cursor.fetchone() != (1,):
            raise SchemaError(f"Another migration of {server} is running. Wait until it has ended.")
        try:
            yield
        finally:
            with suppress(MySQLError):  # a lost connection has released it, and its error is on its way
                cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))
