"""Running the checked-in statements on BigQuery, with the values, limits and labels of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.cloud.bigquery import Client, QueryJob

from drawsguard.settings import get_settings
from drawsguard.sql import Identifiers, query_config, render


@dataclass(frozen=True)
class Statements:
    """Runs files of ``include/sql/bigquery`` as one task.

    :param client: from ``BigQueryHook.get_client``.
    :param dag_id: labels the jobs, for cost by DAG.
    :param task_id: labels the jobs.
    """

    client: Client
    dag_id: str
    task_id: str

    def run(self, path: str, identifiers: dict[str, Identifiers] | None = None, **values: Any) -> QueryJob:
        """Run ``include/sql/bigquery/<path>`` to its end and return the job.

        :param identifiers: names for the file's placeholders, beyond the settings.
        :param values: bound parameters.
        :raises google.api_core.exceptions.GoogleAPICallError: when the statement fails.
        """
        job = self.client.query(
            render(f"bigquery/{path}", **(identifiers or {})),
            job_config=query_config(self.dag_id, self.task_id, **values),
            location=get_settings().location,
            project=get_settings().project,
        )
        job.result()
        return job

    def rows(self, path: str, identifiers: dict[str, Identifiers] | None = None, **values: Any) -> list[dict[str, Any]]:
        """Run a query and return its rows as dictionaries (same arguments and errors as `run`)."""
        return [dict(row.items()) for row in self.run(path, identifiers, **values).result()]

    def affected(self, path: str, identifiers: dict[str, Identifiers] | None = None, **values: Any) -> int:
        """Run a DML statement and return how many rows it changed (same arguments and errors as `run`)."""
        return self.run(path, identifiers, **values).num_dml_affected_rows or 0
