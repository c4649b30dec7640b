"""Use of points from metric rows: alone, through tags, in the window."""

from __future__ import annotations

from datetime import datetime

import pytest

from drawsguard.points.review.usage import UNUSED, UsageIndex
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.oper_type import parser

START = datetime.fromisoformat("2024-02-02")
IN = datetime.fromisoformat("2024-07-01 12:30")
LATER = datetime.fromisoformat("2024-07-02 08:00")
BEFORE = datetime.fromisoformat("2024-02-01 23:59")


@pytest.fixture
def index() -> UsageIndex:
    return UsageIndex(parser(points_config().oper_type_pattern), START)


def test_counts_and_last_times_of_one_point(index: UsageIndex) -> None:
    index.add([("que_eid_1", IN, 3), ("upd_eid_1", LATER, 5), ("que_eid_1", LATER, 4)])
    used = index.of(1)
    assert (used.queries, used.last_query, used.updates, used.last_update) == (7, LATER, 5, LATER)
    assert used.last_query_by_tag is None


def test_use_through_a_tag_counts_for_each_of_its_points_once(index: UsageIndex) -> None:
    index.add([("que_eid_1", IN, 2), ("que_tag_77", LATER, 10)])
    assert index.spread_tags({77: [1, 2, 2]}) == []
    assert (index.of(1).queries, index.of(1).last_query, index.of(1).last_query_by_tag) == (12, IN, LATER)
    assert (index.of(2).queries, index.of(2).last_query, index.of(2).last_query_by_tag) == (10, None, LATER)


def test_rows_from_before_the_window_or_without_a_count_are_no_use(index: UsageIndex) -> None:
    index.add([("que_eid_1", BEFORE, 9), ("upd_eid_1", IN, 0), ("que_tag_5", BEFORE, 9)])
    index.spread_tags({5: [1]})
    assert index.of(1) == UNUSED


def test_the_first_moment_of_the_window_is_in_it(index: UsageIndex) -> None:
    index.add([("que_eid_1", START, 1)])
    assert index.of(1).queries == 1


def test_a_used_tag_that_nobody_defines_is_named(index: UsageIndex) -> None:
    index.add([("upd_tag_8", IN, 1)])
    assert index.spread_tags({}) == [8]


def test_unreadable_metrics_are_counted_and_sampled_but_check_count_is_not(index: UsageIndex) -> None:
    index.add([("checkCount", IN, 1440), ("que_eid_1", IN, 1), ("QUE-EID-1", IN, 1), ("que_eid_", IN, 1)])
    assert (index.unknown.rows, index.unknown.total) == (2, 3)
    assert index.unknown.samples == ["QUE-EID-1", "que_eid_"]
    assert index.unknown.percent == pytest.approx(66.67, abs=0.01)


def test_errors_are_no_use_and_no_unreadable_metric(index: UsageIndex) -> None:
    index.add([("err_eid_1", IN, 5)])
    assert index.of(1) == UNUSED
    assert (index.unknown.rows, index.unknown.total) == (0, 1)


def test_a_new_kind_of_metric_makes_its_points_and_its_tags_points_unknown(index: UsageIndex) -> None:
    index.add([("que_eid_v2_1024", IN, 1), ("upd_tag_v2_77", IN, 1), ("que_eid_5", IN, 1)])
    index.spread_tags({77: [8, 9], 78: [10]})
    assert {point for point in (1024, 77, 2, 8, 9, 5, 10, 3) if index.is_unreadable(point)} == {1024, 77, 2, 8, 9}


def test_an_operation_that_the_report_does_not_know_is_not_no_use() -> None:
    index = UsageIndex(parser("^(?P<operation>que|upd|err|del)_(?P<kind>eid|tag)_(?P<number>[0-9]+)$"), START)
    index.add([("del_eid_1", IN, 1), ("del_tag_2", IN, 1)])
    index.spread_tags({2: [7]})
    assert [point for point in (1, 2, 7, 8) if index.is_unreadable(point)] == [1, 2, 7]
