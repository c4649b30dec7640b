"""The life of alerts, in examples and over any order of events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawsguard.alerts.manager import out_of_sight
from drawsguard.alerts.state import (
    Alert,
    AlertCommandError,
    Board,
    Event,
    Kind,
    Message,
    Policy,
    Status,
    acknowledge,
    delivered,
    due_messages,
    fold,
    mute,
    observe,
    resolve,
    undelivered,
    unmute,
)
from drawsguard.monitoring.observation import Observation, Priority

START = datetime(2025, 10, 3, 10, 0, tzinfo=UTC)
POLICY = Policy()
MINUTE = timedelta(minutes=1)


class Monitor:
    """Rounds of observation over one condition, one minute apart."""

    def __init__(self, priority: Priority = Priority.P0, *, key: str = "check:x", explained_by: tuple[str, ...] = ()):
        self.events: list[Event] = []
        self.now = START
        self.priority, self.key, self.explained_by = priority, key, explained_by
        self.sent: list[Message] = []

    @property
    def board(self) -> Board:
        return fold(self.events)

    def round(self, firing: bool | None, *, deliver: bool = True) -> list[Message]:
        self.now += MINUTE
        seen = Observation(self.key, firing, self.priority, "detail", self.explained_by)
        self.events += observe(self.board, [seen], self.now, POLICY)
        sent = []
        for message, alert in due_messages(self.board, self.now, POLICY):
            if deliver:
                self.events.append(delivered(alert, message, self.now, ["sink"]))
                sent.append(message)
            else:
                self.events.append(undelivered(alert, self.now, "refused"))
        self.sent += sent
        return sent

    def only(self) -> Alert:
        (alert,) = self.board.alerts.values()
        return alert


def test_p0_is_announced_in_the_round_that_sees_it_and_its_recovery_once():
    monitor = Monitor()
    assert monitor.round(True) == [Message.FIRING]
    for _ in range(5):
        assert monitor.round(True) == []
    monitor.round(False)
    for _ in range(10):
        monitor.round(False)
    assert monitor.sent == [Message.FIRING, Message.RECOVERY]
    assert monitor.only().status is Status.RESOLVED


def test_p1_waits_and_is_announced_within_15_minutes():
    monitor = Monitor(Priority.P1)
    rounds = next(n for n in range(1, 100) if monitor.round(True))
    assert 1 < rounds <= 15


def test_p1_that_passes_by_itself_is_not_announced():
    monitor = Monitor(Priority.P1)
    monitor.round(True)
    for _ in range(20):
        monitor.round(False)
    assert monitor.sent == []
    assert monitor.only().status is Status.RESOLVED


def test_p2_waits_for_the_digest():
    monitor = Monitor(Priority.P2)
    for _ in range(60):
        monitor.round(True)
    assert monitor.sent == []
    assert monitor.only().open


def test_unknown_neither_fires_nor_resolves():
    monitor = Monitor()
    monitor.round(None)
    assert monitor.board.alerts == {}
    monitor.round(True)
    for _ in range(30):
        monitor.round(None)
    assert monitor.only().open


def test_flapping_is_announced_a_few_times_not_each_time():
    monitor = Monitor()
    for _ in range(60):
        monitor.round(True)
        for _ in range(3):
            monitor.round(False)
    announced = monitor.sent.count(Message.FIRING)
    assert 1 <= announced <= POLICY.flap_count, f"{announced} announcements in four hours of flapping"


def test_condition_that_dips_for_a_round_is_one_alert():
    monitor = Monitor()
    for _ in range(20):
        monitor.round(True)
        monitor.round(False)
    assert len(monitor.board.alerts) == 1
    assert monitor.sent.count(Message.FIRING) == 1
    assert Message.RECOVERY not in monitor.sent


def test_failed_delivery_is_recorded_and_tried_again():
    monitor = Monitor()
    monitor.round(True, deliver=False)
    assert monitor.only().delivery_failures == 1
    assert monitor.only().notified_at is None
    assert monitor.round(True) == [Message.FIRING]
    assert monitor.only().delivery_failures == 0


def test_delivery_is_tried_less_often_after_the_limit_and_never_given_up():
    monitor = Monitor()
    for _ in range(POLICY.retry_limit + 60):
        monitor.round(True, deliver=False)
    assert monitor.only().delivery_failures == POLICY.retry_limit + 4
    told = [monitor.round(True) for _ in range(15)]
    assert [Message.FIRING] in told, "a channel answers again"


def test_what_no_channel_took_while_it_was_open_is_told_when_one_answers_again():
    monitor = Monitor()
    for _ in range(5):
        monitor.round(True, deliver=False)
    for _ in range(4):
        monitor.round(False, deliver=False)
    assert not monitor.only().open
    assert monitor.only().notified_at is None
    told = [monitor.round(False) for _ in range(20)]
    assert [one for one in told if one] == [[Message.RECOVERY]], "once, and not lost"


def test_what_was_never_due_is_not_told_when_it_is_over():
    monitor = Monitor(Priority.P1)
    monitor.round(True)
    assert [monitor.round(False) for _ in range(6)] == [[]] * 6, "it passed within the delay of a P1"


# --- a clock that was ahead for one round -----------------------------------------------------------------------------

AHEAD = timedelta(minutes=30)


def seen_ahead(monitor: Monitor, *, deliver: bool = True) -> list[Message]:
    """Play a round on a worker whose clock is ahead; the next one has the right time again."""
    monitor.now += AHEAD
    sent = monitor.round(True, deliver=deliver)
    monitor.now -= AHEAD
    return sent


def test_a_p1_that_was_seen_by_a_clock_ahead_is_announced_in_time():
    monitor = Monitor(Priority.P1)
    assert seen_ahead(monitor) == []
    rounds = next(n for n in range(1, 100) if monitor.round(True))
    assert rounds <= 5
    assert [monitor.round(True) for _ in range(40)] == [[]] * 40, "once"


def test_what_a_clock_ahead_could_not_deliver_is_tried_again_in_the_next_round():
    monitor = Monitor()
    seen_ahead(monitor, deliver=False)
    monitor.round(True, deliver=False)
    assert monitor.only().delivery_failures == 2
    assert monitor.round(True) == [Message.FIRING]


def test_a_p0_that_was_muted_when_a_clock_ahead_saw_it_is_sent_once_when_the_mute_is_over():
    monitor, length = Monitor(), AHEAD + 3 * MINUTE
    monitor.events.append(mute(monitor.board, "check:x", "alice", "planned", START, length, timedelta(days=1)))
    assert seen_ahead(monitor) == []
    monitor.events.append(unmute("check:x", "alice", monitor.now + timedelta(seconds=1)))
    sent = [message for _ in range(28) for message in monitor.round(True)]
    assert sent == [Message.FIRING]
    monitor.events.append(acknowledge(monitor.board, "check:x", "alice", "", monitor.now))
    assert monitor.only().acknowledged_by == "alice", "what a person does counts, too"


def test_an_alert_that_a_clock_ahead_has_seen_recovers_and_tells_it_once():
    monitor = Monitor()
    seen_ahead(monitor)
    for _ in range(40):
        monitor.round(False)
    assert monitor.sent == [Message.FIRING, Message.RECOVERY]
    alert = monitor.only()
    assert alert.resolved_at is not None
    assert alert.resolved_at >= alert.fired_at


def test_a_recovery_that_a_clock_ahead_has_seen_ends_in_the_next_round_and_a_second_outbreak_is_told():
    monitor = Monitor()
    monitor.round(True)
    monitor.now += AHEAD
    monitor.round(False)
    monitor.now -= AHEAD
    monitor.round(False)
    assert monitor.only().status is Status.RESOLVED
    monitor.round(True)
    assert monitor.sent.count(Message.FIRING) == 2


def test_a_cause_that_a_clock_ahead_has_ended_hides_its_consequence_no_longer_than_any():
    events, _ = _two(Priority.P1)
    cause = fold(events).open_alert("task:draw_sync.merge")
    assert cause is not None
    events.append(resolve(fold(events), cause.key, "alice", "repaired", START + AHEAD))
    due = due_messages(fold(events), START + POLICY.aftermath + MINUTE, POLICY)
    assert "check:fresh" in [alert.key for _, alert in due]


# --- reminders and escalation -----------------------------------------------------------------------------------------


def minutes_of(monitor: Monitor, rounds: int, firing: bool = True) -> dict[int, Message]:
    """Return what was sent, by the round in which it was."""
    sent = {n: monitor.round(firing) for n in range(rounds)}
    return {n: message for n, (message, *_) in ((n, found) for n, found in sent.items() if found)}


def test_a_p0_that_nobody_acknowledges_is_repeated_and_then_escalated():
    monitor = Monitor()
    assert minutes_of(monitor, 47) == {
        0: Message.FIRING, 15: Message.REMINDER, 30: Message.ESCALATION, 45: Message.ESCALATION,
    }  # fmt: skip
    assert (monitor.only().reminders, monitor.only().escalated) == (3, True)
    kinds = [event.kind for event in monitor.events]
    assert kinds == [Kind.FIRED, Kind.NOTIFIED, Kind.REMINDED, Kind.ESCALATED, Kind.ESCALATED], "the log only grows"


def test_reminders_end_at_their_limit():
    monitor = Monitor()
    rounds = 15 * (POLICY.reminder_limit + 10)
    sent = minutes_of(monitor, rounds)
    assert len(sent) == 1 + POLICY.reminder_limit
    assert monitor.only().open


@pytest.mark.parametrize("end", ["acknowledged", "recovering", "muted"])
def test_there_is_no_reminder_of_what_somebody_works_on_or_what_is_over(end: str):
    monitor = Monitor()
    minutes_of(monitor, 10)
    if end == "acknowledged":
        monitor.events.append(acknowledge(monitor.board, "check:x", "alice", "", monitor.now))
    elif end == "muted":
        length = timedelta(hours=5)
        monitor.events.append(mute(monitor.board, "check:x", "alice", "planned", monitor.now, length, length))
    sent = minutes_of(monitor, 60, firing=end != "recovering")
    assert not {Message.REMINDER, Message.ESCALATION} & set(sent.values())


def test_only_p0_is_repeated():
    monitor = Monitor(Priority.P1)
    assert list(minutes_of(monitor, 120).values()) == [Message.FIRING]


def test_a_reminder_that_no_channel_accepts_is_tried_again_and_counts_once():
    monitor = Monitor()
    minutes_of(monitor, 15)
    assert monitor.round(True, deliver=False) == []
    assert monitor.only().reminders == 0
    assert monitor.round(True) == [Message.REMINDER]
    assert (monitor.only().reminders, monitor.only().delivery_failures) == (1, 0)


def test_acknowledged_alert_stays_open_and_resolves():
    monitor = Monitor()
    monitor.round(True)
    monitor.events.append(acknowledge(monitor.board, "check:x", "alice", "looking", monitor.now))
    assert monitor.only().status is Status.ACKNOWLEDGED
    assert monitor.only().acknowledged_by == "alice"
    for _ in range(6):
        monitor.round(False)
    assert monitor.sent == [Message.FIRING, Message.RECOVERY]


def test_acknowledging_nothing_or_twice_is_refused_with_what_is_open():
    monitor = Monitor()
    with pytest.raises(AlertCommandError, match="Open now: none"):
        acknowledge(monitor.board, "check:x", "alice", "", START)
    monitor.round(True)
    with pytest.raises(AlertCommandError, match=r"No open alert 'check:y'\. Open now: check:x"):
        acknowledge(monitor.board, "check:y", "alice", "", monitor.now)
    monitor.events.append(acknowledge(monitor.board, "check:x", "alice", "", monitor.now))
    with pytest.raises(AlertCommandError, match="by alice already"):
        acknowledge(monitor.board, "check:x", "bob", "", monitor.now + MINUTE)


def test_mute_silences_until_its_end_and_no_longer():
    monitor = Monitor()
    length = timedelta(minutes=10)
    monitor.events.append(mute(monitor.board, "check:x", "alice", "deploy", START, length, timedelta(days=1)))
    for _ in range(9):
        assert monitor.round(True) == []
    assert monitor.round(True) == [Message.FIRING], "the alert outlived the mute"


def test_unmute_ends_a_mute():
    monitor = Monitor()
    monitor.events.append(mute(monitor.board, "check:x", "alice", "deploy", START, MINUTE * 600, timedelta(days=1)))
    assert monitor.round(True) == []
    monitor.events.append(unmute("check:x", "bob", monitor.now + timedelta(seconds=1)))
    assert monitor.round(True) == [Message.FIRING]


@pytest.mark.parametrize("length", [timedelta(), timedelta(minutes=-1), timedelta(days=8)])
def test_mute_without_an_end_or_beyond_the_limit_is_refused(length):
    with pytest.raises(AlertCommandError, match="at most"):
        mute(Board(), "check:x", "alice", "deploy", START, length, timedelta(days=7))


def test_mute_without_a_reason_is_refused():
    with pytest.raises(AlertCommandError, match="reason"):
        mute(Board(), "check:x", "alice", " ", START, MINUTE, timedelta(days=7))


def _two(cause_priority: Priority) -> tuple[list[Event], Board]:
    seen = [
        Observation("check:fresh", True, Priority.P1, "stale", ("task:draw_sync.*",)),
        Observation("task:draw_sync.merge", True, cause_priority, "failed"),
    ]
    events = observe(Board(), seen, START, POLICY)
    return events, fold(events)


def test_one_cause_is_announced_once():
    _, board = _two(Priority.P1)
    due = due_messages(board, START + timedelta(minutes=10), POLICY)
    assert [alert.key for _, alert in due] == ["task:draw_sync.merge"]


def test_less_urgent_or_muted_cause_does_not_hide_its_consequence():
    _, board = _two(Priority.P2)
    later = START + timedelta(minutes=10)
    assert [alert.key for _, alert in due_messages(board, later, POLICY)] == ["check:fresh"]
    events, board = _two(Priority.P1)
    quiet = mute(board, "task:draw_sync.merge", "alice", "known", START, timedelta(hours=1), timedelta(days=1))
    assert [alert.key for _, alert in due_messages(fold([*events, quiet]), later, POLICY)] == ["check:fresh"]


def test_consequence_that_outlives_its_cause_is_announced():
    events, board = _two(Priority.P1)
    now, announced = START, []
    for _ in range(20):
        now += MINUTE
        seen = [
            Observation("check:fresh", True, Priority.P1, "stale", ("task:draw_sync.*",)),
            Observation("task:draw_sync.merge", False, Priority.P1, "ok"),
        ]
        events += observe(board, seen, now, POLICY)
        board = fold(events)
        if "check:fresh" in [alert.key for _, alert in due_messages(board, now, POLICY)]:
            announced.append(now)
    (cause,) = [alert for alert in board.alerts.values() if alert.key.startswith("task:")]
    assert cause.resolved_at is not None
    assert announced[0] == cause.resolved_at + POLICY.aftermath, "it has a while to follow its cause"


def test_what_begins_after_its_would_be_cause_has_resolved_is_announced_at_once():
    cause = Observation("task:draw_sync.merge", True, Priority.P0, "failed")
    events = observe(Board(), [cause], START, POLICY)
    for n in range(1, 5):
        quiet = Observation(cause.key, False, Priority.P0, "ok")
        events += observe(fold(events), [quiet], START + n * MINUTE, POLICY)
    assert not fold(events).open_alert(cause.key)
    later = START + 5 * MINUTE
    fresh = Observation("check:fresh", True, Priority.P0, "stale", ("task:draw_sync.*",))
    board = fold(events + observe(fold(events), [fresh], later, POLICY))
    due = [(message.value, alert.key) for message, alert in due_messages(board, later, POLICY)]
    assert ("firing", "check:fresh") in due


def test_same_key_from_many_checks_is_one_alert_of_the_highest_priority():
    seen = [Observation("check:x", True, Priority.P1, "a"), Observation("check:x", True, Priority.P0, "b"),
            Observation("check:x", False, Priority.P0, "c")]  # fmt: skip
    (event,) = observe(Board(), seen, START, POLICY)
    assert (event.kind, event.priority) == (Kind.FIRED, Priority.P0)


def test_subject_that_left_its_view_is_out_of_sight_and_that_of_an_unmade_check_is_not():
    day = Observation("check:holes:2025-10-03", True, Priority.P1, "")
    board = fold(observe(Board(), [day], START, POLICY))
    other = Observation("check:holes:2025-10-10", False, Priority.P1, "")
    assert [one.key for one in out_of_sight(board, [other])] == [day.key]
    assert out_of_sight(board, [day]) == []
    unmade = Observation("check:holes:collection_quality_v", None, Priority.P1, "")
    assert out_of_sight(board, [unmade]) == []


def test_a_person_resolves_an_alert_and_what_is_still_there_is_a_new_one():
    seen = Observation("task:a.b", True, Priority.P0, "failed")
    events = observe(Board(), [seen], START, POLICY)
    (alert,) = fold(events).alerts.values()
    events.append(delivered(alert, Message.FIRING, START, ["sink"]))
    with pytest.raises(AlertCommandError, match="needs a reason"):
        resolve(fold(events), alert.key, "alice", " ", START + MINUTE)
    with pytest.raises(AlertCommandError, match=r"Open now: task:a\.b"):
        resolve(fold(events), "task:a.c", "alice", "repaired by hand", START + MINUTE)
    events.append(resolve(fold(events), alert.key, "alice", "repaired by hand", START + MINUTE))
    board = fold(events)
    (alert,) = board.alerts.values()
    assert (alert.status, alert.resolved_by, alert.resolved_because) == (Status.RESOLVED, "alice", "repaired by hand")
    assert [message for message, _ in due_messages(board, START + MINUTE, POLICY)] == [Message.RECOVERY]
    again = observe(board, [seen], START + 2 * MINUTE, POLICY)
    assert [event.kind for event in again] == [Kind.FIRED]
    assert again[0].alert_id != alert.alert_id


# --- any order of events ----------------------------------------------------------------------------------------------

KEYS = ("check:a", "check:b")
STEP = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from(["fire", "quiet", "unknown", "acknowledge", "resolve", "mute", "unmute", "fail_delivery", "skip"]),
    st.integers(1, 7),
)


def _play(steps) -> tuple[list[Event], list[tuple[datetime, Message, Alert]]]:
    events: list[Event] = []
    sent = []
    now, failing = START, False
    for key, action, minutes in steps:
        now += minutes * MINUTE
        board = fold(events)
        failing = action == "fail_delivery"
        try:
            if action == "acknowledge":
                events.append(acknowledge(board, key, "alice", "", now))
            elif action == "resolve":
                events.append(resolve(board, key, "alice", "reason", now))
            elif action == "mute":
                events.append(mute(board, key, "alice", "reason", now, 10 * MINUTE, timedelta(days=1)))
        except AlertCommandError:
            pass
        if action == "unmute":
            events.append(unmute(key, "alice", now))
        state = {"fire": True, "quiet": False, "unknown": None}
        if action in state:
            events += observe(board, [Observation(key, state[action], Priority.P0, "")], now, POLICY)
        for message, alert in due_messages(fold(events), now, POLICY):
            events.append(undelivered(alert, now, "no") if failing else delivered(alert, message, now, ["sink"]))
            if not failing:
                sent.append((now, message, alert))
    return events, sent


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=40), st.randoms())
def test_any_history_keeps_the_promises(steps, random):
    events, sent = _play(steps)
    board = fold(events)
    for key in KEYS:
        assert sum(alert.open for alert in board.alerts.values() if alert.key == key) <= 1
    for alert in board.alerts.values():
        messages = [message for _, message, one in sent if one.alert_id == alert.alert_id]
        announced = [one for one in messages if one not in (Message.REMINDER, Message.ESCALATION)]
        # What no channel took while it was open is told when it is over.
        assert announced in ([], [Message.FIRING], [Message.FIRING, Message.RECOVERY], [Message.RECOVERY])
        assert announced != [Message.RECOVERY] or alert.unheard
        assert messages[:1] in ([], [Message.FIRING], [Message.RECOVERY]), "nobody is reminded of what nobody heard"
        assert alert.resolved_at is None or alert.resolved_at >= alert.fired_at
    for at, message, alert in sent:
        if message is not Message.RECOVERY:
            past = fold([event for event in events if event.event_at <= at])
            assert not past.muted(alert.key, at)
            assert message is Message.FIRING or alert.acknowledged_by is None
    shuffled = [*events, *events]
    random.shuffle(shuffled)
    assert fold(shuffled) == board, "order of arrival and repetition change nothing"
