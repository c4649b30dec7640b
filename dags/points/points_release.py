"""A failure means that a batch whose cleanup is halted stays halted; nothing else is touched.

**Who runs it**: a person of the points team who has found out who used the points, and says so in `reason`. **Who
approves**: somebody else, on the page Required Actions.

`release` shows why the batch was halted and who used its points since the downline, waits for the approval of exactly
that, and lifts the halt. A sign of use that comes after the question refuses it: trigger a new run. The batch is
watched for two more days at least before its cleanup; a point still at -80 that is used again halts it again.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from dag_params.text import SEVERAL_LINES, batch_param, text_param
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.downline.points_release_operator import PointsReleaseOperator

settings = get_settings()

with DAG(
    dag_id="points_release",
    description="Let a halted batch go on to its cleanup, with human approval",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_lifecycle", execution_timeout=timedelta(minutes=30)),
    params={
        "batch_id": batch_param("批次号。Batch id."),
        "reason": text_param(
            "查明了什么,为何可以继续清理。What was found out, and why the cleanup may go on.",
            shortest=1,
            longest=1000,
            pattern=SEVERAL_LINES,
        ),
    },
):
    PointsReleaseOperator(task_id="release", batch_id="{{ params.batch_id }}", reason="{{ params.reason }}")
