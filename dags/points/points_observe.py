"""A failure means that some downlined batches were not watched today; the next run looks at the same time span again.

**Who runs it**: every push (the asset `rsp_datagovern.ads_evt_ops_status_ago`), and the schedule every day at 16:00
Beijing time whether or not there was one. **What a failure with "no evidence" means**: the push failed or is late. Use
on the days that it names is unknown, and the observation is prolonged by them; the run after the push is good again.
**What "is not verified" means**: a downline began and broke off. Its rows at -80 are watched, and nothing of its batch
is cleaned; the message says how to end it or take it back.
**What a P1 alert means**: a downlined point is used, or CMA reports errors on it. The cleanup of its batch is halted:
find out who uses the point, and restore it if it is needed. The alert ends with the first run that finds no such point
downlined any more; then `points_release` lets the rest of the batch go on to its cleanup.

`observe` compares the statistics with the points of every batch that was downlined less than 30 days ago, and notifies
the owners 14 and 7 days before their batch may be cleaned up.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from dag_params.schedules import daily_or_after
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.downline.points_observe_operator import PointsObserveOperator

settings = get_settings()

with DAG(
    dag_id="points_observe",
    description="Watch downlined points for use, and notify owners ahead of the cleanup",
    doc_md=__doc__,
    schedule=daily_or_after("16:00", "rsp_datagovern.ads_evt_ops_status_ago"),
    catchup=False,  # one run looks at everything since the downline
    max_active_runs=1,
    tags=["tier:1", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_lifecycle", execution_timeout=timedelta(minutes=30)),
) as dag:
    PointsObserveOperator(task_id="observe")
