"""The calendar of draws, on ordinary days, Mondays and the days when the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawsguard.draws.cadence import Cadence
from drawsguard.settings import Settings
from local.feed.simulator import NO_FAULTS, FeedConfig, Simulator

CADENCE = Cadence(timedelta(seconds=210), ZoneInfo("America/Vancouver"))
SIMULATED = Simulator(FeedConfig(rates=NO_FAULTS)).calendar
BEIJING = ZoneInfo("Asia/Shanghai")

moments = st.datetimes(datetime(2023, 1, 1), datetime(2025, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(timedelta(), timedelta(days=12))


def beijing(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


@pytest.mark.parametrize(
    ("day", "start", "end"),
    [
        (date(2025, 7, 16), "2025-07-16 19:00", "2025-07-16 20:00"),
        (date(2025, 1, 15), "2025-01-15 20:00", "2025-01-15 21:00"),
        (date(2025, 7, 14), "2025-07-14 19:00", "2025-07-14 20:30"),
        (date(2025, 3, 8), "2025-03-08 20:00", "2025-03-08 21:00"),
        (date(2025, 3, 9), "2025-03-09 19:00", "2025-03-09 20:00"),
        (date(2025, 11, 1), "2025-11-01 19:00", "2025-11-01 20:00"),
        (date(2025, 11, 2), "2025-11-02 20:00", "2025-11-02 21:00"),
    ],
    ids=["summer", "winter", "Monday", "before spring", "spring forward", "before autumn", "fall back"],
)
def test_maintenance_follows_vancouver(day: date, start: str, end: str) -> None:
    assert CADENCE.maintenance_on(day) == (beijing(start), beijing(end))
    assert CADENCE.in_maintenance(beijing(start))
    assert not CADENCE.in_maintenance(beijing(end))
    assert not CADENCE.in_maintenance(beijing(start) - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("2025-07-16 12:00", "2025-07-16 12:03:30"),
        ("2025-07-16 18:56:29", "2025-07-16 18:59:59"),
        ("2025-07-16 18:56:30", "2025-07-16 20:00"),
        ("2025-07-16 18:59", "2025-07-16 20:00"),
        ("2025-07-16 19:30", "2025-07-16 20:00"),
        ("2025-07-16 20:00", "2025-07-16 20:03:30"),
        ("2025-07-14 18:58", "2025-07-14 20:30"),
    ],
)
def test_next_expected(last: str, expected: str) -> None:
    assert CADENCE.next_expected(beijing(last)) == beijing(expected)


@pytest.mark.parametrize(
    ("last", "now", "overdue"),
    [
        ("2025-07-16 12:00", "2025-07-16 12:03:29", 0),
        ("2025-07-16 12:00", "2025-07-16 12:03:30", 1),
        ("2025-07-16 12:00", "2025-07-16 12:07:00", 2),
        ("2025-07-16 18:58", "2025-07-16 19:59:59", 0),
        ("2025-07-16 18:58", "2025-07-16 20:00", 1),
        ("2025-07-16 18:00", "2025-07-16 19:30", 17),
        ("2025-07-16 12:00", "2025-07-16 11:00", 0),
    ],
)
def test_overdue_draws(last: str, now: str, overdue: int) -> None:
    assert CADENCE.overdue_draws(beijing(last), beijing(now)) == overdue


def test_allowance_is_the_time_a_draw_may_take_to_arrive() -> None:
    last, now = beijing("2025-07-16 12:00"), beijing("2025-07-16 12:09:00")
    assert CADENCE.overdue_draws(last, now) == 2
    assert CADENCE.overdue_draws(last, now, timedelta(minutes=5, seconds=30)) == 1
    assert CADENCE.overdue_draws(last, now, timedelta(minutes=6)) == 0


@given(moments, spans)
def test_overdue_draws_counts_the_expected_ones(last: datetime, span: timedelta) -> None:
    expected, count = CADENCE.next_expected(last), 0
    while expected <= last + span:
        assert not CADENCE.in_maintenance(expected)
        expected, count = CADENCE.next_expected(expected), count + 1
    assert CADENCE.overdue_draws(last, last + span) == count


@given(moments, spans, spans)
def test_spans_add_up(start: datetime, first: timedelta, second: timedelta) -> None:
    middle, end = start + first, start + first + second
    assert CADENCE.open_time(start, middle) + CADENCE.open_time(middle, end) == CADENCE.open_time(start, end)
    split = CADENCE.expected_draws(start, middle) + CADENCE.expected_draws(middle, end)
    assert split == CADENCE.expected_draws(start, end)


@given(moments, spans)
def test_the_calendar_agrees_with_the_simulated_feed(start: datetime, span: timedelta) -> None:
    assert CADENCE.expected_draws(start, start + span) == len(SIMULATED.periods(start, start + span))


def test_settings_decide_interval_and_zone() -> None:
    cadence = Cadence.from_settings(Settings(draw_interval_seconds=20, maintenance_timezone="UTC"))
    assert cadence.interval == timedelta(seconds=20)
    assert cadence.in_maintenance(datetime(2025, 7, 16, 4, 30, tzinfo=UTC))
