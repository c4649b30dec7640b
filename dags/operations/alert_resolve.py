"""A failure means that the alert was not resolved: no alert of that key is open, or no reason was given.

**Who runs it**: the duty manager or an administrator of the team, from the UI, with the key in the alert's message,
when what the alert reports is over and nothing will say so by itself: a failed task that nobody is going to repeat, for
instance. Whoever received the alert is told that it was ended by hand, by whom and why; it is kept in
`operation_audit`. A condition that the monitor still sees fires a new alert within a minute: to silence that for a
while use `alert_mute`, or repair it.
"""

from __future__ import annotations

from airflow.sdk import DAG

from dag_params.text import SEVERAL_LINES, text_param
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.operations.alert_command_operator import AlertCommandOperator

settings = get_settings()

with DAG(
    dag_id="alert_resolve",
    description="End an open alert by hand, with the reason",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "operations"],
    default_args=task_defaults(settings.draws_owner),
    params={
        "key": text_param(
            "告警编号，见告警消息。Key of the alert, from its message.", shortest=6, longest=300, default="task:"
        ),
        "reason": text_param(
            "原因，至少 10 个字符，会被记录并通知收到告警的人。"
            "Reason of at least 10 characters, which is recorded and told to those who received the alert.",
            longest=1000,
            default="",
            pattern=SEVERAL_LINES,
        ),
    },
):
    AlertCommandOperator(
        task_id="resolve",
        command="resolve",
        key="{{ params.key }}",
        note="{{ params.reason }}",
        pool="monitoring",
    )
