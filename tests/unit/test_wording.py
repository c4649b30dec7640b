"""Numbers, times and durations in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from drawsguard.wording import business_moment, cell, duration_en, duration_zh, moment, number, span

NOON = datetime(2025, 10, 3, 4, 0, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NOON, "2025-10-03 12:00 北京时间"),
        (NAIVE, "2025-10-03 12:00 北京时间"),
        (NOON + timedelta(seconds=5), "2025-10-03 12:00:05 北京时间"),
        ("2025-10-03 04:00:00", "2025-10-03 12:00 北京时间"),
        ("2025-10-03T04:00:00+00:00", "2025-10-03 12:00 北京时间"),
        ("2025-10-03", "2025-10-03"),
        ("late: no time", "late: no time"),
        (None, "—"),
    ],
)
def test_a_moment_names_its_zone(value: datetime | str | None, text: str) -> None:
    assert moment(value) == text


def test_business_time_is_not_shifted_again() -> None:
    assert business_moment(NAIVE) == "2025-10-03 04:00 北京时间"


def test_an_interval_names_the_day_of_its_end_only_where_it_is_another() -> None:
    assert span(NOON, NOON + timedelta(minutes=5)) == "2025-10-03 12:00–12:05 北京时间"
    assert span(NOON, NOON + timedelta(hours=13)) == "2025-10-03 12:00–2025-10-04 01:00 北京时间"


@pytest.mark.parametrize(
    ("seconds", "chinese", "english"),
    [
        (0, "0 秒", "0 seconds"),
        (1, "1 秒", "1 second"),
        (2.4, "2.4 秒", "2.4 seconds"),
        (59.7, "1 分钟", "1 minute"),
        (240, "4 分钟", "4 minutes"),
        (3900, "1 小时 5 分钟", "1 hour 5 minutes"),
        (86_400, "1 天", "1 day"),
        (timedelta(days=30, hours=2, minutes=5), "30 天 2 小时", "30 days 2 hours"),
    ],
)
def test_a_duration_is_in_words(seconds: float | timedelta, chinese: str, english: str) -> None:
    assert (duration_zh(seconds), duration_en(seconds)) == (chinese, english)


def test_numbers_have_separators_and_cells_have_words() -> None:
    assert [number(value) for value in (1234567, 1234.5, 100.0, None)] == ["1,234,567", "1,234.5", "100", "—"]
    assert [cell(value) for value in (True, False, None, "", 1234, date(2025, 10, 3), "a")] == [
        "是 yes", "否 no", "—", "—", "1,234", "2025-10-03", "a",
    ]  # fmt: skip
