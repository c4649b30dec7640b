"""A failure means that yesterday is missing from the legacy usage counts; the 180-day evidence does not depend on it.

**What it does.** The flow of before 2024, kept working: reads the day's JSON lines that CMA writes to
`NOSEVT/<year>/<month>/<day>`, filters them into `cma.base_evt`, and writes per metric whether it was used (1 or 0) and
the row `checkCount` with the distinct minutes of the day into `cma.ads_evt_ops_status`, flow `daily`.

**Who runs it.** The scheduler, for the day before; a person, with `run_date`, for any other day. Afterwards
`points_push` with flow `daily` carries the day on. Every step replaces its own partition.

**When it fails.** *check_evidence*: the feed's folder is empty, minutes are missing or too many lines are malformed;
the message names what to do. *src_evt*: HiveServer2 is unreachable, or the folder's address in
`DRAWSGUARD_POINTS_FEED_ROOT` is wrong.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, chain

from drawsguard.points.hive_source import statements
from drawsguard.points.oper_type import hive_pattern
from drawsguard.points.telemetry_config import points_config
from drawsguard.settings import get_settings
from drawsguard.sql import render
from operators.dag_defaults import task_defaults
from operators.hive_evidence_operator import HiveEvidenceOperator
from operators.statistics_window_operator import StatisticsWindowOperator

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
        "run_date": Param(
            None,
            type=["null", "string"],
            format="date",
            description="处理该日的前一天；留空为当天的前一天。"
            "The day before this day is processed; empty: the day of the run.",
        ),
    },
):
    window: Any = StatisticsWindowOperator(task_id="window", flow="daily").output
    day = {name: window[name] for name in ("pt_year", "pt_month", "pt_day", "pt_dt")}
    rules = {"pattern": hive_pattern(config.oper_type_pattern), "max_count": config.telemetry.largest_count}

    def hive(task_id: str, file: str, parameters: dict[str, object] | None = None) -> SQLExecuteQueryOperator:
        """Return the task that runs one statement file on Hive."""
        return SQLExecuteQueryOperator(
            task_id=task_id,
            conn_id=settings.hive_conn_id,
            sql=statements(file),
            parameters=parameters,
            do_xcom_push=False,
        )

    mysql_tables = SQLExecuteQueryOperator(
        task_id="mysql_tables",
        conn_id=settings.governance_mysql_conn_id,
        sql=render("mysql/governance/V001__evidence_push.sql"),
        split_statements=True,
        do_xcom_push=False,
    )
    check = HiveEvidenceOperator(
        task_id="check_evidence",
        flow="daily",
        first=window["first"],
        last=window["last"],
        hiveserver2_conn_id=settings.hive_conn_id,
        mysql_conn_id=settings.governance_mysql_conn_id,
    )
    chain(
        [mysql_tables, hive("hive_tables", "schema/points_tables.sql")],
        hive("src_evt", "daily/src_evt.sql", {**day, "root": window["root"], "location": window["location"]}),
        hive("base_evt", "daily/base_evt.sql", {**day, **rules}),
        hive("evt_day_quality", "daily/evt_day_quality.sql", {**day}),
        check,
        hive("ads_evt_ops_status", "daily/ads_evt_ops_status.sql", {**day}),
        hive(
            "stamp",
            "push/stamp_build.sql",
            {"flow": "daily", "first": window["first"], "last": window["last"]},
        ),
    )
