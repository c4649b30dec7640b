"""Rows that are loaded into a table of the monitoring dataset: free of charge, and all of them or none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from google.api_core.exceptions import Conflict
from google.cloud.bigquery import Client, LoadJob, LoadJobConfig, SourceFormat, WriteDisposition

from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import CLIENT_ERRORS, StatementError
from drawsguard.warehouse.limits import WATCH
from drawsguard.warehouse.streaming import as_json, stable_id

#: A load that failed has its job id for ever; a repetition takes the next.
ATTEMPTS = 3


def load(client: Client, table: str, rows: Sequence[Mapping[str, Any]], run_id: str, labels: Mapping[str, str]) -> None:
    """Append the rows of a run by a load job, whose id follows from task and run: they are not added again.

    The run's id alone names no run: DAGs with one schedule share it. Loaded rows can be listed at once, which streamed
    ones cannot. BigQuery allows 1,500 load jobs a table and day.

    :param labels: of the job: ``dag`` and ``task``.
    :raises StatementError: when BigQuery refuses the rows, or does not answer in time.
    """
    if not rows:
        return
    job_id = ""
    try:
        for attempt in range(1, ATTEMPTS + 1):
            job_id = f"{table}_{stable_id(labels['dag'], labels['task'], run_id)}_{attempt}"
            job, is_ours = _job(client, table, rows, job_id, labels)
            if is_ours or not job.error_result or attempt == ATTEMPTS:
                job.result(timeout=WATCH.statement_seconds)
                return
    except CLIENT_ERRORS as error:
        raise StatementError.of(error, f"load into {table}", job_id, "its attempts") from error


def _job(
    client: Client, table: str, rows: Sequence[Mapping[str, Any]], job_id: str, labels: Mapping[str, str]
) -> tuple[LoadJob, bool]:
    """Return the job of this id, and whether it is begun now and not by an earlier attempt of the task."""
    destination = client.get_table(get_settings().table("monitor", table).strip("`"), timeout=WATCH.call_seconds)
    config = LoadJobConfig(
        schema=destination.schema,
        source_format=SourceFormat.NEWLINE_DELIMITED_JSON,
        write_disposition=WriteDisposition.WRITE_APPEND,
        labels=dict(labels),
    )
    plain = [json.loads(json.dumps(row, default=as_json)) for row in rows]
    try:
        job = client.load_table_from_json(
            plain, destination.reference, job_id=job_id, job_config=config, timeout=WATCH.call_seconds
        )
    except Conflict:
        earlier = client.get_job(job_id, location=destination.location, timeout=WATCH.call_seconds)
        return cast("LoadJob", earlier), False
    return job, True
