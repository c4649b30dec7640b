"""Airflow's settings hook for the embedded stack: its metadata database is one SQLite file.

A savepoint begins a deferred transaction in SQLite: what it read is a snapshot, and its first write fails at once
with "database is locked" when another process has written since; the busy time-out does not apply. Creating a
backfill works that way, and answers 503. Taking the write lock with the savepoint makes it wait for its turn.
PostgreSQL, which docker-compose and production use, needs none of this.
"""

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

__all__ = ()


@event.listens_for(Engine, "savepoint")
def _take_the_write_lock(connection: Connection, _name: str) -> None:
    if connection.dialect.driver != "pysqlite":
        return
    sqlite = connection.connection.dbapi_connection
    if sqlite is not None and not sqlite.in_transaction:
        sqlite.execute("BEGIN IMMEDIATE")
