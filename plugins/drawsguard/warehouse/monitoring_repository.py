"""Reading and appending of the monitoring tables. Appends are MERGEs on a key: repeating one changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from google.cloud import bigquery

from drawsguard.sql import Identifiers
from drawsguard.warehouse.limits import WATCH
from drawsguard.warehouse.runner import StatementRunner

#: The column of time of each append statement: its bounds prune partitions.
_TIME_COLUMNS = {
    "alerts/append_alert_events": "event_at",
    "monitoring/append_check_results": "checked_at",
    "identity/append_identity_results": "checked_at",
    "alerts/append_signals": "signalled_at",
    "alerts/append_audit": "acted_at",
}


def stable_id(*parts: object) -> str:
    """Return a short id that depends on the parts alone, so that a repeated write meets its first self."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]


class MonitoringRepository:
    """The monitoring dataset as seen by one task.

    Every method raises `drawsguard.warehouse.failures.StatementError` when its statement fails or takes too long.

    :param client: BigQuery client of the warehouse.
    :param dag_id: label of every job, with ``task_id``.
    """

    def __init__(self, client: bigquery.Client, *, dag_id: str, task_id: str) -> None:
        self._runner = StatementRunner(client, dag_id, task_id, WATCH)

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

    def append(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows by one of the ``append_*`` statements; no rows, no job.

        :param rows: objects named like the table's columns; datetimes are aware.
        """
        if not rows:
            return
        times = [row[_TIME_COLUMNS[statement]] for row in rows]
        self.query(statement, rows=json.dumps(rows, default=_json), oldest=min(times), newest=max(times))


def _json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
