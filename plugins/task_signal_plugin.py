"""Listens to every task's end, so that no DAG has to remember to report its failures to the monitor."""

from __future__ import annotations

import sys
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import TaskInstanceState

#: The monitor's own failure cannot be told through the monitor; its deadline and its mail tell of it.
UNHEARD = ("monitoring_checks",)


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:  # noqa: ARG001 - Airflow's names
    """Report a final failure; a retry is none."""
    from notifiers.task_signal import report

    if task_instance.dag_id not in UNHEARD and task_instance.state == TaskInstanceState.FAILED:
        kind = f"{type(error).__name__}: " if isinstance(error, BaseException) else ""
        report(task_instance, "firing", f"{kind}{error}")


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:  # noqa: ARG001 - Airflow's names
    """Report the success that may end a failure."""
    from notifiers.task_signal import may_end_a_failure, report

    if task_instance.dag_id not in UNHEARD and may_end_a_failure(task_instance):
        report(task_instance, "ok", "the task succeeded")


class TaskSignalPlugin(AirflowPlugin):
    """Registers this module as a listener."""

    name = "drawsguard_task_signal"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - the plugin interface
