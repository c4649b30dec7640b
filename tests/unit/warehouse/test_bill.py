"""The rules of the bill, and how far back a statement reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.sql import render
from drawsguard.warehouse.bill import MB, VIEW_LAG, billed_bytes, readings, streaming_dollars
from drawsguard.warehouse.references import definitions

NOW = datetime(2026, 3, 3, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("read", "megabytes"),
    [
        ([], 10),  # no table: what is promised nowhere is not relied on
        ([0], 10),
        ([5 * MB, 5 * MB], 20),  # each table has its minimum
        ([10 * MB + 1], 11),  # whole MB
        ([1, 300 * MB], 310),
    ],
)
def test_a_query_is_billed_by_table(read: list[int], megabytes: int) -> None:
    assert billed_bytes(read) == megabytes * MB


def test_streamed_rows_count_as_a_kilobyte_at_least() -> None:
    assert streaming_dollars([10] * 1024) == pytest.approx(0.01 / 200)
    assert streaming_dollars([4096]) == pytest.approx(4 * streaming_dollars([1]))


@pytest.mark.parametrize(
    ("statement", "reach"),
    [
        ("SELECT a FROM `p.d.t`", None),
        ("SELECT a FROM `p.d.t` WHERE at >= @since", 3 * DAY),
        ("SELECT a FROM `p.d.t` WHERE at >= TIMESTAMP_SUB(@since, INTERVAL 9 DAY)", 9 * DAY),
        ("SELECT a FROM `p.d.t` WHERE at >= TIMESTAMP '2026-02-01 00:00:00+00'", 30 * DAY),
        ("SELECT a FROM `p.d.week`", 7 * DAY),
        # The same table without bounds elsewhere: all of it.
        ("SELECT a FROM `p.d.week` JOIN `p.d.all` USING (a)", None),
    ],
)
def test_the_reach_is_the_widest_that_a_bound_allows(statement: str, reach: timedelta | None) -> None:
    known = definitions(
        [
            "CREATE VIEW `p.d.week` AS SELECT a FROM `p.d.t` WHERE at >= TIMESTAMP_SUB(NOW(), INTERVAL 7 DAY)",
            "CREATE VIEW `p.d.all` AS SELECT a FROM `p.d.t`",
        ]
    )
    assert readings(statement, {"since": NOW - 3 * DAY}, NOW, known)["p.d.t"].reach == reach


def test_of_a_table_behind_a_materialized_view_the_changed_days_are_read() -> None:
    known = definitions(["CREATE MATERIALIZED VIEW `p.d.mv` AS SELECT COUNT(*) AS n FROM `p.d.t` GROUP BY at"])
    hourly = readings("SELECT n FROM `p.d.mv`", {}, NOW, known)
    assert {name: one.reach for name, one in hourly.items()} == {"p.d.mv": None, "p.d.t": VIEW_LAG}
    both = readings("SELECT n, a FROM `p.d.mv` JOIN `p.d.t` USING (at)", {}, NOW, known)
    assert both["p.d.t"].reach is None


def test_the_reach_of_a_monitoring_view_is_found_through_its_function() -> None:
    text = render("bigquery/monitoring/read_view.sql", view="collection_quality_v", columns=["missing_periods"])
    found = readings(text, {}, NOW)
    assert {name.split(".", 1)[1]: one.reach for name, one in found.items()} == {
        "drawsguard.draws": 9 * DAY, "pc28.draws": 9 * DAY, "drawsguard.draws_quarantine": 9 * DAY,
    }  # fmt: skip
    assert "period" in found["wprojectl.drawsguard.draws"].columns
