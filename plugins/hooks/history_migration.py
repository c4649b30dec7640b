"""The migration of legacy draws, as the task that does a step of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator

from drawsguard.draws.history.migration import HistoryMigration
from drawsguard.warehouse.limits import BULK
from drawsguard.warehouse.runner import StatementRunner
from hooks.warehouse_hook import warehouse_client


def history_migration(task: BaseOperator, context: Any) -> HistoryMigration:
    """Return the migration of the side in the run's params; its jobs carry the labels of ``task``."""
    runner = StatementRunner(warehouse_client(), task.dag_id, task.task_id, BULK)
    return HistoryMigration(runner, context["params"]["side"], context["ti"].run_id, lambda: datetime.now(UTC))
