"""Restore on a real server, and random sequences of plan, approve, kill, resume and restore."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawsguard.points.database import close
from drawsguard.points.downline.execution import (
    Execution,
    NotAllRestoredError,
    PlanChangedError,
    StoppedError,
    verify_downline,
)
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.plan import PlanRefusedError
from drawsguard.points.downline.restore import plan_restore
from tests.integration.points.downline.test_points_downline import Dying, KilledError
from tests.integration.points_world import BATCH, World, new_world, small_world

pytestmark = pytest.mark.integration


@pytest.fixture
def world(stack: Any) -> Iterator[World]:
    """A small world whose batch is downlined on the intranet."""
    made = new_world(stack.require("mysql").config)
    made.load(*small_world())
    made.confirm()
    made.before = made.rows("intranet")  # type: ignore[attr-defined]
    made.downline("intranet")
    yield made
    close(made.governance)


def restore(world: World, points: set[int] | None, stop: Any = lambda: False) -> int:
    with world.environment("intranet") as connection:
        journal = Journal(connection, BATCH, "intranet")
        plan = plan_restore(connection, journal, BATCH, "intranet", frozenset(points) if points else None)
        return Execution(connection, journal, stop, plan.digest, 2).restore(plan)


def test_a_whole_batch_is_restored_to_what_it_was(world: World) -> None:
    assert world.rows("intranet") != world.before  # type: ignore[attr-defined]
    assert restore(world, None) == 13
    assert world.rows("intranet") == world.before  # type: ignore[attr-defined]
    assert {entry.state for entry in world.journal("intranet")} == {"restored"}


def test_single_points_come_back_with_all_their_rows_and_their_tags(world: World) -> None:
    assert restore(world, {1, 3}) == 4  # point 1, both rows of point 3, and tag 501 that holds point 1
    rows, before = world.rows("intranet"), world.before  # type: ignore[attr-defined]
    back = {key[:2] for key in rows if rows[key] == before[key] and rows[key][0] > 0}
    assert {("define_nosdata_general", 1), ("define_nosdata_general", 3), ("define_nostag_general", 501)} <= back
    assert rows["define_nosdata_general", 2, "积分 2"][0] == -80


def test_last_modify_time_is_restored_when_somebody_moved_it(world: World) -> None:
    world.sql("intranet", "UPDATE define_nosdata_general SET last_modify_time = '2024-08-03' WHERE id = 1")
    with world.environment("intranet") as connection:
        plan = plan_restore(connection, Journal(connection, BATCH, "intranet"), BATCH, "intranet", frozenset({1}))
    assert ["goes back to" in difference.reason for difference in plan.differences] == [True]
    restore(world, {1})
    key = ("define_nosdata_general", 1, "积分 1")
    assert world.rows("intranet")[key] == world.before[key]  # type: ignore[attr-defined]


def test_a_row_that_was_edited_or_revived_is_left_alone_and_reported(world: World) -> None:
    world.sql("intranet", "UPDATE define_nosdata_general SET status = 1 WHERE id = 1")
    world.sql("intranet", "UPDATE define_nosdata_general SET people = 'x' WHERE id = 2")
    with world.environment("intranet") as connection:
        plan = plan_restore(connection, Journal(connection, BATCH, "intranet"), BATCH, "intranet")
    assert {d.row_id for d in plan.differences if "not restored" in d.reason} == {1, 2}
    assert not plan.points() & {1, 2}


def test_a_row_that_changes_after_the_approval_rolls_back(world: World) -> None:
    with world.environment("intranet") as connection:
        journal = Journal(connection, BATCH, "intranet")
        plan = plan_restore(connection, journal, BATCH, "intranet", frozenset({2}))
        world.sql("intranet", "UPDATE define_nosdata_general SET status = -81 WHERE id = 2")
        with pytest.raises(PlanChangedError, match="no longer at -80"):
            Execution(connection, journal, lambda: False, plan.digest, 100).restore(plan)
    # Its tag is back: other points of it may be in service, and a live tag without a live point harms nobody.
    assert [entry.row.row_id for entry in world.journal("intranet") if entry.state == "restored"] == [501]


TRIGGER = (
    "CREATE TRIGGER refuse_restore BEFORE UPDATE ON define_nosdata_general FOR EACH ROW"
    " IF NEW.id = 4 AND NEW.status > 0 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no such point'; END IF"
)


@pytest.mark.parametrize(
    ("fault", "repair", "reason"),
    [
        (TRIGGER, "DROP TRIGGER refuse_restore", "no such point"),
        (
            "ALTER TABLE define_nosdata_general ADD CONSTRAINT retired CHECK (id <> 4 OR status < 0)",
            "ALTER TABLE define_nosdata_general DROP CONSTRAINT retired",
            "retired",
        ),
        (
            "UPDATE define_nosdata_general SET status = -81, last_modify_time = last_modify_time WHERE id = 4",
            "UPDATE define_nosdata_general SET status = -80, last_modify_time = last_modify_time WHERE id = 4",
            "no longer at -80",
        ),
    ],
)
@pytest.mark.parametrize("chunk_rows", [2, 100])
def test_one_row_that_cannot_be_restored_keeps_no_other_at_80(
    world: World, fault: str, repair: str, reason: str, chunk_rows: int
) -> None:
    before = world.before  # type: ignore[attr-defined]
    with world.environment("intranet") as connection:
        journal = Journal(connection, BATCH, "intranet")
        plan = plan_restore(connection, journal, BATCH, "intranet")
        world.sql("intranet", fault)
        try:
            execution = Execution(connection, journal, lambda: False, plan.digest, chunk_rows)
            with pytest.raises(NotAllRestoredError, match=rf"12 of 13 rows.* 1 ids.*general 4: .*{reason}"):
                execution.restore(plan)
        finally:
            world.sql("intranet", repair)
    left = {key: row for key, row in world.rows("intranet").items() if row != before[key]}
    assert left.keys() == {("define_nosdata_general", 4, "积分 4")}
    assert [entry.row.row_id for entry in world.journal("intranet") if entry.state == "downlined"] == [4]
    assert restore(world, None) == 1
    assert world.rows("intranet") == before


def test_what_the_batch_never_downlined_cannot_be_restored(world: World) -> None:
    with pytest.raises(PlanRefusedError, match=r"\[9000\] were never downlined"):
        restore(world, {1, 9000})
    with world.environment("extranet") as connection, pytest.raises(PlanRefusedError, match="downlined nothing"):
        plan_restore(connection, Journal(connection, BATCH, "extranet"), BATCH, "extranet")


def test_a_stopped_restore_is_continued(world: World) -> None:
    asked = iter([False, True])
    with pytest.raises(StoppedError):
        restore(world, None, stop=lambda: next(asked))
    restore(world, None)
    assert world.rows("intranet") == world.before  # type: ignore[attr-defined]


def test_a_restored_point_is_not_downlined_again_by_the_same_batch(world: World) -> None:
    restore(world, {2})
    plan = world.plan("intranet").plan
    assert 2 not in plan.points()
    assert [d.reason for d in plan.differences if d.row_id == 2] == ["was restored after this batch's downline"]
    with world.environment("intranet") as connection:
        assert verify_downline(connection, Journal(connection, BATCH, "intranet")).wrong == ()


STEP = st.one_of(
    st.tuples(st.just("downline"), st.integers(1, 30), st.booleans(), st.integers(1, 5)),
    st.tuples(st.just("restore"), st.integers(1, 30), st.booleans(), st.sets(st.integers(1, 13), max_size=4)),
    st.tuples(st.just("outsider"), st.integers(1, 7), st.sampled_from([0, 1, 2]), st.none()),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=1, max_size=5))
def test_any_sequence_ends_with_rows_untouched_downlined_or_restored(stack: Any, steps: list[Any]) -> None:
    world = new_world(stack.require("mysql").config)
    world.load(*small_world())
    world.confirm()
    truth = world.rows("intranet")
    for action, number, flag, detail in steps:
        if action == "outsider":
            _outsider(world, truth, number, int(flag))
            continue
        try:
            with world.environment("intranet") as connection:
                dying = Dying(connection, number, flag)
                journal = Journal(dying, BATCH, "intranet")
                if action == "downline":
                    world.execute(world.plan("intranet"), dying, chunk_rows=detail)
                else:
                    known = {e.row.row_id for e in world.journal("intranet") if e.row.kind == "point"}
                    plan = plan_restore(dying, journal, BATCH, "intranet", frozenset(detail & known) or None)
                    Execution(dying, journal, lambda: False, plan.digest, 2).restore(plan)
        except (KilledError, PlanRefusedError, PlanChangedError):
            pass
        _every_row_is_accounted_for(world, truth)
    close(world.governance)


def _outsider(world: World, truth: dict[Any, tuple[int, str]], number: int, status: int) -> None:
    """Somebody else changes the status of a live point; that becomes the truth."""
    world.sql(
        "intranet",
        "UPDATE define_nosdata_general SET status = %s, last_modify_time = last_modify_time"
        " WHERE id = %s AND status > 0",
        status,
        number,
    )
    truth |= {
        key: row
        for key, row in world.rows("intranet").items()
        if key[:2] == ("define_nosdata_general", number) and row[0] != -80
    }


def _every_row_is_accounted_for(world: World, truth: dict[Any, tuple[int, str]]) -> None:
    rows = world.rows("intranet")
    down = {(e.row.table, e.row.row_id, e.row.old_status) for e in world.journal("intranet") if e.state == "downlined"}
    for key, (status, modified) in rows.items():
        if (*key[:2], truth[key][0]) in down:
            assert (status, modified) == (-80, truth[key][1])
        else:
            assert (status, modified) == truth[key]
