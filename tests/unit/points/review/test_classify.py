"""Which points are candidates, in which class, and why the others are not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from drawsguard.points.definitions import Definition
from drawsguard.points.policy import get_policy
from drawsguard.points.review.classify import Outcome, PointClass, class_of, classify
from drawsguard.points.review.usage import UNUSED, UsageIndex
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.oper_type import parser

START = datetime.fromisoformat("2024-02-02")
IN = datetime.fromisoformat("2024-07-01")


def definition(point: int, **changes: object) -> Definition:
    old = datetime.fromisoformat("2020-01-01")
    table = "define_nosdata_general"
    row = Definition(table, point, 1, "chenwei", "a", "b", "c", "normal", "redis_evt_A", "", IN, old)
    return row._replace(**changes)  # type: ignore[arg-type]


def outcome(definitions: list[Definition], *metrics: tuple[str, datetime, int]) -> Outcome:
    usage = UsageIndex(parser(points_config().oper_type_pattern), START)
    usage.add(metrics)
    return classify(definitions, usage, get_policy().selection, START)


@pytest.mark.parametrize(
    ("queries", "updates", "expected"),
    [(0, 0, PointClass.UNUSED), (2, 0, PointClass.READ_ONLY), (0, 2, PointClass.WRITE_ONLY), (1, 1, None)],
)
def test_class_of(queries: int, updates: int, expected: PointClass | None) -> None:
    assert class_of(UNUSED._replace(queries=queries, updates=updates)) is expected


def test_a_count_that_no_spreadsheet_keeps_is_no_candidates() -> None:
    found = outcome([definition(1), definition(2)], ("que_eid_1", IN, 10**15), ("que_eid_2", IN, 10**15 - 1))
    assert [candidate.definition.point_id for candidate in found.candidates] == [2]
    assert found.others == {"count of more than 15 digits, which no spreadsheet keeps": 1}


def test_each_class_is_found_and_points_in_use_are_left_alone() -> None:
    found = outcome(
        [definition(number) for number in (1, 2, 3, 4)],
        ("que_eid_1", IN, 1), ("upd_eid_2", IN, 1), ("que_eid_4", IN, 1), ("upd_eid_4", IN, 1),
    )  # fmt: skip
    classes = {candidate.definition.point_id: candidate.point_class for candidate in found.candidates}
    assert classes == {1: PointClass.READ_ONLY, 2: PointClass.WRITE_ONLY, 3: PointClass.UNUSED}
    assert found.others == {"in use": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cluster": "ssdb_evt_B"}, "cluster not selected"),
        ({"modeltype": "period"}, "modeltype not selected"),
        ({"created_time": START}, "younger than the window"),
        ({"created_time": IN}, "younger than the window"),
        ({"created_time": None}, "age unknown"),
        ({"point_id": 10**15}, "id of more than 15 digits, which no spreadsheet keeps"),
    ],
)
def test_a_point_that_may_not_be_a_candidate_is_none(changes: dict[str, object], reason: str) -> None:
    found = outcome([definition(1, **changes)])
    assert found.candidates == []
    assert found.others == {reason: 1}


def test_a_point_created_just_before_the_window_may_be_a_candidate() -> None:
    assert len(outcome([definition(1, created_time=START - timedelta(seconds=1))]).candidates) == 1


def test_one_row_that_may_not_go_bars_the_whole_point() -> None:
    found = outcome([definition(1), definition(1, table="define_nosdata_flag", cluster="redis_fish")])
    assert found.candidates == []
    assert found.others == {"cluster not selected": 1, "another live row is not selectable": 1}


def test_candidates_come_by_class_cluster_table_and_id() -> None:
    found = outcome([definition(3), definition(1), definition(2, cluster="redis_mq")])
    assert [candidate.definition.point_id for candidate in found.candidates] == [1, 3, 2]


def test_a_point_whose_telemetry_cannot_be_read_is_used_until_it_can() -> None:
    found = outcome([definition(number) for number in (1, 4, 5)], ("que_eid_v2_4", IN, 1), ("que_eid_5", IN, 1))
    assert [candidate.definition.point_id for candidate in found.candidates] == [5, 1]
    assert found.others == {"use unknown: telemetry of it cannot be read": 1}
