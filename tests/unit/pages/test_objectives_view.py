"""How a month is judged against the objectives: what counts is the grid, not the log."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from drawsguard.pages.objectives_view import (
    KEPT_DAYS,
    KeptDays,
    LatencyDay,
    SyncDay,
    failures_by_day,
    kept_of,
    latency_by_day,
)

NOW = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)  # noon in Beijing


def synced(day: int, succeeded: int, first: datetime | None = None, billed: int = 0) -> SyncDay:
    return SyncDay(date(2026, 3, day), succeeded, first or datetime(2026, 3, day - 1, 16, tzinfo=UTC), billed)


def test_days_without_a_log_count_and_the_first_begins_with_the_first_interval() -> None:
    begun = datetime(2026, 3, 7, 10, tzinfo=UTC)  # 18:00 in Beijing: six hours are left of the day
    known = KeptDays((LatencyDay(date(2026, 3, 8), 400, 90, 310, 700),), (synced(7, 72, begun), synced(8, 287)))
    kept = kept_of(known, NOW)
    assert [(str(one.day), one.expected, one.failed) for one in kept.days] == [
        ("2026-03-07", 72, 0), ("2026-03-08", 288, 1), ("2026-03-09", 288, 288), ("2026-03-10", 143, 143),
    ]  # fmt: skip
    assert kept.expected == 791
    assert kept.allowed == pytest.approx(0.791)
    assert kept.left == pytest.approx(0.791 - 432)
    assert kept.share_left == 0
    assert [one.late for one in kept.days] == [False, True, False, False]
    assert kept.days[2].success == 0


def test_a_month_without_failure_keeps_its_budget() -> None:
    days = [synced(day, 288) for day in range(2, 10)]
    kept = kept_of(KeptDays((), (*days, synced(10, 143))), NOW)
    assert (kept.failed, kept.share_left, kept.success) == (0, 100, 100)


def test_no_sync_is_no_success() -> None:
    kept = kept_of(KeptDays((), ()), NOW)
    assert (kept.days, kept.success, kept.share_left) == ((), None, 0)


def test_the_bill_is_of_this_month() -> None:
    february = SyncDay(date(2026, 2, 28), 288, NOW - timedelta(days=12), 7)
    assert (
        kept_of(KeptDays((), (february, synced(2, 288, billed=5), synced(3, 288, billed=6))), NOW).billed_this_month
        == 11
    )


def test_charts_show_each_day_and_what_missed_its_objective() -> None:
    latency = tuple(LatencyDay(date(2026, 3, day), 400, 90, p95, 700) for day, p95 in ((8, 310), (9, 250)))
    kept = kept_of(KeptDays(latency, (synced(8, 288), synced(9, 280), synced(10, 143))), NOW)
    assert [bar.kind for bar in latency_by_day(kept).bars] == ["failed", "done", "unknown"]
    assert [bar.kind for bar in failures_by_day(kept).bars] == ["done", "failed", "done"]
    assert latency_by_day(kept).objective_y is not None
    assert failures_by_day(kept).objective_y is None
    assert len(kept_of(KeptDays((), (synced(2, 1, NOW - timedelta(days=90)),)), NOW).days) == KEPT_DAYS
