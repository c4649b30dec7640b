"""A failure means that the repair stopped: nothing was changed, or the log says which steps were. Run it again.

**Who runs it**: a person, from the UI, with the name of a service. *plan* shows what has to change (account, grants,
Cloud Scheduler job). *apply* asks another person on the page Required Actions, with the plan as a diff; after the
approval it applies exactly that plan and runs the job once. *verify* waits until the change has reached everywhere and
the seven checks pass. A healthy service is left as it is.

**When it is refused**: rejected, not answered within a day, or the plan changed meanwhile: nothing was changed, and the
person who triggered the run is notified by mail. Trigger a new run: a cleared one keeps the text of its first question.
Every question and answer is kept in `governance_audit.approval`, every act in `operation_audit`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from drawsguard.identity.model import load_services
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.operations.oidc_repair_apply_operator import OidcRepairApplyOperator
from operators.operations.oidc_repair_plan_operator import OidcRepairPlanOperator
from operators.operations.oidc_repair_verify_sensor import OidcRepairVerifySensor

settings = get_settings()
SERVICE = "{{ params.service }}"

with DAG(
    dag_id="oidc_repair",
    description="Plan, approve, apply and verify the repair of a service's identity",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "operations"],
    default_args=task_defaults(settings.draws_owner),
    params={
        "service": Param(
            "data-sync-service",
            type="string",
            enum=[service.name for service in load_services().services],
            description="要修复的服务。Service to repair (include/config/services.yaml).",
        )
    },
):
    plan = OidcRepairPlanOperator(task_id="plan", service=SERVICE, gcp_conn_id=settings.google_conn_id)
    apply = OidcRepairApplyOperator(
        task_id="apply",
        service=SERVICE,
        gcp_conn_id=settings.google_conn_id,
        response_timeout=timedelta(days=1),
        execution_timeout=None,  # a person's answer has its own limit
    )
    verify = OidcRepairVerifySensor(
        task_id="verify",
        service=SERVICE,
        gcp_conn_id=settings.google_conn_id,
        mode="reschedule",
        poke_interval=10,
        timeout=settings.identity_propagation_seconds + 60,
    )
    plan >> apply >> verify
