"""Plan, apply and verify the repair of one service's identity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseSensorOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from drawsguard.identity.checks import failures
from drawsguard.identity.desk import IdentityDesk
from drawsguard.identity.repair import apply_plan
from drawsguard.monitoring.store import MonitorStore, stable_id
from drawsguard.settings import get_settings
from hooks.google_identity_hook import GoogleIdentityHook
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context

OPERATION = "oidc_repair"


def _desk(conn_id: str) -> IdentityDesk:
    return IdentityDesk(GoogleIdentityHook(gcp_conn_id=conn_id), get_settings())


def record_audit(task: BaseOperator, context: Context, **entry: Any) -> None:
    """Append one entry to ``operation_audit``, with the run and the person who triggered it."""
    client = warehouse_client()
    requester = getattr(context["dag_run"], "triggering_user_name", None) or "unknown"
    row = {"operation": OPERATION, "actor": requester, "digest": None, "run_id": context["run_id"], **entry}
    row |= {
        "acted_at": datetime.now(UTC),
        "entry_id": stable_id(row["run_id"], row["subject"], row["action"], context["ti"].try_number),
    }
    MonitorStore(client, dag_id=task.dag_id, task_id=task.task_id).append("append_audit", [row])


class OidcRepairPlanOperator(BaseOperator):
    """Show what the repair would change. A healthy service skips everything that follows.

    Returns ``{"service", "digest", "text"}``; the digest is what the approval holds for.

    :param service: name from include/config/services.yaml.
    :param gcp_conn_id: connection whose credentials read the control plane.
    """

    template_fields: Sequence[str] = ("service",)

    def __init__(self, *, service: str, gcp_conn_id: str = "google_cloud_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: Context) -> dict[str, str]:
        """Return the plan.

        :raises AirflowSkipException: when nothing has to change.
        :raises AirflowException: when only a person can mend what is wrong.
        """
        plan = _desk(self.gcp_conn_id).plan(self.service, datetime.now(UTC))
        self.log.info("Plan for %s (digest %s):\n%s", self.service, plan.digest, plan.text())
        if not plan.changes and not plan.by_hand:
            raise AirflowSkipException(f"{self.service} passes all identity checks: nothing to change.")
        if not plan.changes:
            raise AirflowException(
                f"No change of accounts, services or jobs mends {self.service}. By hand:\n" + "\n".join(plan.by_hand)
            )
        record_audit(
            self, context, subject=self.service, action="planned", digest=plan.digest,
            detail=plan.text(),
        )  # fmt: skip
        return {"service": self.service, "digest": plan.digest, "text": plan.text()}


class OidcRepairApplyOperator(BaseOperator):
    """Apply the plan that was approved, and no other.

    The plan is made again first: when its digest is not the approved one, the control plane changed in between and
    nothing is done. A run that failed half way is repaired by a new run, which plans what is left.

    :param service: name from include/config/services.yaml.
    :param approved_digest: digest that the approver saw.
    :param approval: the approval task's result (who approved, and when).
    :param gcp_conn_id: connection whose credentials may change the control plane.
    """

    template_fields: Sequence[str] = ("service", "approved_digest", "approval")

    def __init__(
        self, *, service: str, approved_digest: str, approval: Any, gcp_conn_id: str = "google_cloud_default",
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.service = service
        self.approved_digest = approved_digest
        self.approval = approval
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: Context) -> list[str]:
        """Return the steps applied.

        :raises AirflowException: when the approval is missing, or holds for another plan.
        """
        approver = ((self.approval or {}).get("responded_by_user") or {}).get("name")
        if not approver or (self.approval or {}).get("chosen_options") != ["Approve"]:
            raise AirflowException(f"The repair of {self.service} is not approved by a person; nothing was changed.")
        plan = _desk(self.gcp_conn_id).plan(self.service, datetime.now(UTC))
        if plan.digest != self.approved_digest:
            raise AirflowException(
                f"The plan for {self.service} is no longer the approved one (approved {self.approved_digest[:12]}…, "
                f"now {plan.digest[:12]}…): something else changed since. Nothing was changed; run oidc_repair again "
                f"and have the new plan approved:\n{plan.text()}"
            )
        audit = {"subject": self.service, "digest": plan.digest}
        record_audit(self, context, **audit, action="approved", actor=approver)
        applied = apply_plan(plan, GoogleIdentityHook(gcp_conn_id=self.gcp_conn_id))
        record_audit(self, context, **audit, action="applied", detail="\n".join(applied))
        return applied


class OidcRepairVerifySensor(BaseSensorOperator):
    """Wait until the service passes all seven checks: IAM changes take minutes to reach everywhere.

    :param service: name from include/config/services.yaml.
    :param gcp_conn_id: connection whose credentials read the control plane.
    """

    template_fields: Sequence[str] = ("service",)

    def __init__(self, *, service: str, gcp_conn_id: str = "google_cloud_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.gcp_conn_id = gcp_conn_id

    def poke(self, context: Context) -> bool:
        """Return whether no check fails any more; findings that remain are logged."""
        remaining = failures(_desk(self.gcp_conn_id).check([self.service], datetime.now(UTC)))
        for result, finding in remaining:
            self.log.warning("%s check %d still fails: %s", self.service, result.number, finding.sentence())
        if remaining:
            self.log.info(
                "Waiting for propagation. If this times out, run oidc_repair again: a repair can bring to light "
                "what the break before it had hidden."
            )
            return False
        record_audit(self, context, subject=self.service, action="verified")
        return True
