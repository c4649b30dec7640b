"""One round of the monitor: read the views, judge, record every result, update the alerts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.monitoring.checks import Outcome, judge, load_checks, unmade
from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.alert_delivery_hook import AlertDeliveryHook
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Views are read in parallel; a round takes as long as its slowest view.
READERS = 4


class MonitoringCheckOperator(BaseOperator):
    """Judge all checks of include/config/checks.yaml and record each result as a row of ``check_log``.

    A failed check is an alert, not a failed task. The task fails when a check could not be made (the runner tries a
    view that cannot be read once more), or when a due alert reached no channel: then the monitor itself needs help.

    :param alert_conn_id: Apprise connection with the channels.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, alert_conn_id: str = "apprise_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alert_conn_id = alert_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many checks passed, failed and could not be made, and the events that followed.

        :raises AirflowException: when a view could not be read, or an alert could not be delivered.
        """
        settings, checks = get_settings(), load_checks()
        client = warehouse_client()
        repository = MonitoringRepository(client, dag_id=self.dag_id, task_id=self.task_id)
        started, now = time.monotonic(), datetime.now(UTC)
        with ThreadPoolExecutor(READERS) as pool:
            views = checks.views()
            rows = dict(
                zip(views, pool.map(lambda view: self._read(repository, view, views[view]), views), strict=True)
            )
        outcomes: list[Outcome] = []
        for check in checks.checks:
            answer = rows[check.view]
            outcomes += unmade(check, answer) if isinstance(answer, str) else judge(check, answer)
        run_id, seconds = context["run_id"], time.monotonic() - started
        repository.append(
            "monitoring/append_check_results", [_row(outcome, run_id, now, seconds) for outcome in outcomes]
        )
        alert_manager = AlertManager(repository, load_alert_config(), checks, settings, run_id=run_id)
        delivery = AlertDeliveryHook(self.alert_conn_id)
        observations = [outcome.observation() for outcome in outcomes]
        observations += [_readability(view, answer) for view, answer in rows.items()]
        events = alert_manager.round(observations, delivery, datetime.now(UTC))
        for event in events:
            self.log.info("%s %s: %s", event.kind.value, event.alert_key, event.detail)
        self._complain(outcomes, [event.detail for event in events if event.kind.value == "delivery_failed"])
        counts = {state: sum(outcome.status == state for outcome in outcomes) for state in ("pass", "fail")}
        return {**counts, "events": len(events), "milliseconds": round(1000 * (time.monotonic() - started))}

    def _read(
        self, repository: MonitoringRepository, view: str, columns: tuple[str, ...]
    ) -> list[Mapping[str, Any]] | str:
        """Return the view's rows, or why they cannot be read."""
        try:
            return list(repository.read_view(view, columns))
        except StatementError as error:
            self.log.warning("Reading %s failed: %s", view, error)
            return f"{view} cannot be read: {error}"

    @staticmethod
    def _complain(outcomes: Sequence[Outcome], undelivered: Sequence[str]) -> None:
        unread = sorted({outcome.actual for outcome in outcomes if outcome.status == "error"})
        problems = [*unread, *(f"an alert reached no channel: {reason}" for reason in undelivered)]
        if problems:
            raise AirflowException(
                "The monitor is impaired; what it could observe is recorded. "
                "Look at BigQuery and at the connection of the alert channels:\n" + "\n".join(problems)
            )


def _readability(view: str, answer: object) -> Observation:
    """Return whether a view could be read, as an observation of its own: its checks keep their alerts meanwhile."""
    unreadable = isinstance(answer, str)
    return Observation(f"monitor:{view}", unreadable, Priority.P1, str(answer) if unreadable else "readable")


def _row(outcome: Outcome, run_id: str, now: datetime, seconds: float) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "check_name": outcome.check.name,
        "subject": outcome.subject,
        "checked_at": now,
        "priority": outcome.check.priority.value,
        "status": outcome.status,
        "expected": outcome.check.condition,
        "actual": outcome.actual,
        "seconds": round(seconds, 3),
    }
