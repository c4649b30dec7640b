"""Reading and appending of the monitoring tables: by MERGEs on a key, or streamed or loaded under an id of the key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from google.cloud import bigquery

from drawsguard.sql import Identifiers
from drawsguard.warehouse.job_configuration import label
from drawsguard.warehouse.limits import WATCH
from drawsguard.warehouse.loading import load
from drawsguard.warehouse.partitions import whole_table
from drawsguard.warehouse.runner import StatementRunner
from drawsguard.warehouse.streaming import as_json, stable_id, stream

__all__ = ["MonitoringRepository", "stable_id"]

#: So many days before a day are read with it: its expectation begins at the last draw before.
DAYS_BEFORE = timedelta(days=7)

#: The column of time of each append statement: its bounds prune partitions.
_TIME_COLUMNS = {
    "alerts/append_alert_events": "event_at",
    "alerts/append_signals": "signalled_at",
    "alerts/append_audit": "acted_at",
}


class MonitoringRepository:
    """The monitoring dataset as seen by one task.

    Every method raises `drawsguard.warehouse.failures.StatementError` when its statement fails or takes too long.

    :param client: BigQuery client of the warehouse.
    :param dag_id: label of every job, with ``task_id``.
    """

    def __init__(self, client: bigquery.Client, *, dag_id: str, task_id: str) -> None:
        self._client = client
        self._runner = StatementRunner(client, dag_id, task_id, WATCH)
        self._labels = {"dag": label(dag_id), "task": label(task_id)}

    def query(
        self, statement: str, identifiers: dict[str, Identifiers] | None = None, /, **values: Any
    ) -> list[dict[str, Any]]:
        """Run a file below include/sql/bigquery and return its rows.

        :param statement: its path without ``.sql``, e.g. ``alerts/alert_events``.
        :param identifiers: names for the file's placeholders, beyond the settings.
        :param values: bound parameters.
        """
        return self._runner.rows(f"{statement}.sql", identifiers, **values)

    def read_view(self, view: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return these columns of a view of the monitoring dataset."""
        return self.query("monitoring/read_view", {"view": view, "columns": columns})

    def days_again(self, columns: Sequence[str], days: Sequence[date]) -> list[dict[str, Any]]:
        """Return these columns of collection_quality_v for days of any age, and for the days between them."""
        # A day's expectation is counted on from the draws before it.
        bounds = {"first_day": min(days) - DAYS_BEFORE, "last_day": max(days), "as_of": datetime.now(UTC)}
        return self.query("monitoring/days_again", {"columns": columns}, **bounds)

    def stream(self, table: str, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
        """Stream rows into a log, see the function `stream`."""
        stream(self._client, table, rows, keys)

    def load(self, table: str, rows: Sequence[Mapping[str, Any]], run_id: str) -> None:
        """Load the rows of a run, which can be listed at once, see the function `load`."""
        load(self._client, table, rows, run_id, self._labels)

    def few_rows(self, table: str, fields: Sequence[bigquery.SchemaField], most: int) -> list[dict[str, Any]] | None:
        """Return the rows of a small monitoring table free of charge; None when that cannot be (see `whole_table`)."""
        return whole_table(self._runner.client, "monitor", table, fields, most)

    def append(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows by one of the ``append_*`` statements; no rows, no job.

        :param rows: objects named like the table's columns; datetimes are aware.
        """
        if not rows:
            return
        times = [row[_TIME_COLUMNS[statement]] for row in rows]
        self.query(statement, rows=json.dumps(rows, default=as_json), oldest=min(times), newest=max(times))
