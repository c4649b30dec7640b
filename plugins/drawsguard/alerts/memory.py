"""What the alerts' tables said, kept from round to round as long as their metadata say that nobody changed them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from drawsguard.alerts.state import Event, Kind, Policy, Status, fold, in_order
from drawsguard.monitoring.observation import Observation, Priority

log = logging.getLogger(__name__)

#: Resolved alerts whose last event is older decide nothing any more; flapping and explanations look back for hours.
DECIDING = timedelta(days=7)
#: More than that is read each time.
MOST = 500
#: What left its view's sight is judged again so often: each time is a query over old days, and only a recovery waits.
AGAIN = timedelta(hours=1)

#: Rows and last change.
Facts = tuple[int, datetime]


class _Events(BaseModel):
    model_config = ConfigDict(extra="forbid")

    facts: Facts
    events: list[Event]


class _Signals(BaseModel):
    model_config = ConfigDict(extra="forbid")

    facts: Facts
    signals: list[Observation]


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    events: _Events | None = None
    signals: _Signals | None = None
    looked_again_at: AwareDatetime | None = None


class Memory:
    """The memory of one round. Without `facts`, or with something unreadable kept, everything is read.

    :param kept: what the round before left, see `left`.
    :param facts: metadata of a table of the monitoring dataset, free of charge; None when they are not known.
    """

    def __init__(self, kept: object = None, facts: Callable[[str], Facts | None] = lambda _table: None) -> None:
        self._facts = facts
        self._left = _Kept()
        try:
            self._kept = _Kept.model_validate_json(kept) if isinstance(kept, str) else _Kept()
        except ValidationError as error:
            log.warning("What the round before knew of the alerts cannot be read; the log is: %s", error)
            self._kept = _Kept()

    def events(self, now: datetime, read: Callable[[], Iterable[Event]], policy: Policy) -> Sequence[Event]:
        """Return the events that decide, from memory where the log did not change."""
        facts = self._facts("alert_log")  # before the reading: what comes in between shows next time
        before = self._kept.events
        events = before.events if before and facts == before.facts else deciding(read(), now)
        if facts:
            kept = condensed(events, now, policy)
            self._left.events = _Events(facts=facts, events=kept) if len(kept) <= MOST else None
        return events

    def signals(self, read: Callable[[], Iterable[Observation]]) -> Sequence[Observation]:
        """Return what tasks and deadlines reported last, from memory where nobody reported since."""
        facts = self._facts("alert_signal")
        before = self._kept.signals
        signals = before.signals if before and facts == before.facts else list(read())
        self._left.signals = _Signals(facts=facts, signals=signals) if facts and len(signals) <= MOST else None
        return signals

    def looks_again(self, now: datetime) -> bool:
        """Whether it is time to judge again what left sight, see `AGAIN`."""
        before = self._left.looked_again_at = self._kept.looked_again_at
        # A clock that was set back must not make this wait.
        return before is None or not timedelta() <= now - before < AGAIN

    def looked_again(self, now: datetime, seen: Sequence[Observation]) -> None:
        """Keep when it was judged again; what recovers is looked at until its alert has ended."""
        self._left.looked_again_at = now if all(one.firing for one in seen) else None

    def left(self) -> str:
        """Return what the next round may start from."""
        return self._left.model_dump_json()


def deciding(events: Iterable[Event], now: datetime) -> list[Event]:
    """Return the events without those of alerts that ended long ago and of which everything was announced."""
    events = list(events)
    newest: dict[str, datetime] = {}
    for event in events:
        newest[event.alert_id] = max(event.event_at, newest.get(event.alert_id, event.event_at))
    over = {
        alert.alert_id
        for alert in fold(events).alerts.values()
        if alert.status is Status.RESOLVED
        and now - newest[alert.alert_id] > DECIDING
        and (alert.priority is Priority.P2 or not alert.owes_recovery)
    }
    return [event for event in events if event.kind in (Kind.MUTED, Kind.UNMUTED) or event.alert_id not in over]


def condensed(events: Iterable[Event], now: datetime, policy: Policy) -> list[Event]:
    """Return the events by which a round decides the same, from now on.

    A check that flaps, and a message that no channel takes, add an event a minute. Flapping is counted within its
    window; what was over and told before explains nothing and counts for nothing; and of refusals the newest ones say
    how often to try.
    """
    events = list(events)
    alerts, lately = fold(events).alerts, now - max(policy.flap_window, policy.aftermath)
    kept: list[Event] = []
    dampings: set[str] = set()
    refusals: Counter[str] = Counter()
    for event in reversed(in_order(events)):
        alert, is_old = alerts.get(event.alert_id), event.event_at <= lately
        if alert is not None and is_old and event.kind not in (Kind.MUTED, Kind.UNMUTED):
            settled = not alert.open and (alert.priority is Priority.P2 or not alert.owes_recovery)
            if settled and alert.newest_at is not None and alert.newest_at <= lately:
                continue
            if event.kind in (Kind.RECOVERING, Kind.RELAPSED) and event.alert_id in dampings:
                continue
        if event.kind in (Kind.RECOVERING, Kind.RELAPSED):
            dampings.add(event.alert_id)
        if event.kind is Kind.DELIVERY_FAILED:
            refusals[event.alert_id] += 1
            if refusals[event.alert_id] > policy.retry_limit:
                continue
        kept.append(event)
    return kept[::-1]
