"""Signals: what tasks and deadlines report. The monitor makes alerts of them, one per key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.bigquery import SchemaField

from drawsguard.alerts.state import TICK
from drawsguard.monitoring.observation import Priority
from drawsguard.warehouse.monitoring_repository import MonitoringRepository, stable_id

#: As long as the table keeps its rows: an older signal can neither be ended nor be seen.
MEMORY = timedelta(days=400)

#: A table of signals with more rows is asked by a query (one signal is some 200 bytes).
MOST_LISTED = 5000

#: From so many rows on a task's failure adds none while it is listed as failing.
MANY = 1000

END_OF_TIME = datetime.max.replace(tzinfo=UTC)

#: What the detail of a signal says when the mail about it was accepted: its alert is not sent by mail again. A detail
#: without it may have reached nobody.
MAIL_SENT = "邮件已发送。A mail was sent."

#: The state of a signal that says that its condition holds.
FIRING = "firing"

#: How the key of a missed deadline begins.
SLA = "sla:"

#: How the key of a task's failures begins.
TASK = "task:"

_SIGNAL = (
    SchemaField("alert_key", "STRING"),
    SchemaField("signalled_at", "TIMESTAMP"),
    SchemaField("state", "STRING"),
    SchemaField("run_id", "STRING"),
)


def task_key(dag_id: str, task_id: str) -> str:
    """Return the alert key of a task's failures. Mapped instances are one task, and one alert."""
    return f"{TASK}{dag_id}.{task_id}"


def sla_key(dag_id: str) -> str:
    """Return the alert key of a DAG's missed deadlines."""
    return f"{SLA}{dag_id}"


def fire(
    repository: MonitoringRepository, key: str, priority: Priority, detail: str, *, run_id: str, now: datetime
) -> None:
    """Append a signal that the condition ``key`` holds; repeated ones are the same alert.

    Of a task that is listed as failing nothing is added once there are `MANY` signals: one that fails for weeks would
    fill the table beyond what is listed free of charge. Of other conditions the newest signal says more than the first,
    e.g. that a mail was sent, or which run missed its deadline.

    :param detail: what happened, for the alert's message.
    :param now: aware.
    """
    listed = _listed(repository)
    newest = _newest(listed, key) if listed is not None else {}
    if newest and newest["state"] == FIRING and key.startswith(TASK) and len(listed or ()) >= MANY:
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


def _listed(repository: MonitoringRepository) -> Sequence[Mapping[str, Any]] | None:
    """Return all signals, free of charge; None when there are too many to list, or they cannot be listed."""
    return repository.few_rows("alert_signal", _SIGNAL, MOST_LISTED)


def _newest(signals: Iterable[Mapping[str, Any]], key: str) -> Mapping[str, Any]:
    """Return the newest signal of the condition ``key``, empty when there is none."""
    return max((row for row in signals if row["alert_key"] == key), key=lambda row: row["signalled_at"], default={})


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
    listed = _listed(repository)
    newest = _newest(listed, key) if listed is not None else None
    if newest is not None and newest.get("state") != FIRING:
        return
    if is_over is not None and not is_over(str(newest["run_id"]) if newest else None):
        return
    repository.query(
        "alerts/end_signal",
        signal_id=stable_id(key, run_id, now.isoformat()),
        alert_key=key,
        now=now,
        # What fails meanwhile is not over. Unlisted, a failure that a clock ahead has stamped looks the same.
        until=max(now, newest["signalled_at"]) if newest else END_OF_TIME,
        since=now - MEMORY,
        detail=detail,
        run_id=run_id,
    )
