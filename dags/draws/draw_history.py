"""A failure means that a piece of the history is not read yet: nothing is lost, and polling goes on beside it.

**Who runs it**: a person, with `from` and `to`: for a first load, after an outage, or to fetch late corrections. Any
range may be read again. `draw_sync` then syncs the same range.

The range is read in pieces of 30 days, one after the other, each a mapped task. It has a pool of its own, so that
`draw_collect` polls meanwhile. **When it fails**: the log names the page that the feed refused; the other pages and
pieces were read. Clear the failed tasks: only these are read again. Not during the cut-over of
`draw_history_migration`, which moves the table that this writes to.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, Param

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.collect.draw_history_plan_operator import DrawHistoryPlanOperator
from operators.draws.collect.draw_history_read_operator import DrawHistoryReadOperator

settings = get_settings()

with DAG(
    dag_id="draw_history",
    description="Read the feed's history of a range into the source table",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "draws"],
    default_args=task_defaults(
        settings.draws_owner,
        retries=2,
        retry_delay=timedelta(seconds=10),
        max_retry_delay=timedelta(minutes=1),
        execution_timeout=timedelta(minutes=10),
    ),
    params={
        "from": Param(
            type="string",
            format="date-time",
            description="读取历史的起点（含，须带时区）。Start of the history to read (inclusive, with time zone).",
        ),
        "to": Param(
            type="string",
            format="date-time",
            description="读取历史的终点（不含，须带时区）。End of the history to read (exclusive, with time zone).",
        ),
    },
):
    plan = DrawHistoryPlanOperator(task_id="plan")
    DrawHistoryReadOperator.partial(
        task_id="read",
        pool="draws_history",
        inlets=[Asset("drawsguard.draws")],  # what polls remember of the older days
    ).expand(piece=plan.output)
