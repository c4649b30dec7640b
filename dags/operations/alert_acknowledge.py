"""A failure means that the alert was not acknowledged: there is no open alert of that key, or somebody has it already.

**Who runs it**: the person who takes an alert on, from the UI, with the key that the alert's message says. The alert
stays open until its condition is gone; nobody else is asked to look meanwhile. Who did it is kept in `operation_audit`.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from drawsguard.settings import get_settings
from operators.alert_command_operator import AlertCommandOperator
from operators.dag_defaults import task_defaults

settings = get_settings()

with DAG(
    dag_id="alert_acknowledge",
    description="Take an open alert on",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "operations"],
    default_args=task_defaults(settings.draws_owner),
    params={
        "key": Param(
            type="string",
            default="check:",
            minLength=7,
            description="告警编号，见告警消息。Key of the alert, as its message says.",
        ),
        "note": Param("", type="string", description="备注（可空）。Remark (may be empty)."),
    },
):
    AlertCommandOperator(
        task_id="acknowledge",
        command="acknowledge",
        key="{{ params.key }}",
        note="{{ params.note }}",
        pool="monitoring",
    )
