"""A failure means that today's usage evidence is not in MySQL, or Hive was not emptied; nothing is lost or doubled.

**What it does.** At 15:00 Beijing time it pushes `cma.ads_evt_ops_status` to `rsp_datagovern.ads_evt_ops_status_ago`.
*guard_before* refuses what would lose, double or misdate evidence; *push* streams the rows and publishes them as one
batch in one transaction; *truncate* empties Hive only when rows, sum and checksum agree on both sides; *consolidate*
adds a batch of the daily flow to `ads_evt_ops_status` once, and deletes batches older than a week.

**Who runs it.** The scheduler. A person triggers it with `run_date` for another day's build, or with
`size_overrule_reason` after a refusal because of the size; no other refusal can be overruled. It may be killed and run
again at any point: the ledger `rsp_datagovern.evidence_batch` knows how far each batch came.

**When it fails.** The message starts with the reason in brackets and ends with what to do; every decision of the guard
is in `rsp_datagovern.evidence_guard_log`. *empty_source*, *wrong_window*: run `points_hive_aggregation` for the same
`run_date`. *already_pushed*: nothing to do. *shrunk*, *grown*: compare with `cma.evt_day_quality`. *mysql_changed*,
*checksum_differs*, *changed_since_build*: somebody else writes to these tables; find out who before anything else.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, task_group
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from deadlines.fresh_interval import FreshIntervalEnd
from drawsguard.points.hive_source import statements
from drawsguard.points.telemetry_config import points_config
from drawsguard.settings import get_settings
from drawsguard.sql import render
from notifiers.sla_signal import SlaMissAlert, report_run_success
from operators.dag_defaults import task_defaults
from operators.evidence_consolidate_operator import EvidenceConsolidateOperator
from operators.hive_to_mysql_operator import HiveToMySqlStreamOperator
from operators.push_guard_operator import GuardedTruncateOperator, PushGuardOperator
from operators.statistics_window_operator import PushPlanOperator

settings = get_settings()

with DAG(
    dag_id="points_push",
    description="Push the usage evidence from Hive to MySQL, guarded; empty Hive when both sides agree",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 15 * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_evidence", execution_timeout=timedelta(minutes=30)),
    on_success_callback=report_run_success,
    deadline=DeadlineAlert(
        name="points_push_in_time",
        reference=FreshIntervalEnd(),
        interval=timedelta(minutes=30),
        callback=AsyncCallback(
            SlaMissAlert,
            kwargs={
                "priority": "P1",
                "to": settings.points_email,
                "look_at": [
                    [
                        "任务 guard_before 的日志：是否被拒绝，按其中的提示处理。",
                        "The log of guard_before: was the push refused? Do what it says.",
                    ],
                    [
                        "points_hive_aggregation 今天的运行是否成功；资源池 points_evidence 是否被占用。",
                        "Did today's run of points_hive_aggregation succeed? Is the pool points_evidence held?",
                    ],
                ],
            },
        ),
    ),
    params={
        "run_date": Param(
            None,
            type=["null", "string"],
            format="date",
            description="推送该日构建的数据；留空为当天。Push what was built for this day; empty: the day of the run.",
        ),
        "flows": Param(
            list(points_config().push.flows),
            type="array",
            items={"type": "string", "enum": ["window", "daily"]},
            description="推送的数据流：window（180 天窗口）、daily（旧的每日流程）。"
            "Flows to push: window (180 days), daily (the legacy flow).",
        ),
        "size_overrule_reason": Param(
            None,
            type=["null", "string"],
            minLength=10,
            maxLength=500,
            description="仅在行数超出限制、且已确认无误时填写原因（至少 10 个字符），原因会被记录；其他拒绝无法越过。"
            "Only after a refusal because of the size, when the size is right: the reason (10 characters or more), "
            "which is recorded. No other refusal can be overruled.",
        ),
    },
):
    connections: dict[str, Any] = {
        "hiveserver2_conn_id": settings.hive_conn_id,
        "mysql_conn_id": settings.governance_mysql_conn_id,
    }

    @task_group
    def push_flow(flow: Any, window: Any) -> None:
        """Guard, push, guard and consolidate one flow's batch."""
        batch: dict[str, Any] = {"flow": flow, "window": window, "map_index_template": "{{ task.flow }}"}
        action: Any = PushGuardOperator(
            task_id="guard_before",
            size_overrule_reason="{{ params.size_overrule_reason or '' }}",
            **batch,
            **connections,
        ).output
        push = HiveToMySqlStreamOperator(task_id="push", action=action, **batch, **connections)
        truncate = GuardedTruncateOperator(task_id="truncate", **batch, **connections)
        consolidate = EvidenceConsolidateOperator(
            task_id="consolidate",
            mysql_conn_id=settings.governance_mysql_conn_id,
            outlets=[Asset("rsp_datagovern.ads_evt_ops_status_ago")],
            **batch,
        )
        push >> truncate >> consolidate

    tables = [
        SQLExecuteQueryOperator(
            task_id="hive_tables",
            conn_id=settings.hive_conn_id,
            sql=statements("schema/points_tables.sql"),
            do_xcom_push=False,
        ),
        SQLExecuteQueryOperator(
            task_id="mysql_tables",
            conn_id=settings.governance_mysql_conn_id,
            sql=render("mysql/governance/V001__evidence_push.sql"),
            split_statements=True,
            do_xcom_push=False,
        ),
    ]
    plan = PushPlanOperator(task_id="plan")
    tables >> plan
    push_flow.expand_kwargs(plan.output)
