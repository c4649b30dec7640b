"""A failure means that the daily digest reached nobody; open alerts are in `alert_state_v` all the same.

**Who runs it**: the schedule, every day at 09:00 Beijing time. It sends which alerts are open, and which were resolved
since the last digest that a channel accepted, at most a week ago. P2 alerts are announced here only, so that its own
failure is not one of them.
"""

from __future__ import annotations

from airflow.sdk import DAG, CronDataIntervalTimetable

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.operations.alert_digest_operator import AlertDigestOperator

settings = get_settings()

with DAG(
    dag_id="alert_digest",
    description="Daily digest of alerts",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 9 * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "operations"],
    default_args=task_defaults(settings.draws_owner),
):
    AlertDigestOperator(task_id="send_digest", alert_conn_id=settings.alert_conn_id)
