"""Where the proven backups are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drawsguard.points.clock import Clock, utc_now
from drawsguard.points.database import execute, fetch, utc
from drawsguard.points.downline.backup import Backup, Checksum
from drawsguard.points.environments import Environment


@dataclass(frozen=True)
class BackupRepository:
    """Where the proven backups are.

    :param connection: a prepared connection to the governance server.
    """

    connection: Any
    clock: Clock = utc_now

    def save(self, batch_id: str, environment: Environment, backup: Backup) -> None:
        """Keep where a proven backup is."""
        values = {
            "batch_id": batch_id,
            "environment": environment,
            "table_name": backup.table,
            "backup_table": backup.place,
            "row_count": backup.checksum.rows,
            "checksum": backup.checksum.value,
            "proven_at": utc(self.clock()),
        }
        execute(self.connection, "downline/backup/put_backup.sql", values)
        self.connection.commit()

    def of_batch(self, batch_id: str, environment: Environment) -> list[Backup]:
        """Return the proven backups of a batch in an environment."""
        values = {"batch_id": batch_id, "environment": environment}
        rows = fetch(self.connection, "downline/backup/backups.sql", values)
        self.connection.rollback()
        return [Backup(table, place, Checksum(int(count), value)) for table, place, count, value in rows]
