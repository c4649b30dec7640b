"""Connections of the points lifecycle, opened and prepared in one way by all its operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.mysql.hooks.mysql import MySqlHook

from drawsguard.points.database import DEFINITIONS_MODE, close, prepare
from drawsguard.points.downline.observe import signs_of_life
from drawsguard.points.downline.planner import Planner
from drawsguard.points.downline.recheck import Sign
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.environments import Environment
from drawsguard.points.policy import get_policy
from drawsguard.points.review.confirmed import Confirmed
from drawsguard.points.schema import Server, require_current
from drawsguard.points.telemetry.config import points_config
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


def signs_now(opened: Repositories, batch_id: str, observed_from: datetime) -> list[Sign]:
    """Return use and errors of a batch's downlined points, as the statistics are now.

    :param observed_from: naive UTC.
    """
    with environment("intranet") as connection:
        zone = get_settings().business_timezone
        return signs_of_life(opened, connection, batch_id, observed_from, points_config(), zone)


def planner(opened: Repositories, tried: Mapping[int, Confirmed] | None = None) -> Planner:
    """Return the planner on real connections and today's business day.

    :param tried: decisions of a workbook that is not kept, for a dry run.
    """
    return Planner(opened, environment, get_policy(), business_today(), tried)


def business_today() -> date:
    """Return today in the business time zone."""
    return datetime.now(ZoneInfo(get_settings().business_timezone)).date()


def artifacts(batch_id: str) -> Path:
    """Return the folder of a batch's workbooks, reports and audit file."""
    folder = get_settings().points_artifact_dir / batch_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder
