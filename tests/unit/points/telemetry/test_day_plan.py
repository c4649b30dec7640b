"""Which days a run covers and which of them it builds."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from drawsguard.points.telemetry.day_plan import (
    Fingerprint,
    StatisticsWindow,
    chunks,
    days_to_build,
    first_kept_day,
    run_date_of,
    window_of,
)

WINDOW = StatisticsWindow(date(2024, 7, 31), date(2024, 7, 28), date(2024, 7, 30))
DONE = Fingerprint(100, "20240731")


def test_the_window_is_the_complete_days_before_the_run() -> None:
    window = window_of(date(2024, 7, 31), 180)
    assert (window.first, window.last) == (date(2024, 2, 2), date(2024, 7, 30))
    assert len(window.days()) == 180


def test_a_window_survives_the_way_between_tasks() -> None:
    assert StatisticsWindow.parse(WINDOW.texts()) == WINDOW


def test_the_business_day_of_a_late_utc_hour_is_the_next_one() -> None:
    assert run_date_of(None, datetime(2024, 7, 30, 16, 30, tzinfo=UTC), "Asia/Shanghai") == date(2024, 7, 31)


def test_an_operator_may_choose_an_earlier_day_but_no_future_one() -> None:
    due = datetime(2024, 7, 30, 7, 0, tzinfo=UTC)
    assert run_date_of("2024-01-15", due, "Asia/Shanghai") == date(2024, 1, 15)
    with pytest.raises(ValueError, match="2024-07-31 is in the future"):
        run_date_of("2024-07-31", due, "Asia/Shanghai")


def test_only_new_and_late_days_are_built() -> None:
    source = {"2024-07-28": DONE, "2024-07-29": Fingerprint(101, "20240731"), "2024-07-30": DONE}
    built = {"2024-07-28": DONE, "2024-07-29": DONE}
    assert days_to_build(WINDOW, source, built, rebuild=False) == ["2024-07-29", "2024-07-30"]


def test_a_newer_commit_makes_a_day_late_although_its_rows_are_as_many() -> None:
    source = {"2024-07-28": Fingerprint(100, "20240801")}
    assert days_to_build(WINDOW, source, {"2024-07-28": DONE}, rebuild=False) == ["2024-07-28"]


def test_a_day_whose_source_vanished_is_built_so_that_nothing_of_it_stays() -> None:
    assert days_to_build(WINDOW, {}, {"2024-07-29": DONE}, rebuild=False) == ["2024-07-29"]


def test_a_rebuild_builds_every_day_that_is_there() -> None:
    source = {"2024-07-28": DONE, "2024-07-30": DONE}
    assert days_to_build(WINDOW, source, source, rebuild=True) == ["2024-07-28", "2024-07-30"]


def test_minutes_are_kept_for_some_days_before_the_window() -> None:
    assert first_kept_day(WINDOW, 30) == "2024-06-28"
    assert first_kept_day(WINDOW, 0) == str(WINDOW.first)


def test_days_are_split_into_statements() -> None:
    assert chunks(["a", "b", "c"], 2) == [["a", "b"], ["c"]]
    assert chunks([], 2) == []
