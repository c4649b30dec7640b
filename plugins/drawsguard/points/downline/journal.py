"""The journal of changed rows, kept on the environment's own server and written with each change."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from drawsguard.points.database import TimeText, execute, execute_many, fetch, utc
from drawsguard.points.definitions import Kind
from drawsguard.points.environments import Environment, journal_schema


class PlannedRow(NamedTuple):
    """One row to change, as it was before; ``ordinal`` distinguishes rows that are equal in everything else."""

    kind: Kind
    table: str
    row_id: int
    identity: str
    old_status: int
    last_modify_time: TimeText
    cluster: str
    ordinal: int


class Entry(NamedTuple):
    """A changed row and its state: ``downlined``, or ``restored`` later."""

    row: PlannedRow
    state: str
    changed_at: datetime
    restored_at: datetime | None


class Journal:
    """The entries of one batch in one environment."""

    def __init__(self, connection: Any, batch_id: str, environment: Environment) -> None:
        self._connection = connection
        self._key = {"batch_id": batch_id, "environment": environment}
        self._schema = journal_schema(environment)

    def entries(self) -> list[Entry]:
        """Return every entry; restored ones included."""
        rows = fetch(self._connection, "downline/journal/of_batch.sql", self._key, journal_schema=self._schema)
        return [
            Entry(PlannedRow(kind, table, int(row_id), identity, int(status), text, cluster, int(ordinal)), *rest)
            for kind, table, row_id, identity, status, text, cluster, ordinal, *rest in rows
        ]

    def downlined(self) -> set[PlannedRow]:
        """Return the rows that the batch changed and nobody restored."""
        return {entry.row for entry in self.entries() if entry.state == "downlined"}

    def taken_later(self) -> dict[tuple[Kind, str, int], str]:
        """Return which other batch took a row of this one out of service after it, by kind, table and id."""
        rows = fetch(self._connection, "downline/journal/taken_later.sql", self._key, journal_schema=self._schema)
        return {(kind, table, int(row_id)): str(other) for kind, table, row_id, other in rows}

    def add(self, rows: list[PlannedRow], digest: str, now: datetime) -> None:
        """Record rows about to change; part of the caller's transaction."""
        common = self._key | {"digest": digest, "changed_at": utc(now)}
        execute_many(
            self._connection,
            "downline/journal/add.sql",
            [_columns(row) | common for row in rows],
            journal_schema=self._schema,
        )

    def mark_restored(self, row: PlannedRow, digest: str, now: datetime) -> bool:
        """Record a row's restore; part of the caller's transaction. False when it was not downlined."""
        values = _columns(row) | self._key | {"restore_digest": digest, "restored_at": utc(now)}
        return execute(self._connection, "downline/journal/mark_restored.sql", values, journal_schema=self._schema) == 1


def _columns(row: PlannedRow) -> dict[str, Any]:
    values = row._asdict()
    values["table_name"] = values.pop("table")
    return values
