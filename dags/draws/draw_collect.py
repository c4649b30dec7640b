"""A failure means that fresh draws are not arriving: nothing else is lost yet, since the history can be read later.

**What it does.** Every minute it polls the PC28 feed twice, 30 seconds apart, and appends what is new to the source
table `drawsguard.draws`. Rows that break a rule go to `draws_quarantine` with the reason; every poll leaves a row in
`collect_log`. Holes between the newest draws are filled from the feed's history at once.

**Who runs it.** The scheduler. A person triggers it with `from` and `to` to read the history of a range in bulk: after
an outage, for a first load, or to fetch late corrections. Any range may be read again.

**When it fails.** The error says what the feed answered. *unreachable*, *HTTP 5xx*: the feed is down; the next minute
tries again. *not JSON*, *without data*, *all rows rejected*: the feed changed its format; compare the newest rows of
`draws_quarantine` with the fields documented in `drawsguard.draws.feed`. Afterwards trigger this DAG for the time of
the failure; `draw_sync` carries the draws on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param

from drawsguard.settings import get_settings
from notifiers.task_failure import task_failure_mail
from operators.draw_collect_operator import DrawCollectOperator

settings = get_settings()

with DAG(
    dag_id="draw_collect",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("* * * * *", timezone="UTC"),
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["draws", "collect", "tier:1"],
    params={
        "from": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="从 From",
            description="读取历史的开始时间（含），与“至”一起填写。 Start of the history to read (inclusive), with To.",
        ),
        "to": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="至 To",
            description="读取历史的结束时间（不含）。 End of the history to read (exclusive).",
        ),
    },
    default_args={
        "owner": settings.draws_owner,
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=30),
        "on_failure_callback": task_failure_mail,
    },
):
    DrawCollectOperator(task_id="collect", pool="draws_source")
