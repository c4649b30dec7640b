"""Repair one service's identity, after another person approved exactly that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from drawsguard.approvals.model import Action, Approved, Proposal
from drawsguard.identity.repair import Plan, apply_plan
from drawsguard.links import runbook_link
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from hooks.google_identity_hook import GoogleIdentityHook
from hooks.identity_inspection import identity_inspector
from hooks.operation_audit import record_operation
from notifiers.template_mail import run_url
from operators.approvals.approval_operator import ApprovalOperator
from operators.operations.oidc_repair_plan_operator import OPERATION

if TYPE_CHECKING:
    from airflow.sdk import Context


class OidcRepairApplyOperator(ApprovalOperator):
    """Ask for the approval of the repair as it is now, wait, and apply exactly that. Returns the steps applied.

    The plan is made again before the question, on the answer, and just before the first request; what differs is
    refused. A repair that failed half way is finished by a new run, which plans what is left.

    :param service: name from include/config/services.yaml (templated).
    :param gcp_conn_id: connection whose credentials may change the control plane.
    """

    template_fields: Sequence[str] = ("service",)

    def __init__(self, *, service: str, gcp_conn_id: str = "google_cloud_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.gcp_conn_id = gcp_conn_id

    def propose(self, context: Context) -> Proposal | None:
        """Return the repair as the service needs it now; None for a service that needs none."""
        plan = self._plan()
        if not plan.changes:
            return None
        body = render_template(
            "identity/approval.md",
            plan=plan,
            requester=self.requester(context),
            run_url=run_url(self.dag_id, context["run_id"]),
            runbook=runbook_link("identity-broken", get_settings()),
        )
        title = f"审批身份修复 Approve the identity repair of {self.service}"
        return Proposal(Action.IDENTITY_REPAIR, self.service, plan.digest, title, body)

    def nothing_to_ask(self, context: Context) -> Any:  # noqa: ARG002
        """Skip what follows.

        :raises AirflowSkipException: always; no change repairs the service, or none is needed.
        """
        raise AirflowSkipException(f"No change of accounts, services or jobs is left for {self.service}.")

    def prepare(self, context: Context, proposal: Proposal) -> Plan:  # noqa: ARG002
        """Return the plan as it is now.

        :raises ApprovalRefusedError: when it changed since it was approved; nothing was applied.
        """
        plan = self._plan()
        self.require_same(proposal, plan.digest)
        return plan

    def carry_out(
        self,
        context: Context,
        proposal: Proposal,
        approved: Approved,
        prepared: Plan,
    ) -> list[str]:
        """Apply the approved plan.

        :raises AirflowFailException: when a step failed. It is not retried: the steps before it changed what the plan
            starts from, so a retry would be refused as another plan, and hide the error.
        """
        audit = {"subject": self.service, "digest": proposal.digest}
        record_operation(self, context, OPERATION, action="approved", actor=approved.approver, **audit)
        try:
            patience = timedelta(seconds=get_settings().identity_propagation_seconds)
            applied = apply_plan(prepared, GoogleIdentityHook(gcp_conn_id=self.gcp_conn_id), patience)
            record_operation(self, context, OPERATION, action="applied", detail="\n".join(applied), **audit)
        except Exception as error:
            raise AirflowFailException(
                f"The repair of {self.service} stopped: {error} Trigger a new run, which plans what is left."
            ) from error
        return applied

    def _plan(self) -> Plan:
        return identity_inspector(self.gcp_conn_id).plan(self.service, datetime.now(UTC))
