"""What the daily inspections have found to be billed: counted once, of this month, and unknown where nobody has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.monitoring.known_bill import BilledPeriod, from_results, known_bill, to_result
from drawsguard.warehouse.bill import GIB

DAY = timedelta(days=1)
MONTH = datetime(2026, 3, 1, tzinfo=UTC)


def period(day: float, gib: int = 1, days: float = 1) -> BilledPeriod:
    return BilledPeriod(MONTH + day * DAY, MONTH + (day + days) * DAY, gib * GIB)


def test_what_was_found_comes_back() -> None:
    result = {"file": "x", "subject": "y"} | to_result(MONTH, MONTH + DAY, {"draw_sync": 2 * GIB, "heartbeat": GIB})
    assert from_results([result, {"file": "an older version's"}, None]) == [period(0, 3)]
    assert to_result(MONTH, MONTH + DAY, {}) == {}, "what is not known is not nothing"


def test_the_month_is_added_up_and_goes_on_at_its_rate() -> None:
    found = known_bill([period(2, 3), period(-1, 50), period(0, 1), period(1, 2)], MONTH)
    assert found is not None
    assert (found.gib, found.days, found.until) == (6, 3, MONTH + 3 * DAY)
    assert found.month_gib == pytest.approx(62)


def test_an_inspection_that_was_run_again_counts_once() -> None:
    found = known_bill([period(0), period(1), period(1), period(0.5)], MONTH)
    assert found is not None
    assert found.periods == (period(0), period(1))


def test_a_month_of_which_nothing_is_known_has_no_bill() -> None:
    assert known_bill([], MONTH) is None
    assert known_bill([period(-1), period(0, days=0)], MONTH) is None
