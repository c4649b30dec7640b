"""Versioned and repeatable migrations of the warehouse's schema.

A migration is a file in ``include/sql/bigquery/schema``:

* ``V020__features.sql`` is applied once, in the order of its number. A file that was applied must not change any more:
  a new one changes the table. A lower number that arrives later (another team's range) is still applied.
* ``R__200_freshness_v.sql`` (views, functions) is applied after all versioned ones, in the order of its name, and again
  whenever the file changes, or a setting that is rendered into it (`drawsguard.schema_constants`). It says CREATE OR
  REPLACE. What stands on a table that still has the layout from before this repository waits for its cut-over
  (`drawsguard.warehouse.adoption`).

BigQuery cannot roll back DDL: each statement says IF NOT EXISTS or OR REPLACE, so that a file that failed half way is
simply run again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from google.cloud import bigquery

from drawsguard.schema_constants import schema_constants
from drawsguard.settings import get_settings
from drawsguard.sql import SQL_ROOT, render, without_header
from drawsguard.warehouse.adoption import AdoptedTable, awaited_tables
from drawsguard.warehouse.limits import BULK
from drawsguard.warehouse.references import definitions, named_tables
from drawsguard.warehouse.runner import StatementRunner

log = logging.getLogger(__name__)

#: Where migrations live, below ``include/sql``.
FOLDER = "bigquery/schema"

_FILE_NAME = re.compile(r"(?P<version>V\d{3})__[a-z0-9_]+\.sql|(?P<repeatable>R__\d{3}_[a-z0-9_]+)\.sql")

#: Statements of this module itself; every other file in the folder is a migration.
_OWN_STATEMENTS = frozenset({"bootstrap.sql", "applied_migrations.sql", "record_migration.sql"})


class MigrationError(Exception):
    """The migrations on disk do not fit together, or do not fit what was applied."""


@dataclass(frozen=True, order=True)
class Migration:
    """One file: `version` identifies it (``V020``, or ``R__200_freshness_v``).

    `checksum` is that of its statements and of the settings in them: an edited header is no edit. `file_checksum` is
    that of the whole file, which the first releases recorded; empty when there is none to accept.
    """

    repeatable: bool
    version: str
    name: str
    checksum: str
    file_checksum: str = ""


def load(folder: Path = SQL_ROOT / FOLDER) -> list[Migration]:
    """Return the migrations in ``folder`` in the order of application.

    :raises MigrationError: when a file is misnamed, or two files carry one version.
    """
    migrations: dict[str, Migration] = {}
    constants = schema_constants(get_settings())
    for path in sorted(folder.glob("*.sql")):
        if path.name in _OWN_STATEMENTS:
            continue
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(
                f"{path} is not named like a migration. Name it V<three digits>__<name>.sql, "
                "or R__<three digits>_<name>.sql for a view or function."
            )
        version = match["version"] or match["repeatable"]
        if version in migrations:
            raise MigrationError(
                f"{path.name} and {migrations[version].name} both carry version {version}; give one a free number."
            )
        # Line ends are not content: a checkout on another system must not look like an edit.
        text = path.read_text(encoding="utf-8")
        content = without_header(text)
        named = {name: value for name, value in constants.items() if name in content}
        if named:
            content += json.dumps(named, sort_keys=True)
        migrations[version] = Migration(
            match["version"] is None, version, path.name, _sha256(content), "" if named else _sha256(text)
        )
    return sorted(migrations.values())


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pending(migrations: Iterable[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """Return the migrations still to be applied, in order.

    :param applied: checksum by version, as recorded in ``schema_migrations``.
    :raises MigrationError: when a versioned migration was edited after it was applied.
    """
    todo = []
    for migration in migrations:
        recorded = applied.get(migration.version)
        if recorded is not None and recorded in (migration.checksum, migration.file_checksum):
            continue
        if recorded is not None and not migration.repeatable:
            raise MigrationError(
                f"{migration.name} was applied with checksum {recorded[:12]}… and now has {migration.checksum[:12]}…: "
                "an applied migration must not change. Restore the file and put the change into a new V file."
            )
        todo.append(migration)
    return todo


def split_waiting(
    repeatable: Iterable[Migration], awaited: Iterable[AdoptedTable]
) -> tuple[list[Migration], list[Migration]]:
    """Return the views and functions that can be created now, and those that wait for a cut-over, each in order.

    A file waits when it names a table whose cut-over is awaited, or what a waiting file creates.
    """
    blocked = {table.full_name for table in awaited}
    ready, waiting = [], []
    for migration in repeatable:
        text = render(f"{FOLDER}/{migration.name}")
        if named_tables(text) & blocked:
            blocked |= definitions([text]).keys()
            waiting.append(migration)
        else:
            ready.append(migration)
    return ready, waiting


@dataclass(frozen=True)
class MigrationResult:
    """What one run did: applied files, files that wait, and the tables whose cut-over they wait for."""

    applied: list[Migration]
    waiting: list[Migration]
    awaited: tuple[AdoptedTable, ...]


class Migrator:
    """Applies migrations to one warehouse.

    :param client: client of the project and location that hold the datasets.
    :param dag_id: label of every job, with ``task_id``.
    :param run_id: recorded with each migration.
    :param now: clock, for the record.
    """

    def __init__(
        self,
        client: bigquery.Client,
        *,
        dag_id: str,
        task_id: str,
        run_id: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._runner = StatementRunner(client, dag_id, task_id, BULK)
        self._run_id = run_id
        self._now = now

    def pending(self) -> list[Migration]:
        """Return what `migrate` would apply now (creates the record of migrations when there is none)."""
        self._runner.run("schema/bootstrap.sql")
        rows = self._runner.rows("schema/applied_migrations.sql")
        return pending(load(), {row["version"]: row["checksum"] for row in rows})

    def migrate(self) -> MigrationResult:
        """Apply what is pending, except what waits for a cut-over. Nothing applied: the schema was up to date.

        :raises MigrationError: when an applied migration was edited; nothing is applied.
        :raises drawsguard.warehouse.failures.StatementError: when a statement fails; those before it are recorded.
        """
        todo = self.pending()
        applied = [migration for migration in todo if not migration.repeatable]
        for migration in applied:
            self._apply(migration)
        # Judged only now: the versioned migrations create the tables that are not there.
        awaited = awaited_tables(self._runner)
        ready, waiting = split_waiting((one for one in todo if one.repeatable), awaited)
        for migration in ready:
            self._apply(migration)
        return MigrationResult(applied + ready, waiting, awaited)

    def _apply(self, migration: Migration) -> None:
        log.info("Applying %s", migration.name)
        self._runner.run(f"schema/{migration.name}")
        self._runner.run(
            "schema/record_migration.sql",
            version=migration.version,
            name=migration.name,
            checksum=migration.checksum,
            applied_at=self._now(),
            run_id=self._run_id,
        )
