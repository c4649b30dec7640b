"""Times, lengths and numbers as readers of each language see them; days as squares."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from drawsguard.pages.day_squares import LEFT, STEP, TOP, Day, calendar
from drawsguard.pages.look import STATES, Look
from drawsguard.points.review.batch_state import BatchState
from drawsguard.settings import INCLUDE

ZH, EN = (Look(language, "/operations", "") for language in ("zh", "en"))
AT = datetime(2026, 3, 1, 20, 30, tzinfo=UTC)


def test_times_are_beijing_time_and_naive_ones_are_utc() -> None:
    assert ZH.when(AT) == ZH.when(AT.replace(tzinfo=None)) == "2026-03-02 04:30"
    assert ZH.when(None) == "–"
    assert (ZH.zone(), EN.zone()) == ("北京时间", "Beijing time")


@pytest.mark.parametrize(
    ("span", "zh", "en"),
    [
        (timedelta(days=3, hours=5), "3 天", "3 d"),
        (timedelta(hours=1, minutes=59), "1 小时", "1 h"),
        (timedelta(seconds=61), "1 分钟", "1 min"),
        (timedelta(seconds=-5), "0 秒", "0 s"),
    ],
)
def test_lengths_are_said_in_their_largest_unit(span: timedelta, zh: str, en: str) -> None:
    assert (ZH.lasting(span), EN.lasting(span)) == (zh, en)


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0, "0"), (1234567, "1,234,567"), (1234.56, "1,234.6")])
def test_numbers_have_separators(value: float | None, text: str) -> None:
    assert ZH.number(value) == text


def test_a_column_of_squares_is_a_week_from_monday() -> None:
    first = date(2026, 2, 27)  # a Friday
    drawing = calendar(Day(first + timedelta(days=n), "complete", str(n)) for n in range(5))
    assert [((one.x - LEFT) // STEP, (one.y - TOP) // STEP) for one in drawing.squares] == [
        (0, 4), (0, 5), (0, 6), (1, 0), (1, 1),
    ]  # fmt: skip
    assert drawing.months == ((LEFT, 3),)
    assert calendar([]).squares == ()


def test_every_stored_state_has_words_in_both_languages() -> None:
    schema = INCLUDE / "sql" / "mysql" / "schema" / "governance"
    texts = "".join((schema / file).read_text("utf-8") for file in ("lifecycle.sql", "cleanup.sql"))
    listed = re.findall(r"state +VARCHAR\(16\) +NOT NULL COMMENT '([^']+)'", texts)
    stored = {name for names in listed for name in names.split(", ")} - set(BatchState)
    assert stored - STATES.keys() == set()
    assert {"removed", "handed_over"} <= stored
    assert [ZH.state(name) for name in ("failed", "own", None, "later_state")] == ["失败", "自动", "–", "later_state"]
