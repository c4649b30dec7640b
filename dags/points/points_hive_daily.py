"""A failure means that yesterday is missing from the legacy usage counts; the 180-day evidence does not depend on it.

**What it does.** The legacy flow (before 2024), still supported: reads the day's JSON lines that CMA writes to
`NOSEVT/<year>/<month>/<day>`, filters them into `cma.base_evt`, and writes per metric whether it was used (1 or 0) and
the row `checkCount` with the distinct minutes of the day into `cma.ads_evt_ops_status`, flow `daily`.

**Who runs it.** The scheduler, for the day before; a person, with `run_date`, for any other day. `points_push` pushes
the day to MySQL at 15:00, or as soon as it is built after that, and adds it to `ads_evt_ops_status`. Every step
replaces its own partition.

**When it fails.** *check_evidence*: the feed's folder is empty, minutes are missing or too many lines are malformed;
the message names what to do. *src_evt*: HiveServer2 is unreachable, or the folder's address in
`DRAWSGUARD_POINTS_FEED_ROOT` is wrong.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, chain

from dag_params.run_date import run_date_param
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.oper_type import hive_pattern
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.telemetry.hive_build_operator import HiveBuildOperator
from operators.points.telemetry.hive_evidence_operator import HiveEvidenceOperator
from operators.points.telemetry.hive_statement_operator import HiveStatementOperator
from operators.points.telemetry.statistics_window_operator import StatisticsWindowOperator

settings = get_settings()
config = points_config()

with DAG(
    dag_id="points_hive_daily",
    description="The legacy flow: one day of the JSON feed, used or not per metric, with checkCount",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 11 * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:3", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_evidence", execution_timeout=timedelta(minutes=30)),
    params={
        "run_date": run_date_param(
            "处理该日的前一天；留空为当天的前一天。", "The day before this day is processed; empty: the day of the run."
        ),
    },
):
    connections: dict[str, Any] = {
        "hiveserver2_conn_id": settings.hive_conn_id,
        "mysql_conn_id": settings.governance_mysql_conn_id,
    }
    window: Any = StatisticsWindowOperator(task_id="window", flow="daily").output
    day = {name: window[name] for name in ("pt_year", "pt_month", "pt_day", "pt_dt")}
    span = {"first": window["first"], "last": window["last"]}
    rules = {"pattern": hive_pattern(config.oper_type_pattern), "max_count": config.telemetry.largest_count}

    check = HiveEvidenceOperator(
        task_id="check_evidence",
        flow="daily",
        **span,
        **connections,
    )
    chain(
        HiveStatementOperator(
            task_id="src_evt",
            file="telemetry/daily/src_evt.sql",
            parameters={**day, "root": window["root"], "location": window["location"]},
        ),
        HiveStatementOperator(task_id="base_evt", file="telemetry/daily/base_evt.sql", parameters={**day, **rules}),
        HiveStatementOperator(task_id="evt_day_quality", file="telemetry/daily/evt_day_quality.sql", parameters=day),
        check,
        HiveBuildOperator(
            task_id="ads_evt_ops_status",
            flow="daily",
            window=window,
            file="telemetry/daily/ads_evt_ops_status.sql",
            parameters=day,
            outlets=[Asset("cma.ads_evt_ops_status")],
            **connections,
        ),
    )
