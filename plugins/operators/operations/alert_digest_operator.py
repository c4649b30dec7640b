"""The daily digest of alerts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.message import compose_digest
from drawsguard.monitoring.checks import load_checks
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.alert_delivery_hook import AlertDeliveryHook
from hooks.scheduled_slot import skip_missed_slot
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context


class AlertDigestOperator(BaseOperator):
    """Send what is open and what was resolved in a day; the only message about P2 alerts.

    A run for a slot that passed while the DAG was paused, or before it was first switched on, is skipped.

    :param alert_conn_id: Apprise connection with the channels.
    """

    def __init__(self, *, alert_conn_id: str = "apprise_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alert_conn_id = alert_conn_id

    def execute(self, context: Context) -> list[str]:
        """Return the channels that accepted the digest.

        :raises AirflowException: when none did.
        """
        skip_missed_slot(context)
        settings, now = get_settings(), datetime.now(UTC)
        client = warehouse_client()
        repository = MonitoringRepository(client, dag_id=self.dag_id, task_id=self.task_id)
        board = AlertManager(repository, load_alert_config(), load_checks(), settings, run_id=context["run_id"]).board(
            now
        )
        recent = [
            alert
            for alert in sorted(board.alerts.values(), key=lambda one: (one.priority, one.fired_at))
            if alert.resolved_at is None or now - alert.resolved_at <= timedelta(days=1)
        ]
        channels, problems = AlertDeliveryHook(self.alert_conn_id).send(compose_digest(recent, settings, now))
        if not channels:
            raise AirflowException(f"No channel accepted the digest: {'; '.join(problems) or 'none is configured'}.")
        return channels
