"""What is waited for, and that nothing is that lies in the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.alerts.patience import History, Patience

NOW = datetime(2025, 10, 3, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PATIENCE = Patience(start=30 * MINUTE, catch_up=10 * MINUTE)


@pytest.mark.parametrize("has_passed", [False, True])
@pytest.mark.parametrize(("since", "waits"), [(9 * MINUTE, True), (31 * MINUTE, False), (-8 * 60 * MINUTE, False)])
def test_a_time_that_a_clock_ahead_has_stamped_is_not_waited_for(
    has_passed: bool, since: timedelta, waits: bool
) -> None:
    history = History(NOW - since, has_passed, NOW - since, NOW - since)
    assert PATIENCE.waits("check:fresh:x", history, NOW) is waits
