"""Bring the warehouse's schema up to date."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.warehouse.migrations import MigrationError, Migrator
from hooks.warehouse_hook import warehouse_client


class WarehouseSchemaOperator(BaseOperator):
    """Apply the pending migrations (see `drawsguard.warehouse.migrations`); with the param ``dry_run`` only list them.

    Returns the names of the files applied, or that would be.
    """

    def execute(self, context: Any) -> list[str]:
        migrator = Migrator(warehouse_client(), dag_id=self.dag_id, task_id=self.task_id, run_id=context["ti"].run_id)
        dry_run = context["params"]["dry_run"]
        try:
            migrations = migrator.pending() if dry_run else migrator.migrate()
        except MigrationError as error:
            # The same files give the same answer: retrying helps nobody.
            raise AirflowFailException(str(error)) from error
        names = [migration.name for migration in migrations]
        self.log.info("%s: %s", "Would apply" if dry_run else "Applied", ", ".join(names) or "nothing, up to date")
        return names
