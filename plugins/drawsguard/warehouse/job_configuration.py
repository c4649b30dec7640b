"""What every BigQuery query job carries, whether the runner or Airflow's own operator starts it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from google.cloud.bigquery import QueryJobConfig

from drawsguard.settings import get_settings
from drawsguard.sql import render
from drawsguard.warehouse.limits import ROUTINE, TimeLimit
from drawsguard.warehouse.parameters import bind

#: Where the engine's statements live, below ``include/sql``.
FOLDER = "bigquery"


def label(text: str) -> str:
    """Return ``text`` as a BigQuery label value: lower case, at most 63 of ``a-z 0-9 _ -``."""
    return re.sub(r"[^a-z0-9_-]", "_", text.lower())[:63]


def query_config(
    statement: str, dag_id: str, task_id: str, values: dict[str, Any], limit: TimeLimit = ROUTINE
) -> QueryJobConfig:
    """Return bound values, ceilings on bytes and time, and the labels ``dag``, ``task`` and ``statement``.

    :param statement: file below ``include/sql/bigquery``.
    :param values: see `bind`.
    """
    config = QueryJobConfig(
        query_parameters=bind(**values),
        maximum_bytes_billed=get_settings().maximum_bytes_billed,
        labels={
            "dag": label(dag_id),
            "task": label(task_id),
            "statement": label(str(PurePosixPath(statement).with_suffix(""))),
        },
        use_legacy_sql=False,
    )
    config.job_timeout_ms = int(limit.statement_seconds * 1000)
    return config


def job_configuration(
    statement: str, dag_id: str, task_id: str, limit: TimeLimit = ROUTINE, /, **values: Any
) -> dict[str, Any]:
    """Return the statement with the same as a REST resource: the ``configuration`` of a BigQueryInsertJobOperator."""
    configuration = query_config(statement, dag_id, task_id, values, limit).to_api_repr()
    configuration["query"]["query"] = render(f"{FOLDER}/{statement}")
    return configuration
