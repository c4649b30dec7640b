"""Connections of the points lifecycle, opened and prepared in one way by all its operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.mysql.hooks.mysql import MySqlHook

from drawsguard.points.database import DEFINITIONS_MODE, close, prepare
from drawsguard.points.definitions import Tag, members_by_tag, read_tags
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.observe import signs_of_life
from drawsguard.points.downline.observed_days import ObservedDays, days_from, observed_days
from drawsguard.points.downline.planner import Planner
from drawsguard.points.downline.recheck import Sign
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.downline.restore import still_downlined
from drawsguard.points.environments import Environment, environments
from drawsguard.points.policy import get_policy
from drawsguard.points.review.confirmed import Confirmed
from drawsguard.points.schema import Server, require_current
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.evidence_days import evidence_days, expected_until
from drawsguard.settings import get_settings


@contextmanager
def governance() -> Iterator[Any]:
    """Open a connection to the governance server (rsp_datagovern, points_lifecycle)."""
    connection = prepare(MySqlHook(get_settings().governance_mysql_conn_id).get_conn())
    try:
        require_current(connection, "governance")
        yield connection
    finally:
        close(connection)


@contextmanager
def environment(name: Environment) -> Iterator[Any]:
    """Open a connection to an environment's own server (cvs_intranet or cvs_extranet)."""
    settings = get_settings()
    conn_ids = {"intranet": settings.intranet_mysql_conn_id, "extranet": settings.extranet_mysql_conn_id}
    connection = prepare(MySqlHook(conn_ids[name]).get_conn(), DEFINITIONS_MODE)
    try:
        require_current(connection, name)
        yield connection
    finally:
        close(connection)


@contextmanager
def repositories() -> Iterator[Repositories]:
    """Open the lifecycle's tables."""
    with governance() as connection:
        yield Repositories(connection)


@contextmanager
def schema_owner(server: Server) -> Iterator[Any]:
    """Open a connection whose user may change a server's schemas; for migrations only."""
    conn_id = getattr(get_settings(), f"{server}_schema_mysql_conn_id")
    connection = prepare(MySqlHook(conn_id).get_conn())
    try:
        yield connection
    finally:
        close(connection)


def members_of_tags() -> dict[int, set[int]]:
    """Return the points of each tag, in either environment: use through any environment's tag is use."""
    tags: list[Tag] = []
    for name in environments():
        with environment(name) as connection:
            tags += read_tags(connection)
            connection.rollback()
    return members_by_tag(tags)


def copy_journals(opened: Repositories, batch_id: str) -> datetime | None:
    """Set a batch's rows to what the environments' journals say, which a downline that was killed could not.

    :returns: when the first of its rows that are still at -80 was changed (naive UTC); None when there is none.
    :raises MySQLError: when an environment cannot be read: nobody knows what is at -80 there.
    """
    changed: list[datetime] = []
    for name in environments():
        with environment(name) as connection:
            journal = Journal(connection, batch_id, name)
            entries = journal.entries()
            changed += [entry.changed_at for entry in still_downlined(connection, journal, entries)]
        opened.plans.copy_journal(batch_id, name, entries)
    return min(changed, default=None)


def still_down(batch_id: str) -> dict[Environment, frozenset[int]]:
    """Return the points of a batch that are at -80 in each environment, as its rows are now.

    :raises MySQLError: when an environment cannot be read: nobody knows what is at -80 there.
    """
    found = {}
    for name in environments():
        with environment(name) as connection:
            journal = Journal(connection, batch_id, name)
            entries = still_downlined(connection, journal, journal.entries())
        found[name] = frozenset(entry.row.row_id for entry in entries if entry.row.kind == "point")
    return found


def points_down(batch_id: str) -> frozenset[int]:
    """Return the points of a batch that are at -80 in some environment: they are watched, and may be cleaned.

    What somebody put back everywhere is in use by rights, and is never cleaned (`drawsguard.points.cleanup.standing`).
    """
    return frozenset[int]().union(*still_down(batch_id).values())


def signs_now(opened: Repositories, batch_id: str, observed_from: datetime) -> list[Sign]:
    """Return use and errors of the points of a batch that are at -80 in some environment, as the statistics are now.

    :param observed_from: naive UTC.
    """
    zone = get_settings().business_timezone
    signs = signs_of_life(opened, members_of_tags(), batch_id, observed_from, points_config(), zone)
    down = points_down(batch_id) if signs else ()
    return [sign for sign in signs if sign.point_id in down]


def observed_now(opened: Repositories, observe_from: datetime, observe_until: datetime) -> ObservedDays:
    """Return the days that an observation rests on by now.

    :param observe_from: :param observe_until: naive UTC.
    """
    settings = get_settings()
    days = evidence_days(opened.connection, days_from(observe_from, observe_until), points_config().quality)
    return observed_days(
        observe_from, observe_until, days, evidence_expected_until(), settings.business_timezone,
        window_days=settings.points_window_days, least=get_policy().observe.days,
    )  # fmt: skip


def evidence_expected_until() -> date:
    """Return the last day whose usage evidence has to be there now."""
    return expected_until(datetime.now(UTC), points_config().quality.arrives_by, get_settings().business_timezone)


def planner(opened: Repositories, tried: Mapping[int, Confirmed] | None = None) -> Planner:
    """Return the planner on real connections and today's business day.

    :param tried: decisions of a workbook that is not kept, for a dry run.
    """
    return Planner(opened, environment, get_policy(), business_today(), tried)


def business_today() -> date:
    """Return today in the business time zone."""
    return datetime.now(ZoneInfo(get_settings().business_timezone)).date()
