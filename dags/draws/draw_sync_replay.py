"""A failure means that a failed interval of draw_sync failed again, or cannot be replayed: the log says which.

**Who runs it**: the schedule, every five minutes, two minutes after `draw_sync`. **When it fails**: *failed again*: the
interval is replayed later by itself, less and less often. *set aside*: its error is permanent or its attempts ran out,
and the error says which. Repair the cause (a statement, a permission, a missing table), then trigger
`draw_sync` with `from` and `to` of the interval. Nothing is lost meanwhile: later syncs reach back to the watermark,
and the record stays in `dead_letters`.

It reads the Pub/Sub subscription of `data-sync-failures`, runs each interval again, acknowledges after the commit, and
waits longer after each replay that fails. The log and the returned value show how many wait and for how long; the view
`dead_letter_depth_v` shows it at any time.
"""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.replay.dead_letter_replay_operator import DeadLetterReplayOperator

settings = get_settings()

with DAG(
    dag_id="draw_sync_replay",
    description="Run failed sync intervals again",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("2-59/5 * * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "draws", "repair"],
    default_args=task_defaults(settings.draws_owner),
):
    DeadLetterReplayOperator(task_id="replay", pool="draws_target")
