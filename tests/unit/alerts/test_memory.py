"""The alerts' state is read when its tables changed, and at no other time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.alerts.memory import AGAIN, DECIDING, Memory, deciding
from drawsguard.alerts.state import Event, Kind, Policy, due_messages, fold
from drawsguard.monitoring.observation import Observation, Priority

NOW = datetime(2026, 3, 3, tzinfo=UTC)
LONG_AGO = NOW - DECIDING - timedelta(hours=1)
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
        events = memory.events(NOW, lambda: self.read.append("alert_log") or EVENTS)  # type: ignore[func-returns-value]
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
