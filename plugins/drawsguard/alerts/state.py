"""The state machine of alerts.

State is never stored: it is folded from append-only events. A round of the monitor folds the events it has, compares
them with what it observes now, and appends the events that follow. The same observation twice adds nothing.
"""

from __future__ import annotations

import enum
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.refusal import RefusedError
from drawsguard.warehouse.monitoring_repository import stable_id

MONITOR = "monitor"

#: The least difference of two times in the log.
TICK = timedelta(microseconds=1)


class Kind(enum.StrEnum):
    """What can happen to an alert.

    ``REMINDED`` is an announcement again; ``ESCALATED`` one that went to the second recipient as well. ``RECOVERING``
    and ``RELAPSED`` mark the damping of a recovery. Events of one time are folded in this order: a round sends what it
    has found, so that a refusal comes after the end of the alert whose recovery was refused.
    """

    FIRED = "fired"
    NOTIFIED = "notified"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    MUTED = "muted"
    UNMUTED = "unmuted"
    RECOVERING = "recovering"
    RELAPSED = "relapsed"
    RESOLVED = "resolved"
    DELIVERY_FAILED = "delivery_failed"
    RECOVERY_NOTIFIED = "recovery_notified"


class Status(enum.StrEnum):
    """The state of an alert."""

    FIRED = "fired"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Event:
    """One row of ``alert_log``."""

    alert_id: str
    alert_key: str
    kind: Kind
    priority: Priority
    event_at: datetime
    actor: str
    detail: str = ""
    until: datetime | None = None
    explained_by: tuple[str, ...] = ()

    @property
    def event_id(self) -> str:
        """Idempotency key: the same event of the same alert at the same time is the same event."""
        return stable_id(self.alert_id, self.kind.value, self.event_at.isoformat(), self.actor, self.until or "")


@dataclass(frozen=True)
class Alert:
    """One firing of a condition, folded from its events.

    ``unheard``: no channel took its announcement yet. ``outlived``: it has ended, and a later one of its condition was
    announced. ``newest_at``: the time of its last event.
    """

    alert_id: str
    key: str
    priority: Priority
    status: Status
    fired_at: datetime
    detail: str
    notified_at: datetime | None = None
    reminded_at: datetime | None = None
    reminders: int = 0
    escalated: bool = False
    delivery_failures: int = 0
    unheard: bool = False
    outlived: bool = False
    last_delivery_at: datetime | None = None
    acknowledged_by: str | None = None
    recovering_since: datetime | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolved_because: str = ""
    recovery_notified_at: datetime | None = None
    explained_by: tuple[str, ...] = ()
    newest_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether the condition still holds."""
        return self.status is not Status.RESOLVED

    @property
    def owes_recovery(self) -> bool:
        """Whether it has ended, and those who were told of it, or should have been, have to hear that."""
        told = self.notified_at is not None or self.unheard
        return not self.open and told and self.recovery_notified_at is None and not self.outlived


@dataclass(frozen=True)
class Policy:
    """How the life cycle is damped. Times from include/config/alerts.yaml."""

    recovery_hold: timedelta = timedelta(minutes=2)
    aftermath: timedelta = timedelta(minutes=10)
    flap_window: timedelta = timedelta(hours=1)
    flap_count: int = 3
    flap_hold: timedelta = timedelta(minutes=20)
    p1_delay: timedelta = timedelta(minutes=5)
    retry_delay: timedelta = timedelta(minutes=1)
    retry_limit: int = 30
    slow_retry_delay: timedelta = timedelta(minutes=15)
    reminder_delay: timedelta = timedelta(minutes=15)
    reminder_limit: int = 24
    escalate_from: int = 2


@dataclass(frozen=True)
class Board:
    """All alerts and mutes: the fold of the events."""

    alerts: Mapping[str, Alert] = field(default_factory=dict)
    mutes: Mapping[str, datetime] = field(default_factory=dict)
    events: tuple[Event, ...] = field(default=(), repr=False, compare=False)

    def with_events(self, events: Sequence[Event]) -> Board:
        """Return the board after further events."""
        return fold([*self.events, *events])

    def open_alert(self, key: str) -> Alert | None:
        """Return the open alert of a condition; there is at most one."""
        return next((alert for alert in self.alerts.values() if alert.key == key and alert.open), None)

    def outbreaks_since(self, key: str, since: datetime) -> int:
        """Return how often a condition fired, or fired again while it was recovering, after ``since``."""
        kinds = (Kind.FIRED, Kind.RELAPSED)
        return sum(event.alert_key == key and event.kind in kinds and event.event_at > since for event in self.events)

    def muted(self, key: str, now: datetime) -> bool:
        """Whether a condition is muted now."""
        return key in self.mutes and now < self.mutes[key]

    def explained(self, alert: Alert, now: datetime, aftermath: timedelta) -> bool:
        """Whether another alert, at least as urgent and not muted, is the cause of this one.

        :param aftermath: how long a resolved cause still explains what began before and has to catch up.
        """

        def explains(other: Alert) -> bool:
            if other.resolved_at is None:
                return True
            return alert.fired_at <= other.resolved_at and not passed(other.resolved_at, now, aftermath)

        return any(
            fnmatch.fnmatchcase(other.key, pattern)
            for pattern in alert.explained_by
            for other in self.alerts.values()
            if explains(other) and other.key != alert.key and other.priority <= alert.priority
            and not self.muted(other.key, now)
        )  # fmt: skip


def passed(since: datetime, now: datetime, delay: timedelta) -> bool:
    """Whether a delay is over; one that begins in the future was stamped by a clock ahead, and delays nothing."""
    return not timedelta() <= now - since < delay


def in_order(events: Iterable[Event]) -> list[Event]:
    """Return events in the order in which they are folded, see `Kind`."""
    order = {kind: place for place, kind in enumerate(Kind)}
    return sorted(events, key=lambda one: (one.event_at, order[one.kind], one.event_id))


def fold(events: Iterable[Event]) -> Board:
    """Return the state after all events, whatever order they arrive in; repeated and impossible ones are ignored."""
    unique = {event.event_id: event for event in events}
    alerts: dict[str, Alert] = {}
    mutes: dict[str, datetime] = {}
    for event in in_order(unique.values()):
        if event.kind is Kind.MUTED and event.until is not None:
            mutes[event.alert_key] = event.until
        elif event.kind is Kind.UNMUTED:
            mutes.pop(event.alert_key, None)
        elif event.kind is Kind.FIRED:
            if event.alert_id not in alerts:
                alerts[event.alert_id] = Alert(
                    event.alert_id, event.alert_key, event.priority, Status.FIRED, event.event_at, event.detail,
                    explained_by=event.explained_by, newest_at=event.event_at,
                )  # fmt: skip
        elif event.alert_id in alerts:
            alerts[event.alert_id] = replace(_after(alerts[event.alert_id], event), newest_at=event.event_at)
            if event.kind is Kind.NOTIFIED and alerts[event.alert_id].open:
                # That the one before is over would be news of the one that people know of now, and false.
                for before in alerts.values():
                    if before.key == event.alert_key and before.owes_recovery:
                        alerts[before.alert_id] = replace(before, outlived=True)
    return Board(alerts, mutes, tuple(unique.values()))


def _after(alert: Alert, event: Event) -> Alert:
    if event.kind is Kind.RECOVERY_NOTIFIED:
        return replace(alert, recovery_notified_at=event.event_at)
    if event.kind is Kind.DELIVERY_FAILED:
        failures, unheard = alert.delivery_failures + 1, alert.unheard or alert.notified_at is None
        return replace(alert, delivery_failures=failures, last_delivery_at=event.event_at, unheard=unheard)
    if not alert.open:
        return alert
    reminder = {
        "reminded_at": event.event_at, "reminders": alert.reminders + 1, "last_delivery_at": event.event_at,
        "delivery_failures": 0,
    }  # fmt: skip
    changes: dict[Kind, dict[str, object]] = {
        Kind.NOTIFIED: {
            "notified_at": event.event_at, "last_delivery_at": event.event_at, "delivery_failures": 0, "unheard": False,
        },
        Kind.REMINDED: reminder,
        Kind.ESCALATED: reminder | {"escalated": True},
        Kind.ACKNOWLEDGED: {"status": Status.ACKNOWLEDGED, "acknowledged_by": event.actor},
        Kind.RECOVERING: {"recovering_since": event.event_at},
        Kind.RELAPSED: {"recovering_since": None},
        Kind.RESOLVED: {
            "status": Status.RESOLVED, "resolved_at": event.event_at, "delivery_failures": 0,
            # Somebody who ends an alert by hand says why.
            **({} if event.actor == MONITOR else {"resolved_by": event.actor, "resolved_because": event.detail}),
        },
    }  # fmt: skip
    return replace(alert, **changes.get(event.kind, {}))  # type: ignore[arg-type]


def observe(board: Board, observations: Sequence[Observation], now: datetime, policy: Policy) -> list[Event]:
    """Return the events that the observations add to the board.

    A condition that fires gets one alert, however many observations carry its key. It resolves after it was quiet for
    ``recovery_hold`` (``flap_hold`` once it flaps), so that a condition that comes and goes is one alert.
    """
    events: list[Event] = []
    for observation in _merged(observations):
        alert = board.open_alert(observation.key)
        if observation.firing and alert is None:
            events.append(_fired(observation, now))
        elif observation.firing and alert is not None and alert.recovering_since is not None:
            events.append(_of(alert, Kind.RELAPSED, now, observation.detail))
        elif observation.firing is False and alert is not None:
            if alert.recovering_since is None:
                events.append(_of(alert, Kind.RECOVERING, now, observation.detail))
            elif passed(alert.recovering_since, now, _hold(board, alert, now, policy)):
                events.append(_of(alert, Kind.RESOLVED, now, observation.detail))
    return events


def _merged(observations: Sequence[Observation]) -> list[Observation]:
    """Return one observation per key: firing wins over unknown, unknown over quiet; the highest priority wins."""
    rank = {True: 0, None: 1, False: 2}
    merged: dict[str, Observation] = {}
    for one in sorted(observations, key=lambda entry: (rank[entry.firing], entry.priority)):
        merged.setdefault(one.key, one)
    return list(merged.values())


def _fired(observation: Observation, now: datetime) -> Event:
    alert_id = stable_id(observation.key, now.isoformat())
    return Event(
        alert_id, observation.key, Kind.FIRED, observation.priority, now, MONITOR, observation.detail,
        explained_by=observation.explained_by,
    )  # fmt: skip


def _of(alert: Alert, kind: Kind, now: datetime, detail: str = "", actor: str = MONITOR) -> Event:
    # Events are folded by their times. After one that a clock ahead has stamped, what happens now would come before it,
    # and count for nothing: the message would be sent again each round.
    before = alert.newest_at
    at = before + TICK if before is not None and now < before else now
    return Event(alert.alert_id, alert.key, kind, alert.priority, at, actor, detail)


def _hold(board: Board, alert: Alert, now: datetime, policy: Policy) -> timedelta:
    flapping = board.outbreaks_since(alert.key, now - policy.flap_window) >= policy.flap_count
    return policy.flap_hold if flapping else policy.recovery_hold


class Message(enum.StrEnum):
    """What is sent about an alert."""

    FIRING = "firing"
    REMINDER = "reminder"
    ESCALATION = "escalation"
    RECOVERY = "recovery"


def due_messages(board: Board, now: datetime, policy: Policy) -> list[tuple[Message, Alert]]:
    """Return what has to be sent now, most urgent first; of equal urgency what was not refused before, then what was
    tried longest ago.

    P0 is due at once and P1 after a short delay, in which a transient condition is not announced; P2 waits for the
    digest. Muted alerts, and those that another announced alert explains, are not announced. A failed delivery is tried
    again, less often after many failures, and never given up. A P0 that was announced and that nobody acknowledged is
    announced again, and from ``escalate_from`` on to the second recipient as well.
    A recovery is announced to those who received the alert; when no channel took the alert while it was open, it is the
    one message that tells of it. It waits while the condition holds again, and is none once that was announced.
    """
    due: list[tuple[Message, Alert]] = []
    for alert in sorted(board.alerts.values(), key=_turn):
        if alert.priority is Priority.P2 or not _may_try(alert, now, policy):
            continue
        if alert.open:
            message = _announcement(alert, now, policy)
            if message is not None and not _silent(board, alert, now, policy):
                due.append((message, alert))
        elif _recovery_is_due(board, alert, now):
            due.append((Message.RECOVERY, alert))
    return due


def _recovery_is_due(board: Board, alert: Alert, now: datetime) -> bool:
    """Whether people are to be told that an alert has ended.

    Nothing is over of what has broken out again. A mute silences a recovery that was refused; one that was not goes to
    those who heard of the alert.
    """
    silenced = alert.delivery_failures > 0 and board.muted(alert.key, now)
    return alert.owes_recovery and not silenced and board.open_alert(alert.key) is None


def _silent(board: Board, alert: Alert, now: datetime, policy: Policy) -> bool:
    """Whether nothing is to be sent of an open alert now, however long it has been open."""
    return alert.recovering_since is not None or _needs_no_telling(board, alert, now, policy)


def _needs_no_telling(board: Board, alert: Alert, now: datetime, policy: Policy) -> bool:
    """Whether people know of an open alert, or hear of it by another."""
    known = alert.acknowledged_by is not None or board.muted(alert.key, now)
    return known or board.explained(alert, now, policy.aftermath)


def _turn(alert: Alert) -> tuple[object, ...]:
    refused_at = alert.last_delivery_at if alert.delivery_failures else None
    return alert.priority, refused_at is not None, refused_at or alert.fired_at, alert.fired_at


def _announcement(alert: Alert, now: datetime, policy: Policy) -> Message | None:
    """Return what an open alert's age asks for: the first announcement, a reminder, or nothing now."""
    if alert.notified_at is None:
        waited = alert.priority is Priority.P0 or passed(alert.fired_at, now, policy.p1_delay)
        return Message.FIRING if waited else None
    due = now - (alert.reminded_at or alert.notified_at) >= policy.reminder_delay
    if alert.priority is not Priority.P0 or not due or alert.reminders >= policy.reminder_limit:
        return None
    return Message.ESCALATION if alert.reminders + 1 >= policy.escalate_from else Message.REMINDER


def _may_try(alert: Alert, now: datetime, policy: Policy) -> bool:
    if alert.delivery_failures == 0 or alert.last_delivery_at is None:
        return True
    delay = policy.retry_delay if alert.delivery_failures < policy.retry_limit else policy.slow_retry_delay
    return passed(alert.last_delivery_at, now, delay)


#: What a message leaves in the log.
_SENT = {
    Message.FIRING: Kind.NOTIFIED,
    Message.REMINDER: Kind.REMINDED,
    Message.ESCALATION: Kind.ESCALATED,
    Message.RECOVERY: Kind.RECOVERY_NOTIFIED,
}


def delivered(alert: Alert, message: Message, now: datetime, channels: Sequence[str]) -> Event:
    """Return the event of a message that at least one channel accepted."""
    return _of(alert, _SENT[message], now, f"delivered to {', '.join(channels)}")


def undelivered(alert: Alert, now: datetime, reason: str) -> Event:
    """Return the event of a message that no channel accepted."""
    return _of(alert, Kind.DELIVERY_FAILED, now, reason)


def unheard_of(board: Board, now: datetime, policy: Policy) -> list[tuple[Alert, str]]:
    """Return the alerts whose newest message no channel has taken yet, with the reason of the last try.

    No message is waited for of what a person knows, and of what another alert explains. One that recovers may break out
    again: it is unheard until it has ended, unless it was announced and only a reminder was refused.
    """
    reasons = {
        event.alert_id: event.detail
        for event in sorted(board.events, key=lambda one: one.event_at)
        if event.kind is Kind.DELIVERY_FAILED
    }
    return [
        (alert, reasons[alert.alert_id])
        for alert in board.alerts.values()
        if alert.delivery_failures and _is_awaited(board, alert, now, policy)
    ]


def _is_awaited(board: Board, alert: Alert, now: datetime, policy: Policy) -> bool:
    """Whether a channel has to take a message of an alert, now or after a delay."""
    if not alert.open:
        return _recovery_is_due(board, alert, now)
    if alert.recovering_since is not None and not alert.unheard:
        return False
    return not _needs_no_telling(board, alert, now, policy)


class AlertCommandError(RefusedError, ValueError):
    """A person's command does not fit the state; the message says why and what to do."""


def acknowledge(board: Board, key: str, actor: str, note: str, now: datetime) -> Event:
    """Return the event by which a person acknowledges an open alert.

    :raises AlertCommandError: when the condition has no open alert, or somebody acknowledged it already.
    """
    alert = _open(board, key)
    if alert.status is Status.ACKNOWLEDGED:
        raise AlertCommandError(f"{key} was acknowledged by {alert.acknowledged_by} already; nothing to do.")
    return _of(alert, Kind.ACKNOWLEDGED, now, note, actor)


def resolve(board: Board, key: str, actor: str, reason: str, now: datetime) -> Event:
    """Return the event by which a person ends an open alert.

    A condition that is seen again afterwards is a new alert: nothing is lost by it.

    :raises AlertCommandError: when the condition has no open alert, or the reason is empty.
    """
    if not reason.strip():
        raise AlertCommandError("To resolve an alert needs a reason: whoever reads its life has to know why it ended.")
    return _of(_open(board, key), Kind.RESOLVED, now, reason, actor)


def _open(board: Board, key: str) -> Alert:
    alert = board.open_alert(key)
    if alert is None:
        known = ", ".join(sorted(one.key for one in board.alerts.values() if one.open)) or "none"
        raise AlertCommandError(f"No open alert {key!r}. Open now: {known}.")
    return alert


def mute(
    board: Board, key: str, actor: str, reason: str, now: datetime, length: timedelta, longest: timedelta
) -> Event:
    """Return the event that mutes a condition until ``now + length``; a mute always has an end.

    :param longest: upper limit of a mute.
    :raises AlertCommandError: when the length is not positive or above the limit, or the reason is empty.
    """
    if not timedelta() < length <= longest:
        raise AlertCommandError(f"A mute lasts more than 0 and at most {longest}; {length} was asked for.")
    if not reason.strip():
        raise AlertCommandError("A mute needs a reason: whoever is on call next has to know why it is muted.")
    alert = board.open_alert(key)
    priority = alert.priority if alert else Priority.P1
    alert_id = alert.alert_id if alert else stable_id("mute", key)
    return Event(alert_id, key, Kind.MUTED, priority, now, actor, reason, until=now + length)


def unmute(key: str, actor: str, now: datetime) -> Event:
    """Return the event that ends a mute early."""
    return Event(stable_id("mute", key), key, Kind.UNMUTED, Priority.P1, now, actor)
