"""Back up every table that a plan may change, and prove each backup by restoring it once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.downline.backup import Backup, BackupError, back_up, check_backup
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.environments import Environment, as_environment
from hooks import points_databases


class TableBackupOperator(BaseOperator):
    """Keep a proven backup of each table of the plan; returns table → backup table.

    Once rows were changed, the backup from before is kept and only checked: a new one would contain the change.

    :param batch_id: the batch (templated).
    :param environment: intranet or extranet.
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, environment: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment

    def execute(self, context: Context) -> dict[str, str]:  # noqa: ARG002
        """Back up.

        :raises AirflowFailException: when a copy differs from its source, or an earlier backup was edited.
        """
        name = as_environment(self.environment)
        with points_databases.repositories() as repositories, points_databases.environment(name) as connection:
            plan = points_databases.planner(repositories).plan(self.batch_id, name).plan
            tables = sorted({row.table for row in plan.rows})
            started = bool(Journal(connection, self.batch_id, name).entries())
            connection.rollback()
            try:
                make = self._kept if started else self._made
                backups = [make(repositories, connection, name, table) for table in tables]
            except BackupError as error:
                raise AirflowFailException(str(error)) from error
        for backup in backups:
            self.log.info(
                "%s → %s: %s rows, %s", backup.table, backup.place, backup.checksum.rows, backup.checksum.value
            )
        return {backup.table: backup.place for backup in backups}

    def _made(self, repositories: Repositories, connection: Any, name: Environment, table: str) -> Backup:
        backup = back_up(connection, self.batch_id, name, table)
        repositories.backups.save(self.batch_id, name, backup)
        return backup

    def _kept(self, repositories: Repositories, connection: Any, name: Environment, table: str) -> Backup:
        for backup in repositories.backups.of_batch(self.batch_id, name):
            if backup.table == table:
                check_backup(connection, backup)
                return backup
        raise BackupError(
            f"{table} has no backup from before batch {self.batch_id} changed rows. Nothing was changed now."
        )
