"""Versioned and repeatable migrations of the warehouse's schema.

A migration is a file in ``include/sql/bigquery/schema``:

* ``V020__features.sql`` is applied once, in the order of its number. A file that was applied must not change any more:
  a new one changes the table. A lower number that arrives later (another team's range) is still applied.
* ``R__200_freshness_v.sql`` (views, functions) is applied after all versioned ones, in the order of its name, and again
  whenever the file changes. It says CREATE OR REPLACE.

BigQuery cannot roll back DDL: each statement says IF NOT EXISTS or OR REPLACE, so that a file that failed half way is
simply run again.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from google.cloud import bigquery

from drawsguard.sql import SQL_ROOT, query_config, render

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
    """One file: `version` identifies it (``V020``, or ``R__200_freshness_v``), `checksum` is that of its text."""

    repeatable: bool
    version: str
    name: str
    checksum: str


def load(folder: Path = SQL_ROOT / FOLDER) -> list[Migration]:
    """Return the migrations in ``folder`` in the order of application.

    :raises MigrationError: when a file is misnamed, or two files carry one version.
    """
    migrations: dict[str, Migration] = {}
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
        checksum = hashlib.sha256(path.read_text(encoding="utf-8").encode()).hexdigest()
        migrations[version] = Migration(match["version"] is None, version, path.name, checksum)
    return sorted(migrations.values())


def pending(migrations: Iterable[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """Return the migrations still to be applied, in order.

    :param applied: checksum by version, as recorded in ``schema_migrations``.
    :raises MigrationError: when a versioned migration was edited after it was applied.
    """
    todo = []
    for migration in migrations:
        recorded = applied.get(migration.version)
        if recorded == migration.checksum:
            continue
        if recorded is not None and not migration.repeatable:
            raise MigrationError(
                f"{migration.name} was applied with checksum {recorded[:12]}… and now has {migration.checksum[:12]}…: "
                "an applied migration must not change. Restore the file and put the change into a new V file."
            )
        todo.append(migration)
    return todo


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
        self._client = client
        self._dag_id = dag_id
        self._task_id = task_id
        self._run_id = run_id
        self._now = now

    def pending(self) -> list[Migration]:
        """Return what `migrate` would apply now (creates the record of migrations when there is none)."""
        self._run("bootstrap.sql")
        rows = self._run("applied_migrations.sql")
        return pending(load(), {row["version"]: row["checksum"] for row in rows})

    def migrate(self) -> list[Migration]:
        """Apply what is pending and return it; an empty list means that the schema was up to date."""
        todo = self.pending()
        for migration in todo:
            log.info("Applying %s", migration.name)
            self._run(migration.name)
            self._run(
                "record_migration.sql",
                version=migration.version,
                name=migration.name,
                checksum=migration.checksum,
                applied_at=self._now(),
                run_id=self._run_id,
            )
        return todo

    def _run(
        self, file_name: str, /, **values: object
    ) -> bigquery.table.RowIterator | bigquery.table._EmptyRowIterator:
        statement = render(f"{FOLDER}/{file_name}")
        return self._client.query(statement, job_config=query_config(self._dag_id, self._task_id, **values)).result()
