"""What people change by hand while a batch is carried out is left to them, and every row that goes is in a backup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from drawsguard.points.cleanup.standing import standing_in
from drawsguard.points.database import close, utc
from drawsguard.points.downline.backup import not_in_backup
from drawsguard.points.downline.execution import Execution, StoppedError, verify_downline
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.planner import Planned
from drawsguard.points.downline.restore import plan_restore
from hooks import points_databases
from tests.integration.points_world import BATCH, World, new_world, small_world

pytestmark = pytest.mark.integration

SAME = "last_modify_time = last_modify_time"
BACK = "is in service again since this batch's downline"
LATER = "changed since this batch's backup"


@pytest.fixture
def world(stack: Any) -> Iterator[World]:
    """A small world, reported and confirmed."""
    made = new_world(stack.require("mysql").config)
    made.load(*small_world())
    made.confirm()
    yield made
    close(made.governance)


def begin(world: World, chunks: int) -> None:
    """Carry out the first chunks (of two rows) of the intranet's downline; then the switch stops it."""
    asked = iter([False] * chunks + [True])
    planned = world.prepare_change("intranet")
    with world.environment("intranet") as connection, pytest.raises(StoppedError):
        world.execute(planned, connection, stop=lambda: next(asked))


def go_on(world: World) -> Planned:
    """Plan what is left on the intranet, and carry it out."""
    planned = world.plan("intranet")
    with world.environment("intranet") as connection:
        world.execute(planned, connection)
    return planned


def reasons(planned: Planned) -> set[tuple[str, int, str]]:
    return {(d.kind, d.row_id, d.reason.partition(":")[0]) for d in planned.plan.differences}


def statuses(world: World, number: int) -> list[int]:
    return [status for (_, row_id, _), (status, _) in world.rows("intranet").items() if row_id == number]


# --- in service again ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE define_nosdata_general SET status = 1, {SAME} WHERE id = 5",
        f"UPDATE define_nosdata_general SET status = 3, {SAME} WHERE id = 5",
        "UPDATE define_nosdata_general SET status = 1 WHERE id = 5",
        f"UPDATE define_nosdata_general SET status = 1, people = 'x', {SAME} WHERE id = 5",
        "INSERT INTO define_nosdata_general (id, status, description) VALUES (5, 1, 'new')",
        "INSERT INTO define_nosdata_flag (id, status) VALUES (5, 1)",
        f"UPDATE define_nosdata_general SET status = 1, {SAME} WHERE id = 3 AND description = '第二行'",
    ],
    ids=["as it was", "other status", "other time", "edited", "new row", "new row elsewhere", "one of two rows"],
)
def test_a_point_that_somebody_put_back_is_not_taken_again(world: World, statement: str) -> None:
    """Its row is no longer the one that was backed up, and the batch has no approval to undo what a person did."""
    world.downline("intranet")
    world.sql("intranet", statement)
    number = 3 if "id = 3" in statement else 5
    after, journal = world.rows("intranet"), world.journal("intranet")
    planned = go_on(world)
    assert planned.plan.pending == ()
    assert reasons(planned) == {("point", number, LATER if "define_nosdata_flag" in statement else BACK)}
    assert world.rows("intranet") == after
    assert world.journal("intranet") == journal
    with world.environment("intranet") as connection:
        verified = verify_downline(connection, Journal(connection, BATCH, "intranet"))
    assert verified.wrong == ()
    assert {d.row_id for d in verified.back} == ({number} if "define_nosdata_flag" not in statement else set())


def test_what_a_later_batch_took_is_restored_by_that_batch_alone(world: World) -> None:
    world.downline("intranet")
    world.sql("intranet", f"UPDATE define_nosdata_general SET status = 3, {SAME} WHERE id = 5")
    world.confirm(batch_id="later")
    world.downline("intranet", "later")

    def plan(batch: str) -> Any:
        with world.environment("intranet") as connection:
            return plan_restore(connection, Journal(connection, batch, "intranet"), batch, "intranet", frozenset({5}))

    earlier = plan(BATCH)
    assert [row.row_id for row in earlier.rows if row.kind == "point"] == []
    assert any("later by batch later" in one.reason for one in earlier.differences if one.row_id == 5)
    assert [row.old_status for row in plan("later").rows if row.row_id == 5] == [3]


MOVED = (
    "INSERT INTO define_nosdata_mqzdr SELECT * FROM define_nosdata_general WHERE id = 5; "
    "DELETE FROM define_nosdata_general WHERE id = 5"
)


@pytest.mark.parametrize(
    ("statements", "down"),
    [
        ("", True),
        (f"UPDATE define_nosdata_general SET status = 1, {SAME} WHERE id = 5", False),
        (f"UPDATE define_nosdata_general SET people = 'x', {SAME} WHERE id = 5", True),
        ("DELETE FROM define_nosdata_general WHERE id = 5", False),
        (MOVED, True),
        (f"{MOVED}; UPDATE define_nosdata_mqzdr SET status = 1, {SAME} WHERE id = 5", False),
        ("INSERT INTO define_nosdata_flag (id, status) VALUES (5, 1)", True),
    ],
    ids=["as it was left", "put back", "edited", "deleted", "moved", "moved and put back", "a new row elsewhere"],
)
def test_what_may_be_cleaned_is_watched_whatever_people_did(world: World, statements: str, down: bool) -> None:
    """What somebody put back is watched no more; a row that is only somewhere else is, as it may be cleaned."""
    world.downline("intranet")
    for statement in statements.split("; ") if statements else ():
        world.sql("intranet", statement)
    watched = points_databases.still_down(BATCH)["intranet"]
    with world.environment("intranet") as connection:
        standing = standing_in(connection, BATCH, "intranet", frozenset({5}), utc(datetime.now(UTC)))
    assert standing.downlined <= watched
    assert (5 in watched) is down
    assert watched - {5} == {1, 2, 3, 4, 6, 7, 11, 12, 13}


def test_points_of_a_table_that_was_renamed_are_watched_and_their_downline_is_not_as_planned(world: World) -> None:
    """Nothing that reads the rows of a batch may end for it: its halt, its release and its report depend on them."""
    world.downline("intranet")
    names = "define_nosdata_mqzdr", "define_nosdata_moved"
    world.sql("intranet", f"RENAME TABLE {names[0]} TO {names[1]}")
    try:
        watched = points_databases.still_down(BATCH)["intranet"]
        with world.environment("intranet") as connection:
            verification = verify_downline(connection, Journal(connection, BATCH, "intranet"))
    finally:
        world.sql("intranet", f"RENAME TABLE {names[1]} TO {names[0]}")
    assert watched == {1, 2, 3, 4, 5, 6, 7, 11, 12, 13}
    assert verification.back == ()
    assert {line.split()[0] for line in verification.wrong} == {names[0]}
    assert points_databases.still_down(BATCH)["intranet"] == watched


@pytest.mark.parametrize("status", [1, 2])
def test_a_tag_that_somebody_put_back_is_not_taken_again(world: World, status: int) -> None:
    world.downline("intranet")
    world.sql("intranet", f"UPDATE define_nostag_general SET status = {status}, {SAME} WHERE id = 503")
    planned = go_on(world)
    assert planned.plan.pending == ()
    assert reasons(planned) == {("tag", 503, BACK)}
    assert statuses(world, 503) == [status]


def test_a_tag_stays_when_one_of_its_points_was_put_back_before_it_went(world: World) -> None:
    begin(world, 6)  # every point is at -80, no tag
    assert (statuses(world, 4), statuses(world, 503)) == ([-80], [1])
    world.sql("intranet", f"UPDATE define_nosdata_general SET status = 1, {SAME} WHERE id = 4")
    go_on(world)
    assert (statuses(world, 503), statuses(world, 501)) == ([1], [-80])


def test_a_point_of_which_one_row_could_be_restored_is_not_taken_again(world: World) -> None:
    """The other row was edited at -80, so its restore was left to people."""
    world.sql("intranet", f"INSERT INTO define_nosdata_flag (id, status, cluster, {SAME.split()[0]}) "
              "SELECT id, 1, 'redis_flag', last_modify_time FROM define_nosdata_general WHERE id = 5")  # fmt: skip
    world.downline("intranet")
    world.sql("intranet", f"UPDATE define_nosdata_flag SET people = 'x', {SAME} WHERE id = 5")
    with world.environment("intranet") as connection:
        journal = Journal(connection, BATCH, "intranet")
        plan = plan_restore(connection, journal, BATCH, "intranet", frozenset({5}))
        Execution(connection, journal, lambda: False, plan.digest, 2).restore(plan)
    assert sorted(statuses(world, 5)) == [-80, 1]
    planned = go_on(world)
    assert ("point", 5, "was restored after this batch's downline") in reasons(planned)
    assert sorted(statuses(world, 5)) == [-80, 1]


# --- rows that no backup has ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("statement", "points", "out"),
    [
        (
            f"UPDATE define_nosdata_general SET people = 'x', {SAME} WHERE id = 5",
            {5},
            {("point", 5, LATER), ("tag", 503, "a point of the tag was removed")},
        ),
        (f"UPDATE define_nosdata_general SET status = 2, {SAME} WHERE id = 7", {7}, {("point", 7, LATER)}),
        ("INSERT INTO define_nosdata_flag (id, status) VALUES (7, 1)", {7}, {("point", 7, LATER)}),
        (f"UPDATE define_nostag_general SET name = 'x', {SAME} WHERE id = 503", set(), {("tag", 503, LATER)}),
    ],
    ids=["edited", "other status", "new row in a table without a backup", "tag"],
)
def test_a_row_that_the_kept_backup_does_not_have_does_not_go(
    world: World, statement: str, points: set[int], out: set[tuple[str, int, str]]
) -> None:
    """The backup from before the change is kept, so what changed after it is in none; the rest of the batch goes on."""
    begin(world, 1)
    world.sql("intranet", statement)
    planned = go_on(world)
    assert reasons(planned) == out
    assert planned.plan.points() == {1, 2, 3, 4, 5, 6, 7, 11, 12, 13} - points
    assert all(-80 not in statuses(world, number) for _, number, _ in out)
    assert all(entry.row.row_id not in {number for _, number, _ in out} for entry in world.journal("intranet"))
    assert world.planner().waiting(world.plan("intranet").plan) == []


def test_what_is_not_in_the_backups_is_told_row_by_row(world: World) -> None:
    planned = world.prepare_change("intranet")
    backups = world.repositories.backups.of_batch(BATCH, "intranet")
    with world.environment("intranet") as connection:
        assert not_in_backup(connection, backups, planned.plan.rows) == []
        other = planned.plan.rows[0]._replace(old_status=9)
        twice = planned.plan.rows[1]._replace(ordinal=1)
        rows = [other, *planned.plan.rows[1:], twice]
        assert not_in_backup(connection, backups, rows) == [other, twice]
        nowhere = [row for row in planned.plan.rows if row.table == "define_nosdata_mqzdr"]
        without = [backup for backup in backups if backup.table != "define_nosdata_mqzdr"]
        assert not_in_backup(connection, without, nowhere) == nowhere
    world.sql("intranet", f"ALTER TABLE {backups[0].place} DROP COLUMN people")
    with world.environment("intranet") as connection:
        mine = [row for row in planned.plan.rows if row.table == backups[0].table]
        assert not_in_backup(connection, backups, mine) == mine
