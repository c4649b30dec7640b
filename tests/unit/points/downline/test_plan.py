"""Plans as data: digest, counts, chunks, and what happens when points are taken out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drawsguard.points.definitions import Membership, Row, Tag
from drawsguard.points.downline.journal import PlannedRow
from drawsguard.points.downline.plan import Plan, numbered
from drawsguard.points.policy import POLICY_FILE, load_policy

GENERAL, TAGS = "define_nosdata_general", "define_nostag_general"


def row(number: int, kind: str = "point", table: str = GENERAL, status: int = 1, identity: str = "i") -> PlannedRow:
    return PlannedRow(kind, table, number, identity, status, "2021-01-01 00:00:00", "redis_evt_A", 0)  # type: ignore[arg-type]


def plan(*rows: PlannedRow, done: frozenset[PlannedRow] = frozenset()) -> Plan:
    return Plan("b1", "intranet", "downline", tuple(sorted(rows)), (), done)


def test_the_digest_binds_every_value_of_every_row_and_where_it_goes() -> None:
    base = plan(row(1), row(2))
    others = [
        plan(row(1)),
        plan(row(1), row(3)),
        plan(row(1), row(2, status=2)),
        plan(row(1), row(2)._replace(last_modify_time="2021-01-01 00:00:01")),
        plan(row(1), row(2, identity="j")),
        replace(base, batch_id="b2"),
        replace(base, environment="extranet"),
        replace(base, action="restore"),
    ]
    assert len({base.digest, *[other.digest for other in others]}) == 9


def test_the_digest_stays_while_the_plan_is_carried_out() -> None:
    base = plan(row(1), row(2))
    halfway = plan(row(1), row(2), done=frozenset({row(1)}))
    assert halfway.digest == base.digest
    assert halfway.pending == (row(2),)


@given(ids=st.lists(st.integers(1, 20), max_size=60), size=st.integers(1, 9))
def test_chunks_cover_every_row_once_and_never_split_an_id(ids: list[int], size: int) -> None:
    rows = [("point", GENERAL, Row(number, "i", 1, "", "")) for number in ids]
    made = plan(*numbered(rows))  # type: ignore[arg-type]
    chunks = [chunk for _, _, chunk in made.chunks(size)]
    assert [r for chunk in chunks for r in chunk] == list(made.rows)
    places = [{r.row_id for r in chunk} for chunk in chunks]
    assert sum(len(place) for place in places) == len(set(ids))
    assert all(len(chunk) - size < max(ids.count(r.row_id) for r in chunk) for chunk in chunks)


def test_a_chunk_holds_one_table_and_points_come_before_tags() -> None:
    made = plan(row(5, "tag", TAGS), row(1), row(2, table="define_nosdata_mqzdr"))
    assert [table for _, table, _ in made.chunks(100)] == [GENERAL, "define_nosdata_mqzdr", TAGS]


def test_equal_rows_are_told_apart() -> None:
    rows = numbered([("point", GENERAL, Row(1, "i", 1, "", "")), ("point", GENERAL, Row(1, "i", 1, "", ""))])
    assert [r.ordinal for r in rows] == [0, 1]


def test_taking_a_point_out_takes_its_rows_and_the_tags_that_keep_a_live_member() -> None:
    made = plan(row(1), row(2), row(7, "tag", TAGS), row(8, "tag", TAGS))
    tags = [Tag(TAGS, 7, 1, frozenset({1, 2})), Tag(TAGS, 8, 1, frozenset({1}))]
    left = made.without(frozenset({2}), "was used", Membership(tags, frozenset({1, 2})))
    assert [(r.kind, r.row_id) for r in left.rows] == [("point", 1), ("tag", 8)]
    assert [(d.kind, d.row_id, d.reason) for d in left.differences] == [
        ("point", 2, "was used"),
        ("tag", 7, "a point of the tag was removed"),
    ]


@pytest.mark.parametrize(
    ("members", "status", "live", "within"),
    [
        ({1, 2}, 1, {1, 2, 3}, True),
        ({1, 2, 9}, 1, {1, 2}, True),  # 9 is dead already
        ({1, 3}, 1, {1, 2, 3}, False),
        ({1, 2}, 0, {1, 2}, False),
        ({8, 9}, 1, {1, 2}, False),  # nobody of it is alive: not ours to bury
        (set(), 1, {1, 2}, False),
    ],
)
def test_which_tags_go_with_points_1_and_2(members: set[int], status: int, live: set[int], within: bool) -> None:
    tag = Tag(TAGS, 7, status, frozenset(members))
    assert bool(Membership([tag], frozenset(live)).fully_within(frozenset({1, 2}))) is within


def test_points_are_counted_not_rows() -> None:
    counts = plan(row(1), row(1, status=2), row(2), row(7, "tag", TAGS)._replace(cluster="")).counts()
    assert counts["points"] == {"total": 2, "by_cluster": {"redis_evt_A": 2}, "by_table": {GENERAL: 2}}
    assert counts["tags"] == {"total": 1, "by_cluster": {}, "by_table": {TAGS: 1}}


def test_rules_are_refused_when_a_name_is_unknown_or_a_value_out_of_range(tmp_path: Path) -> None:
    text = POLICY_FILE.read_text(encoding="utf-8")
    path = tmp_path / "downline.yaml"
    for broken, field in (
        (text.replace("percent: 40", "percent: 400"), "caps.percent"),
        (text.replace("second_above_rows: 500", "second_above: 500"), "second_above"),
        (
            text.replace("clusters: [redis_mq, redis_evt_A, redis_evt_old, redis_evt_AA, redis_flag]", "clusters: []"),
            "clusters",
        ),
    ):
        path.write_text(broken, encoding="utf-8")
        with pytest.raises(ValidationError, match=field):
            load_policy(path)
