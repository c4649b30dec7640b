"""A missed deadline is mailed at once and is an alert: announced in chat, acknowledged, resolved by the next run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async

from drawsguard.alerts.signals import MAIL_SENT, end, fire, firing_run, sla_key
from drawsguard.deadlines import NOT_TOLD, SCHEDULED, deadline_of, delivers
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.warehouse_hook import warehouse_client
from notifiers.sla_miss import NotToldError, SlaMissMail, moment_of

logger = logging.getLogger(__name__)

TASK = "deadline"


class SlaMissAlert(SlaMissMail):
    """Sends the mail and reports the miss to the monitor, whose alert skips mail if that one was accepted.

    That an outage is one of each is up to its deadline alone (`deadlines.fresh_interval`): a signal may hold only since
    nobody could report its end.

    Each is done whether or not the other succeeds. Airflow does not repeat a failed callback: it shows it in the
    triggerer's log and in the table ``callback``.

    :param priority: of the alert.
    """

    def __init__(self, *, priority: str, **kwargs: Any) -> None:
        super().__init__(priority=priority, **kwargs)

    async def tell(self, context: Any) -> None:
        refused: Exception | None = None
        try:
            await self.mail(context)
        except Exception as error:  # noqa: BLE001 - raised below, after the alert
            refused = error
        try:
            # In a thread: the triggerer's event loop serves others meanwhile.
            await sync_to_async(self._report)(self.values(context), refused is None)
        except Exception as error:
            if refused is not None:
                raise NotToldError(f"{NOT_TOLD}: neither by mail ({refused}) nor by an alert") from error
            raise
        # A delivery that came before the signal found nothing to end.
        run = context["dag_run"]
        if await self.delivered(run):
            due = moment_of(run["data_interval_end"])
            await sync_to_async(_end)(run["dag_id"], run["dag_run_id"], lambda missed: missed is None or due >= missed)
        if refused is not None:
            raise refused

    def _report(self, values: dict[str, Any], mailed: bool) -> None:
        fire(
            _repository(values["dag_id"]),
            sla_key(values["dag_id"]),
            Priority(values["priority"]),
            render_template("alerts/sla_miss.txt", **values, mailed=mailed, mail_sent=MAIL_SENT).strip(),
            run_id=values["run_id"],
            now=datetime.now(UTC),
        )


def report_delivery(context: Any) -> None:
    """End the alert of a missed deadline; for ``on_success_callback`` of the task that delivers the data.

    A run ends the miss of what it delivers, or of an earlier interval; a cleared old one does not. Whether there is one
    is listed free of charge. Where only a query can tell, it is made when the run is late itself, when the schedule did
    not create it, or when the task has failed in a run that Airflow remembers: most successes are none of these.
    """
    task_instance, run = context["ti"], context["dag_run"]
    deadline = deadline_of(run.dag_id)
    run_type = str(getattr(run.run_type, "value", run.run_type))

    def covers(missed: datetime | None) -> bool:
        return delivers(run.run_id, run_type, run.run_after, run.conf, missed, daily=deadline.daily)

    def worth_a_query() -> bool:
        beside = not run.run_id.startswith(SCHEDULED)
        late = beside or datetime.now(UTC) - run.run_after > deadline.interval(get_settings()) / 2
        return late or bool(
            task_instance.get_ti_count(
                dag_id=run.dag_id, task_ids=[task_instance.task_id], states=["failed", "upstream_failed"]
            )
        )

    if covers(None):
        _end(run.dag_id, run.run_id, covers, worth_a_query)


def _end(
    dag_id: str,
    run_id: str,
    covers: Callable[[datetime | None], bool],
    worth_a_query: Callable[[], bool] = lambda: True,
) -> None:
    """End the alert of a DAG's missed deadline if what it waits for was delivered.

    :param covers: given the end of the interval that was missed (None: not known), says whether it was.
    :param worth_a_query: whether to ask the warehouse when nothing less can tell.
    """
    repository, key, now = _repository(dag_id), sla_key(dag_id), datetime.now(UTC)

    def is_over(missed_by: str | None) -> bool:
        if missed_by is None:
            if not worth_a_query():
                return False
            missed_by = firing_run(repository, key, now)
        return covers(interval_end_of(missed_by))

    detail = "已交付数据 the data were delivered"
    end(repository, key, detail, run_id=run_id, now=now, is_over=is_over)


def interval_end_of(run_id: str) -> datetime | None:
    """Return the end of the data interval in the id of a scheduled run; None for an id of another form."""
    kind, _, moment = run_id.partition("__")
    try:
        end_of_interval = datetime.fromisoformat(moment) if kind == "scheduled" else None
    except ValueError:
        return None
    return end_of_interval if end_of_interval is not None and end_of_interval.tzinfo else None


def _repository(dag_id: str) -> MonitoringRepository:
    return MonitoringRepository(warehouse_client(), dag_id=dag_id, task_id=TASK)
