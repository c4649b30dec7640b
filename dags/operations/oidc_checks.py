"""A failure means that Cloud Scheduler's calls are refused, or soon will be: run `oidc_repair` for the service.

**Who runs it**: the schedule, every five minutes, over all services of include/config/services.yaml: account, service,
invoker grant, job, token, project roles and health, seven checks each. It reads only. The log names every finding with
the repair step that fixes it; `monitoring_checks` makes a P0 alert of the recorded results. Data keeps flowing
meanwhile: the sync does not wait for this DAG.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.operations.oidc_check_operator import OidcCheckOperator

settings = get_settings()

with DAG(
    dag_id="oidc_checks",
    description="Seven identity checks over every service",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("*/5 * * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "operations"],
    default_args=task_defaults(
        settings.draws_owner,
        retries=0,  # the results are recorded and the next run is five minutes away
        execution_timeout=timedelta(minutes=3),
    ),
):
    OidcCheckOperator(task_id="check_identities", gcp_conn_id=settings.google_conn_id)
