"""A failure means that no new review workbook exists; nothing is taken offline because of it.

**Who runs it**: a person of the points team, after a window of evidence was pushed (usually twice a year). **What a
refusal means**: evidence that is missing, incomplete or stale is no evidence of non-use; the message names the days.

`usage_report` classifies every live point of an environment (read-only, write-only, unused), keeps the candidates as a
batch with a digest, and writes the review workbook. `mail_report` sends it to the team, and each owner their own list.
People fill in the workbook; `points_downline` reads it back.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from dag_params.text import BATCH_ID, END, text_param
from drawsguard.points.environments import environments
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.review.points_report_mail_operator import PointsReportMailOperator
from operators.points.review.points_usage_report_operator import PointsUsageReportOperator

settings = get_settings()

with DAG(
    dag_id="points_usage_report",
    description="Classify points by use and write the review workbook",
    doc_md=__doc__,
    schedule=None,  # people decide when a batch begins
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_lifecycle", execution_timeout=timedelta(hours=1)),
    params={
        "environment": Param(
            "intranet",
            type="string",
            enum=list(environments()),
            description="读取哪个环境的积分定义。Whose definitions are read.",
        ),
        "batch_id": text_param(
            "批次号;空为证据窗口的最后一天。Batch id; empty: the last day of the evidence.",
            longest=20,
            default="",
            pattern=rf"{BATCH_ID}|^{END}",
        ),
        "evidence_batch": text_param(
            "证据批次;空为最新。Evidence batch; empty: the newest of the window flow.", longest=64, default=""
        ),
    },
) as dag:
    report = PointsUsageReportOperator(
        task_id="usage_report",
        environment="{{ params.environment }}",
        batch_id="{{ params.batch_id }}",
        evidence_batch="{{ params.evidence_batch }}",
    )
    mail = PointsReportMailOperator(task_id="mail_report", batch_id="{{ ti.xcom_pull(task_ids='usage_report') }}")
    report >> mail
