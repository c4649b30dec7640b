"""Tasks report their final failure, and the end of one, to the monitor: the same life as every other alert."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drawsguard.alerts.config import load_alert_config
from drawsguard.monitoring.store import MonitorStore, stable_id
from hooks.warehouse_hook import warehouse_client

LONGEST_DETAIL = 500


def report(task_instance: Any, state: str, detail: str) -> None:
    """Append a signal of a task to ``alert_signal``.

    :param task_instance: the running task instance.
    :param state: ``firing`` or ``ok``.
    :param detail: what happened, for the alert.
    """
    now = datetime.now(UTC)
    tags = getattr(task_instance.task.dag, "tags", ())
    row = {
        "signal_id": stable_id(task_instance.id, task_instance.try_number, state),
        "alert_key": f"task:{task_instance.dag_id}.{task_instance.task_id}",
        "signalled_at": now,
        "state": state,
        "priority": load_alert_config().priority_of_task(tags).value,
        "detail": detail[:LONGEST_DETAIL],
        "run_id": task_instance.run_id,
    }
    store = MonitorStore(warehouse_client(), dag_id=task_instance.dag_id, task_id=task_instance.task_id)
    store.append("append_signals", [row])


def may_end_a_failure(task_instance: Any) -> bool:
    """Whether a success of this task may be the end of a failure: most are not, and need no signal."""
    if task_instance.try_number > 1:
        return True
    previous = task_instance.get_previous_ti()
    # A run without a logical date has no predecessor that Airflow could name; such runs are rare.
    return previous is None or str(previous.state) == "failed"
