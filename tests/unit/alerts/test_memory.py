"""The alerts' state is read when its tables changed, and at no other time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawsguard.alerts.memory import AGAIN, DECIDING, Memory, condensed, deciding
from drawsguard.alerts.state import Event, Kind, Policy, due_messages, fold, observe, unheard_of
from drawsguard.monitoring.observation import Observation, Priority
from tests.unit.alerts.test_state import STEP, _play

NOW = datetime(2026, 3, 3, tzinfo=UTC)
LONG_AGO = NOW - DECIDING - timedelta(hours=1)
MINUTE, POLICY = timedelta(minutes=1), Policy()
KEY = "check:draws_are_synced_in_time:target.draws"


def event(kind: Kind, at: datetime, alert_id: str = "a", until: datetime | None = None) -> Event:
    return Event(alert_id, KEY, kind, Priority.P0, at, "monitor", "d", until, ("task:*",))


EVENTS = [event(Kind.FIRED, NOW), event(Kind.MUTED, NOW, until=NOW + timedelta(hours=1))]
SIGNALS = [Observation("task:a.b", True, Priority.P1, "d", ("task:*",))]


class Tables:
    """The two tables, with their metadata and a count of readings."""

    def __init__(self) -> None:
        self.changed = {"alert_log": NOW, "alert_signal": NOW}
        self.read: list[str] = []

    def round(self, kept: object, known: bool = True) -> tuple[list[Event], list[Observation], str]:
        memory = Memory(kept, lambda table: (2, self.changed[table]) if known else None)
        events = memory.events(NOW, lambda: self.read.append("alert_log") or EVENTS, POLICY)  # type: ignore[func-returns-value]
        signals = memory.signals(lambda: self.read.append("alert_signal") or SIGNALS)  # type: ignore[func-returns-value]
        return list(events), list(signals), memory.left()


def test_what_did_not_change_is_not_read_again() -> None:
    tables = Tables()
    first = tables.round(None)
    again = tables.round(first[2])
    assert again[:2] == first[:2] == (EVENTS, SIGNALS)
    assert tables.read == ["alert_log", "alert_signal"]


@pytest.mark.parametrize("table", ["alert_log", "alert_signal"])
def test_a_changed_table_is_read(table: str) -> None:
    tables = Tables()
    left = tables.round(None)[2]
    tables.changed[table] += timedelta(milliseconds=1)
    tables.round(left)
    assert tables.read[2:] == [table]


@pytest.mark.parametrize("kept", [None, "no JSON", '{"events": 1}', 7])
def test_without_a_memory_both_are_read(kept: object) -> None:
    tables = Tables()
    assert tables.round(kept)[:2] == (EVENTS, SIGNALS)
    assert tables.read == ["alert_log", "alert_signal"]


def test_unknown_metadata_mean_reading() -> None:
    tables = Tables()
    left = tables.round(None)[2]
    left = tables.round(left, known=False)[2]
    tables.round(left)
    assert tables.read == ["alert_log", "alert_signal"] * 3


def test_an_alert_that_is_over_and_announced_is_left_out_and_nothing_else() -> None:
    ended = [
        event(kind, LONG_AGO + n * timedelta(minutes=1), "old")
        for n, kind in enumerate((Kind.FIRED, Kind.NOTIFIED, Kind.RESOLVED, Kind.RECOVERY_NOTIFIED))
    ]
    unannounced = [
        replace(event(kind, LONG_AGO, "untold"), alert_key="check:another")
        for kind in (Kind.FIRED, Kind.NOTIFIED, Kind.RESOLVED)
    ]
    still_open = [event(Kind.FIRED, LONG_AGO, "open")]
    muted = [event(Kind.MUTED, LONG_AGO, "old", NOW + timedelta(days=1)), event(Kind.UNMUTED, LONG_AGO, "old")]
    lately = [event(kind, NOW, "new") for kind in (Kind.FIRED, Kind.RESOLVED)]
    everything = ended + unannounced + still_open + muted + lately
    kept = deciding(everything, NOW)
    assert kept == unannounced + still_open + muted + lately
    assert due_messages(fold(kept), NOW, Policy()) == due_messages(fold(everything), NOW, Policy())
    assert fold(kept).mutes == fold(everything).mutes


def test_a_recovery_that_was_never_told_is_left_out_once_the_next_outbreak_was_announced() -> None:
    first = [event(kind, LONG_AGO, "first") for kind in (Kind.FIRED, Kind.NOTIFIED, Kind.RESOLVED)]
    second = [event(kind, LONG_AGO + timedelta(minutes=n), "second") for n, kind in
              enumerate((Kind.FIRED, Kind.NOTIFIED, Kind.RESOLVED, Kind.RECOVERY_NOTIFIED), 1)]  # fmt: skip
    assert due_messages(fold(first + second), NOW, Policy()) == []
    assert deciding(first + second, NOW) == [], "without the second the first would be due again"


def flapping(minutes: int) -> list[Event]:
    """The life of a check that toggles each minute, which ended just now and was told."""
    begin = NOW - (minutes + 3) * MINUTE
    found = [event(Kind.FIRED, begin), event(Kind.NOTIFIED, begin)]
    found += [event((Kind.RECOVERING, Kind.RELAPSED)[n % 2], begin + n * MINUTE) for n in range(1, minutes)]
    return [*found, event(Kind.RESOLVED, NOW - MINUTE), event(Kind.RECOVERY_NOTIFIED, NOW - MINUTE)]


def refused(minutes: int) -> list[Event]:
    """The life of an alert that no channel has taken yet."""
    begin = NOW - minutes * MINUTE
    return [event(Kind.FIRED, begin), *(event(Kind.DELIVERY_FAILED, begin + n * MINUTE) for n in range(1, minutes))]


def outbreaks(number: int) -> list[Event]:
    """As many alerts of one condition, each of them over and told within three quarters of an hour."""
    kinds = (Kind.FIRED, Kind.NOTIFIED, Kind.RECOVERING, Kind.RESOLVED, Kind.RECOVERY_NOTIFIED)
    return [
        event(kind, NOW - (45 * number - 5 * step) * MINUTE, f"a{number}")
        for number in range(1, number + 1)
        for step, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize("events", [flapping(601), refused(601), outbreaks(200)], ids=["flaps", "refused", "again"])
def test_a_long_story_is_remembered_by_what_decides(events: list[Event]) -> None:
    """It was read in each round of the week in which it decides, at 10 MB each."""
    reads: list[datetime] = []
    memory = Memory(None, lambda _: (len(events), NOW))
    for n in range(3):
        now = NOW + n * MINUTE
        known = memory.events(now, lambda now=now: reads.append(now) or events, POLICY)  # type: ignore[func-returns-value]
        assert judged(known, now) == judged(events, now)
        memory = Memory(memory.left(), lambda _: (len(events), NOW))
    assert reads == [NOW]


def judged(events: Iterable[Event], now: datetime) -> list[object]:
    """Return all that a round makes of the events."""
    board = fold(events)
    seen = [
        Observation(key, firing, Priority.P0, "d") for key in ("check:a", "check:b", KEY) for firing in (True, False)
    ]
    return [
        [(message, alert.alert_id) for message, alert in due_messages(board, now, POLICY)],
        [(alert.alert_id, why) for alert, why in unheard_of(board, now, POLICY)],
        *(observe(board, [one], now, POLICY) for one in seen),
    ]


@settings(max_examples=150)
@given(st.lists(STEP, max_size=40), st.integers(0, 90))
def test_what_is_remembered_of_any_history_decides_the_same(steps: Any, minutes: int) -> None:
    events, _ = _play(steps)
    last = max((one.event_at for one in events), default=NOW)
    kept = condensed(events, last, POLICY)
    now = last + minutes * MINUTE
    assert judged(kept, now) == judged(events, now)
    assert condensed(kept, now, POLICY) == condensed(events, now, POLICY)


def test_what_left_sight_is_judged_once_an_hour_while_it_stays_bad_and_each_round_when_it_recovers() -> None:
    start, looks, memory = datetime(2025, 10, 8, tzinfo=UTC), [], Memory()
    for n in range(125):
        now = start + n * timedelta(minutes=1)
        memory = Memory(memory.left())
        if memory.looks_again(now):
            looks.append(n)
            memory.looked_again(now, [Observation("check:a:b", n < 120, Priority.P0, "still")])
    assert looks == [0, 60, 120, 121, 122, 123, 124]
    assert Memory(memory.left()).looks_again(start - AGAIN), "a clock that was set back makes nothing wait"


def test_a_look_that_found_nothing_out_is_not_repeated_at_once() -> None:
    now, memory = datetime(2025, 10, 8, tzinfo=UTC), Memory()
    memory.looked_again(now, [])
    assert not Memory(memory.left()).looks_again(now + AGAIN / 2)
