"""A failure means that this month's report of uncontrolled points is missing; nothing else depends on it.

**What it does.** Once a month it reports the points that are served without an owner or without a lifetime (keys that
never expire), how their number grows, and which were idle for 90, 180 and 365 days, by cluster and by owner; a workbook
with charts, by mail. The seed's conclusion: control every point's life from its start, so that the next batch is small.

**Who runs it.** The scheduler, on the first of the month; a person may trigger it at any time. It only reads.

**When it fails.** NOS or one of the definition databases did not answer: clear the task when they do. A Redis instance
that does not answer is no failure: its points are reported as unknown, and the mail names it.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param

from drawsguard.points.environments import environments
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.cleanup.points_lifetime_operator import PointsLifetimeOperator

settings = get_settings()

with DAG(
    dag_id="points_lifetime_report",
    description="Points without owner or lifetime, growth per month, idle points by cluster and owner",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 9 1 * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:3", "points"],
    default_args=task_defaults(settings.points_owner, execution_timeout=timedelta(hours=1)),
    params={
        "environment": Param(
            environments()[-1],
            type="string",
            enum=list(environments()),
            description="统计哪个环境的积分。Whose points are reported.",
        ),
    },
):
    PointsLifetimeOperator(task_id="report", environment="{{ params.environment }}")
