"""What a check is, what it finds, and what it may ask of the outside."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from drawsguard.settings import Settings

if TYPE_CHECKING:
    from smtplib import SMTP

    from google.cloud.bigquery import Client
    from redis import Redis
    from redis.cluster import RedisCluster

    from drawsguard.identity.gather import Api


class Status(enum.StrEnum):
    """``fail`` stops something in production, ``warn`` could not be answered or is fragile."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One answer of a check.

    :param found: what was seen.
    :param advice: what to do, Chinese first; empty when it passed.
    """

    status: Status
    found: str
    advice: str = ""


def passed(found: str) -> Finding:
    """Return the finding of something that is as it has to be."""
    return Finding(Status.PASS, found)


def warned(found: str, advice: str) -> Finding:
    """Return the finding of something that is fragile, or that nobody here can answer."""
    return Finding(Status.WARN, found, advice)


def failed(found: str, advice: str) -> Finding:
    """Return the finding of something that does not work in production."""
    return Finding(Status.FAIL, found, advice)


class Channel(Protocol):
    """One configured channel of alerts."""

    @property
    def name(self) -> str:
        """Address without its secrets."""

    @property
    def tags(self) -> frozenset[str]:
        """Priorities, teams and kinds that it takes."""

    def send(self, title: str, body: str) -> str:
        """Send a message; return why it was not accepted, or nothing."""


class Nos(Protocol):
    """The client of NOS."""

    def structure(self, point_id: int) -> Any:
        """Ask for the structure of a point."""


class PubSub(Protocol):
    """The topic and the subscription of dead letters; a missing one raises."""

    def topic(self) -> str:
        """Return the topic's full name."""

    def subscription(self) -> tuple[str, int]:
        """Return the topic that the subscription reads, and its ack deadline (seconds)."""

    def missing_rights(self) -> list[str]:
        """Return the permissions to publish and consume that the connection's account lacks."""


@dataclass(frozen=True)
class FolderProbe:
    """What one process saw of where artifacts are.

    :param host: where it ran.
    :param token: what it wrote; empty when it could not write.
    :param error: why not.
    """

    host: str
    token: str = ""
    error: str = ""


class World(Protocol):
    """The outside as this Airflow's connections reach it. Everything is opened when a check asks for it."""

    @property
    def settings(self) -> Settings:
        """Settings of the deployment."""

    @property
    def sends_messages(self) -> bool:
        """Whether test messages were asked for."""

    @property
    def folder_probes(self) -> Sequence[FolderProbe]:
        """What the workers saw of the artifacts' folder or bucket."""

    def sees_probe(self, token: str) -> bool:
        """Return whether the file that a worker wrote can be seen from here."""

    @property
    def executor(self) -> str:
        """Airflow's executor."""

    @property
    def auth_manager(self) -> str:
        """Airflow's auth manager."""

    @property
    def bigquery_emulator(self) -> str:
        """Address of the emulator that the client talks to; empty for BigQuery itself."""

    def warehouse(self) -> Client:
        """Return the client of BigQuery."""

    def hive(self) -> AbstractContextManager[Any]:
        """Open a PyHive connection."""

    def mysql(self, conn_id: str) -> AbstractContextManager[Any]:
        """Open a prepared connection of mysqlclient."""

    def redis(self, instance: str) -> Redis | RedisCluster:
        """Return the client of a Redis instance."""

    def nos(self) -> AbstractContextManager[Nos]:
        """Open the client of NOS."""

    def smtp(self) -> AbstractContextManager[SMTP]:
        """Open a signed-in SMTP session."""

    def channels(self) -> Sequence[Channel]:
        """Return the channels of alerts."""

    def ping_watcher(self) -> None:
        """Send the external watcher a ping that is no sign of life.

        :raises LookupError: when there is no connection for it.
        """

    def google(self) -> Api:
        """Return the client of Google's control planes."""

    def pubsub(self) -> PubSub:
        """Return the topic and subscription of dead letters."""

    def airflow(self, path: str) -> Mapping[str, Any]:
        """GET a page of Airflow's REST API, as JSON.

        :raises LookupError: when there is no connection for it.
        """

    def simple_users(self) -> Sequence[str]:
        """Return the users of the simple auth manager."""


#: A check yields what it finds; whatever it raises is a finding as well.
Look = Callable[[World], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """One question.

    :param part: what is looked at; the first check of a part asks whether it answers at all.
    :param name: English, lower case, for tests and figures.
    :param title: for people, Chinese first.
    :param advice: what to do when it raises.
    :param seconds: time limit.
    """

    part: str
    name: str
    title: str
    look: Look
    advice: str
    seconds: float = 60


@dataclass(frozen=True)
class Row:
    """A line of the report."""

    check: Check
    finding: Finding


def grouped(problems: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what was refused by the reason: the reason → the names that it is given for, in order.

    >>> grouped({"a.sql": "no table", "b.sql": "no right", "c.sql": "no table"})
    {'no table': ['a.sql', 'c.sql'], 'no right': ['b.sql']}
    """
    reasons: dict[str, list[str]] = {}
    for name, reason in problems.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def listed(names: Sequence[str], most: int = 40) -> str:
    """Return some names for a line of the report, and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a, b, … (+1)'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, … (+{len(names) - most})"
