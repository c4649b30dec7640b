"""A failure means that fresh draws are not arriving: nothing else is lost yet, since the history can be read later.

**What it does.** Every minute it polls the PC28 feed and appends what is new to the source table `drawsguard.draws`.
If there is nothing, it watches the feed and polls again as soon as there is, at the latest after 45 seconds. A poll
that has written draws starts `draw_news`, which syncs them. Rows that break a rule go to `draws_quarantine` with the
reason; every poll leaves a row in `collect_log`. Gaps between the newest draws are filled from the feed's history at
once.

**Who runs it.** The scheduler. The history of a range is read by `draw_history`, which polling never waits for.

**When it fails.** The error says what the feed answered. *unreachable*, *HTTP 5xx*: the feed is down; the next minute
tries again. *not JSON*, *without data*, *all rows rejected*: the feed changed its format; compare the newest rows of
`draws_quarantine` with the fields documented in `drawsguard.draws.collect.feed`. *contradict the draws around them*:
the feed's times are wrong, or stored ones; see the runbook data-conflict. Afterwards trigger `draw_history` for the
time of the failure; `draw_sync` then syncs it.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, CronTriggerTimetable

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.collect.draw_collect_operator import DrawCollectOperator

settings = get_settings()

with DAG(
    dag_id="draw_collect",
    description="Poll the PC28 feed into the source table",
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
        execution_timeout=timedelta(minutes=5),  # a poll takes seconds; one that fills a gap reads hours
    ),
):
    DrawCollectOperator(task_id="collect", news=Asset("drawsguard.draws"), pool="draws_source")
