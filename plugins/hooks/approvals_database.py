"""The connection to the approvals table, opened in one way by every operator that asks for an approval."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.mysql.hooks.mysql import MySqlHook

from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.points.database import close, prepare
from drawsguard.points.schema import require_current
from drawsguard.settings import get_settings


@contextmanager
def approvals() -> Iterator[ApprovalRepository]:
    """Open the approvals table."""
    connection = prepare(MySqlHook(get_settings().approvals_mysql_conn_id).get_conn())
    try:
        require_current(connection, "governance")
        yield ApprovalRepository(connection)
    finally:
        close(connection)
