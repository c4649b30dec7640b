"""The alerts page: what is open, what it means and what to do first; what was resolved lately; what is muted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from drawsguard.alerts.config import AlertConfig, load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.message import dag_of, where_of
from drawsguard.alerts.state import Alert, Board, Event
from drawsguard.monitoring.checks import Checks, Explained, load_checks
from drawsguard.pages.look import Words
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository

#: Resolved alerts are shown for so long, and at most so many.
PAST, MOST_PAST = timedelta(days=30), 60


@dataclass(frozen=True)
class ShownAlert:
    """An alert with what people need to act on it.

    :param about: what a message about it says, so that page and mail agree.
    :param where: which service, task, DAG, batch or view it concerns.
    :param dag_id: where to look.
    :param muted_until: aware; None: not muted.
    :param explained: whether another open alert is its cause, so that nobody is sent this one.
    :param events: its life, oldest first.
    """

    alert: Alert
    about: Explained
    where: str
    dag_id: str
    team: str
    muted_until: datetime | None
    explained: bool
    events: tuple[Event, ...]

    @property
    def runbook(self) -> str:
        """Page of the runbook."""
        return self.about.runbook

    @property
    def title(self) -> Words:
        """What is wrong, in words."""
        return Words(self.about.message.zh, self.about.message.en)

    @property
    def meaning(self) -> Words:
        """What follows from it, and whether it heals itself."""
        meaning, healing = self.about.meaning, self.about.healing
        return Words(f"{meaning.zh}。{healing.zh}。", f"{meaning.en}. {healing.en}.")

    @property
    def first_step(self) -> Words:
        """What to do first."""
        return Words(self.about.first_step.zh, self.about.first_step.en)


@dataclass(frozen=True)
class AlertsView:
    """What the page shows.

    :param open: the most urgent first, then the oldest.
    :param past: the last resolved first.
    :param mutes: (key, until) of what is muted now.
    """

    open: tuple[ShownAlert, ...]
    past: tuple[ShownAlert, ...]
    mutes: tuple[tuple[str, datetime], ...]

    def count(self, priority: str) -> int:
        """How many open alerts have a priority."""
        return sum(one.alert.priority.value == priority for one in self.open)

    @property
    def unseen(self) -> int:
        """Open alerts that nobody acknowledged, muted, or explains."""
        return sum(not (one.alert.acknowledged_by or one.muted_until or one.explained) for one in self.open)


def read_board(client: Any, now: datetime) -> Board:
    """Read the events of all alerts and fold them.

    :param client: BigQuery client of the warehouse.
    """
    repository = MonitoringRepository(client, dag_id="operations_pages", task_id="alerts")
    return AlertManager(repository, load_alert_config(), load_checks(), get_settings(), run_id="").board(now)


def alerts_view(board: Board, checks: Checks, config: AlertConfig, now: datetime) -> AlertsView:
    """Return what the page shows of a board at a time (aware)."""

    def shown(alert: Alert) -> ShownAlert:
        about = checks.of_key(alert.key) or config.kind_of(alert.key)
        return ShownAlert(
            alert,
            about,
            where_of(alert.key),
            dag_of(about, alert.key),
            config.team_of(alert.key),
            board.mutes.get(alert.key) if board.muted(alert.key, now) else None,
            alert.open and board.explained(alert, now, config.policy.aftermath),
            tuple(
                sorted((event for event in board.events if event.alert_id == alert.alert_id), key=lambda e: e.event_at)
            ),
        )

    opened = sorted((one for one in board.alerts.values() if one.open), key=lambda one: (one.priority, one.fired_at))
    ended = [(one.resolved_at, one) for one in board.alerts.values() if one.resolved_at]
    recent = sorted((pair for pair in ended if now - pair[0] < PAST), key=lambda pair: pair[0], reverse=True)
    mutes = sorted((key, until) for key, until in board.mutes.items() if board.muted(key, now))
    return AlertsView(
        tuple(map(shown, opened)), tuple(shown(alert) for _, alert in recent[:MOST_PAST]), tuple(mutes)
    )  # fmt: skip
