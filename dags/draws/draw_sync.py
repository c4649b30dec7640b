"""A failure means that new draws do not reach `pc28.draws`; the next successful run catches up by itself.

**Who runs it**: the schedule, every five minutes; people, to sync a range again (`from`, `to`). `draw_news` syncs new
draws sooner; this schedule does not rely on it, and finds what it missed. **When it is late**: a mail goes to the draws
team if the data of a scheduled interval are not there by the deadline, one an outage.

`sync` merges the newest version of every draw of its window into the business table and records the attempt in
`sync_log`. The window is the data interval, extended back by the lookback and to the end of the last gapless success:
the first run after an outage of any length catches up. `verify` then fails the run if any draw of the window is
missing, duplicated, stale or unknown to the source. Any interval may be run again, run late or backfilled.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param

from drawsguard.settings import get_settings
from notifiers.dead_letter import publish_dead_letter
from notifiers.sla_deadline import sla_deadline
from notifiers.sla_signal import report_delivery
from notifiers.task_defaults import task_defaults
from notifiers.task_signal import report_failure, report_success
from operators.draws.sync.draw_sync_operator import DrawSyncOperator
from operators.draws.sync.draw_verify_operator import DrawVerifyOperator
from operators.operations.oidc_check_operator import OidcCheckOperator

settings = get_settings()

with DAG(
    dag_id="draw_sync",
    description="Merge new and corrected draws into the business table",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("*/5 * * * *", timezone=settings.business_timezone),
    catchup=False,  # the watermark catches up in one run; backfills remain possible
    max_active_runs=1,
    tags=["tier:0", "draws"],
    default_args=task_defaults(
        settings.draws_owner,
        execution_timeout=timedelta(minutes=4),  # an attempt that outlives its interval delays the next
        on_failure_callback=[report_failure, publish_dead_letter],
    ),
    deadline=sla_deadline("draw_sync"),
    params={
        "from": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="补同步范围的起点（含，须带时区），与 to 同时填写。"
            "Start of the range to sync (inclusive, with time zone); give it together with 'to'.",
        ),
        "to": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="补同步范围的终点（不含，须带时区）。End of the range to sync (exclusive, with time zone).",
        ),
        "dry_run": Param(
            False,
            type="boolean",
            description="只报告会改变什么，不写入。Only report what would change; write nothing.",
        ),
    },
):
    sync = DrawSyncOperator(task_id="sync", slot=timedelta(minutes=5), pool="draws_target")
    DrawVerifyOperator(
        task_id="verify",
        plan=sync.output,
        news=Asset("pc28.draws"),
        on_success_callback=[report_success, report_delivery],  # the data are there, whatever the identity says
    )
    # Parallel to the MERGE, not before it: a broken identity fails the run visibly and delays no draw.
    OidcCheckOperator(
        task_id="check_identity",
        services=["data-sync-service"],
        scheduled_only=True,
        retries=0,  # the next run is five minutes away
        on_failure_callback=report_failure,  # no dead letter: no draw was delayed
    )
