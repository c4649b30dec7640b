"""A failure means that a new draw reaches `pc28.draws` by the five-minute schedule of `draw_sync`, and not at once.

**Who runs it**: each poll of `draw_collect` that has written draws; nobody by hand, since `draw_sync` has all the
parameters. **When it fails**: read the log of `sync`; what keeps it from working also keeps `draw_sync` from it.

It syncs everything up to now, as the next scheduled run of `draw_sync` would, and verifies it. News that arrives while
it runs starts one more run when it has ended, however much it is. It has no deadline, no interval and no dead letter:
news that it misses costs time and nothing else, since the schedule never asks whether this DAG has run.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.sync.draw_sync_operator import DrawSyncOperator
from operators.draws.sync.draw_verify_operator import DrawVerifyOperator

settings = get_settings()

with DAG(
    dag_id="draw_news",
    description="Sync new draws as soon as they are collected",
    doc_md=__doc__,
    schedule=[Asset("drawsguard.draws")],
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "draws"],
    default_args=task_defaults(
        settings.draws_owner,
        retries=1,  # the schedule is at most five minutes away
        execution_timeout=timedelta(minutes=4),
    ),
):
    sync = DrawSyncOperator(task_id="sync", slot=timedelta(minutes=5), news=True, pool="draws_target")
    DrawVerifyOperator(task_id="verify", plan=sync.output, news=Asset("pc28.draws"))
