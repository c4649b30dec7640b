"""One round of the alerts: observe, record, deliver, record what was delivered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from drawsguard.alerts.config import AlertConfig
from drawsguard.alerts.message import Text, compose, compose_bundle
from drawsguard.alerts.state import Board, Event, Kind, delivered, due_messages, fold, observe, undelivered
from drawsguard.monitoring.checks import Checks
from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.settings import Settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository

#: The log keeps 400 days; an alert that is open for longer would be forgotten, and fire again.
MEMORY = timedelta(days=400)


class Delivery(Protocol):
    """Sends a text; returns the channels that accepted it, and why others did not."""

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        """Return ``(channels, problems)``."""


class AlertManager:
    """The alerts of one warehouse.

    :param run_id: recorded with each event.
    """

    def __init__(
        self, repository: MonitoringRepository, config: AlertConfig, checks: Checks, settings: Settings, *, run_id: str
    ) -> None:
        self._repository, self._config, self._checks, self._settings = repository, config, checks, settings
        self._run_id = run_id

    def board(self, now: datetime) -> Board:
        """Return the state of all alerts."""
        rows = self._repository.query("alerts/alert_events", since=now - MEMORY)
        return fold(
            Event(
                row["alert_id"],
                row["alert_key"],
                Kind(row["kind"]),
                Priority(row["priority"]),
                row["event_at"],
                row["actor"],
                row["detail"] or "",
                row["until"],
                tuple(filter(None, (row["explained_by"] or "").split(","))),
            )
            for row in rows
        )

    def record(self, events: Sequence[Event]) -> None:
        """Append events; an event that is there already stays single."""
        self._repository.append(
            "alerts/append_alert_events",
            [
                {
                    "event_id": event.event_id,
                    "alert_id": event.alert_id,
                    "alert_key": event.alert_key,
                    "kind": event.kind.value,
                    "priority": event.priority.value,
                    "event_at": event.event_at,
                    "actor": event.actor,
                    "detail": event.detail,
                    "until": event.until,
                    "explained_by": ",".join(event.explained_by),
                    "run_id": self._run_id,
                }
                for event in events
            ],
        )

    def signals(self, now: datetime) -> list[Observation]:
        """Return what tasks and deadlines have reported, as observations."""
        return [
            Observation(
                row["alert_key"],
                row["state"] == "firing",
                Priority(row["priority"]),
                row["detail"],
                self._config.explained_by(row["alert_key"]),
            )
            for row in self._repository.query("alerts/newest_signals", since=now - MEMORY)
        ]

    def round(self, observations: Sequence[Observation], delivery: Delivery, now: datetime) -> list[Event]:
        """Record what the observations mean, deliver what is due, and return all new events.

        Events are recorded before anything is sent: a crash in between repeats a message and loses none.
        """
        board, policy = self.board(now), self._config.policy
        seen = [*observations, *self.signals(now), *vanished(board, observations)]
        events = observe(board, seen, now, policy)
        self.record(events)
        board = board.with_events(events)
        results = self._deliver(board, delivery, now)
        self.record(results)
        return events + results

    def _deliver(self, board: Board, delivery: Delivery, now: datetime) -> list[Event]:
        due = due_messages(board, now, self._config.policy)
        texts = [compose(message, alert, self._checks, self._config, self._settings, now) for message, alert in due]
        results = []
        for (message, alert), (channels, problems) in zip(due, self._send(texts, delivery), strict=True):
            if channels:
                results.append(delivered(alert, message, now, channels))
            else:
                results.append(undelivered(alert, now, "; ".join(problems) or "no channel is configured"))
        return results

    def _send(self, texts: Sequence[Text], delivery: Delivery) -> list[tuple[list[str], list[str]]]:
        """Return the channels' answers to each text; too many texts are bundled into one for each audience."""
        if len(texts) <= self._config.messages_a_round:
            return [delivery.send(text) for text in texts]
        bundles: dict[object, list[Text]] = {}
        for text in texts:
            bundles.setdefault(text.audience, []).append(text)
        answers = {audience: delivery.send(compose_bundle(group)) for audience, group in bundles.items()}
        return [answers[text.audience] for text in texts]


def vanished(board: Board, observations: Sequence[Observation]) -> list[Observation]:
    """Return a quiet observation for each open check whose subject is gone: a day that left its window, a check that
    was removed. A check that could not be made this time keeps its alerts.
    """
    seen = {one.key for one in observations}
    unmade = {_check_of(one.key) for one in observations if one.firing is None}
    return [
        Observation(alert.key, False, alert.priority, "no longer observed")
        for alert in board.alerts.values()
        if alert.open and alert.key.startswith("check:") and alert.key not in seen
        and _check_of(alert.key) not in unmade
    ]  # fmt: skip


def _check_of(key: str) -> str:
    return key.split(":", 2)[1]
