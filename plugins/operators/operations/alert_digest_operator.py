"""The daily digest of alerts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.message import compose_digest
from drawsguard.monitoring.checks import load_checks
from drawsguard.settings import get_settings
from drawsguard.warehouse.engine_clock import EngineClock
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.alert_delivery_hook import AlertDeliveryHook
from hooks.monitor_pauses import dag_was_paused
from hooks.scheduled_slot import skip_missed_slot
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context


#: XCom of a digest that was accepted: the time (ISO) until which it tells of what was resolved.
TOLD_UNTIL = "told_until"
#: A digest reaches back to the last one that was accepted, and not further than this.
LONGEST_WINDOW = timedelta(days=7)
#: The monitor records an event up to so long after its time: it would fall between two digests. Some are told twice.
RECORDED_LATE = timedelta(minutes=5)


class AlertDigestOperator(BaseOperator):
    """Send what is open and what was resolved since the last digest; the only message about P2 alerts.

    A run for a slot that passed while the DAG was paused, or before it was first switched on, is skipped; the next
    digest tells of that time as well. One that is late, because Airflow was down, is sent.

    :param alert_conn_id: Apprise connection with the channels.
    """

    def __init__(self, *, alert_conn_id: str = "apprise_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alert_conn_id = alert_conn_id

    def execute(self, context: Context) -> list[str]:
        """Return the channels that accepted the digest.

        :raises AirflowException: when none did.
        """
        skip_missed_slot(context, partial(dag_was_paused, self.dag_id))
        settings, client = get_settings(), warehouse_client()
        clock = EngineClock(client)
        repository = MonitoringRepository(client, dag_id=self.dag_id, task_id=self.task_id)
        manager = AlertManager(repository, load_alert_config(), load_checks(), settings, run_id=context["run_id"])
        board = manager.board(clock.now())
        now = clock.now()  # after the first answer
        since = window_start(self._told_until(context), now)
        recent = [
            alert
            for alert in sorted(board.alerts.values(), key=lambda one: (one.priority, one.fired_at))
            if alert.resolved_at is None or alert.resolved_at >= since
        ]
        channels, problems = AlertDeliveryHook(self.alert_conn_id).send(compose_digest(recent, settings, now))
        if not channels:
            raise AirflowException(f"No channel accepted the digest: {'; '.join(problems) or 'none is configured'}.")
        context["ti"].xcom_push(TOLD_UNTIL, now.isoformat())
        return channels

    def _told_until(self, context: Context) -> list[str]:
        """Return until when earlier runs have told, in any order, as far as Airflow keeps it."""
        known = context["ti"].xcom_pull(task_ids=self.task_id, key=TOLD_UNTIL, include_prior_dates=True)
        return [known] if isinstance(known, str) else list(known or [])


def window_start(told_until: Iterable[str], now: datetime) -> datetime:
    """Return from when on a digest tells what was resolved.

    :param told_until: until when earlier digests have told (ISO); none is known after a first start.
    :param now: aware.
    """
    newest = max((datetime.fromisoformat(one) for one in told_until), default=now - LONGEST_WINDOW)
    return max(newest - RECORDED_LATE, now - LONGEST_WINDOW)
