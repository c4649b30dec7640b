"""A failure means that the external watcher did not get our sign of life: it tells people soon, whether or not we can.

**Who runs it**: the schedule, every minute. It goes through scheduler, worker and triggerer and then pings a check of
healthchecks.io, or of a server that speaks the same protocol (connection `heartbeat_default`). When one of the three is
down, or everything, the pings stop, and the watcher tells people: the only alarm that needs nothing of ours. It says
nothing of the draws: that is `monitoring_checks`. Without the connection it is skipped, and nobody outside watches.

**When it fails**: *cannot be reached*, *answered …*: the watcher or the way to it; the log says what it answered.
*timed out* while deferred: the triggerer does not run. **Before planned work** pause the check at the watcher, then
this DAG. The runbook airflow-down is what the watcher's message should link to.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.operations.heartbeat_operator import HeartbeatOperator

settings = get_settings()

with DAG(
    dag_id="heartbeat",
    description="Sign of life for an external watcher (dead man's switch)",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("* * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "operations"],
    default_args=task_defaults(
        settings.draws_owner,
        retries=1,  # the next minute's run is the better retry
        retry_delay=timedelta(seconds=5),
    ),
):
    HeartbeatOperator(task_id="beat", heartbeat_conn_id=settings.heartbeat_conn_id)
