"""One round of the monitor: read the views that may have changed, judge all, record, update the alerts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.memory import Memory
from drawsguard.alerts.signals import fire, sla_key
from drawsguard.deadlines import deadline_of
from drawsguard.draws.cadence import Cadence
from drawsguard.monitoring.carried import Carrier, as_text, load
from drawsguard.monitoring.checks import Check, Outcome, checks_in_force, judge, unmade
from drawsguard.monitoring.missing_runs import MissingRuns
from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.monitoring.pauses import Pauses
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from drawsguard.warehouse.engine_clock import EngineClock
from drawsguard.warehouse.failures import CLIENT_ERRORS, StatementError
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.alert_delivery_hook import AlertDeliveryHook
from hooks.free_evidence import FreeEvidence, facts_of
from hooks.google_identity_hook import GoogleIdentityHook
from hooks.later_runs import runs_if_known
from hooks.monitor_pauses import monitor_was_paused
from hooks.telemetry import Reading, is_on, send
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context
    from google.cloud.bigquery import Client

#: What a round leaves for the next one, as XComs: the views' answers, the state of the alerts, and what is known of the
#: monitor's last absence, and of scheduled runs that were not created.
CARRIED, ALERTS, ABSENCE, MISSING = "view_answers", "alert_memory", "absence", "missing_runs"

#: The view of one row a day: what it does not show any more can be computed again.
DAYS_VIEW = "collection_quality_v"
#: What names a row of `check_log`.
CHECK_KEY = ("run_id", "check_name", "subject", "checked_at")

#: Views are read in parallel; a round takes as long as its slowest view.
READERS = 4


class MonitoringCheckOperator(BaseOperator):
    """Judge all checks of include/config/checks.yaml and record each result as a row of ``check_log``.

    A view is read when free evidence does not say that its answer is still the one that was read before (see
    `drawsguard.monitoring.news`); a run leaves the answers for the next one as an XCom.

    A failed check is an alert, not a failed task. The task fails when a check could not be made (the runner tries a
    view that cannot be read once more), or as long as a due alert has reached no channel: then the monitor itself needs
    help. The retry of a try whose alert was refused fails as well, so that the failure is mailed.

    :param alert_conn_id: Apprise connection with the channels.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, alert_conn_id: str = "apprise_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alert_conn_id = alert_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Return how many checks passed and failed, the names of the failed ones, and how many events followed.

        :raises AirflowException: when a view could not be read, or an alert has not been delivered yet.
        """
        settings, checks = get_settings(), checks_in_force()
        started, client = time.monotonic(), warehouse_client()
        clock = EngineClock(client)
        repository = MonitoringRepository(client, dag_id=self.dag_id, task_id=self.task_id)
        carrier = self._carrier(context, client, repository, clock)
        now = clock.now()
        with ThreadPoolExecutor(READERS) as pool:
            views = checks.views()
            rows = dict(zip(views, pool.map(lambda view: carrier.answer(view, views[view]), views), strict=True))
        outcomes: list[Outcome] = []
        for check in checks.checks:
            answer = rows[check.view]
            outcomes += unmade(check, answer) if isinstance(answer, str) else judge(check, answer)
        run_id, seconds = context["run_id"], time.monotonic() - started
        repository.stream("check_log", [_row(outcome, run_id, now, seconds) for outcome in outcomes], CHECK_KEY)
        memory = Memory(self._left_before(context, ALERTS), facts_of(client))
        pauses = Pauses(monitor_was_paused, self._left_before(context, ABSENCE))
        alert_manager = AlertManager(
            repository,
            load_alert_config(),
            checks,
            settings,
            run_id=run_id,
            paused=pauses,
            memory=memory,
        )
        delivery = AlertDeliveryHook(self.alert_conn_id)
        observations = [outcome.observation() for outcome in outcomes]
        observations += [_readability(view, answer) for view, answer in rows.items()]
        events = alert_manager.round(observations, delivery, clock.now(), partial(self._look_again, repository))
        if is_on():
            send(_figures(carrier.behind(), alert_manager.open_alerts))
        for event in events:
            self.log.info("%s %s: %s", event.kind.value, event.alert_key, event.detail)
        if context.get("logical_date") is not None:  # PostgreSQL takes a run without one for the newest, for ever
            context["ti"].xcom_push(key=CARRIED, value=as_text(carrier.left))
            context["ti"].xcom_push(key=ALERTS, value=memory.left())
            if pauses.left():
                context["ti"].xcom_push(key=ABSENCE, value=pauses.left())
            self._tell_missing_runs(context, repository, clock.now())
        self._complain(outcomes, alert_manager.undelivered)
        counts = {state: sum(outcome.status == state for outcome in outcomes) for state in ("pass", "fail")}
        failing = sorted({outcome.check.name for outcome in outcomes if outcome.status == "fail"})
        return {
            **counts,
            "views_read": len(carrier.read),
            "failing": failing,
            "events": len(events),
            "milliseconds": round(1000 * (time.monotonic() - started)),
        }

    def _carrier(
        self, context: Context, client: Client, repository: MonitoringRepository, clock: EngineClock
    ) -> Carrier:
        """Return what answers the views in this round; the runs before left what it carries over."""
        settings = get_settings()
        return Carrier(
            checks_in_force(),
            FreeEvidence(client, GoogleIdentityHook(gcp_conn_id=settings.google_conn_id)),
            lambda view, columns: self._read(repository, view, tuple(columns)),
            {"cadence": Cadence.from_settings(settings), "timezone": ZoneInfo(settings.business_timezone)},
            load(self._left_before(context, CARRIED)),
            clock.now,
            CLIENT_ERRORS,
        )

    def _left_before(self, context: Context, key: str) -> object:
        # Without a map index Airflow returns those of all runs before, as a list without an order.
        return context["ti"].xcom_pull(task_ids=self.task_id, key=key, map_indexes=-1, include_prior_dates=True)

    def _tell_missing_runs(self, context: Context, repository: MonitoringRepository, now: datetime) -> None:
        """Report days that have no scheduled run, and thus no deadline, as missed.

        After the alerts: it asks Airflow, which may not answer, and its own is announced with the next round.
        """

        def delivered(dag_id: str, run_id: str) -> bool:
            task = deadline_of(dag_id).delivered_by
            try:
                done = context["ti"].get_ti_count(dag_id=dag_id, task_ids=[task], run_ids=[run_id], states=["success"])
            except Exception:
                self.log.exception("Airflow could not be asked for %s of %s %s", task, dag_id, run_id)
                return False
            return done > 0

        missing = MissingRuns(runs_if_known, delivered, self._left_before(context, MISSING))
        for one in missing.look(now):
            text = render_template("alerts/sla_no_run.txt", slot=one.slot).strip()
            fire(repository, sla_key(one.dag_id), one.priority, text, run_id=one.run_id, now=now)
        context["ti"].xcom_push(key=MISSING, value=missing.left())

    def _read(
        self, repository: MonitoringRepository, view: str, columns: tuple[str, ...]
    ) -> list[Mapping[str, Any]] | str:
        """Return the view's rows, or why they cannot be read."""
        try:
            return list(repository.read_view(view, columns))
        except StatementError as error:
            self.log.warning("Reading %s failed: %s", view, error)
            return f"{view} cannot be read: {error}"

    def _look_again(self, repository: MonitoringRepository, check: Check, subjects: list[str]) -> list[Observation]:
        """Return what is true now of days that are older than the check's view."""
        if check.view != DAYS_VIEW:
            return []
        try:
            rows = repository.days_again(check.columns, [date.fromisoformat(day) for day in subjects])
        except (StatementError, ValueError) as error:
            self.log.warning("%s: the days %s cannot be judged: %s", check.name, subjects, error)
            return []
        return [outcome.observation() for outcome in judge(check, rows) if outcome.subject in subjects]

    @staticmethod
    def _complain(outcomes: Sequence[Outcome], undelivered: Sequence[str]) -> None:
        unread = sorted({outcome.actual for outcome in outcomes if outcome.status == "error"})
        problems = [*unread, *(f"an alert reached no channel: {one}" for one in undelivered)]
        if undelivered:
            problems.append("alert_mute on its key silences an alert, or its recovery, that no channel takes.")
        if problems:
            raise AirflowException(
                "The monitor is impaired; what it could observe is recorded. "
                "Look at BigQuery and at the connection of the alert channels:\n" + "\n".join(problems)
            )


def _figures(behind: Mapping[str, int], open_alerts: Mapping[str, int]) -> list[Reading]:
    """Return what OpenTelemetry gets: how far each table is behind, and how many alerts are open."""
    return [
        *(Reading("drawsguard.draws.behind", draws, {"table": table}) for table, draws in behind.items()),
        *(
            Reading("drawsguard.alerts.open", open_alerts.get(priority.value, 0), {"priority": priority.value})
            for priority in Priority
        ),
    ]


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
