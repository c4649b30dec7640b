"""Plan the repair of one service's identity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.refusal import RefusedError
from hooks.identity_inspection import identity_inspector
from hooks.operation_audit import record_operation

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The operation's name in ``operation_audit``.
OPERATION = "oidc_repair"


class OidcRepairPlanOperator(BaseOperator):
    """Show what the repair would change. A healthy service skips everything that follows.

    Returns ``{"service", "digest", "text"}``, for people to read: the repair makes its own plan.

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
        :raises RefusedError: when only a person can repair what is wrong.
        """
        plan = identity_inspector(self.gcp_conn_id).plan(self.service, datetime.now(UTC))
        self.log.info("Plan for %s (digest %s):\n%s", self.service, plan.digest, plan.text())
        if not plan.changes and not plan.by_hand:
            raise AirflowSkipException(f"{self.service} passes all identity checks: nothing to change.")
        if not plan.changes:
            raise RefusedError(
                f"No change of accounts, services or jobs repairs {self.service}. By hand:\n" + "\n".join(plan.by_hand)
            )
        record_operation(
            self, context, OPERATION, subject=self.service, action="planned", digest=plan.digest, detail=plan.text()
        )
        return {"service": self.service, "digest": plan.digest, "text": plan.text()}
