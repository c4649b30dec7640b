"""Reading and appending of the monitoring tables. Appends are MERGEs on a key: repeating one changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from google.cloud import bigquery

from drawsguard.sql import query_config, render

FOLDER = "bigquery/monitoring"

#: The client's own retry goes on for ten minutes; a monitor that waits for that long is blind.
CALL_SECONDS, QUERY_SECONDS = 10.0, 30.0
_RETRY = bigquery.DEFAULT_RETRY.with_timeout(CALL_SECONDS)

#: The column of time of each append statement: its bounds prune partitions.
_TIME_COLUMNS = {
    "append_alert_events": "event_at",
    "append_check_results": "checked_at",
    "append_identity_results": "checked_at",
    "append_signals": "signalled_at",
    "append_audit": "acted_at",
}


def stable_id(*parts: object) -> str:
    """Return a short id that depends on the parts alone, so that a repeated write meets its first self."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]


class MonitorStore:
    """The monitoring dataset as seen by one task.

    :param client: BigQuery client of the warehouse.
    :param dag_id: label of every job, with ``task_id``.
    """

    def __init__(self, client: bigquery.Client, *, dag_id: str, task_id: str) -> None:
        self._client, self._dag_id, self._task_id = client, dag_id, task_id

    def query(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Run a file below include/sql/bigquery/monitoring and return its rows.

        :param statement: file name without ``.sql``.
        :param values: bound parameters.
        """
        return self.run(render(f"{FOLDER}/{statement}.sql"), **values)

    def run(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Run a rendered statement with bound values and return its rows."""
        config = query_config(self._dag_id, self._task_id, **values)
        job = self._client.query(statement, job_config=config, retry=_RETRY, job_retry=None, timeout=CALL_SECONDS)
        rows = job.result(retry=_RETRY, job_retry=None, timeout=QUERY_SECONDS)
        return [dict(row.items()) for row in rows]

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
