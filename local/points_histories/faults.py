"""What can happen to a task at any call that it makes: to MySQL, Hive, Redis, NOS, the mail server, the warehouse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import MySQLdb
import redis
from airflow.sdk.exceptions import AirflowTaskTimeout

Outcome = TypeVar("Outcome")

Kind = Literal["killed", "timed out", "down", "lost", "stopped"]
Service = Literal["governance", "intranet", "extranet", "hive", "redis", "nos", "mail", "warehouse"]
SERVICES: tuple[Service, ...] = ("governance", "intranet", "extranet", "hive", "redis", "nos", "mail", "warehouse")


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards, clean-up included, reaches any service."""


class HiveDownError(Exception):
    """HiveServer2 does not answer."""


@dataclass(frozen=True)
class Fault:
    """What happens to a task, and when.

    :param kind: the process is killed or runs out of time; a service is ``down`` from then on, or drops this one
        connection (``lost``); somebody sets the stop switches (``stopped``).
    :param at: the number of the call (from 1): of the service, or of any for what happens to the process.
    :param after: whether the service still does what it was asked, and only its answer is lost.
    """

    kind: Kind
    at: int
    after: bool = False
    service: Service | None = None

    def __str__(self) -> str:
        where = f"{self.service} call" if self.service else "call"
        what = f"{self.service} is down" if self.kind == "down" else self.kind
        return f"{what} {'after' if self.after else 'before'} {where} {self.at}"


def unreachable(service: Service) -> Exception:
    """Return what a client of a service raises when it does not answer."""
    match service:
        case "governance" | "intranet" | "extranet":
            lost: Exception = MySQLdb.OperationalError(
                2013, f"Lost connection to MySQL server ({service}) during query"
            )
            return lost
        case "redis":
            refused: Exception = redis.ConnectionError("Connection refused")
            return refused
        case "hive":
            return HiveDownError("Could not connect to any of [('hive', 10000)]")
    return ConnectionRefusedError(111, f"Connection refused ({service})")


class Boundary:
    """Every call of a task to a service passes here; the fault that was announced happens to one of them."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._fault: Fault | None = None
        self._dead = False
        self.struck = False
        self.calls: Counter[str] = Counter()
        #: The calls of each kind of task the last time that it ran: where a fault of the next may strike.
        self.usual: dict[str, Counter[str]] = {}

    def arm(self, fault: Fault | None) -> None:
        """Begin a task: count its calls from 1 and let ``fault`` happen to it."""
        self._fault, self._dead, self.struck = fault, False, False
        self.calls = Counter()

    def disarm(self, task: str) -> None:
        """End a task."""
        self.usual[task] = self.calls
        self._fault, self._dead = None, False

    def call(self, service: Service, do: Callable[[], Outcome], drop: Callable[[], object] = lambda: None) -> Outcome:
        """Let a task ask a service for something, or let the fault happen.

        :param do: asks it; :param drop: closes the connection, as the server does.
        """
        if self._dead:
            raise Killed
        self.calls[service] += 1
        self.calls["any"] += 1
        fault = self._fault
        if fault is None or fault.service not in (None, service):
            return do()
        number = self.calls[fault.service or "any"]
        if self.struck and fault.kind == "down":
            raise unreachable(service)
        if self.struck or number != fault.at:
            return do()
        self.struck = True
        if fault.kind == "stopped":
            self._stop()
            return do()
        if fault.after:
            do()
        raise self._happened(fault, service, drop)

    def _happened(self, fault: Fault, service: Service, drop: Callable[[], object]) -> BaseException:
        if fault.kind == "killed":
            self._dead = True
            return Killed()
        if fault.kind == "timed out":
            return AirflowTaskTimeout("Timeout")
        drop()
        return unreachable(service)


class FaultyConnection:
    """A MySQL connection like the one that it is given, whose statements pass the boundary."""

    def __init__(self, connection: Any, service: Service, boundary: Boundary) -> None:
        self.real = connection
        self._service = service
        self._boundary = boundary

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def cursor(self, *arguments: Any) -> FaultyCursor:
        return FaultyCursor(self.real.cursor(*arguments), self)

    def commit(self) -> None:
        self.ask(self.real.commit)

    def rollback(self) -> None:
        self.ask(self.real.rollback)

    def ask(self, do: Callable[[], Outcome]) -> Outcome:
        """Send a statement, or let the fault happen to it."""
        return self._boundary.call(self._service, do, self.drop)

    def drop(self) -> None:
        """Close the connection: the server rolls back, and forgets its locks and temporary tables."""
        if self.real.open:
            self.real.close()


class FaultyCursor:
    """A cursor of a `FaultyConnection`."""

    def __init__(self, cursor: Any, connection: FaultyConnection) -> None:
        self._cursor = cursor
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, *arguments: Any) -> Any:
        return self._connection.ask(lambda: self._cursor.execute(*arguments))

    def executemany(self, *arguments: Any) -> Any:
        return self._connection.ask(lambda: self._cursor.executemany(*arguments))
