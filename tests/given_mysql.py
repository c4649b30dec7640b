"""A MySQL server that the tests of the points lifecycle are given: ``make test ENGINE=mysql`` (docs/mysql.md).

It must not have our schemas yet: the tests make them with their users, and drop both at the end. A mark says what a
killed run left, so that nothing else is ever dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from local.config import MYSQL_GRANTS, Config
from local.services import mysql_statements

#: The variable that says on which engine to test; MySQL is the only one that is not embedded.
ENGINE = "ENGINE"
#: The oldest version that counts.
OLDEST = (8, 4)
#: A schema that says "what is here was made by tests", and the lock that one run holds.
MARK = "drawsguard_test"

#: What the tests need switched on: the push (docs/mysql.md), and a trigger that a test makes to be found out.
NEEDED = ("local_infile", "log_bin_trust_function_creators")


class GivenMysqlError(Exception):
    """The server cannot be used; the message says why."""


@dataclass(frozen=True)
class Address:
    """Where the server is, and an account that may make schemas and users."""

    host: str
    port: int
    user: str
    password: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Address | None:
        """Return the server that the environment names; None when the embedded one is to be used.

        :raises GivenMysqlError: when ENGINE is another word, or a variable is missing.
        """
        engine = environ.get(ENGINE, "")
        if not engine:
            return None
        if engine != "mysql":
            raise GivenMysqlError(f"ENGINE is {engine!r}: the only engine to choose is mysql.")
        missing = [name for name in ("MYSQL_HOST", "MYSQL_USER", "MYSQL_PASSWORD") if not environ.get(name)]
        port = environ.get("MYSQL_PORT") or "3306"
        if missing or not port.isdigit():
            raise GivenMysqlError(
                "ENGINE=mysql needs a MySQL 8.4 of its own: MYSQL_HOST, MYSQL_PORT (3306 unless set), MYSQL_USER and "
                "MYSQL_PASSWORD of an account that may make schemas and users. "
                + (f"Missing: {', '.join(missing)}." if missing else f"MYSQL_PORT is {port!r}, not a number.")
            )
        return cls(environ["MYSQL_HOST"], int(port), environ["MYSQL_USER"], environ["MYSQL_PASSWORD"])


def require_mysql(version: str) -> None:
    """Refuse a server that proves nothing.

    :raises GivenMysqlError: when it is MariaDB, or older than 8.4.
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    if "mariadb" in version.lower() or not found or (int(found[1]), int(found[2])) < OLDEST:
        raise GivenMysqlError(f"The server is {version}; ENGINE=mysql is for MySQL {OLDEST[0]}.{OLDEST[1]} or newer.")


class GivenMysql:
    """The server during one test run; the schemas and users are those of the embedded stack.

    :raises GivenMysqlError: when the server must not be used.
    """

    def __init__(self, address: Address, config: Config) -> None:
        import MySQLdb

        try:
            self._admin = MySQLdb.connect(
                host=address.host, port=address.port, user=address.user, password=address.password, autocommit=True
            )
        except MySQLdb.OperationalError as error:
            raise GivenMysqlError(f"No connection to {address.host}:{address.port}: {error}") from error
        try:
            self._before = self._open(config)
        except BaseException:
            self._admin.close()
            raise

    def _open(self, config: Config) -> dict[str, int]:
        ((self.version,),) = self._run("SELECT VERSION()")
        require_mysql(self.version)
        if self._run("SELECT GET_LOCK(%s, 0)", MARK) != [(1,)]:
            raise GivenMysqlError("Another test run is using this server.")
        existing = {name for (name,) in self._run("SHOW DATABASES")}
        users = {name for (name,) in self._run("SELECT user FROM mysql.user")}
        foreign = sorted((existing & set(_schemas())) | (users & set(_users())))
        if MARK in existing:
            self._drop()
        elif foreign:
            raise GivenMysqlError(
                f"The server has {', '.join(foreign)} already, not made by tests. They would be dropped: give the "
                "tests a server of their own."
            )
        before = {name: int(self._run(f"SELECT @@GLOBAL.{name}")[0][0]) for name in NEEDED}
        self._run(f"CREATE DATABASE {MARK}")
        for name in NEEDED:
            self._run(f"SET GLOBAL {name} = ON")
        for statement in mysql_statements(config):
            self._run(statement)
        return before

    def close(self) -> None:
        """Leave the server as it was found."""
        with closing(self._admin):
            self._drop()
            for name, value in self._before.items():
                self._run(f"SET GLOBAL {name} = {value}")

    def _drop(self) -> None:
        for user in _users():
            self._run(f"DROP USER IF EXISTS '{user}'@'%'")
        for schema in [*_schemas(), MARK]:  # the mark goes last: a run that is killed here is continued by the next
            self._run(f"DROP DATABASE IF EXISTS {schema}")

    def _run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(self._admin.cursor()) as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())


def _schemas() -> list[str]:
    return [schema for grants in MYSQL_GRANTS.values() for schema in grants]


def _users() -> list[str]:
    return [user for server in MYSQL_GRANTS for user in (server, f"{server}_schema")]
