"""A failure means that today's usage evidence is not ready: the 15:00 push refuses, and no point is judged on old data.

**What it does.** Builds each new or late day of the 180-day window from the raw CMA history (`base_evt`, `base_evt_ts`,
`base_evt_day`), checks that the telemetry is complete, and sums the window into `cma.ads_evt_ops_status`. A day is late
when its source partition has other rows or a newer commit than it was built from. The window is the 180 complete days
before `run_date`; the day itself is not among them.

**Who runs it.** The scheduler, every day. A person triggers it with `run_date` for any other day, and with `rebuild`
after the rules in `include/config/points.yaml` changed. Every step replaces its own partitions: it may be repeated,
cleared and backfilled at will.

**When it fails.** *check_evidence* names the days that are missing or short, and what to do; nothing is summed up then,
and the verdict is in `rsp_datagovern.evidence_check`. Any other task: HiveServer2 is unreachable or refused the
statement; clear the task when it is back. A mail goes out when the day's run has not ended in time for the push.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, chain, task_group
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from deadlines.fresh_interval import FreshIntervalEnd
from drawsguard.points.day_steps import day_steps
from drawsguard.points.hive_source import statements
from drawsguard.points.telemetry_config import points_config
from drawsguard.settings import get_settings
from drawsguard.sql import render
from notifiers.sla_signal import SlaMissAlert, report_run_success
from operators.dag_defaults import task_defaults
from operators.hive_days_operator import HiveDaysOperator
from operators.hive_evidence_operator import HiveEvidenceOperator
from operators.hive_expire_operator import HiveExpireOperator
from operators.statistics_window_operator import HiveDayPlanOperator, StatisticsWindowOperator

settings = get_settings()

with DAG(
    dag_id="points_hive_aggregation",
    description="Sum 180 days of CMA usage telemetry per metric, building only new and late days",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("30 11 * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "points"],
    default_args=task_defaults(
        settings.points_owner,
        pool="points_evidence",
        execution_timeout=timedelta(hours=3),  # the first build of 180 days; a usual day takes minutes
    ),
    on_success_callback=report_run_success,
    deadline=DeadlineAlert(
        name="points_evidence_before_push",
        reference=FreshIntervalEnd(),
        interval=timedelta(hours=3),
        callback=AsyncCallback(
            SlaMissAlert,
            kwargs={
                "priority": "P1",
                "to": settings.points_email,
                "look_at": [
                    [
                        "任务 check_evidence 的日志：是否缺少某天或某些分钟的数据。",
                        "The log of check_evidence: are days or minutes of telemetry missing?",
                    ],
                    [
                        "HiveServer2 是否可用，队列是否拥堵；资源池 points_evidence 是否被占用。",
                        "Is HiveServer2 reachable and its queue free? Is the pool points_evidence held?",
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
            description="统计窗口为该日之前的 180 天；留空为当天。"
            "The window is the 180 days before this day; empty: the day of the run.",
        ),
        "rebuild": Param(
            False,
            type="boolean",
            description="重新计算窗口内的每一天（规则变更之后）。"
            "Build every day of the window again (after a rule changed).",
        ),
    },
):

    @task_group
    def build(days: Any) -> None:
        """Build one list of days; the day's quality record goes first and comes back last."""
        chain(
            *[
                HiveDaysOperator(task_id=step.name, conn_id=settings.hive_conn_id, step=step, days=days)
                for step in day_steps(points_config())
            ]
        )

    hive_tables = SQLExecuteQueryOperator(
        task_id="hive_tables",
        conn_id=settings.hive_conn_id,
        sql=statements("schema/points_tables.sql"),
        do_xcom_push=False,
    )
    mysql_tables = SQLExecuteQueryOperator(
        task_id="mysql_tables",
        conn_id=settings.governance_mysql_conn_id,
        sql=render("mysql/governance/V001__evidence_push.sql"),
        split_statements=True,
        do_xcom_push=False,
    )
    window: Any = StatisticsWindowOperator(task_id="window", flow="window").output
    span = {"first": window["first"], "last": window["last"]}
    plan = HiveDayPlanOperator(
        task_id="plan",
        window=window,
        rebuild="{{ params.rebuild }}",
        hiveserver2_conn_id=settings.hive_conn_id,
    )
    check = HiveEvidenceOperator(
        task_id="check_evidence",
        flow="window",
        first=span["first"],
        last=span["last"],
        hiveserver2_conn_id=settings.hive_conn_id,
        mysql_conn_id=settings.governance_mysql_conn_id,
        trigger_rule="none_failed",  # nothing to build is skipped, and still has to be checked
    )
    ads_evt_ops_status = SQLExecuteQueryOperator(
        task_id="ads_evt_ops_status",
        conn_id=settings.hive_conn_id,
        sql=statements("window/ads_evt_ops_status.sql"),
        parameters=span,
        do_xcom_push=False,
    )
    stamp = SQLExecuteQueryOperator(
        task_id="stamp",
        conn_id=settings.hive_conn_id,
        sql=statements("push/stamp_build.sql"),
        parameters={**span, "flow": "window"},
        do_xcom_push=False,
        outlets=[Asset("cma.ads_evt_ops_status")],
    )
    [hive_tables, mysql_tables] >> plan
    expire = HiveExpireOperator(task_id="expire_minutes", window=window, hiveserver2_conn_id=settings.hive_conn_id)
    build.expand(days=plan.output) >> check >> ads_evt_ops_status >> stamp >> expire
