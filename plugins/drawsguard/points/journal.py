"""The journal of changed rows, kept on the environment's own server and written with each change."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple

from drawsguard.points.database import BACKUP_SCHEMA, TimeText, execute, execute_many, fetch, run_script, utc
from drawsguard.points.definitions import Kind

Environment = Literal["intranet", "extranet"]
ENVIRONMENTS: tuple[Environment, Environment] = ("intranet", "extranet")


class PlannedRow(NamedTuple):
    """One row to change, as it was before; ``ordinal`` tells rows apart that are equal in everything else."""

    kind: Kind
    table: str
    row_id: int
    identity: str
    old_status: int
    last_modify_time: TimeText
    cluster: str
    ordinal: int


class Entry(NamedTuple):
    """A changed row and what became of it: ``downlined``, or ``restored`` later."""

    row: PlannedRow
    state: str
    changed_at: datetime
    restored_at: datetime | None


class Journal:
    """The entries of one batch in one environment."""

    def __init__(self, connection: Any, batch_id: str, environment: Environment) -> None:
        self._connection = connection
        self._key = {"batch_id": batch_id, "environment": environment}

    def migrate(self) -> None:
        """Create the journal where it is missing."""
        run_script(self._connection, "journal/V001__journal.sql", backup_schema=BACKUP_SCHEMA)

    def entries(self) -> list[Entry]:
        """Return every entry; restored ones included."""
        rows = fetch(self._connection, "journal/of_batch.sql", self._key, backup_schema=BACKUP_SCHEMA)
        return [
            Entry(PlannedRow(kind, table, int(row_id), identity, int(status), text, cluster, int(ordinal)), *rest)
            for kind, table, row_id, identity, status, text, cluster, ordinal, *rest in rows
        ]

    def downlined(self) -> set[PlannedRow]:
        """Return the rows that the batch changed and nobody restored."""
        return {entry.row for entry in self.entries() if entry.state == "downlined"}

    def add(self, rows: list[PlannedRow], digest: str, now: datetime) -> None:
        """Note rows about to change; part of the caller's transaction."""
        common = self._key | {"digest": digest, "changed_at": utc(now)}
        execute_many(
            self._connection,
            "journal/add.sql",
            [_columns(row) | common for row in rows],
            backup_schema=BACKUP_SCHEMA,
        )

    def mark_restored(self, row: PlannedRow, digest: str, now: datetime) -> bool:
        """Note a row's restore; part of the caller's transaction. False when it was not downlined."""
        values = _columns(row) | self._key | {"restore_digest": digest, "restored_at": utc(now)}
        return execute(self._connection, "journal/mark_restored.sql", values, backup_schema=BACKUP_SCHEMA) == 1


def _columns(row: PlannedRow) -> dict[str, Any]:
    values = row._asdict()
    values["table_name"] = values.pop("table")
    return values
