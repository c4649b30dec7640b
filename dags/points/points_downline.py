"""A failure means that the batch stopped where it was: every row is either untouched or at -80 with its history kept.

**Who runs it**: a person of the points team with a confirmed workbook; the default is a dry run that only plans.
**Who approves**: somebody else, on the page Required Actions; large plans need two other people. **After a failure**:
read the task's message, it says what to do. A task that is retried goes on under its approval; a run that has ended is
not cleared but triggered again: it leaves out what is done already, and asks again.

Each step is a precondition of the next: workbook, plan, storage structures from NOS, proven backups, approval, change,
verification; first on the intranet, then on the extranet with its own plan, backups and approval. The Airflow variable
`points_downline_stop` (`true`) stops between two chunks. `points_restore` undoes a batch or single points.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from dag_params.text import text_param
from drawsguard.dry_run import is_dry_run
from drawsguard.points.environments import environments
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.downline.nos_structure_operator import NosStructureOperator
from operators.points.downline.points_confirm_operator import PointsConfirmOperator
from operators.points.downline.points_countersign_operator import PointsCountersignOperator
from operators.points.downline.points_downline_operator import PointsDownlineOperator
from operators.points.downline.points_downline_report_operator import PointsDownlineReportOperator
from operators.points.downline.points_plan_operator import PointsPlanOperator
from operators.points.downline.points_verify_operator import PointsVerifyOperator
from operators.points.downline.table_backup_operator import TableBackupOperator

settings = get_settings()
BATCH = "{{ ti.xcom_pull(task_ids='read_workbook') }}"

with DAG(
    dag_id="points_downline",
    description="Take confirmed points out of service, with human approval",
    doc_md=__doc__,
    schedule=None,  # by hand only: the approval refuses every run that no person triggered
    catchup=False,
    max_active_runs=1,
    tags=["tier:0", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_lifecycle", execution_timeout=timedelta(hours=1)),
    params={
        "workbook": text_param(
            "已确认的工作簿：其地址，或产物根地址之下的路径。"
            "Confirmed workbook: its address, or its path below the root of the artifacts.",
            shortest=1,
            longest=1024,
        ),
        "dry_run": Param(
            True,
            type="boolean",
            description="只做计划,不改任何数据。Plan only; nothing is changed. Switch off to continue to the approval.",
        ),
    },
) as dag:
    read_workbook = PointsConfirmOperator(task_id="read_workbook", workbook="{{ params.workbook }}")
    plan_intranet = PointsPlanOperator(
        task_id="plan_intranet", batch_id=BATCH, environment="intranet", workbook="{{ params.workbook }}"
    )

    @task.short_circuit
    def carry_out(params: dict[str, bool] | None = None) -> bool:
        return not is_dry_run(params)

    structures = NosStructureOperator(task_id="nos_structures", batch_id=BATCH)
    last = read_workbook >> plan_intranet >> carry_out() >> structures
    for environment in environments():
        steps = [
            TableBackupOperator(task_id=f"backup_{environment}", batch_id=BATCH, environment=environment),
            PointsCountersignOperator(task_id=f"countersign_{environment}", batch_id=BATCH, environment=environment),
            PointsDownlineOperator(
                task_id=f"downline_{environment}",
                batch_id=BATCH,
                environment=environment,
                pool=f"points_{environment}",
            ),
            PointsVerifyOperator(task_id=f"verify_{environment}", batch_id=BATCH, environment=environment),
        ]
        if environment == "extranet":
            steps.insert(0, PointsPlanOperator(task_id="plan_extranet", batch_id=BATCH, environment="extranet"))
        for step in steps:
            last >> step
            last = step
    last >> PointsDownlineReportOperator(task_id="report", batch_id=BATCH)
