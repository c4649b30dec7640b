"""What the draws page says of stages, intervals, days and latency, by rows alone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from drawsguard.draws.cadence import Cadence
from drawsguard.pages.completeness import DayRow, completeness_of
from drawsguard.pages.draws_view import (
    STAGES,
    DrawRow,
    IntervalRow,
    Newest,
    latency_chart,
    percentile,
    strip_of,
)
from drawsguard.settings import INCLUDE, get_settings

NOW = datetime(2025, 10, 8, 8, 2, tzinfo=UTC)  # a Wednesday, 16:02 in Beijing, far from maintenance
MINUTE = timedelta(minutes=1)
CADENCE = Cadence.from_settings(get_settings())


def draw(ago: timedelta, *, synced: float | None = 150, computed: float | None = 300, **changes: Any) -> DrawRow:
    at = NOW - ago
    row = DrawRow(
        1000 - int(ago / timedelta(seconds=210)), at, at + timedelta(seconds=20), at + timedelta(seconds=20), False,
        [1, 2, 3], 6, "small", "even", None, None, 5.0, 1, 1, 3,
    )  # fmt: skip
    if synced is not None:
        row = row._replace(synced_at=at + timedelta(seconds=synced))
    if computed is not None:
        row = row._replace(computed_at=at + timedelta(seconds=computed))
    return row._replace(**changes)


def test_each_stage_is_judged_by_its_own_newest_draw() -> None:
    rows = (
        draw(2 * MINUTE, synced=None, computed=None),
        draw(16 * MINUTE, computed=None),
        draw(60 * MINUTE),
    )
    stages = {one.table.key: one for one in Newest(rows, {}).stages(NOW, CADENCE)}
    assert [(key, one.status, one.newest) for key, one in stages.items()] == [
        ("source", "fresh", rows[0]), ("target", "late", rows[1]), ("features", "stale", rows[2]),
    ]  # fmt: skip
    assert {one.status for one in Newest((), {}).stages(NOW, CADENCE)} == {"empty"}


def test_allowances_are_those_of_the_view() -> None:
    view = next((INCLUDE / "sql" / "bigquery" / "schema").glob("R__310_*.sql")).read_text("utf-8")
    found = re.findall(r"'((?:source|target)\.\w+)' AS table_name, '\w+' AS stage, (\d+) AS", view)
    assert {f"{one.dataset}.{one.table}": str(int(one.allowance.total_seconds())) for one in STAGES} == dict(found)


def test_latency_leaves_out_what_is_corrected_or_under_way() -> None:
    rows = (draw(MINUTE, synced=None), draw(2 * MINUTE, synced=999, corrected=True), draw(3 * MINUTE, synced=100))
    newest = Newest(rows, {})
    assert newest.latencies() == [100]
    chart = latency_chart(newest.by_hour())
    assert chart is not None
    assert len(chart.points) == 1
    assert latency_chart([]) is None


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.95, 4), (1, 4)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile([4, 1, 3, 2], share) == value


# --- intervals ------------------------------------------------------------------------------------------------
def attempt(start: datetime, status: str = "success", after: timedelta = MINUTE, dag_id: str = "draw_sync") -> Any:
    end = start + timedelta(minutes=5)
    return IntervalRow(start, end, dag_id, "r", status, 3, end + after, None)


def test_each_interval_of_the_grid_says_what_became_of_it() -> None:
    slots = [NOW.replace(hour=7, minute=minute) for minute in (0, 5, 10, 15, 20, 25, 30)]
    rows = [
        attempt(slots[0]),
        attempt(slots[1], after=10 * MINUTE),
        attempt(slots[2], "failed"),
        attempt(slots[3], "failed"),
        attempt(slots[3], dag_id="draw_sync_replay"),
        attempt(slots[4], "failed"),
        attempt(slots[6]),
    ]
    strip = strip_of(rows, [slots[4]], NOW, 4 * MINUTE)
    assert [one.kind for one in strip.intervals] == [
        "done", "late", "failed", "replayed", "replayed", "unrun", "done", "unrun", "unrun", "unrun", "unrun",
    ]  # fmt: skip
    assert strip.intervals[-1].start == datetime(2025, 10, 8, 7, 50, tzinfo=UTC), "the last ten minutes are not due"
    assert strip.success == pytest.approx(100 * 5 / 11)
    assert strip.budget == pytest.approx(0.011 - 6)


def test_no_attempt_is_no_success() -> None:
    strip = strip_of([], [], NOW, MINUTE)
    assert (strip.intervals, strip.success, strip.budget) == ((), None, None)


# --- days -----------------------------------------------------------------------------------------------------
def test_a_day_is_complete_only_when_no_period_is_missing_in_it_or_before_it() -> None:
    today = date(2026, 3, 10)
    rows = [
        DayRow(date(2026, 3, 5), 400, 1, 400),
        DayRow(date(2026, 3, 6), 390, 401, 800),  # ten within
        DayRow(date(2026, 3, 8), 400, 1201, 1600),  # a whole day before it
        DayRow(date(2026, 3, 9), 400, 1603, 2002),  # two over midnight
        DayRow(date(2026, 3, 10), 100, 2003, 2102),
    ]
    found = completeness_of(rows, today, 7)
    assert [(str(day), kind, gap) for day, kind, _, gap in found.days] == [
        ("2026-03-04", "before", 0), ("2026-03-05", "complete", 0), ("2026-03-06", "few", 10),
        ("2026-03-07", "none", 0), ("2026-03-08", "many", 400), ("2026-03-09", "few", 2), ("2026-03-10", "complete", 0),
    ]  # fmt: skip
    assert found.missing == 412
    assert completeness_of([], today, 3).count("before") == 3
