"""Which hours are complete, how they are drawn, and what an address names."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from drawsguard.pages.completeness import (
    HOUR,
    HourRow,
    days_of,
    hour_at,
    hour_map,
    hours_of,
    missing_in,
)

BEGIN = datetime(2026, 3, 1, 0, tzinfo=UTC)  # 08:00 in Beijing


def row(hour: int, draws: int, first: int, last: int) -> HourRow:
    return HourRow(BEGIN + hour * HOUR, draws, first, last)


def test_an_hour_is_complete_only_when_no_period_is_missing_in_it_or_before_it() -> None:
    rows = [
        row(0, 17, 1, 17),
        row(1, 16, 18, 34),  # one within
        row(2, 17, 37, 53),  # two before it
        row(4, 17, 54, 70),  # an hour in which no draw was due
        row(6, 17, 88, 104),  # a whole hour is missing
    ]
    found = hours_of(rows, BEGIN + 8 * HOUR)
    assert [(one.kind, one.missing) for one in found] == [
        ("complete", 0), ("few", 1), ("few", 2), ("quiet", 0), ("complete", 0), ("none", 0), ("many", 17),
        ("before", 0), ("before", 0),
    ]  # fmt: skip
    assert [one.hour for one in found] == [BEGIN + number * HOUR for number in range(9)]
    assert hours_of([], BEGIN) == []


def test_hours_add_up_to_business_days() -> None:
    rows = [row(15, 17, 1, 17), row(16, 16, 18, 34), row(17, 2, 35, 36)]  # midnight in Beijing is 16:00 UTC
    days = days_of(rows)
    assert [(str(one.day), one.draws, one.first_period, one.last_period) for one in days] == [
        ("2026-03-01", 17, 1, 17), ("2026-03-02", 18, 18, 36),
    ]  # fmt: skip


def test_a_year_is_drawn_with_each_flawed_hour_alone() -> None:
    rows = [row(hour, 17, hour * 17 + 1, hour * 17 + 17) for hour in range(72) if hour != 30]
    drawn = hour_map(hours_of(rows, BEGIN + 71 * HOUR), date(2026, 3, 4), "draws", "missing")
    alone = [one for one in drawn.stretches if one.at]
    assert [(one.kind, one.at) for one in alone] == [("none", "2026-03-02T14"), ("many", "2026-03-02T15")]
    assert len(drawn.stretches) < 24 * 4 + 10, "what is alike is drawn together"
    for hour in range(24):
        y = drawn.top + hour * drawn.step_y
        assert sum(one.width for one in drawn.stretches if one.y == y) == 365 * drawn.step_x


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-03-01T08", BEGIN),
        ("2026-03-01T08:59", BEGIN),
        ("2026-03-01", BEGIN - 8 * HOUR),
        ("2026-03-01T08:00+00:00", None),
        ("0001-01-01T00", None),
        ("<script>", None),
        ("", None),
    ],
)
def test_an_address_names_an_hour_in_business_time(text: str, hour: datetime | None) -> None:
    assert hour_at(text) == hour


def test_missing_periods_are_named() -> None:
    assert missing_in([5, 6, 9], None) == [7, 8]
    assert missing_in([5, 6], 3) == [3, 4]
    assert missing_in([], 3) == []
    assert timedelta(hours=1) == HOUR
