"""A failure means that fresh draws are not arriving: nothing else is lost yet, since the history can be read later.

**What it does.** Every minute it polls the PC28 feed twice, 30 seconds apart, and appends what is new to the source
table `drawsguard.draws`. Rows that break a rule go to `draws_quarantine` with the reason; every poll leaves a row in
`collect_log`. Gaps between the newest draws are filled from the feed's history at once.

**Who runs it.** The scheduler. A person triggers it with `from` and `to` to read the history of a range in bulk: after
an outage, for a first load, or to fetch late corrections. Any range may be read again.

**When it fails.** The error says what the feed answered. *unreachable*, *HTTP 5xx*: the feed is down; the next minute
tries again. *not JSON*, *without data*, *all rows rejected*: the feed changed its format; compare the newest rows of
`draws_quarantine` with the fields documented in `drawsguard.draws.collect.feed`. *contradict the draws around them*:
the feed's times are wrong, or stored ones; see the runbook data-conflict. Afterwards trigger this DAG for the
time of the failure; `draw_sync` then syncs them.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.collect.draw_collect_operator import DrawCollectOperator

settings = get_settings()

with DAG(
    dag_id="draw_collect",
    description="Poll the PC28 feed, or read its history, into the source table",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("* * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["tier:0", "draws"],
    default_args=task_defaults(
        settings.draws_owner,
        retries=2,
        retry_delay=timedelta(seconds=10),
        max_retry_delay=timedelta(minutes=1),
        execution_timeout=timedelta(minutes=30),  # a bulk read of years; a poll takes seconds
    ),
    params={
        "from": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="读取历史的起点（含，须带时区），与 to 同时填写；留空则轮询最新开奖。"
            "Start of the history to read (inclusive, with time zone), with 'to'; empty: poll the newest draws.",
        ),
        "to": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="读取历史的终点（不含，须带时区）。End of the history to read (exclusive, with time zone).",
        ),
    },
):
    DrawCollectOperator(task_id="collect", pool="draws_source")
