"""A failure means that the repair stopped: nothing was changed, or the log says which steps were. Run it again.

**Who runs it**: a person, from the UI, with the name of a service. It plans what has to change (account, grants, Cloud
Scheduler job), shows the plan as a diff, waits for the approval of a second person, applies exactly that plan, runs the
job once, waits until the change has reached everywhere, and verifies by the seven checks. A healthy service is left as
it is. Rejecting, or not answering within a day, changes nothing. Every act is kept in `operation_audit`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from drawsguard.identity.model import load_services
from drawsguard.settings import get_settings
from operators.dag_defaults import task_defaults
from operators.four_eyes_approval_operator import FourEyesApprovalOperator
from operators.oidc_repair_operators import OidcRepairApplyOperator, OidcRepairPlanOperator, OidcRepairVerifySensor

settings = get_settings()
SERVICE = "{{ params.service }}"
DIGEST = "{{ ti.xcom_pull(task_ids='plan')['digest'] }}"

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
    approve = FourEyesApprovalOperator(
        task_id="approve",
        subject="审批身份修复 Approve the identity repair of {{ params.service }}",
        body=(
            "批准后才会执行下列变更；计划有任何不同则拒绝执行。\n"
            "Nothing is changed before approval; a plan that differs in anything is refused.\n\n"
            f"digest `{DIGEST}`\n\n```diff\n{{{{ ti.xcom_pull(task_ids='plan')['text'] }}}}\n```"
        ),
        response_timeout=timedelta(days=1),
        execution_timeout=None,  # a person's answer has its own limit
    )
    apply = OidcRepairApplyOperator(
        task_id="apply",
        service=SERVICE,
        approved_digest=DIGEST,
        approval=approve.output,
        gcp_conn_id=settings.google_conn_id,
        retries=0,  # the first try changed what the plan starts from, so the digest would refuse the second
    )
    verify = OidcRepairVerifySensor(
        task_id="verify",
        service=SERVICE,
        gcp_conn_id=settings.google_conn_id,
        mode="reschedule",
        poke_interval=10,
        timeout=settings.identity_propagation_seconds + 60,
    )
    plan >> approve >> apply >> verify
