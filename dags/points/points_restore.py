"""A failure means that points stay at -80 that somebody wanted back; finished chunks are restored and stay so.

**Who runs it**: a person of the points team; the default is a dry run that only plans. **Who approves**: somebody else,
on the page Required Actions.

`plan` reads the old status and last_modify_time from the batch's journal and compares them with the rows as they are;
`restore` asks for approval of exactly that plan and carries it out. A tag is restored with the first of its points.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from dag_params.text import batch_param
from drawsguard.dry_run import is_dry_run
from drawsguard.points.environments import environments
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.downline.points_restore_operator import PointsRestoreOperator
from operators.points.downline.points_restore_plan_operator import PointsRestorePlanOperator

settings = get_settings()

with DAG(
    dag_id="points_restore",
    description="Give downlined points their old status back, with human approval",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["tier:0", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_lifecycle", execution_timeout=timedelta(hours=1)),
    params={
        "batch_id": batch_param("批次号。Batch id."),
        "environment": Param(
            "intranet", type="string", enum=list(environments()), description="环境。Environment to restore in."
        ),
        "ids": Param(
            [],
            type="array",
            items={"type": "integer"},
            description="积分 id;空为整个批次。Points to restore; none means the whole batch.",
        ),
        "dry_run": Param(True, type="boolean", description="只做计划。Plan only; nothing is changed."),
    },
) as dag:
    asked = {
        "batch_id": "{{ params.batch_id }}",
        "environment": "{{ params.environment }}",
        "ids": "{{ params.ids | tojson }}",
    }

    @task.short_circuit
    def carry_out(params: dict[str, bool] | None = None) -> bool:
        return not is_dry_run(params)

    plan = PointsRestorePlanOperator(task_id="plan", **asked)
    restore = PointsRestoreOperator(task_id="restore", **asked)
    plan >> carry_out() >> restore
