"""Verify the repair of one service's identity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from drawsguard.identity.checks import failures
from hooks.identity_inspection import identity_inspector
from hooks.operation_audit import record_operation
from operators.operations.oidc_repair_plan_operator import OPERATION

if TYPE_CHECKING:
    from airflow.sdk import Context


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
        remaining = failures(identity_inspector(self.gcp_conn_id).check([self.service], datetime.now(UTC)))
        for result, finding in remaining:
            self.log.warning("%s check %d still fails: %s", self.service, result.number, finding.sentence())
        if remaining:
            self.log.info(
                "Waiting for propagation. If this times out, run oidc_repair again: a repair can bring to light "
                "what the break before it had hidden."
            )
            return False
        record_operation(self, context, OPERATION, subject=self.service, action="verified")
        return True
