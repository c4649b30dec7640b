"""Bring the MySQL schema of one server up to date."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.schema import SchemaError, Server, migrate, pending
from hooks.points_databases import schema_owner


class PointsSchemaOperator(BaseOperator):
    """Apply the pending migrations of a server (see `drawsguard.points.schema`); with ``dry_run`` only list them.

    Returns the versions applied, or that would be.

    :param server: governance, intranet or extranet.
    """

    def __init__(self, *, server: Server, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.server = server

    def execute(self, context: Any) -> list[str]:
        dry_run = context["params"]["dry_run"]
        with schema_owner(self.server) as connection:
            try:
                versions = (pending if dry_run else migrate)(connection, self.server)
            except SchemaError as error:
                raise AirflowFailException(str(error)) from error
        said = ", ".join(versions) or "nothing, up to date"
        self.log.info("%s: %s %s", self.server, "would apply" if dry_run else "applied", said)
        return versions
