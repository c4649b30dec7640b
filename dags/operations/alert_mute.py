"""A failure means that nothing was muted: the duration or the reason was refused, and the log says why.

**Who runs it**: a person, from the UI, before planned work or while a known fault is being repaired. The alert still
fires and is recorded; it is not announced until the mute ends. A mute always has an end; zero hours end it now. Who did
it is kept in `operation_audit`.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from dag_params.text import SEVERAL_LINES, text_param
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.operations.alert_command_operator import AlertCommandOperator

settings = get_settings()

with DAG(
    dag_id="alert_mute",
    description="Mute one alert for a limited time",
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
        "hours": Param(
            1, type="number", minimum=0, maximum=168, description="静音小时数，0 为解除。Hours; 0 ends a mute."
        ),
        "reason": text_param(
            "原因，至少 10 个字符，会被记录（解除时可空）。"
            "Reason of at least 10 characters, which is recorded (may be empty to end a mute).",
            longest=1000,
            default="",
            pattern=SEVERAL_LINES,
        ),
    },
):
    AlertCommandOperator(
        task_id="mute",
        command="mute",
        key="{{ params.key }}",
        note="{{ params.reason }}",
        hours="{{ params.hours }}",
        pool="monitoring",
    )
