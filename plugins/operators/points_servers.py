"""Connections of the points lifecycle, opened and prepared in one way by all its operators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.mysql.hooks.mysql import MySqlHook

from drawsguard.points.database import close, prepare
from drawsguard.points.downline import Planner
from drawsguard.points.journal import Environment
from drawsguard.points.lifecycle import Lifecycle
from drawsguard.points.rules import get_rules
from drawsguard.settings import get_settings


@contextmanager
def governance() -> Iterator[Any]:
    """Open a connection to the governance server (rsp_datagovern, points_lifecycle)."""
    connection = prepare(MySqlHook(get_settings().governance_mysql_conn_id).get_conn())
    try:
        yield connection
    finally:
        close(connection)


@contextmanager
def environment(name: Environment) -> Iterator[Any]:
    """Open a connection to an environment's own server (cvs_intranet or cvs_extranet)."""
    settings = get_settings()
    conn_ids = {"intranet": settings.intranet_mysql_conn_id, "extranet": settings.extranet_mysql_conn_id}
    connection = prepare(MySqlHook(conn_ids[name]).get_conn())
    try:
        yield connection
    finally:
        close(connection)


@contextmanager
def lifecycle() -> Iterator[Lifecycle]:
    """Open the lifecycle's tables, and create what is missing of them."""
    with governance() as connection:
        opened = Lifecycle(connection)
        opened.migrate()
        yield opened


def planner(opened: Lifecycle) -> Planner:
    """Return the planner on real connections and today's business day."""
    return Planner(opened, environment, get_rules(), business_today())


def business_today() -> date:
    """Return today in the business time zone."""
    return datetime.now(ZoneInfo(get_settings().business_timezone)).date()


def artifacts(batch_id: str) -> Path:
    """Return the folder of a batch's workbooks, reports and audit file."""
    folder = get_settings().points_artifact_dir / batch_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder
