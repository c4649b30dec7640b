"""Run a file of statements on Hive."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from drawsguard.points.telemetry.hive_source import statements
from drawsguard.settings import get_settings


class HiveStatementOperator(SQLExecuteQueryOperator):
    """Run the statements of a file below ``include/sql/hive``, in order; they return nothing.

    :param file: e.g. ``telemetry/push/stamp_build.sql``.
    :param parameters: the values that the statements name (templated).
    """

    def __init__(self, *, file: str, parameters: dict[str, Any] | None = None, **kwargs: Any) -> None:
        options: dict[str, Any] = {"conn_id": get_settings().hive_conn_id, "do_xcom_push": False} | kwargs
        super().__init__(sql=statements(file), parameters=parameters, **options)
        self.file = file
