"""A failure means that the alert was not acknowledged: no alert of that key is open, or it has an owner already.

**Who runs it**: the person who takes responsibility for an alert, from the UI, with the key in the alert's message. The
alert stays open until its condition is gone; meanwhile nobody else is asked to act. Who did it is recorded in
`operation_audit`.
"""

from __future__ import annotations

from airflow.sdk import DAG

from dag_params.text import SEVERAL_LINES, text_param
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.operations.alert_command_operator import AlertCommandOperator

settings = get_settings()

with DAG(
    dag_id="alert_acknowledge",
    description="Acknowledge an open alert",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "operations"],
    default_args=task_defaults(settings.draws_owner),
    params={
        "key": text_param(
            "告警编号，见告警消息。Key of the alert, from its message.", shortest=7, longest=300, default="check:"
        ),
        "note": text_param("备注（可空）。Remark (may be empty).", longest=1000, default="", pattern=SEVERAL_LINES),
    },
):
    AlertCommandOperator(
        task_id="acknowledge",
        command="acknowledge",
        key="{{ params.key }}",
        note="{{ params.note }}",
        pool="monitoring",
    )
