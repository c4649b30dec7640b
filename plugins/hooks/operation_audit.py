"""The audit of operations in the warehouse: the table ``operation_audit``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator

from drawsguard.warehouse.monitoring_repository import MonitoringRepository, stable_id
from hooks.warehouse_hook import warehouse_client


def record_operation(
    task: BaseOperator, context: Any, operation: str, *, subject: str, action: str, actor: str | None = None,
    digest: str | None = None, detail: str | None = None,
) -> None:  # fmt: skip
    """Append one entry: who did what, to what, under which run.

    :param operation: the DAG's own name for it, such as ``oidc_repair``.
    :param actor: who did it; without one, the person who triggered the run.
    """
    person = actor or getattr(context["dag_run"], "triggering_user_name", None) or "unknown"
    row = {
        "entry_id": stable_id(context["run_id"], subject, action, context["ti"].try_number),
        "acted_at": datetime.now(UTC),
        "operation": operation,
        "subject": subject,
        "action": action,
        "actor": person,
        "digest": digest,
        "detail": detail,
        "run_id": context["run_id"],
    }
    store = MonitoringRepository(warehouse_client(), dag_id=task.dag_id, task_id=task.task_id)
    store.append("alerts/append_audit", [row])
