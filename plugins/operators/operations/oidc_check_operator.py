"""The seven identity checks over the configured services."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from drawsguard.identity.checks import failures
from drawsguard.identity.inspector import IdentityInspector
from drawsguard.identity.model import Severity
from drawsguard.identity.report import result_rows
from drawsguard.settings import get_settings
from drawsguard.warehouse.engine_clock import EngineClock
from drawsguard.warehouse.failures import CLIENT_ERRORS
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from drawsguard.warehouse.table_facts import table_facts
from hooks.google_identity_hook import GoogleIdentityHook
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context


class OidcCheckOperator(BaseOperator):
    """Check how Cloud Scheduler identifies itself to Cloud Run, and record one row per check and service.

    It reads only. It fails when a check fails, after its results were recorded, and names each finding with the
    repair step that fixes it. A failing identity stops no data: run it parallel to the data path, not before it.

    :param services: names from include/config/services.yaml; empty means all.
    :param scheduled_only: skip in manual runs and backfills, which say nothing about the present.
    :param gcp_conn_id: connection whose credentials read the control plane.
    """

    template_fields: Sequence[str] = ("services",)

    def __init__(
        self,
        *,
        services: Sequence[str] = (),
        scheduled_only: bool = False,
        gcp_conn_id: str = "google_cloud_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.services = services
        self.scheduled_only = scheduled_only
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: Context) -> dict[str, str]:
        """Return the status by ``service/check name``.

        :raises AirflowException: when a check fails.
        :raises AirflowSkipException: in a run that the schedule did not create, with ``scheduled_only``.
        """
        if self.scheduled_only and str(context["dag_run"].run_type) != "scheduled":
            raise AirflowSkipException("Only scheduled runs check the identity.")
        client = warehouse_client()
        clock = EngineClock(client)
        with suppress(*CLIENT_ERRORS):  # for the time that the answer states; the results are recorded, or fail, below
            table_facts(client, "monitor", "identity_check_log")
        now = clock.now()
        results = IdentityInspector(GoogleIdentityHook(gcp_conn_id=self.gcp_conn_id), get_settings()).check(
            self.services, now
        )
        rows = result_rows(results, context["run_id"], now)
        repository = MonitoringRepository(client, dag_id=self.dag_id, task_id=self.task_id)
        repository.load("identity_check_log", rows, context["run_id"])
        for result in results:
            for finding in result.findings:
                log = self.log.error if finding.severity is Severity.FAIL else self.log.warning
                log("%s check %d %s: %s", result.service, result.number, result.name, finding.sentence())
        failed = failures(results)
        if failed:
            lines = "\n".join(f"- {result.service}: {finding.sentence()}" for result, finding in failed)
            names = sorted({result.service for result, _ in failed})
            raise AirflowException(
                f"{len(failed)} identity findings on {', '.join(names)}. Run the DAG oidc_repair for each service; "
                f"a second person approves its plan.\n{lines}"
            )
        return {f"{result.service}/{result.name}": result.status for result in results}
