"""Signals: what tasks and deadlines report. The monitor makes alerts of them, one per key."""

from __future__ import annotations

from datetime import datetime, timedelta

from drawsguard.monitoring.observation import Priority
from drawsguard.warehouse.monitoring_repository import MonitoringRepository, stable_id

#: As long as the table keeps its rows: an older signal can neither be ended nor be seen.
MEMORY = timedelta(days=400)


def task_key(dag_id: str, task_id: str) -> str:
    """Return the alert key of a task's failures. Mapped instances are one task, and one alert."""
    return f"task:{dag_id}.{task_id}"


def sla_key(dag_id: str) -> str:
    """Return the alert key of a DAG's missed deadlines."""
    return f"sla:{dag_id}"


def fire(
    repository: MonitoringRepository, key: str, priority: Priority, detail: str, *, run_id: str, now: datetime
) -> None:
    """Append a signal that the condition ``key`` holds; repeated ones are the same alert.

    :param detail: what happened, for the alert's message.
    :param now: aware.
    """
    row = {
        "signal_id": stable_id(key, run_id, now.isoformat()),
        "alert_key": key,
        "signalled_at": now,
        "state": "firing",
        "priority": priority.value,
        "detail": detail,
        "run_id": run_id,
    }
    repository.append("alerts/append_signals", [row])


def end(repository: MonitoringRepository, key: str, detail: str, *, run_id: str, now: datetime) -> None:
    """Append a signal that the condition ``key`` is over, if it was the newest thing heard of it that it holds."""
    repository.query(
        "alerts/end_signal",
        signal_id=stable_id(key, run_id, now.isoformat()),
        alert_key=key,
        now=now,
        since=now - MEMORY,
        detail=detail,
        run_id=run_id,
    )
