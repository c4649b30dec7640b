"""Tasks report their final failure, and its end, to the monitor: the same life cycle as every other alert."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.signals import end, fire, task_key
from drawsguard.templates import render_template
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.warehouse_hook import warehouse_client
from notifiers.first_failure import first_failure_mail
from notifiers.refused_request import refused_request_mail
from notifiers.task_failure import failure_values

LONGEST_ERROR = 400


def report_failure(context: Any) -> None:
    """Report a final failure; for ``default_args["on_failure_callback"]``. Airflow does not call it for a retry.

    The monitor notifies, once for as long as the task goes on failing. When it cannot be reported, it is mailed.
    The refusal of what a person asked for is mailed to that person instead: nothing is broken, so nobody is called.
    """
    if refused_request_mail(context):
        return
    task_instance = context["ti"]
    values = failure_values(context)
    try:
        fire(
            _repository(task_instance),
            task_key(task_instance.dag_id, task_instance.task_id),
            load_alert_config().priority_of_task(context["dag"].tags),
            render_template("alerts/task_failure.txt", **values | {"error": values["error"][:LONGEST_ERROR]}).strip(),
            run_id=task_instance.run_id,
            now=datetime.now(UTC),
        )
    except Exception:
        first_failure_mail(context)
        raise  # Airflow logs it


def report_success(context: Any) -> None:
    """End the alert of the task's failure, where there is one; for ``default_args["on_success_callback"]``.

    Whether there is one is listed free of charge. Airflow does not know of every failure: it forgets one whose run was
    deleted, or marked as a success by hand.
    """
    task_instance = context["ti"]
    end(
        _repository(task_instance),
        task_key(task_instance.dag_id, task_instance.task_id),
        "任务已成功 the task succeeded",
        run_id=task_instance.run_id,
        now=datetime.now(UTC),
        is_over=lambda run: may_end_a_failure(task_instance) if run is None else not failed_beside(task_instance),
    )


def may_end_a_failure(task_instance: Any) -> bool:
    """Whether a success may be the end of a failure, where only a query of the warehouse can tell; most are not.

    It may when the task has failed in some run that Airflow remembers, or in an earlier try of this one.
    """
    return (task_instance.try_number > 1 or _failed(task_instance) > 0) and not failed_beside(task_instance)


def failed_beside(task_instance: Any) -> bool:
    """Whether a mapped instance beside this one has failed: this one's success ends nothing."""
    return _failed(task_instance, run_ids=[task_instance.run_id]) > 0


def _failed(task_instance: Any, **of: Any) -> int:
    return int(
        task_instance.get_ti_count(
            dag_id=task_instance.dag_id, task_ids=[task_instance.task_id], states=["failed"], **of
        )
    )


def _repository(task_instance: Any) -> MonitoringRepository:
    return MonitoringRepository(warehouse_client(), dag_id=task_instance.dag_id, task_id=task_instance.task_id)
