"""Rounds of the alerts over a log in memory: what is sent to whom, what is recorded when, and what the task is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager, NotTriedError
from drawsguard.alerts.message import Text
from drawsguard.alerts.state import acknowledge, mute
from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.settings import get_settings
from drawsguard.warehouse import engine_clock
from drawsguard.warehouse.engine_clock import EngineClock

NOW = datetime(2025, 10, 3, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Log:
    """The monitoring dataset: the events that were appended, in their order, and the signals."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.signals: list[dict[str, Any]] = []

    def query(self, statement: str, **_values: Any) -> list[dict[str, Any]]:
        return {"alerts/alert_events": self.events, "alerts/newest_signals": self.signals}.get(statement, [])

    def append(self, _statement: str, rows: Sequence[dict[str, Any]]) -> None:
        known = {row["event_id"] for row in self.events}
        self.events += [row for row in rows if row["event_id"] not in known]

    def of(self, kind: str) -> list[str]:
        return [row["alert_key"] for row in self.events if row["kind"] == kind]


class Channel:
    """One channel; ``accepts`` are the priorities among its tags."""

    def __init__(self, *accepts: Priority) -> None:
        self.accepts = accepts or tuple(Priority)
        self.texts: list[Text] = []
        self.name, self.refuses = "chat://a", False

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        if text.priority not in self.accepts:
            return [], []
        if self.refuses:
            return [], [f"{self.name}: HTTP 429"]
        self.texts.append(text)
        return [self.name], []

    def names(self) -> set[str]:
        return {self.name}


class Channels:
    """Several channels, as the hook calls them."""

    def __init__(self, *channels: Channel) -> None:
        self.channels = channels

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        answers = [channel.send(text) for channel in self.channels]
        return [name for taken, _ in answers for name in taken], [one for _, problems in answers for one in problems]

    def names(self) -> set[str]:
        return {channel.name for channel in self.channels}


@pytest.fixture
def log() -> Log:
    return Log()


def manager(log: Log, **options: Any) -> AlertManager:
    config = load_alert_config().model_copy(update={"start_grace_minutes": 0})  # there is no log of checks
    return AlertManager(log, config, load_checks(), get_settings(), run_id="run", **options)  # type: ignore[arg-type]


def failing(key: str, priority: Priority = Priority.P0) -> Observation:
    return Observation(key, True, priority, "stopped")


def test_a_bundle_of_each_priority_reaches_the_channels_of_that_priority(log: Log) -> None:
    urgent, other = Channel(Priority.P0), Channel(Priority.P1)
    less = [failing(f"task:a.c{n}", Priority.P1) for n in range(5)]
    manager(log).round(less, Channels(urgent, other), NOW)
    manager(log).round([failing("task:a.b"), *less], Channels(urgent, other), NOW + 5 * MINUTE)
    assert len(log.of("notified")) == 6
    for n in range(5):
        assert any(f"task:a.c{n}" in text.body for text in other.texts), "who reads only P1 is told"
        assert not any(f"task:a.c{n}" in text.body for text in urgent.texts)
    assert any("task:a.b" in text.body for text in urgent.texts)


def test_an_alert_that_no_channel_took_is_complained_about_until_one_takes_it(log: Log) -> None:
    channel, seen = Channel(), [failing("task:a.b")]
    channel.refuses = True
    for seconds in (0, 10, 60):
        again = manager(log)  # each try of the task has its own
        again.round(seen, channel, NOW + timedelta(seconds=seconds))
        assert again.undelivered == ["task:a.b: chat://a: HTTP 429"], f"{seconds} s after it was refused"
    channel.refuses = False
    taken = manager(log)
    taken.round(seen, channel, NOW + 2 * MINUTE)
    assert taken.undelivered == []


def test_a_recovery_that_no_channel_took_is_complained_about_until_one_takes_it(log: Log) -> None:
    channel, over = Channel(), replace(failing("task:a.b"), firing=False)
    manager(log).round([failing("task:a.b")], channel, NOW)
    channel.refuses = True
    for n in range(1, 3):
        manager(log).round([over], channel, NOW + n * MINUTE)
    for seconds in (0, 10):
        again = manager(log)
        again.round([over], channel, NOW + 3 * MINUTE + timedelta(seconds=seconds))
        assert again.undelivered == ["task:a.b: chat://a: HTTP 429"], f"{seconds} s after it was refused"
    channel.refuses = False
    for n in (4, 5):
        told = manager(log)
        told.round([over], channel, NOW + n * MINUTE)
        assert told.undelivered == []


class ChannelOfKeywords(Channel):
    """A channel that takes only what holds its keyword, as a robot of DingTalk does."""

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        self.refuses = "[P0]" not in text.title
        return super().send(text)


def test_a_recovery_that_no_channel_takes_is_silenced_by_a_mute(log: Log) -> None:
    channel, key = ChannelOfKeywords(), "task:a.b"
    manager(log).round([failing(key)], channel, NOW)
    over, day = replace(failing(key), firing=False), timedelta(days=1)
    for n in range(1, 60):
        latest = manager(log)
        latest.round([over], channel, NOW + n * MINUTE)
    assert f"{key}: chat://a: HTTP 429" in latest.undelivered
    by_hand, at = manager(log), NOW + 60 * MINUTE
    by_hand.record([mute(by_hand.board(at), key, "alice", "a keyword is missing", at, day, day)])
    tries = log.of("delivery_failed").count(key)
    for n in range(61, 120):
        latest = manager(log)
        latest.round([over], channel, NOW + n * MINUTE)
        assert not any(one.startswith(key) for one in latest.undelivered), f"minute {n}"
    assert log.of("delivery_failed").count(key) == tries
    channel, told = Channel(), manager(log)
    told.round([over], channel, at + day)
    assert any(key in text.body for text in channel.texts), "a mute has an end"


def test_the_recovery_of_what_was_muted_is_told_to_those_who_heard_of_it(log: Log) -> None:
    channel, key, day = Channel(), "task:a.b", timedelta(days=1)
    manager(log).round([failing(key)], channel, NOW)
    by_hand = manager(log)
    by_hand.record([mute(by_hand.board(NOW), key, "alice", "planned", NOW, day, day)])
    for n in range(1, 5):
        manager(log).round([replace(failing(key), firing=False)], channel, NOW + n * MINUTE)
    assert len(channel.texts) == 2


def test_a_refused_reminder_is_not_complained_about_while_its_alert_recovers(log: Log) -> None:
    """People were told of it, and the channel may take messages again: only the round of the refusal says so."""
    channel, key = Channel(), "task:a.b"
    complained = []
    for n in range(70):
        channel.refuses = n == 45
        firing = n < 46 and n not in (10, 20)  # it breaks out three times: quiet for minutes is no end
        latest = manager(log)
        latest.round([replace(failing(key), firing=firing)], channel, NOW + n * MINUTE)
        complained += [n] if any(one.startswith(key) for one in latest.undelivered) else []
    assert complained == [45]
    assert key in log.of("recovery_notified")


@pytest.mark.parametrize("known", ["acknowledged", "muted"])
def test_what_a_person_knows_is_not_complained_about(log: Log, known: str) -> None:
    channel, seen, day = Channel(), [failing("task:a.b")], timedelta(days=1)
    channel.refuses = True
    first = manager(log)
    first.round(seen, channel, NOW)
    board, at = first.board(NOW), NOW + timedelta(seconds=5)
    by_hand = {"acknowledged": lambda: acknowledge(board, "task:a.b", "alice", "", at),
               "muted": lambda: mute(board, "task:a.b", "alice", "planned", at, day, day)}  # fmt: skip
    first.record([by_hand[known]()])
    again = manager(log)
    again.round(seen, channel, NOW + timedelta(seconds=10))
    assert again.undelivered == []


def test_a_refused_alert_that_its_cause_explains_is_not_complained_about(log: Log) -> None:
    channel, missed = Channel(), failing("sla:draw_sync")
    missed = replace(missed, explained_by=("check:draws_are_synced_in_time:*",))
    channel.refuses = True
    manager(log).round([missed], channel, NOW)
    cause = failing("check:draws_are_synced_in_time:target.draws")
    for n in range(2, 5):
        refused = manager(log)
        refused.round([missed, cause], channel, NOW + n * MINUTE)
        assert [one.split(": ")[0] for one in refused.undelivered] == [cause.key], "the cause is to be heard of"
    channel.refuses = False
    taken = manager(log)
    taken.round([missed, cause], channel, NOW + 5 * MINUTE)
    assert missed.key not in log.of("notified")
    assert taken.undelivered == [], "nothing is going to be sent of it as long as its cause lasts"
    over = replace(cause, firing=False)
    channel.refuses = True
    for n in range(6, 19):
        again = manager(log)
        again.round([missed, over], channel, NOW + n * MINUTE)
    assert missed.key in {one.split(": ")[0] for one in again.undelivered}, "it has outlived its cause"


def test_a_refused_alert_that_recovers_is_unheard_until_its_recovery_is_taken(log: Log) -> None:
    """It may break out again: a monitor that was green meanwhile would mail its own failure each time."""
    channel, over = Channel(), replace(failing("task:a.b"), firing=False)
    channel.refuses = True
    manager(log).round([failing("task:a.b")], channel, NOW)
    found = []
    for n in range(1, 4):
        again = manager(log)
        again.round([over], channel, NOW + n * MINUTE)
        found.append(bool(again.undelivered))
    assert found == [True, True, True]
    channel, healed = Channel(), manager(log)
    healed.round([over], channel, NOW + 10 * MINUTE)
    assert "task:a.b" in log.of("recovery_notified")
    assert healed.undelivered == []


def test_nobody_is_told_that_it_is_over_while_it_has_broken_out_again(log: Log) -> None:
    """The channel was down when the first outbreak ended, and comes back during the second."""
    channel, key, told = Channel(), "task:a.b", []
    for n in range(160):
        channel.refuses = 8 <= n < 62
        firing = n < 8 or 60 <= n < 120
        latest, before = manager(log), len(channel.texts)
        latest.round([replace(failing(key, Priority.P1), firing=firing)], channel, NOW + n * MINUTE)
        told += [(n, text.title[:4]) for text in channel.texts[before:] if key in text.body]
        if 60 <= n < 65:
            assert not any(one.startswith(key) for one in latest.undelivered), "the recovery is none"
    assert told == [(5, "[P1]"), (65, "[P1]"), (122, "[恢复 ")]


def test_a_recovery_that_waits_is_told_when_what_broke_out_again_passed_unannounced(log: Log) -> None:
    channel, key, told = Channel(), "task:a.b", []
    for n in range(90):
        channel.refuses = 8 <= n < 62
        latest, before = manager(log), len(channel.texts)
        seen = replace(failing(key, Priority.P1), firing=n < 8 or 60 <= n < 64)
        latest.round([seen], channel, NOW + n * MINUTE)
        told += [text.title[:4] for text in channel.texts[before:] if key in text.body]
    assert told == ["[P1]", "[恢复 "]
    assert latest.undelivered == []


class SlowChannel(Channel):
    """A channel that takes its time for each text (seconds of `now`); ``dies_at`` is the text that kills the task."""

    def __init__(self, seconds: float, dies_at: int = 99) -> None:
        super().__init__()
        self.now, self._seconds, self._dies_at = 0.0, seconds, dies_at

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        self.now += self._seconds
        if len(self.texts) == self._dies_at:
            raise TimeoutError("the task's time is over")
        return super().send(text)


def test_what_was_sent_is_recorded_although_the_task_dies_over_the_next_text(log: Log) -> None:
    seen = [failing(f"task:a.b{n}") for n in range(3)]
    with pytest.raises(TimeoutError):
        manager(log).round(seen, SlowChannel(1, dies_at=2), NOW)
    assert len(log.of("notified")) == 2
    channel = Channel()
    manager(log).round(seen, channel, NOW + MINUTE)
    assert len(channel.texts) == 1, "nobody is told twice"
    assert sorted(log.of("notified")) == [one.key for one in seen]


def test_what_a_round_has_no_time_for_is_sent_by_the_next_one_the_most_urgent_first(log: Log) -> None:
    less = [failing(f"task:a.c{n}", Priority.P1) for n in range(2)]
    urgent = [failing(f"task:a.b{n}") for n in range(3)]
    manager(log).round(less, Channel(), NOW)
    for n, sent in enumerate((["b", "b"], ["b", "c"], ["c"])):
        channel, before = SlowChannel(25), len(log.of("notified"))
        manager(log, clock=lambda channel=channel: channel.now).round([*less, *urgent], channel, NOW + (5 + n) * MINUTE)
        assert [key.removeprefix("task:a.")[0] for key in log.of("notified")[before:]] == sent
        assert log.of("delivery_failed") == [], "what waits was not refused"


def test_what_was_refused_keeps_nothing_of_its_urgency_waiting(log: Log) -> None:
    refusing = SlowChannel(50)
    refusing.refuses = True
    seen = [failing(f"task:a.b{n}") for n in range(2)]
    for n in range(2):
        manager(log, clock=lambda: refusing.now).round(seen, refusing, NOW + n * MINUTE)
    assert sorted(log.of("delivery_failed")) == [one.key for one in seen], "the one that was refused came first again"


class HangingChannel(Channel):
    """A channel that hangs: what it is sent after the first text of a round it is not sent. ``beside`` takes all."""

    def __init__(self, beside: Channel | None = None) -> None:
        super().__init__()
        self.tried: list[Text] = []
        self._hung, self._beside = False, beside

    def new_round(self) -> HangingChannel:
        self._hung = False
        return self

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        taken = self._beside.send(text)[0] if self._beside else []
        if self._hung and not taken:
            raise NotTriedError
        if self._hung:
            return taken, [f"{self.name}: not tried"]
        self._hung = True
        self.tried.append(text)
        return taken, [f"{self.name}: no answer"]


def test_what_was_not_tried_was_not_refused_and_has_its_turn_in_the_next_round(log: Log) -> None:
    channel, seen = HangingChannel(), [failing(f"task:a.b{n}") for n in range(3)]
    for n in range(6):
        latest = manager(log)
        latest.round(seen, channel.new_round(), NOW + n * MINUTE)
        assert len(latest.undelivered) == min(n + 1, 3), "only what was tried was refused"
    tried = log.of("delivery_failed")
    assert sorted(tried[:3]) == [one.key for one in seen], "each in its turn"
    assert tried[3:] == tried[:3]
    assert {row["detail"] for row in log.events if row["kind"] == "delivery_failed"} == {"chat://a: no answer"}


def test_the_alert_of_a_channel_says_why_it_refused_first(log: Log) -> None:
    beside = Channel()
    beside.name = "chat://b"
    seen = [failing(f"task:a.b{n}") for n in range(2)]
    manager(log).round(seen, HangingChannel(beside), NOW)
    (fired,) = [row for row in log.events if row["alert_key"] == "channel:chat://a"]
    assert fired["detail"] == "chat://a: no answer"


# --- one clock --------------------------------------------------------------------------------------------------------


class StampingLog(Log):
    """The log with BigQuery's time: what a clock ahead has stamped gets it, as in append_alert_events.sql."""

    now = NOW

    def append(self, statement: str, rows: Sequence[dict[str, Any]]) -> None:
        super().append(statement, [row | {"event_at": min(row["event_at"], self.now)} for row in rows])


@pytest.mark.parametrize("ahead", [timedelta(minutes=30), timedelta(hours=8), -timedelta(minutes=30)])
def test_reminders_come_in_their_time_on_a_worker_whose_clock_is_wrong(
    monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    log, channel, session, sent = StampingLog(), Channel(), requests.Session(), {}
    clock = EngineClock(SimpleNamespace(_http=session))  # type: ignore[arg-type]

    class Worker(datetime):
        @classmethod
        def now(cls, _zone: Any = None) -> Any:
            return log.now + ahead

    monkeypatch.setattr(engine_clock, "datetime", Worker)
    for n in range(40):
        log.now = NOW + n * MINUTE
        monkeypatch.setattr(engine_clock.time, "monotonic", lambda n=n: 60.0 * n)
        answer = requests.Response()
        answer.status_code, answer.headers["Date"] = 200, format_datetime(log.now, usegmt=True)
        requests.hooks.dispatch_hook("response", session.hooks, answer)
        manager(log).round([failing("task:a.b")], channel, clock.now())
        sent[n] = len(channel.texts)
    assert [n for n in sent if sent[n] > sent.get(n - 1, 0)] == [0, 15, 30]


# --- what the configuration names no more -----------------------------------------------------------------------------


def test_an_alert_of_a_channel_ends_with_the_channel_and_the_next_one_is_told(log: Log) -> None:
    channel, seen = Channel(), [failing("task:a.b", Priority.P1)]
    channel.refuses = True
    for n in range(6):
        manager(log).round(seen, channel, NOW + n * MINUTE)
    assert log.of("fired") == ["task:a.b", "channel:chat://a"]
    channel.refuses, channel.name = False, "chat://corrected"
    for n in range(6, 9):
        manager(log).round(seen, channel, NOW + n * MINUTE)
    assert log.of("resolved") == ["channel:chat://a"]
    assert log.events[-1]["detail"] == "the configuration names it no more"
    channel.refuses, channel.name = True, "chat://a"
    manager(log).round([*seen, failing("task:a.c")], channel, NOW + 10 * MINUTE)
    assert log.of("fired").count("channel:chat://a") == 2, "an alert that never ended would hide this one"


def test_an_alert_of_a_configured_channel_stays_until_it_accepts_something(log: Log) -> None:
    channel, seen = Channel(), [failing("task:a.b", Priority.P1)]
    channel.refuses = True
    for n in range(12):
        manager(log).round(seen, channel, NOW + n * MINUTE)
    assert "channel:chat://a" not in log.of("recovering")


def test_the_alert_of_a_channel_that_accepts_again_ends_without_another_message(log: Log) -> None:
    channel, seen = Channel(), [failing("task:a.b", Priority.P1)]
    channel.refuses = True
    for n in range(12):
        manager(log).round(seen, channel, NOW + n * MINUTE)
    channel.refuses = False
    for n in range(12, 14):
        manager(log).round(seen, channel, NOW + n * MINUTE)
    assert log.of("recovering") == ["channel:chat://a"]
    texts = len(channel.texts)
    for n in range(14, 17):
        manager(log).round(seen, channel, NOW + n * MINUTE)
    assert log.of("resolved") == ["channel:chat://a"], "nothing else is due that it could accept"
    assert len(channel.texts) == texts + 1, "its recovery"
    channel.refuses = True
    manager(log).round([*seen, failing("task:a.c")], channel, NOW + timedelta(days=2))
    assert log.of("fired").count("channel:chat://a") == 2, "nobody would be told of the relapse of the old one"


def test_an_alert_of_a_view_ends_when_no_check_reads_it_any_more(log: Log) -> None:
    view, dropped = next(iter(load_checks().views())), "view_of_a_part_that_is_absent_v"
    seen = [failing(f"monitor:{one}", Priority.P1) for one in (view, dropped)]
    manager(log).round(seen, Channel(), NOW)
    for n in range(1, 6):
        manager(log).round([], Channel(), NOW + n * MINUTE)
    ended = [(row["alert_key"], row["detail"]) for row in log.events if row["kind"] == "resolved"]
    assert ended == [(f"monitor:{dropped}", "the configuration names it no more")]
