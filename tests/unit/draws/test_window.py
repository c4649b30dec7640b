"""Which span a sync run covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from drawsguard.draws.sync.target import Difference, SyncPlan, describe
from drawsguard.draws.window import (
    InvalidRangeError,
    SyncRequest,
    Window,
    latest_slot,
    requested_range,
    sync_request,
    sync_window,
)

NOON = datetime(2025, 10, 3, 12, tzinfo=UTC)
SLOT = timedelta(minutes=5)
HOUR = timedelta(hours=1)
INTERVAL = Window(NOON, NOON + SLOT)


def test_a_window_is_kept_in_utc() -> None:
    beijing = timezone(timedelta(hours=8))
    window = Window(datetime(2025, 10, 3, 20, tzinfo=beijing), datetime(2025, 10, 3, 21, tzinfo=beijing))
    assert window == Window(NOON, NOON + HOUR)
    assert str(window) == "[2025-10-03T12:00:00+00:00, 2025-10-03T13:00:00+00:00)"


@pytest.mark.parametrize(("start", "end"), [(NOON, NOON), (NOON + HOUR, NOON), (NOON.replace(tzinfo=None), NOON)])
def test_an_empty_or_naive_window_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(ValueError, match="Window"):
        Window(start, end)


def test_lookback_and_watermark_extend_an_interval() -> None:
    request = SyncRequest(INTERVAL, "interval")
    assert sync_window(request, HOUR, None).start == NOON - HOUR
    assert sync_window(request, HOUR, NOON).start == NOON - HOUR
    assert sync_window(request, HOUR, NOON - 9 * HOUR) == Window(NOON - 9 * HOUR, NOON + SLOT)
    assert sync_window(request, HOUR, NOON + 30 * HOUR).start == NOON - HOUR  # a backfill of old intervals


def test_a_range_is_taken_as_asked_for() -> None:
    assert sync_window(SyncRequest(INTERVAL, "range"), HOUR, NOON - 9 * HOUR) == INTERVAL


def test_params_win_over_the_interval() -> None:
    params = {"from": "2025-10-03T20:00:00+08:00", "to": "2025-10-03T13:00:00Z", "dry_run": True}
    assert sync_request(params, INTERVAL, NOON, SLOT) == SyncRequest(Window(NOON, NOON + HOUR), "range", dry_run=True)


def test_without_params_the_interval_or_the_last_slot() -> None:
    assert sync_request({}, INTERVAL, NOON, SLOT) == SyncRequest(INTERVAL, "interval")
    late = NOON + timedelta(minutes=9, seconds=59)
    assert sync_request({}, None, late, SLOT) == SyncRequest(INTERVAL, "interval")
    assert latest_slot(NOON + SLOT, SLOT) == INTERVAL


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2025-10-03T00:00:00Z", None),
        (None, "2025-10-03T00:00:00Z"),
        ("yesterday", "2025-10-03T00:00:00Z"),
        ("2025-10-03T00:00:00", "2025-10-03T01:00:00"),
        ("2025-10-03T01:00:00Z", "2025-10-03T00:00:00Z"),
        ("2025-10-03T00:00:00Z", "2025-10-03T00:00:00Z"),
    ],
)
def test_a_wrong_range_is_refused_with_what_was_given(start: str | None, end: str | None) -> None:
    with pytest.raises(InvalidRangeError, match="Nothing was run") as caught:
        requested_range(start, end)
    assert repr(start) in str(caught.value)


def test_a_plan_survives_xcom() -> None:
    plan = SyncPlan(INTERVAL, Window(NOON - HOUR, NOON + HOUR), 1, 9, NOON, dry_run=True)
    assert SyncPlan.from_json(plan.to_json()) == plan


def test_a_description_counts_all_and_names_some() -> None:
    text = describe([Difference(period, "missing", "v", None) for period in range(1, 31)])
    assert text.startswith("30 missing\nmissing: 1, 2,")
    assert "and 10 more" in text
    assert "period 1: expected v, actual None" in text
    assert describe([]) == "no difference"
