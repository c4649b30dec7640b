"""A failure means that the monitor is impaired: a view cannot be read, or an alert reached no channel.

**Who runs it**: the schedule, every minute. It reads the monitoring views, judges the checks of
include/config/checks.yaml, keeps every result in `check_log`, and fires, delivers and resolves alerts (`alert_log`).
A failed check is an alert and not a failed run. **When it is late**: a mail goes to the draws team: a monitor that
stands still sees nothing; the health endpoint answers 503 meanwhile, and `monitor_runs_every_minute` reports the gap.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from deadlines.fresh_interval import FreshIntervalEnd
from drawsguard.settings import get_settings
from notifiers.first_failure import first_failure_mail
from notifiers.sla_miss import SlaMissMail
from operators.dag_defaults import task_defaults
from operators.monitoring_check_operator import MonitoringCheckOperator

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
        # The monitor cannot tell of itself, and `monitor_runs_every_minute` records it afterwards.
        on_failure_callback=first_failure_mail,
        on_success_callback=None,
    ),
    deadline=DeadlineAlert(
        name="monitoring_in_time",
        reference=FreshIntervalEnd(once_per_outage=True),  # it runs every minute
        interval=timedelta(minutes=5),
        callback=AsyncCallback(
            SlaMissMail,
            kwargs={
                "to": settings.draws_email,
                "look_at": [
                    ["任务 check 的日志：BigQuery 是否可用。", "The log of task check: is BigQuery reachable?"],
                    ["调度器与工作进程是否繁忙或停止。", "Are scheduler and workers busy or down?"],
                ],
            },
        ),
    ),
):
    MonitoringCheckOperator(task_id="check", pool="monitoring", alert_conn_id=settings.alert_conn_id)
