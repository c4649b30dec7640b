"""A failure means that today's usage evidence is not ready: the 15:00 push refuses, and no point is judged on old data.

**What it does.** Builds each new or late day of the 180-day window from the raw CMA history (`base_evt`, `base_evt_ts`,
`base_evt_day`), checks that the telemetry is complete, and sums the window into `cma.ads_evt_ops_status`. A day is late
when its source partition has other rows or a newer commit than it was built from. The window is the 180 complete days
before `run_date`; the day itself is not among them.

**Who runs it.** The scheduler, every day at 11:30; and whoever delivers the history, by an event of the asset
`datalake_platform.cma_hudi` (Airflow's REST API). A person triggers it with `run_date` for any other day, and with
`rebuild` and a `reason`, which is recorded, after the rules in `include/config/points.yaml` changed. Every step
replaces its own partitions: it may be repeated, cleared and backfilled at will.

**When it fails.** *check_evidence* names the days that are missing or short, and what to do; nothing is summed up then,
and the verdict is in `rsp_datagovern.evidence_check`. Any other task: HiveServer2 is unreachable or refused the
statement; clear the task when it is back. A mail goes out when the day's run has not ended in time for the push.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, chain, task_group

from dag_params.rebuild import rebuild_params
from dag_params.run_date import run_date_param
from dag_params.schedules import daily_or_after
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_steps import day_steps
from drawsguard.settings import get_settings
from notifiers.sla_deadline import sla_deadline
from notifiers.sla_signal import report_delivery
from notifiers.task_defaults import task_defaults
from notifiers.task_signal import report_success
from operators.points.telemetry.hive_build_operator import HiveBuildOperator
from operators.points.telemetry.hive_day_plan_operator import HiveDayPlanOperator
from operators.points.telemetry.hive_days_operator import HiveDaysOperator
from operators.points.telemetry.hive_evidence_operator import HiveEvidenceOperator
from operators.points.telemetry.hive_expire_operator import HiveExpireOperator
from operators.points.telemetry.statistics_window_operator import StatisticsWindowOperator

settings = get_settings()

with DAG(
    dag_id="points_hive_aggregation",
    description="Sum 180 days of CMA usage telemetry per metric, building only new and late days",
    doc_md=__doc__,
    schedule=daily_or_after("11:30", "datalake_platform.cma_hudi"),
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "points"],
    default_args=task_defaults(
        settings.points_owner,
        pool="points_evidence",
        execution_timeout=timedelta(hours=3),  # the first build of 180 days; a usual day takes minutes
    ),
    deadline=sla_deadline("points_hive_aggregation"),
    params={
        "run_date": run_date_param(
            "统计窗口为该日之前的 180 天；留空为当天。",
            "The window is the 180 days before this day; empty: the day of the run.",
        ),
        **rebuild_params(),
    },
):
    override: dict[str, Any] = {"rebuild": "{{ params.rebuild }}", "rebuild_reason": "{{ params.reason }}"}
    connections: dict[str, Any] = {
        "hiveserver2_conn_id": settings.hive_conn_id,
        "mysql_conn_id": settings.governance_mysql_conn_id,
    }

    @task_group
    def build(days: Any) -> None:
        """Build one list of days; the day's quality record goes first and comes back last."""
        steps = day_steps(points_config())
        chain(*(HiveDaysOperator(task_id=s.name, conn_id=settings.hive_conn_id, step=s, days=days) for s in steps))

    window: Any = StatisticsWindowOperator(task_id="window", flow="window").output
    span = {"first": window["first"], "last": window["last"]}
    plan = HiveDayPlanOperator(task_id="plan", window=window, **override, **connections)
    check = HiveEvidenceOperator(
        task_id="check_evidence",
        flow="window",
        **span,
        **connections,
        trigger_rule="none_failed",  # nothing to build is skipped, and still has to be checked
    )
    ads_evt_ops_status = HiveBuildOperator(
        task_id="ads_evt_ops_status",
        flow="window",
        window=window,
        file="telemetry/window/ads_evt_ops_status.sql",
        outlets=[Asset("cma.ads_evt_ops_status")],
        on_success_callback=[report_success, report_delivery],
        **connections,
    )
    expire = HiveExpireOperator(task_id="expire_minutes", window=window, hiveserver2_conn_id=settings.hive_conn_id)
    build.expand(days=plan.output) >> check >> ads_evt_ops_status >> expire
