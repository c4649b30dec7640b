"""A missed deadline is mailed at once and is an alert: announced in chat, acknowledged, resolved by the next run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async

from drawsguard.alerts.signals import end, fire, sla_key
from drawsguard.monitoring.observation import Priority
from drawsguard.templates import render_template
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.warehouse_hook import warehouse_client
from notifiers.sla_miss import SlaMissMail

TASK = "deadline"


class SlaMissAlert(SlaMissMail):
    """Sends the mail and reports the miss to the monitor, whose alert skips mail.

    Each is done whether or not the other succeeds. Airflow does not repeat a failed callback: it shows it in the
    triggerer's log and in the table ``callback``.

    :param priority: of the alert.
    """

    def __init__(self, *, priority: str, **kwargs: Any) -> None:
        super().__init__(priority=priority, **kwargs)

    async def async_notify(self, context: Any) -> None:
        mailed = False
        try:
            await super().async_notify(context)
            mailed = True
        finally:
            # Runs in a thread: the triggerer's event loop serves others meanwhile.
            await sync_to_async(self._report)(self.values(context), mailed)

    def _report(self, values: dict[str, Any], mailed: bool) -> None:
        fire(
            _repository(values["dag_id"]),
            sla_key(values["dag_id"]),
            Priority(values["priority"]),
            render_template("alerts/sla_miss.txt", **values, mailed=mailed).strip(),
            run_id=values["run_id"],
            now=datetime.now(UTC),
        )


def report_run_success(context: Any) -> None:
    """End the alert of a missed deadline; for ``on_success_callback`` of a DAG with one.

    Only a scheduled run counts: it alone has a deadline.
    """
    run = context["dag_run"]
    if str(getattr(run.run_type, "value", run.run_type)) == "scheduled":
        end(
            _repository(run.dag_id),
            sla_key(run.dag_id),
            "计划内的运行已完成 a scheduled run ended well",
            run_id=run.run_id,
            now=datetime.now(UTC),
        )


def _repository(dag_id: str) -> MonitoringRepository:
    return MonitoringRepository(warehouse_client(), dag_id=dag_id, task_id=TASK)
