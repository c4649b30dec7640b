"""Signals: what tasks and deadlines report. The monitor makes alerts of them, one a key."""

from __future__ import annotations

from datetime import datetime, timedelta

from drawsguard.alerts.lifecycle import Priority
from drawsguard.monitoring.store import MonitorStore, stable_id

#: As long as the table keeps its rows: an older signal cannot be ended, and cannot be seen either.
MEMORY = timedelta(days=400)


def task_key(dag_id: str, task_id: str) -> str:
    """Return the alert key of a task's failures. Mapped instances are one task, and one alert."""
    return f"task:{dag_id}.{task_id}"


def sla_key(dag_id: str) -> str:
    """Return the alert key of a DAG's missed deadlines."""
    return f"sla:{dag_id}"


def fire(store: MonitorStore, key: str, priority: Priority, detail: str, *, run_id: str, now: datetime) -> None:
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
    store.append("append_signals", [row])


def end(store: MonitorStore, key: str, detail: str, *, run_id: str, now: datetime) -> None:
    """Append a signal that the condition ``key`` is over, if it was the newest thing heard of it that it holds."""
    store.query(
        "end_signal",
        signal_id=stable_id(key, run_id, now.isoformat()),
        alert_key=key,
        now=now,
        since=now - MEMORY,
        detail=detail,
        run_id=run_id,
    )
