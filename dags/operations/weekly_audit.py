"""A failure means that the weekly report was not made or not sent; the figures themselves are not affected.

**Who runs it**: the schedule, every Monday at 09:00 Beijing time; people, at any time. It reads the
monitoring views and logs, keeps the report as a file, and mails it to the draws team with charts.
"""

from __future__ import annotations

from airflow.sdk import DAG, CronDataIntervalTimetable

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.operations.inspection_operator import InspectionOperator

settings = get_settings()

with DAG(
    dag_id="weekly_audit",
    description="Inspection report by mail, with charts (weekly)",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 9 * * 1", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "operations"],
    default_args=task_defaults(settings.draws_owner),
):
    InspectionOperator(task_id="inspect", kind="weekly")
