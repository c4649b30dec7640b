"""One round of the alerts: observe, record, deliver, record what was delivered."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from drawsguard.alerts.config import AlertConfig
from drawsguard.alerts.memory import Memory
from drawsguard.alerts.message import Text, compose, compose_bundle
from drawsguard.alerts.patience import LATELY, PAST, SILENCE, History, Paused, unknown
from drawsguard.alerts.state import (
    Alert,
    Board,
    Event,
    Kind,
    Message,
    delivered,
    due_messages,
    fold,
    observe,
    undelivered,
    unheard_of,
)
from drawsguard.monitoring.checks import Check, Checks
from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.settings import Settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository

#: The log keeps 400 days; an alert that is open for longer would be forgotten, and fire again.
MEMORY = timedelta(days=400)

#: No message of a round is begun after this: views are read before, and a message may wait for each channel once, all
#: within the two minutes of the task.
DELIVERY_TIME = timedelta(seconds=40)

#: Why an alert recovers whose subject was taken out of the configuration.
NAMED_NO_MORE = "the configuration names it no more"

log = logging.getLogger(__name__)

#: A text, and the messages that it tells.
Letter = tuple[Text, list[tuple[Message, Alert]]]

#: Judges subjects of a check that its view does not show; what it cannot judge it leaves out.
LookAgain = Callable[[Check, list[str]], list[Observation]]


class NotTriedError(Exception):
    """No channel was tried with a text, since each that it is for has hung in this round."""


class Delivery(Protocol):
    """The channels: sends a text, returns those that accepted it and why others did not."""

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        """Return ``(channels, problems)``; a problem begins with the channel's name and a colon.

        :raises NotTriedError: when no channel was tried.
        """

    def names(self) -> set[str]:
        """Return the names of the channels that are configured."""


class AlertManager:
    """The alerts of one warehouse.

    :param run_id: recorded with each event.
    :param paused: tells whether a person had paused the monitor from one time to another.
    :param memory: what is known without reading; default: nothing.
    :param clock: seconds that only grow, by which a round's deliveries are bounded.
    """

    def __init__(
        self,
        repository: MonitoringRepository,
        config: AlertConfig,
        checks: Checks,
        settings: Settings,
        *,
        run_id: str,
        paused: Paused = unknown,
        memory: Memory | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paused, self._clock = paused, clock
        self._repository, self._config, self._checks, self._settings = repository, config, checks, settings
        self._run_id, self._memory = run_id, memory or Memory()
        #: Open alerts by priority, after the newest round.
        self.open_alerts: Counter[str] = Counter()
        #: Alerts that no channel has taken yet, as ``key: why``, after the newest round.
        self.undelivered: list[str] = []

    def board(self, now: datetime) -> Board:
        """Return the state of all alerts that decide anything."""
        return fold(self._memory.events(now, lambda: self._events(now), self._config.policy))

    def _events(self, now: datetime) -> list[Event]:
        return [
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
            for row in self._repository.query("alerts/alert_events", since=now - MEMORY)
        ]

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

    def signals(self, now: datetime) -> Sequence[Observation]:
        """Return what tasks and deadlines have reported, as observations."""
        # What explains an alert stands in alerts.yaml, which may have changed since the signal was remembered.
        return [
            replace(signal, explained_by=self._config.explained_by(signal.key))
            for signal in self._memory.signals(lambda: self._signals(now))
        ]

    def _signals(self, now: datetime) -> list[Observation]:
        return [
            Observation(
                row["alert_key"],
                row["state"] == "firing",
                Priority(row["priority"]),
                row["detail"],
            )
            for row in self._repository.query("alerts/newest_signals", since=now - MEMORY)
        ]

    def round(
        self,
        observations: Sequence[Observation],
        delivery: Delivery,
        now: datetime,
        look_again: LookAgain | None = None,
    ) -> list[Event]:
        """Record what the observations mean, deliver what is due, and return all new events.

        Events are recorded before anything is sent, and each message's fate before the next one is: a crash in between
        repeats a message and loses none.

        :param look_again: judges subjects with an open alert that their view does not show any more.
        """
        board, policy = self.board(now), self._config.policy
        histories = self._histories(board, observations, now)
        judged = self._config.patience.apply(observations, histories, now, self._paused)
        gone = out_of_sight(board, observations)
        seen = [*judged, *self.signals(now), *self._judged_again(gone, look_again, now)]
        seen += _unnamed(board, "monitor", self._checks.views())
        events = observe(board, seen, now, policy)
        self.record(events)
        board = board.with_events(events)
        self.open_alerts = Counter(alert.priority.value for alert in board.alerts.values() if alert.open)
        results = self._deliver(board, delivery, now)
        # Those of earlier rounds as well: a retry of the task finds nothing due, and must not pass for a delivery.
        unheard = unheard_of(board.with_events(results), now, policy)
        self.undelivered = [f"{alert.key}: {why}" for alert, why in unheard]
        return events + results

    def _histories(self, board: Board, observations: Sequence[Observation], now: datetime) -> dict[str, History]:
        """Return the last days of every check that is about to become an alert; read only when there is one."""
        new = {one.key for one in observations if one.firing and _is_check(one.key) and not board.open_alert(one.key)}
        if not new:
            return {}
        rows = self._repository.query(
            "alerts/check_history",
            since=now - PAST,
            now=now,
            silence_seconds=int(SILENCE.total_seconds()),
            lately=now - LATELY,
        )
        columns = ("first_checked_at", "has_passed", "resumed_at", "patient_since", "away_since", "interruptions")
        known = {
            key: History(*(row[column] for column in columns))
            for row in rows
            if (key := f"check:{row['check_name']}:{row['subject']}") in new
        }
        # What this round has streamed may not be shown yet: that it is the first look is known all the same.
        first_look = History(now, has_passed=False, resumed_at=now, patient_since=now)
        return dict.fromkeys(new, first_look) | known

    def _judged_again(self, gone: Sequence[Alert], look_again: LookAgain | None, now: datetime) -> list[Observation]:
        """Return what is known of alerts whose subject left sight: nothing recovers by that alone.

        Only what nobody wants to know any more is over: a check, or an expected subject, that was taken out of the
        configuration. A check that has rows again is not without rows.
        """
        seen: list[Observation] = []
        subjects: dict[str, list[str]] = {}
        for alert in gone:
            check, subject = self._checks.of_key(alert.key), alert.key.split(":", 2)[-1]
            if check is None or (check.expected and subject not in check.expected):
                seen.append(Observation(alert.key, False, alert.priority, NAMED_NO_MORE))
            elif subject == check.view:
                seen.append(Observation(alert.key, False, alert.priority, "there are rows again"))
            else:
                subjects.setdefault(check.name, []).append(subject)
        if look_again is None or not subjects or not self._memory.looks_again(now):
            return seen
        again: list[Observation] = []
        for check in self._checks.checks:
            if check.name in subjects:
                again += look_again(check, subjects[check.name])
        self._memory.looked_again(now, again)
        return seen + again

    def _deliver(self, board: Board, delivery: Delivery, now: datetime) -> list[Event]:
        """Send what is due, and record each message's fate before the next one: a task that dies repeats at most one.

        What the round has no time for, or tries no channel with, is due in the next one.
        """
        results: list[Event] = []
        heard: dict[str, Observation] = {}
        ends = self._clock() + DELIVERY_TIME.total_seconds()
        letters = self._letters(due_messages(board, now, self._config.policy), now)
        for number, (text, about) in enumerate(letters):
            if self._clock() >= ends:
                log.warning(
                    "%d of %d messages wait for the next round: channels are slow", len(letters) - number, len(letters)
                )
                break
            try:
                channels, problems = delivery.send(text)
            except NotTriedError as error:
                log.warning("%s waits for the next round: %s", text.title, error)
                continue
            for key, one in _of_channels(channels, problems).items():
                # Once it has refused, the first reason is the real one: later texts may not even be tried.
                if not (one.firing and key in heard and heard[key].firing):
                    heard[key] = one
            why = "; ".join(problems) or "no channel is configured"
            fate = [
                delivered(alert, message, now, channels) if channels else undelivered(alert, now, why)
                for message, alert in about
            ]
            self.record(fate)
            results += fate
        if any(alert.open and alert.key.startswith("channel:") for alert in board.alerts.values()):
            unheard = [*_still_accepting(board), *_unnamed(board, "channel", delivery.names())]
            heard = {one.key: one for one in unheard} | heard
        # A channel that refuses while another accepts would otherwise be silent for ever.
        events = observe(board, list(heard.values()), now, self._config.policy)
        self.record(events)
        return results + events

    def _letters(self, due: Sequence[tuple[Message, Alert]], now: datetime) -> list[Letter]:
        """Return the texts to send, each with what it tells of; too many are bundled into one for each audience."""
        texts = [compose(message, alert, self._checks, self._config, self._settings, now) for message, alert in due]
        if len(texts) <= self._config.messages_a_round:
            return [(text, [about]) for text, about in zip(texts, due, strict=True)]
        bundles: dict[object, list[tuple[Text, tuple[Message, Alert]]]] = {}
        for text, about in zip(texts, due, strict=True):
            bundles.setdefault(text.audience, []).append((text, about))
        return [
            (compose_bundle([text for text, _ in bundle]), [about for _, about in bundle])
            for bundle in bundles.values()
        ]


def _unnamed(board: Board, kind: str, named: Iterable[str]) -> list[Observation]:
    """Return that the open alerts of a kind are over whose subject is not among those that the configuration names.

    Nothing would ever be heard of it again, neither good nor bad.
    """
    known = {f"{kind}:{name}" for name in named}
    return [
        Observation(alert.key, False, alert.priority, NAMED_NO_MORE)
        for alert in board.alerts.values()
        if alert.open and alert.key.startswith(f"{kind}:") and alert.key not in known
    ]


def _still_accepting(board: Board) -> list[Observation]:
    """Return that the channels are quiet that accepted what they were sent last.

    An alert ends by a second look, and there may be no other message for days: it would hide the next refusal.
    """
    return [
        Observation(alert.key, False, alert.priority, "accepted")
        for alert in board.alerts.values()
        if alert.open and alert.key.startswith("channel:") and alert.recovering_since is not None
    ]


def _of_channels(taken: Sequence[str], problems: Sequence[str]) -> dict[str, Observation]:
    """Return what a message's fate says of each channel. ``problems`` begin with the channel's name."""
    seen = [Observation(f"channel:{name}", False, Priority.P1, "accepted") for name in taken]
    seen += [Observation(f"channel:{one.split(': ', 1)[0]}", True, Priority.P1, one) for one in problems]
    return {one.key: one for one in seen}


def out_of_sight(board: Board, observations: Sequence[Observation]) -> list[Alert]:
    """Return the open alerts of checks that were made, but say nothing of the alert's subject: a day that left its
    view's window, a check that was removed. A check that could not be made this time says nothing of its alerts.
    """
    seen = {one.key for one in observations}
    unmade = {_check_of(one.key) for one in observations if one.firing is None}
    return [
        alert
        for alert in board.alerts.values()
        if alert.open and _is_check(alert.key) and alert.key not in seen
        and _check_of(alert.key) not in unmade
    ]  # fmt: skip


def _is_check(key: str) -> bool:
    return key.startswith("check:")


def _check_of(key: str) -> str:
    return key.split(":", 2)[1]
