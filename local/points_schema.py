"""Apply the MySQL migrations to an embedded server without Airflow: for tests, benchmarks and the demo's own data."""

from __future__ import annotations

from contextlib import closing

from drawsguard.points.schema import migrate, servers
from local.config import Config
from local.demo.downline import connect


def migrate_all(config: Config) -> None:
    """Bring the schemas of all servers up to date; repeatable."""
    for server in servers():
        with closing(connect(config, f"{server}_schema")) as connection:
            migrate(connection, server)
