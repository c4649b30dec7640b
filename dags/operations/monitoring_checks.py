"""A failure means that the monitor is impaired: a view cannot be read, or an alert reached no channel.

**Who runs it**: the schedule, every minute. It reads the monitoring views, judges the checks of
include/config/checks.yaml, keeps every result in `check_log`, and fires, delivers and resolves alerts (`alert_log`).
A failed check is an alert and not a failed run. **When it is late**: a mail goes to the draws team: a monitor that
does not run sees nothing; the health endpoint answers 503 meanwhile, and `monitor_runs_every_minute` reports the gap.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from drawsguard.settings import get_settings
from notifiers.first_failure import first_failure_mail
from notifiers.sla_deadline import sla_deadline
from notifiers.task_defaults import task_defaults
from operators.operations.monitoring_check_operator import MonitoringCheckOperator

settings = get_settings()

with DAG(
    dag_id="monitoring_checks",
    description="Judge the monitoring views and run the alerts",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("* * * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:0", "operations"],
    default_args=task_defaults(
        settings.draws_owner,
        retries=1,  # the next minute's run is the better retry
        retry_delay=timedelta(seconds=5),
        execution_timeout=timedelta(minutes=2),
        # The monitor cannot report its own failure; `monitor_runs_every_minute` records it afterwards.
        on_failure_callback=first_failure_mail,
        on_success_callback=None,
    ),
    deadline=sla_deadline("monitoring_checks"),
):
    MonitoringCheckOperator(task_id="check", pool="monitoring", alert_conn_id=settings.alert_conn_id)
