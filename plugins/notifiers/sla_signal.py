"""A missed deadline is mailed at once and is an alert: announced in chat, acknowledged, resolved by the next run."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async

from drawsguard.alerts.signals import end, fire, is_firing, sla_key
from drawsguard.deadlines import deadline_of
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.warehouse_hook import warehouse_client
from notifiers.sla_miss import SlaMissMail

logger = logging.getLogger(__name__)

TASK = "deadline"


class SlaMissAlert(SlaMissMail):
    """Sends the mail and reports the miss to the monitor, whose alert skips mail; one of each as long as it lasts.

    Each is done whether or not the other succeeds. Airflow does not repeat a failed callback: it shows it in the
    triggerer's log and in the table ``callback``.

    :param priority: of the alert.
    """

    def __init__(self, *, priority: str, **kwargs: Any) -> None:
        super().__init__(priority=priority, **kwargs)

    async def tell(self, context: Any) -> None:
        # In threads: the triggerer's event loop serves others meanwhile.
        if await sync_to_async(_is_reported)(context["dag_run"]["dag_id"]):
            return
        mailed = False
        try:
            await super().tell(context)
            mailed = True
        finally:
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


def _is_reported(dag_id: str) -> bool:
    """Whether an earlier miss was reported and is not over; what cannot be read was not."""
    now = datetime.now(UTC)
    try:
        return is_firing(_repository(dag_id), sla_key(dag_id), now)
    except Exception:
        logger.exception("The signals of %s cannot be read; the miss is told", dag_id)
        return False


def report_run_success(context: Any) -> None:
    """End the alert of a missed deadline; for ``on_success_callback`` of a DAG with one.

    Only a scheduled run counts: it alone has a deadline.
    """
    run = context["dag_run"]
    if str(getattr(run.run_type, "value", run.run_type)) == "scheduled":
        end(
            _repository(run.dag_id),
            sla_key(run.dag_id),
            "计划内的运行已交付数据 a scheduled run has delivered its data",
            run_id=run.run_id,
            now=datetime.now(UTC),
        )


def report_delivery(context: Any) -> None:
    """End the alert of a missed deadline when this success may be its end; for the task that delivers the data.

    It may when the run is late itself, or when the task has failed in a run that Airflow remembers. Most successes are
    neither, and cost no query of the warehouse.
    """
    task_instance, run = context["ti"], context["dag_run"]
    allowed = deadline_of(run.dag_id).interval(get_settings())
    late = run.data_interval_end is not None and datetime.now(UTC) - run.data_interval_end > allowed / 2
    if late or task_instance.get_ti_count(
        dag_id=run.dag_id, task_ids=[task_instance.task_id], states=["failed", "upstream_failed"]
    ):
        report_run_success(context)


def _repository(dag_id: str) -> MonitoringRepository:
    return MonitoringRepository(warehouse_client(), dag_id=dag_id, task_id=TASK)
