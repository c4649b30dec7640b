"""Signals: what tasks and deadlines report. The monitor makes alerts of them, one per key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from google.cloud.bigquery import SchemaField

from drawsguard.alerts.state import TICK
from drawsguard.monitoring.observation import Priority
from drawsguard.warehouse.monitoring_repository import MonitoringRepository, stable_id

#: As long as the table keeps its rows: an older signal can neither be ended nor be seen.
MEMORY = timedelta(days=400)

#: A table of signals with more rows is asked by a query (one signal is some 200 bytes).
MOST_LISTED = 5000

#: What the detail of a signal says when the mail about it was accepted: its alert is not sent by mail again. A detail
#: without it may have reached nobody.
MAIL_SENT = "邮件已发送。A mail was sent."

#: The state of a signal that says that its condition holds.
FIRING = "firing"

#: How the key of a missed deadline begins.
SLA = "sla:"

_SIGNAL = (
    SchemaField("alert_key", "STRING"),
    SchemaField("signalled_at", "TIMESTAMP"),
    SchemaField("state", "STRING"),
    SchemaField("run_id", "STRING"),
)


def task_key(dag_id: str, task_id: str) -> str:
    """Return the alert key of a task's failures. Mapped instances are one task, and one alert."""
    return f"task:{dag_id}.{task_id}"


def sla_key(dag_id: str) -> str:
    """Return the alert key of a DAG's missed deadlines."""
    return f"{SLA}{dag_id}"


def fire(
    repository: MonitoringRepository, key: str, priority: Priority, detail: str, *, run_id: str, now: datetime
) -> None:
    """Append a signal that the condition ``key`` holds; repeated ones are the same alert.

    Where it is listed that the condition holds already, nothing is added: a task that fails for days would fill the
    table beyond what is listed free of charge. Of a missed deadline the newest run counts, so each is kept.

    :param detail: what happened, for the alert's message.
    :param now: aware.
    """
    newest = _newest_listed(repository, key)
    if newest and newest["state"] == FIRING and not key.startswith(SLA):
        return
    row = {
        "signal_id": stable_id(key, run_id, now.isoformat()),
        "alert_key": key,
        # A clock that is behind would have it come before what it is news to.
        "signalled_at": max(now, newest["signalled_at"] + TICK) if newest else now,
        "state": FIRING,
        "priority": priority.value,
        "detail": detail,
        "run_id": run_id,
    }
    repository.append("alerts/append_signals", [row])


def _newest_listed(repository: MonitoringRepository, key: str) -> Mapping[str, Any] | None:
    """Return the newest signal of the condition ``key``, empty when there is none.

    Free of charge; None when there are too many signals to list, or they cannot be listed.
    """
    signals = repository.few_rows("alert_signal", _SIGNAL, MOST_LISTED)
    if signals is None:
        return None
    return max((row for row in signals if row["alert_key"] == key), key=lambda row: row["signalled_at"], default={})


def listed_firing_run(repository: MonitoringRepository, key: str) -> str | None:
    """Return the run whose signal, the newest of the condition ``key``, says that it holds; empty when none does.

    Free of charge; None when there are too many signals to list, or they cannot be listed.
    """
    newest = _newest_listed(repository, key)
    if newest is None:
        return None
    return str(newest["run_id"]) if newest and newest["state"] == FIRING else ""


def firing_run(repository: MonitoringRepository, key: str, now: datetime) -> str:
    """Return the run whose signal, the newest of the condition ``key``, says that it holds; empty when none does.

    :param now: aware.
    """
    for row in repository.query("alerts/newest_signals", since=now - MEMORY):
        if row["alert_key"] == key and row["state"] == FIRING:
            return str(row["run_id"])
    return ""


def end(
    repository: MonitoringRepository,
    key: str,
    detail: str,
    *,
    run_id: str,
    now: datetime,
    is_over: Callable[[str | None], bool] | None = None,
) -> None:
    """Append a signal that the condition ``key`` is over, if it was the newest thing heard of it that it holds.

    As long as there are few signals that is known without a query.

    :param is_over: given the run whose signal holds, says whether it is over; given None when only a query can tell
        whether any does. Not asked when none does; default: it is over.
    """
    fired_by = listed_firing_run(repository, key)
    if fired_by == "" or (is_over is not None and not is_over(fired_by)):
        return
    repository.query(
        "alerts/end_signal",
        signal_id=stable_id(key, run_id, now.isoformat()),
        alert_key=key,
        now=now,
        since=now - MEMORY,
        detail=detail,
        run_id=run_id,
    )
