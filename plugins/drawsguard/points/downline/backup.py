"""Back up definition tables on the environment's own server, and prove each backup by restoring it once.

A checksum does not depend on row order: the number of rows, and the XOR and the sum of a hash of every row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from drawsguard.points import definitions
from drawsguard.points.database import execute, fetch
from drawsguard.points.definitions import plain_names
from drawsguard.points.digest import digest_of
from drawsguard.points.downline.journal import PlannedRow
from drawsguard.points.environments import Environment, backup_schema, scratch_schema

#: Longest identifier of the server.
_NAME_LIMIT = 64


class BackupError(RuntimeError):
    """A backup does not match its source. Nothing was changed in the definition tables."""


@dataclass(frozen=True)
class Checksum:
    """Content of a table: number of rows, and an order-independent hash."""

    rows: int
    value: str


@dataclass(frozen=True)
class Backup:
    """A proven backup: ``place`` is schema.table on the environment's own server."""

    table: str
    place: str
    checksum: Checksum


def checksum_of(connection: Any, schema: str, table: str) -> Checksum:
    """Return the checksum of a table as it is committed now, holding shared locks until the transaction ends."""
    ((rows, xor, total),) = fetch(
        connection,
        "downline/backup/checksum.sql",
        schema=schema,
        table=table,
        columns=_columns(connection, schema, table),
    )
    return Checksum(int(rows), f"{int(xor):016x}-{int(total):x}")


def _columns(connection: Any, schema: str, table: str) -> list[str]:
    values = {"table_schema": schema, "table_name": table}
    columns = [name for (name,) in fetch(connection, "downline/backup/all_columns.sql", values)]
    if not columns:
        raise BackupError(f"Table {schema}.{table} does not exist.")
    return plain_names(f"{schema}.{table}", columns)


def back_up(connection: Any, batch_id: str, environment: Environment, table: str) -> Backup:
    """Copy a table, compare checksums, and restore the copy once into a scratch table to prove it.

    An unproven copy of an earlier attempt is replaced.

    :raises BackupError: when any two of source, copy and restored copy differ.
    """
    ((schema,),) = fetch(connection, "downline/backup/current_schema.sql")
    name = _name(batch_id, environment, table)
    backup, scratch = (backup_schema(environment), name), (scratch_schema(environment), name)
    source = _copy(connection, (schema, table), backup, "the backup")
    restored = _copy(connection, backup, scratch, "the backup restored into scratch")
    _same(table, "the backup restored into scratch", source, restored)
    execute(connection, "downline/backup/drop_table.sql", schema=scratch[0], table=name)
    return Backup(table, ".".join(backup), source)


def _copy(connection: Any, source: tuple[str, str], target: tuple[str, str], what: str) -> Checksum:
    """Replace ``target`` by a copy of ``source`` (each schema, table), and return the checksum that both have."""
    schema, table = target
    names = {"schema": schema, "table": table, "source_schema": source[0], "source_table": source[1]}
    execute(connection, "downline/backup/drop_table.sql", schema=schema, table=table)
    execute(connection, "downline/backup/create_like.sql", None, **names)
    # The copy holds shared locks on the source until the commit, so both checksums describe the same moment.
    columns = _columns(connection, *source)
    execute(connection, "downline/backup/copy_rows.sql", None, columns=columns, **names)
    expected = checksum_of(connection, *source)
    found = checksum_of(connection, *target)
    connection.commit()
    _same(source[1], what, expected, found)
    return found


def check_backup(connection: Any, backup: Backup) -> None:
    """Refuse a backup that was edited, or dropped, since it was proven.

    :raises BackupError: naming both checksums.
    """
    schema, _, table = backup.place.partition(".")
    now = checksum_of(connection, schema, table)
    connection.rollback()
    _same(backup.table, f"its backup {backup.place}", backup.checksum, now)


def not_in_backup(connection: Any, backups: Iterable[Backup], rows: Iterable[PlannedRow]) -> list[PlannedRow]:
    """Return the planned rows that no backup has as they are planned, status and last_modify_time included."""
    places = {backup.table: backup.place.partition(".") for backup in backups}
    planned = sorted(rows)
    kept: Counter[tuple[Any, ...]] = Counter()
    for table, kind in sorted({(row.table, row.kind) for row in planned if row.table in places}):
        schema, _, name = places[table]
        ids = {row.row_id for row in planned if row.table == table}
        for found in definitions.rows_of_ids(connection, name, kind, ids, schema=schema):
            kept[table, *found] += 1
    connection.rollback()
    missing = []
    for row in planned:
        key = (row.table, row.row_id, row.identity, row.old_status, row.last_modify_time, row.cluster)
        if kept[key] < 1:
            missing.append(row)
        kept[key] -= 1
    return missing


def _same(table: str, what: str, expected: Checksum, found: Checksum) -> None:
    if expected != found:
        raise BackupError(
            f"{table}: {what} has {found.rows} rows, checksum {found.value}; expected {expected.rows} rows, "
            f"{expected.value}. Nothing was changed. Trigger a new run, which makes and proves a new backup."
        )


def _name(batch_id: str, environment: Environment, table: str) -> str:
    whole = f"b{batch_id}_{environment}_{table.removeprefix('define_')}"
    name = re.sub(r"[^a-z0-9_]", "_", whole.lower())
    if name != whole:  # a-1, a_1 and A_1 are three batches, and their backups three tables, whatever the server's case
        name += f"_{digest_of([batch_id, environment, table])[:6]}"
    if len(name) > _NAME_LIMIT:
        raise BackupError(f"Backup name {name} is longer than {_NAME_LIMIT} characters: shorten the batch id.")
    return name
