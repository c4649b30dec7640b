"""A failure means that Redis data of points out of service was not (completely) removed; nothing else is touched.

**What it does.** Every day it takes the batches whose observation has ended without use or objection. *write_tickets*
puts every point on exactly one ticket, or on a list with the reason why not, and mails the workbook 清理积分 (again
when a ticket changes or an approval is asked for, and each week that it waits for the DBA or for a decision).
*clean* asks for approval of each ticket that the pipeline executes itself and, once another person has approved it,
deletes what its patterns match (SCAN and UNLINK, or HDEL), slowly, and scans again to confirm. *report* writes
积分清理结果 and mails it when it says something new.

**Who runs it.** The scheduler; a person may trigger it for one batch. Who confirmed the batch or triggered the run
cannot approve. No answer means no; the approval is asked for again the next day.

**What holds it back.** While the usage evidence of the newest expected day is missing, nothing is asked about, deleted
or newly handed to the DBA; the mail names the day.

**When it fails.** The message of the failed *clean* task says what to do; *every_batch_has_tickets* names the batches
that could get none, while the others are cleaned. Set the variable `points_cleanup_stop` to `true` to stop every sweep
between two batches; set it to `false` and trigger a new run to go on: it asks again. A killed task is retried and goes
on under its approval. *keys are left*: somebody still writes to the point. *halted*: use was found by observation, or
now before the deletion; see `points_observe` and `points_release`. Deleted samples are in
`points_lifecycle.cleanup_sample` for a while.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from dag_params.text import batch_param
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.cleanup.cleanup_report_operator import CleanupReportOperator
from operators.points.cleanup.cleanup_ticket_operator import CleanupTicketOperator
from operators.points.cleanup.cleanup_tickets_made_operator import CleanupTicketsMadeOperator
from operators.points.cleanup.redis_cleanup_operator import RedisCleanupOperator

settings = get_settings()
BATCH = "{{ params.batch_id or '' }}"

with DAG(
    dag_id="points_cleanup",
    description="Tickets for the Redis data of downlined points; those of the pipeline are executed after approval",
    doc_md=__doc__,
    # Unpausing starts no run of a mark that has passed: it would ask, and hold back what its approvers want to trigger.
    schedule=CronTriggerTimetable("0 10 * * *", timezone=settings.business_timezone, run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_cleanup", execution_timeout=timedelta(minutes=30)),
    params={
        "batch_id": batch_param(
            "只处理此批次;留空为所有到期批次。Only this batch; empty: every batch that is due.", default=None
        ),
    },
) as dag:
    tickets = CleanupTicketOperator(task_id="write_tickets", batch_id=BATCH)
    clean = RedisCleanupOperator.partial(
        task_id="clean",
        # A throttled sweep of a large instance takes hours; it records what it did as it goes.
        execution_timeout=timedelta(hours=12),
        map_index_template="{{ task.ticket_id }}",
    ).expand(ticket_id=tickets.output)
    # A teardown runs whatever the tickets' outcome, and does not hide a failed one: `clean` decides the run's state.
    # (With on_failure_fail_dagrun the report alone would decide it; its own failure is mailed all the same.)
    report = CleanupReportOperator(task_id="report", batch_id=BATCH).as_teardown()
    clean >> report
    tickets >> report
    # Beside `clean` and not before it: a batch without tickets keeps no other from its cleanup, and fails the run.
    tickets >> CleanupTicketsMadeOperator(task_id="every_batch_has_tickets")
