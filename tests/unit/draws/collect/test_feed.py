"""Answers of the feed: good rows become draws, each broken rule is named, and nothing else escapes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawsguard.draws.collect.feed import (
    RAW_LIMIT,
    Answer,
    AnswerAllRejectedError,
    AnswerNotJsonError,
    AnswerPagesError,
    AnswerRefusedError,
    AnswerWithoutDataError,
    FeedError,
    parse_answer,
    require_draws,
)
from drawsguard.draws.model import Draw

POLLED = datetime(2025, 10, 3, 13, 0, tzinfo=UTC)
ROW: dict[str, Any] = {
    "nbr": 3342803,
    "date": "2025-10-03",
    "time": "20:43:30",
    "number": "8+8+4",
    "combination": "大双",
    "sum": 20,
    "keno": "7,8,14,16,17,22,26,34,39,41,42,48,54,58,63,64,69,72,73,79",
    "created_at": "2025-10-03T12:43:34+00:00",
    "updated_at": None,
}
DRAW = Draw.derive(
    3342803,
    datetime(2025, 10, 3, 12, 43, 30, tzinfo=UTC),
    (8, 8, 4),
    datetime(2025, 10, 3, 12, 43, 34, tzinfo=UTC),
)


def parse(*rows: Any) -> Answer:
    return parse_answer(json.dumps({"message": "success", "data": rows}), POLLED)


def changed(**fields: Any) -> dict[str, Any]:
    """Return the good row with other fields; a field that is ... is left out."""
    return {key: value for key, value in (ROW | fields).items() if value is not ...}


def test_a_full_row() -> None:
    answer = parse(ROW)
    assert answer.draws == (DRAW,)
    assert (answer.rejected, answer.received, answer.pages) == ((), 1, None)


def test_a_stamp_ahead_of_the_clock_is_capped_so_that_a_correction_can_follow() -> None:
    (draw,) = parse(changed(created_at="2035-01-01T00:00:00+00:00", updated_at="2035-01-02T00:00:00+00:00")).draws
    assert (draw.created_at, draw.updated_at) == (POLLED, POLLED)


def test_answers_have_one_digest_where_they_say_the_same() -> None:
    later = parse_answer(json.dumps({"message": "success", "data": [changed(nbr=3342804), ROW]}), POLLED + timedelta(1))
    assert later.digest == parse(ROW, changed(nbr=3342804)).digest
    others = [
        parse(ROW),
        parse(changed(nbr=3342804)),
        parse(changed(time="20:43:31")),
        parse(changed(updated_at="2025-10-03T12:50:00+00:00")),
        parse(changed(number="4+8+8", keno=...)),
        parse(ROW, changed(sum=21)),
    ]
    assert len({answer.digest for answer in [*others, later]}) == 7


@pytest.mark.parametrize(
    "row",
    [
        changed(number=..., num="8+8+4"),
        changed(num=20),
        changed(num="20"),
        changed(nbr="3342803"),
        changed(number=" 8 + 8 + 4 "),
        changed(keno=[int(ball) for ball in ROW["keno"].split(",")]),
        changed(keno=..., sum=..., combination=..., updated_at=...),
        changed(keno=None, sum=None, combination=None),
        changed(novelty={"a": 1}),
        changed(number="08+08+04"),
        changed(number="8,8,4"),
        changed(number="8, 8, 4"),
        changed(number="８＋８＋４"),
        changed(number="8，8，4"),
        changed(number=[8, "8", 4.0]),
        changed(nbr=3342803.0),
        changed(nbr="3342803.0"),
        changed(nbr="３３４２８０３", sum="２０"),
        changed(sum="20.0"),
        changed(keno=ROW["keno"].replace(",", " , ")),
        changed(created_at="2025-10-03T20:43:34+08:00"),
    ],
)
def test_forms_of_the_same_draw(row: dict[str, Any]) -> None:
    assert parse(row).draws == (DRAW,)


def test_without_created_at_the_poll_counts() -> None:
    (draw,) = parse(changed(created_at=...)).draws
    assert draw.created_at == POLLED


def test_beijing_time_crosses_the_utc_day() -> None:
    (draw,) = parse(changed(date="2025-10-02", time="07:59:30")).draws
    assert draw.timestamp == datetime(2025, 10, 1, 23, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("3342803;8+8+4", "row_not_object"),
        (None, "row_not_object"),
        (changed(nbr=...), "period_invalid"),
        (changed(nbr=None), "period_invalid"),
        (changed(nbr=True), "period_invalid"),
        (changed(nbr=0), "period_invalid"),
        (changed(nbr=-5), "period_invalid"),
        (changed(nbr=2**63), "period_invalid"),
        (changed(nbr=3342803.5), "period_invalid"),
        (changed(number=...), "number_missing"),
        (changed(number=None), "number_missing"),
        (changed(number="8+8"), "number_invalid"),
        (changed(number="8+12+4"), "number_invalid"),
        (changed(number="8+8+4+1"), "number_invalid"),
        (changed(number=20), "number_invalid"),
        (changed(number=..., num=20), "number_invalid"),
        (changed(number="8+-8+4"), "number_invalid"),
        (changed(number="884"), "number_invalid"),
        (changed(number={"a": 8}), "number_invalid"),
        (changed(number=[8, 8, True]), "number_invalid"),
        (changed(number="8.5+8+4"), "number_invalid"),
        (changed(nbr="3342803.5"), "period_invalid"),
        (changed(nbr=float("1e300")), "period_invalid"),
        (changed(number="٨+8+4"), "number_invalid"),
        (changed(date=...), "time_invalid"),
        (changed(time=""), "time_invalid"),
        (changed(date="2025-02-30"), "time_invalid"),
        (changed(date="0001-01-01", time="00:00:00"), "time_invalid"),
        (changed(date="2025-10-04"), "time_in_future"),
        (changed(created_at="yesterday"), "stamp_invalid"),
        (changed(created_at=17), "stamp_invalid"),
        (changed(updated_at="2025-10-03T12:50:00"), "stamp_invalid"),
        (changed(keno="1,2,3"), "keno_invalid"),
        (changed(keno={"a": 1}), "keno_invalid"),
        (changed(keno=ROW["keno"].replace("79", "80").replace("73", "74")), "keno_mismatch"),
        (changed(sum=21), "sum_mismatch"),
        (changed(num="21"), "sum_mismatch"),
        (changed(combination="大单"), "combination_mismatch"),
        (changed(combination="小双"), "combination_mismatch"),
    ],
)
def test_each_broken_rule_is_named_and_other_rows_are_kept(row: Any, reason: str) -> None:
    good = changed(nbr=3342804)
    answer = parse(row, good)
    assert [rejected.reason for rejected in answer.rejected] == [reason]
    assert [draw.period for draw in answer.draws] == [3342804]
    assert json.loads(answer.rejected[0].raw) == row
    assert answer.rejected[0].detail


def test_a_clock_that_is_a_little_off_is_tolerated() -> None:
    soon = (POLLED + timedelta(hours=8, minutes=1)).strftime("%H:%M:%S")
    assert parse(changed(time=soon)).draws
    late = (POLLED + timedelta(hours=8, minutes=3)).strftime("%H:%M:%S")
    assert not parse(changed(time=late)).draws


def test_a_row_twice_is_one_draw() -> None:
    assert parse(ROW, ROW).draws == (DRAW,)


def test_of_two_versions_the_newer_one_counts() -> None:
    corrected = changed(number="4+5+6", combination="大单", sum=15, keno=None, updated_at="2025-10-03T12:50:00+00:00")
    for rows in ((ROW, corrected), (corrected, ROW)):
        answer = parse(*rows)
        assert [draw.numbers for draw in answer.draws] == [(4, 5, 6)]
        assert answer.rejected == ()


def test_of_two_equally_new_versions_none_counts() -> None:
    other = changed(number="4+5+6", combination="大单", sum=15, keno=None)
    answer = parse(ROW, other)
    assert answer.draws == ()
    assert [rejected.reason for rejected in answer.rejected] == ["conflicting_rows"] * 2
    assert len({rejected.row_id for rejected in answer.rejected}) == 2


def test_a_row_keeps_its_id_when_the_order_of_fields_changes() -> None:
    bad = changed(number="8+8")
    (first,) = parse(bad).rejected
    (second,) = parse(dict(reversed(bad.items()))).rejected
    assert first.row_id == second.row_id
    assert first.period == 3342803


def test_half_a_character_is_replaced_and_long_rows_are_cut() -> None:
    (rejected,) = parse({"nbr": "\ud800", "filler": "x" * 2 * RAW_LIMIT}).rejected
    assert len(rejected.raw.encode()) <= RAW_LIMIT


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", AnswerNotJsonError),
        ("<html>welcome</html>", AnswerNotJsonError),
        ('{"message":"succ', AnswerNotJsonError),
        ("[]", AnswerNotJsonError),
        ("null", AnswerNotJsonError),
        ("[" * 100_000, AnswerNotJsonError),
        ('{"message":"busy","data":[]}', AnswerRefusedError),
        ('{"data":[]}', AnswerRefusedError),
        ('{"message":"success"}', AnswerWithoutDataError),
        ('{"message":"success","data":null}', AnswerWithoutDataError),
        ('{"message":"success","data":{"nbr":1}}', AnswerWithoutDataError),
        *[
            (f'{{"message":"success","data":[1],"pages":{pages}}}', AnswerPagesError)
            for pages in ('"many"', "2.5", "-1", "true", "[3]", "0", "1000000000", '"3 of 5"')
        ],
    ],
)
def test_an_unusable_answer_has_a_type_and_keeps_what_was_received(body: str, error: type[FeedError]) -> None:
    with pytest.raises(error) as raised:
        parse_answer(body, POLLED)
    assert raised.value.raw == body[:RAW_LIMIT]
    assert raised.value.reason != FeedError.reason


def test_newest_draws_are_never_none() -> None:
    require_draws(parse(ROW, "bad"))
    with pytest.raises(AnswerWithoutDataError, match="without draws"):
        require_draws(parse())
    with pytest.raises(AnswerAllRejectedError, match=r"All 2 rows.*number_invalid, period_invalid"):
        require_draws(parse(changed(number="?"), changed(nbr="?")))


def test_pages_of_the_history() -> None:
    for stated, pages in ((7, 7), ("7", 7), (3.0, 3), (" 3.0 ", 3), ("７", 7), (0, 1), (None, None)):
        body = json.dumps({"message": "success", "data": [], "pages": stated})
        assert parse_answer(body, POLLED).pages == pages


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner), max_leaves=8
)
odd_rows = st.dictionaries(st.sampled_from(sorted(ROW)), anything | st.sampled_from(list(ROW.values())), max_size=9)


@given(st.lists(odd_rows | anything, max_size=5))
def test_whatever_a_row_holds_it_is_a_draw_or_rejected(rows: list[Any]) -> None:
    answer = parse(*rows, ROW)
    assert answer.received == len(rows) + 1
    assert len({draw.period for draw in answer.draws}) == len(answer.draws)
    for rejected in answer.rejected:
        assert rejected.raw.encode()
        assert rejected.period is None or 0 < rejected.period < 2**63


@given(st.text() | anything.map(json.dumps))
def test_whatever_is_received_only_feed_errors_escape(body: str) -> None:
    try:
        parse_answer(body, POLLED)
    except FeedError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
