"""A failure means that draws in `pc28.draws` differ from the source in a way that a sync cannot repair.

**Who runs it**: the schedule, daily at 05:30 Beijing time; people, with another number of `hours`. **When it fails**:
the error names the periods. *duplicate*: the target holds a draw twice and the draw was never collected; *foreign*: it
holds values that were never collected. Find out who else writes to the target, delete those rows, and run it again.

It compares the values of the last 48 hours, and of every hour that got versions since the last complete reconcile,
however old the draws are; late and corrected draws that no sync window reached are merged and verified. A draw that the
target holds twice, anywhere, becomes one row again. What cannot be repaired stops nothing else and is named at the end.
"""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, Param

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.repair.draw_reconcile_operator import DrawReconcileOperator

settings = get_settings()

with DAG(
    dag_id="draw_reconcile",
    description="Compare source and target by value; repair late and corrected draws of any age",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("30 5 * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "draws", "repair"],
    default_args=task_defaults(settings.draws_owner),
    params={
        "hours": Param(
            settings.reconcile_hours,
            type="integer",
            minimum=1,
            maximum=24 * 400,
            description="逐值比对最近多少小时的开奖。How many hours of draws to compare value by value.",
        ),
    },
):
    DrawReconcileOperator(task_id="reconcile", pool="draws_target")
