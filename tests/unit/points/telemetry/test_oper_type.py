"""Reading an oper_type: what is ours is read in full, what is not is None."""

from __future__ import annotations

import pytest

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.oper_type import OperType, hive_pattern, numbers_in, parser

PARSE = parser(points_config().oper_type_pattern)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("que_eid_1024", OperType("que", "eid", 1024)),
        ("upd_tag_77", OperType("upd", "tag", 77)),
        ("upd_eid_0", OperType("upd", "eid", 0)),
        ("que_tag_000123456789012345", OperType("que", "tag", 123456789012345)),
    ],
)
def test_reads_operation_kind_and_number(text: str, expected: OperType) -> None:
    assert PARSE(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "checkCount", "que_eid_", "del_eid_7", "que_user_12", "UPD_EID_5", "que_eid_1 ", "que_eid_1\n", "que_eid_٣",
     "que_eid_1234567890123456789", "que_eid_1 OR 1=1", "que_eid_-5"],
)  # fmt: skip
def test_reads_nothing_else(text: str) -> None:
    assert PARSE(text) is None


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("que_eid_v2_1024", {2, 1024}), ("que_eid_3?", {3}), ("QUE-EID-7", {7}), ("del_tag_0012", {12}),
     ("que_eid_", set()), ("que_eid_1234567890123456789", set())],
)  # fmt: skip
def test_what_cannot_be_read_may_mean_any_number_in_it(text: str, numbers: set[int]) -> None:
    assert PARSE(text) is None
    assert numbers_in(text) == numbers


def test_a_pattern_without_the_three_groups_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs .'kind', 'number', 'operation'"):
        parser(r"^(que|upd)_(?P<kind>eid)_(?P<number>\d+)$")


def test_a_broken_pattern_is_refused_with_the_place_to_correct() -> None:
    with pytest.raises(ValueError, match=r"oper_type_pattern .* is not a regular expression"):
        parser("(?P<operation>")


def test_the_pattern_is_written_for_java_without_the_p() -> None:
    assert hive_pattern(r"^(?P<operation>que|upd)_(?P<kind>eid)$") == r"^(?<operation>que|upd)_(?<kind>eid)$"
