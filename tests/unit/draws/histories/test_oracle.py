"""The oracle of the histories against values worked out by hand, and against tables that are wrong on purpose."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawsguard.draws.features.definitions import COMPUTED_COLUMNS, HORIZON
from local.histories import oracle
from local.histories.oracle import Version, collected, features, newest, wrong_draws, wrong_features

NOON = datetime(2025, 10, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

Rows = list[dict[str, Any]]


def draw(period: int, numbers: tuple[int, int, int], **changes: Any) -> Version:
    at = NOON + (period - 100) * 210 * SECOND
    return replace(Version(period, at, numbers, at + 5 * SECOND), **changes)


#: Sums 20, 20, 7, (103 is missing), 8, 0, 20.
TRUTH = {
    version.period: version
    for version in (
        draw(100, (8, 8, 4)),
        draw(101, (9, 9, 2)),
        draw(102, (1, 2, 4)),
        draw(104, (3, 3, 2)),
        draw(105, (0, 0, 0)),
        draw(106, (5, 6, 9)),
    )
}


def test_the_oracle_shares_nothing_with_the_code() -> None:
    tree = ast.parse(open(oracle.__file__, encoding="utf-8").read())  # noqa: PTH123, SIM115
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"__future__", "collections", "collections.abc", "dataclasses", "datetime", "math", "typing"}


# --- versions ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({}, {"updated_at": NOON + 9 * SECOND}),
        ({"updated_at": NOON + 8 * SECOND}, {"updated_at": NOON + 9 * SECOND}),
        ({"updated_at": NOON + 8 * SECOND}, {"created_at": NOON + 9 * SECOND}),
        # Equally new: created later, then corrected rather than original, then drawn later, then the greater digits.
        ({"updated_at": NOON + 9 * SECOND}, {"created_at": NOON + 9 * SECOND}),
        ({"created_at": NOON + 9 * SECOND}, {"created_at": NOON + 9 * SECOND, "updated_at": NOON + 9 * SECOND}),
        ({"numbers": (9, 9, 9)}, {"timestamp": NOON + SECOND}),
        ({"numbers": (8, 8, 4)}, {"numbers": (8, 8, 5)}),
        ({"numbers": (8, 9, 9)}, {"numbers": (9, 0, 0)}),
    ],
)
def test_the_newest_version_counts(older: dict[str, Any], newer: dict[str, Any]) -> None:
    first, second = replace(draw(100, (8, 8, 4)), **older), replace(draw(100, (8, 8, 4)), **newer)
    assert newest([first, second]) == newest([second, first]) == {100: second}


def test_what_the_collector_keeps() -> None:
    stored = draw(100, (8, 8, 4))
    polled_at = NOON + 60 * SECOND
    assert collected([], stored, polled_at) == stored
    assert collected([stored], stored, polled_at) is None, "seen again"
    seen = replace(stored, numbers=(1, 1, 1), created_at=polled_at)
    assert collected([stored], seen, polled_at) == replace(stored, numbers=(1, 1, 1), updated_at=polled_at)
    dated = replace(seen, updated_at=NOON + 30 * SECOND)
    assert collected([stored], dated, polled_at) == replace(stored, numbers=(1, 1, 1), updated_at=NOON + 30 * SECOND)
    assert collected([replace(stored, updated_at=NOON + 40 * SECOND)], dated, polled_at) is None, "older than that"


# --- features ---------------------------------------------------------------------------------------------------
def test_features_by_hand() -> None:
    rows = features(TRUTH, horizon=5)
    assert rows.keys() == TRUTH.keys()
    third = rows[102]
    assert third["ts_utc"] == NOON + 420 * SECOND
    assert [third[name] for name in ("issue", "a", "b", "c", "sum")] == [102, 1, 2, 4, 7]
    assert [third[f"lag_{back}_sum"] for back in (1, 2, 3)] == [20, 20, None]
    assert third["rolling_avg_3"] == pytest.approx(47 / 3)
    assert third["rolling_std_3"] == pytest.approx(7.505553499465135)
    assert (third["big_count_3"], third["odd_count_3"]) == (2, 1)
    assert third["rolling_avg_5"] is third["rolling_std_20"] is third["big_count_10"] is None
    assert (third["streak_big_small"], third["streak_odd_even"]) == (1, 1)
    assert (rows[101]["streak_big_small"], rows[101]["streak_odd_even"]) == (2, 2)
    assert (third["digit_span"], third["digit_repeats"]) == (3, 0)
    assert (rows[104]["digit_span"], rows[104]["digit_repeats"]) == (1, 1)
    assert rows[105]["digit_repeats"] == 2
    assert (rows[100]["same_sum_gap"], rows[101]["same_sum_gap"]) == (None, 1)


def test_a_hole_by_hand() -> None:
    rows = features(TRUTH, horizon=5)
    assert [rows[104][f"lag_{back}_sum"] for back in (1, 2, 3)] == [None, 7, 20], "the place counts, not the neighbour"
    assert rows[104]["streak_big_small"] == 1, "small as 102, but 103 is missing"
    assert rows[105]["streak_odd_even"] == 2
    assert rows[106]["rolling_avg_3"] == pytest.approx(28 / 3)
    assert rows[105]["rolling_avg_3"] is None


def test_the_horizon_by_hand() -> None:
    at_five, at_four = features(TRUTH, horizon=5), features(TRUTH, horizon=4)
    assert at_five[106]["same_sum_gap"] == 5, "exactly the horizon is within it"
    assert at_four[106]["same_sum_gap"] is None
    assert (at_five[105]["since_sum_20"], at_four[105]["since_sum_20"]) == (4, 4)
    assert features(TRUTH, horizon=3)[105]["since_sum_20"] is None
    assert (at_five[106]["since_sum_20"], at_five[106]["since_sum_00"], at_five[106]["since_sum_27"]) == (0, 1, None)
    alike = {period: draw(period, (9, 9, 9)) for period in range(100, 110)}
    assert [row["streak_big_small"] for row in features(alike, horizon=4).values()] == [1, 2, 3, *[4] * 7]


def test_every_column_of_the_table_is_judged() -> None:
    """The names are compared here, and nowhere in the oracle: a new feature needs a definition of its own there."""
    assert list(features(TRUTH, HORIZON)[100]) == list(COMPUTED_COLUMNS)


# --- comparison -------------------------------------------------------------------------------------------------
def right_draws() -> Rows:
    return [
        {
            "period": version.period, "timestamp": version.timestamp, "numbers": list(version.numbers),
            "sum_value": sum(version.numbers), "big_small": "big" if sum(version.numbers) >= 14 else "small",
            "odd_even": "odd" if sum(version.numbers) % 2 else "even", "created_at": version.created_at,
            "updated_at": version.updated_at, "synced_at": NOON,
        }
        for version in TRUTH.values()
    ]  # fmt: skip


def right_features() -> Rows:
    return [row | {"computed_at": NOON} for row in features(TRUTH, 5).values()]


def test_right_tables_have_no_mismatch() -> None:
    assert wrong_draws(TRUTH, right_draws()) == []
    assert wrong_features(features(TRUTH, 5), right_features()) == []


def changed(index: int, **values: Any) -> Callable[[Rows], Rows]:
    return lambda rows: [*rows[:index], rows[index] | values, *rows[index + 1 :]]


@pytest.mark.parametrize(
    ("spoil", "period", "problem"),
    [
        (lambda rows: rows[1:], 100, "missing"),
        (lambda rows: [*rows, rows[2]], 102, "doubled"),
        (lambda rows: [*rows, rows[2] | {"timestamp": NOON - timedelta(days=9)}], 102, "doubled"),
        (lambda rows: [*rows, rows[0] | {"period": 103}], 103, "foreign"),
        (changed(1, timestamp=NOON), 101, "stale"),
        (changed(1, numbers=[9, 2, 9]), 101, "stale"),
        (changed(1, sum_value=21), 101, "stale"),
        (changed(1, odd_even="odd"), 101, "stale"),
        (changed(1, updated_at=NOON), 101, "stale"),
    ],
)
def test_a_wrong_draw_is_found(spoil: Callable[[Rows], Rows], period: int, problem: str) -> None:
    found = wrong_draws(TRUTH, spoil(right_draws()))
    assert (found[0].table, found[0].period, found[0].problem) == ("draws", period, problem)


@pytest.mark.parametrize(
    ("spoil", "period", "problem", "named"),
    [
        (lambda rows: rows[1:], 100, "missing", ""),
        (lambda rows: [*rows, rows[2]], 102, "doubled", "2 rows"),
        (lambda rows: [*rows, rows[0] | {"issue": 103}], 103, "foreign", ""),
        (changed(2, rolling_avg_3=15.6667), 102, "wrong", "rolling_avg_3"),
        (changed(2, rolling_avg_3=None), 102, "wrong", "rolling_avg_3 is None"),
        (changed(3, lag_1_sum=7), 104, "wrong", "lag_1_sum is 7, has to be None"),
        (changed(5, same_sum_gap=6), 106, "wrong", "same_sum_gap is 6, has to be 5"),
        (changed(5, ts_utc=NOON), 106, "wrong", "ts_utc"),
        (changed(5, since_sum_28=1), 106, "wrong", "since_sum_28"),
    ],
)
def test_a_wrong_feature_is_found(spoil: Callable[[Rows], Rows], period: int, problem: str, named: str) -> None:
    (found,) = wrong_features(features(TRUTH, 5), spoil(right_features()))
    assert (found.table, found.period, found.problem) == ("draws_14w", period, problem)
    assert named in found.detail


def test_a_lost_column_is_found() -> None:
    rows = [{name: value for name, value in row.items() if name != "since_sum_27"} for row in right_features()]
    assert len(wrong_features(features(TRUTH, 5), rows)) == len(TRUTH)
    assert "since_sum_27 is no such column" in str(wrong_features(features(TRUTH, 5), rows)[0])


def test_floats_are_compared_with_a_tolerance() -> None:
    rows = right_features()
    rows[2]["rolling_std_3"] *= 1 + 1e-12
    assert wrong_features(features(TRUTH, 5), rows) == []
    rows[2]["rolling_std_3"] *= 1 + 1e-6
    assert len(wrong_features(features(TRUTH, 5), rows)) == 1
