"""Bring the warehouse's schema up to date."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.warehouse.adoption import next_step
from drawsguard.warehouse.migrations import Migration, MigrationError, Migrator
from hooks.warehouse_hook import warehouse_client


class WarehouseSchemaOperator(BaseOperator):
    """Apply the pending migrations (see `drawsguard.warehouse.migrations`); with the param ``dry_run`` only list them.

    Returns the names of the files applied, or that would be. While the cut-over of a legacy table is awaited, the task
    applies what does not stand on that table and then fails with the next step: the schema is not complete.
    """

    def execute(self, context: Any) -> list[str]:
        migrator = Migrator(warehouse_client(), dag_id=self.dag_id, task_id=self.task_id, run_id=context["ti"].run_id)
        try:
            if context["params"]["dry_run"]:
                return self._report("Would apply", migrator.pending())
            result = migrator.migrate()
        except MigrationError as error:
            # The same files give the same answer: retrying is useless.
            raise AirflowFailException(str(error)) from error
        names = self._report("Applied", result.applied)
        if result.awaited:
            waiting = ", ".join(migration.name for migration in result.waiting) or "none"
            raise AirflowFailException(f"{next_step(result.awaited)} Files that wait for it: {waiting}.")
        return names

    def _report(self, did: str, migrations: list[Migration]) -> list[str]:
        names = [migration.name for migration in migrations]
        self.log.info("%s: %s", did, ", ".join(names) or "nothing, up to date")
        return names
