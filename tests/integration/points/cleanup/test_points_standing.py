"""Tickets follow what the batch took out of service: its journal, in every environment, as the rows are today."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from drawsguard.points.cleanup.standing import not_cleaned, standing_in
from drawsguard.points.cleanup.ticket_repository import TicketRepository
from drawsguard.points.database import close, transaction, utc
from drawsguard.points.downline.execution import Execution
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.observe import VERIFIED
from drawsguard.points.downline.plan import PlanRefusedError
from drawsguard.points.downline.release import lift_halt
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.downline.restore import plan_restore
from drawsguard.points.environments import ENVIRONMENTS, journal_schema
from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.points.review.batch_state import FOLLOWING, BatchState
from hooks import points_databases
from hooks.cleanup_databases import awaited_environments, given_up_points, kept_points, split_points
from tests.integration.points_world import BATCH, RULES, WINDOW, World, new_world, small_world

pytestmark = pytest.mark.integration

POINTS = frozenset({*range(1, 8), *range(11, 14)})


@pytest.fixture
def world(stack: Any) -> Iterator[World]:
    """A batch that is downlined in both environments; point 7 lives on the intranet only."""
    made = new_world(stack.require("mysql").config)
    made.load(*small_world())
    made.confirm()
    for name in ENVIRONMENTS:
        made.downline(name)
    made.repositories.observations.start(BATCH, 30)
    yield made
    close(made.governance)


def kept(world: World, batch_id: str = BATCH, observed_from: datetime | None = None) -> dict[int, str]:
    observed_from = observed_from or utc(datetime.now(UTC))
    standings = []
    for name in ENVIRONMENTS:
        with world.environment(name) as connection:
            standings.append(standing_in(connection, batch_id, name, POINTS, observed_from))
    return not_cleaned(POINTS, standings, downline_may_follow=False)


def restore(world: World, name: Any, *points: int) -> None:
    with world.environment(name) as connection:
        journal = Journal(connection, BATCH, name)
        plan = plan_restore(connection, journal, BATCH, name, frozenset(points))
        Execution(connection, journal, lambda: False, plan.digest, 100).restore(plan)


def test_what_the_batch_left_at_80_everywhere_is_cleaned(world: World) -> None:
    assert kept(world) == {}


def test_a_point_that_was_restored_in_one_environment_is_kept(world: World) -> None:
    restore(world, "intranet", 4)
    restore(world, "extranet", 5)
    assert kept(world).keys() == {4, 5}
    assert "served on the intranet" in kept(world)[4]
    assert "served on the extranet" in kept(world)[5]


def test_a_point_that_another_batch_took_out_of_service_again_is_that_batchs(world: World) -> None:
    """Restored from batch A, or revived by hand, and downlined again by batch B: A's month says nothing about it."""
    restore(world, "intranet", 4)
    restore(world, "extranet", 4)
    assert "or it was restored" in kept_after_status(world, 4, 0)
    for name in ENVIRONMENTS:
        world.sql(
            name, "UPDATE define_nosdata_general SET status = 1, last_modify_time = last_modify_time WHERE id = 5"
        )
        world.sql(
            name, "UPDATE define_nosdata_general SET status = 1, last_modify_time = last_modify_time WHERE id = 4"
        )
    world.confirm(4, 5, batch_id="b2")
    for name in ENVIRONMENTS:
        world.downline(name, "b2")
    assert kept(world).keys() == {4, 5}
    assert "Batch b2 took it out of service" in kept(world)[5]
    assert kept(world, "b2").keys() == POINTS - {4, 5}


def kept_after_status(world: World, point: int, status: int) -> str:
    for name in ENVIRONMENTS:
        world.sql(
            name,
            "UPDATE define_nosdata_general SET status = %s, last_modify_time = last_modify_time WHERE id = %s",
            status,
            point,
        )
    return kept(world)[point]


def test_a_point_that_lives_in_a_table_that_nobody_listed_is_kept(world: World) -> None:
    world.sql("extranet", "CREATE TABLE define_nosdata_general_v2 AS SELECT * FROM define_nosdata_general WHERE id = 4")
    world.sql("intranet", "CREATE TABLE define_nostag_new_2 AS SELECT 77 id, 1 status, '5,999' eids")
    try:
        world.sql("extranet", "UPDATE define_nosdata_general_v2 SET status = 1")
        found = kept(world)
        assert found.keys() == {4, 5}
        assert "live in the table define_nosdata_general_v2 of the extranet" in found[4]
        assert "live in the table define_nostag_new_2 of the intranet" in found[5]
    finally:
        world.sql("intranet", "DROP TABLE define_nostag_new_2")
        world.sql("extranet", "DROP TABLE define_nosdata_general_v2")


def test_a_row_that_somebody_touched_since_keeps_its_point(world: World) -> None:
    same = "last_modify_time = last_modify_time"
    for statement in (
        # Taken back into service and out again, by hand: last_modify_time says so.
        "UPDATE define_nosdata_general SET status = 1 WHERE id = 1",
        "UPDATE define_nosdata_general SET status = -80 WHERE id = 1",
        f"UPDATE define_nosdata_general SET description = 'x', {same} WHERE id = 2",
        "DELETE FROM define_nosdata_general WHERE id = 5",
        "INSERT INTO define_nosdata_mqzdr SELECT * FROM define_nosdata_general WHERE id = 6",
        "UPDATE define_nosdata_mqzdr SET description = 'y' WHERE id = 6",
    ):
        world.sql("extranet", statement)
    found = kept(world, observed_from=world.repositories.batches.get(BATCH).observe_from)
    assert found.keys() == {1, 2, 5, 6}
    assert all("are not as they were" in reason for reason in found.values())


def test_a_point_that_left_the_plan_is_kept_although_its_structure_is_there(stack: Any) -> None:
    world = new_world(stack.require("mysql").config)
    world.load(*small_world())
    world.confirm(1, 2, 3)
    for name in ENVIRONMENTS:
        world.downline(name)
    assert kept(world).keys() == POINTS - {1, 2, 3}
    # Somebody else took these out of service: no row of theirs is this batch's.
    for name in ENVIRONMENTS:
        world.sql(name, "UPDATE define_nosdata_general SET status = -80 WHERE id = 4")
    assert kept(world).keys() == POINTS - {1, 2, 3}
    close(world.governance)


def test_a_row_that_was_at_80_before_on_the_extranet_is_no_obstacle(stack: Any) -> None:
    world = new_world(stack.require("mysql").config)
    world.load(*small_world())
    same = "last_modify_time = last_modify_time"
    world.sql("extranet", f"UPDATE define_nosdata_general SET status = -80, {same} WHERE id = 4")
    world.sql("extranet", f"UPDATE define_nosdata_general SET status = 0, {same} WHERE id = 5")
    world.confirm()
    for name in ENVIRONMENTS:
        world.downline(name)
    began = utc(datetime.now(UTC))
    assert kept(world, observed_from=began) == {}
    world.sql("extranet", "UPDATE define_nosdata_general SET status = 1 WHERE id = 5")
    world.sql("extranet", "UPDATE define_nosdata_general SET status = -80 WHERE id = 5")
    assert kept(world, observed_from=began).keys() == {5}
    close(world.governance)


def test_what_was_taken_out_of_service_after_the_observation_began_is_kept(world: World) -> None:
    early = utc(datetime.now(UTC)) - timedelta(hours=1)
    assert kept(world, observed_from=early).keys() == POINTS
    assert "after its observation began" in kept(world, observed_from=early)[1]


def test_a_release_shortens_the_observation_of_no_row(world: World) -> None:
    """Down on one environment only; the other row goes down during the observation, before a halt is released."""
    world.repositories.audit.note(BATCH, VERIFIED, "airflow", "extranet")
    restore(world, "extranet", 4, 5)
    world.sql("extranet", "UPDATE define_nosdata_general SET status = -80 WHERE id IN (4, 5)")
    same = "last_modify_time = '2021-03-04 05:06:07'"
    world.sql("extranet", f"UPDATE define_nosdata_general SET {same} WHERE id = 5")  # its journal has it, its row not
    world.sql(
        "extranet",
        f"UPDATE {journal_schema('extranet')}.points_journal SET batch_id = 'b2', state = 'downlined',"
        " changed_at = UTC_TIMESTAMP(6) WHERE row_id = 5 AND kind = 'point'",
    )
    before = kept_points(BATCH, POINTS, world.repositories)
    assert before.keys() == {4, 5}
    world.repositories.observations.halt(BATCH, "used")
    later = Repositories(world.governance, lambda: datetime.now(UTC) + timedelta(days=8))
    lift_halt(later, later.batches.get(BATCH), "approver", {}, (), ())
    assert later.batches.get(BATCH).halted_at is None
    assert kept_points(BATCH, POINTS, world.repositories) == before
    with closing(world.governance.cursor()) as cursor:  # as an earlier version released it: the begin moved
        cursor.execute(
            "UPDATE points_lifecycle.batch SET observe_from = %s WHERE batch_id = %s", (utc(later.clock()), BATCH)
        )
    world.governance.commit()
    assert world.repositories.batches.get(BATCH).observe_from > utc(datetime.now(UTC))
    assert kept_points(BATCH, POINTS, world.repositories) == before


def test_a_release_without_a_verification_keeps_every_point(world: World) -> None:
    """Its begin was moved by the release, and nothing says from when."""
    assert kept_points(BATCH, POINTS, world.repositories) == {}
    world.repositories.observations.halt(BATCH, "used")
    lift_halt(world.repositories, world.repositories.batches.get(BATCH), "approver", {}, (), ())
    found = kept_points(BATCH, POINTS, world.repositories)
    assert found.keys() == POINTS
    assert "no verification" in found[1]


def test_a_point_is_given_up_for_what_does_not_pass_only(world: World) -> None:
    """Restored, changed by hand or taken by another batch: for good. A table that nobody listed yet: not."""
    assert given_up_points(BATCH, POINTS, world.repositories) == frozenset()
    for name in ENVIRONMENTS:
        restore(world, name, 4)
    restore(world, "intranet", 5)
    world.sql("extranet", "UPDATE define_nosdata_general SET description = 'by hand' WHERE id = 2")
    world.sql("extranet", "CREATE TABLE define_nosdata_general_v2 AS SELECT * FROM define_nosdata_general WHERE id = 6")
    try:
        world.sql("extranet", "UPDATE define_nosdata_general_v2 SET status = 1")
        assert kept_points(BATCH, POINTS, world.repositories).keys() == {2, 4, 5, 6}
        assert given_up_points(BATCH, POINTS, world.repositories) == {2, 4, 5}
        world.repositories.observations.halt(BATCH, "used")
        lift_halt(world.repositories, world.repositories.batches.get(BATCH), "approver", {}, (), ())
        assert given_up_points(BATCH, POINTS, world.repositories) == frozenset()  # since when is not known
    finally:
        world.sql("extranet", "DROP TABLE define_nosdata_general_v2")


def test_a_batch_whose_other_environment_may_follow_is_not_cleaned(stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down on the intranet, observed there, and the extranet not done yet: one ticket would end what may follow."""
    world = new_world(stack.require("mysql").config)
    today = date(2024, 9, 3)
    monkeypatch.setattr(points_databases, "business_today", lambda: today)
    world.load(*small_world())
    world.confirm()
    world.downline("intranet")
    world.repositories.observations.start(BATCH, 30)
    found = kept_points(BATCH, POINTS, world.repositories)
    assert found.keys() == POINTS  # also 7, which is on the intranet only
    assert all("has not taken its points out of service on the extranet yet" in reason for reason in found.values())
    assert awaited_environments(BATCH, POINTS, world.repositories) == ["extranet"]
    assert given_up_points(BATCH, POINTS, world.repositories) == frozenset()
    restore(world, "intranet", 4)
    assert "is served on the extranet" in kept_points(BATCH, POINTS, world.repositories)[4]
    assert given_up_points(BATCH, POINTS, world.repositories) == {4}
    world.downline("extranet")
    world.repositories.observations.start(BATCH, 30)
    assert kept_points(BATCH, POINTS, world.repositories).keys() == {4}
    restore(world, "extranet", 5)  # this one was down there
    assert kept_points(BATCH, POINTS, world.repositories).keys() == {4, 5}
    assert given_up_points(BATCH, POINTS, world.repositories) == {4, 5}
    world.sql("extranet", "INSERT INTO define_nosdata_general SELECT * FROM define_nosdata_general WHERE id = 9000")
    world.sql("extranet", "UPDATE define_nosdata_general SET id = 7 WHERE id = 9000 LIMIT 1")
    assert "is served on the extranet" in kept_points(BATCH, POINTS, world.repositories)[7]
    assert kept_points(BATCH, POINTS, world.repositories).keys() == {4, 5, 7}, "new there, after it was done there"
    assert awaited_environments(BATCH, POINTS, world.repositories) == []
    close(world.governance)


def test_an_environment_where_every_row_was_taken_out_of_the_plan_is_not_waited_for(
    stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its points were used just before: verified there without a changed row, and no second run is taken."""
    world = new_world(stack.require("mysql").config)
    monkeypatch.setattr(points_databases, "business_today", lambda: date(2024, 9, 3))
    world.load(*small_world())
    world.confirm()
    for name in ENVIRONMENTS:
        if name == "intranet":
            world.downline(name)
        else:
            plan = world.prepare_change(name).plan
            world.repositories.plans.mark_removed(plan, plan.rows, "is used")
        world.repositories.observations.start(BATCH, 30)
        world.repositories.audit.note(BATCH, VERIFIED, "airflow", name)
    with pytest.raises(PlanRefusedError, match="carried out in both environments"):
        world.planner().refuse_second_run(BATCH)
    assert awaited_environments(BATCH, POINTS, world.repositories) == []
    found = kept_points(BATCH, POINTS, world.repositories)
    assert found.keys() == POINTS - {7}
    assert all("It is served on the extranet" in reason for reason in found.values())
    close(world.governance)


@pytest.mark.parametrize("end", ["cleaning", "stale"])
def test_a_batch_waits_for_no_environment_that_cannot_follow(
    stack: Any, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """What is being cleaned takes no further point down, nor does one whose evidence no plan admits any more."""
    world = new_world(stack.require("mysql").config)
    last = WINDOW.last + timedelta(days=RULES.evidence.max_age_days)
    monkeypatch.setattr(points_databases, "business_today", lambda: last)
    world.load(*small_world())
    world.confirm()
    world.downline("intranet")
    world.repositories.observations.start(BATCH, 30)
    assert kept_points(BATCH, POINTS, world.repositories).keys() == POINTS
    if end == "stale":
        monkeypatch.setattr(points_databases, "business_today", lambda: last + timedelta(days=1))
    else:
        world.sql("governance", "UPDATE points_lifecycle.batch SET state = 'cleaning'")
    found = kept_points(BATCH, POINTS, world.repositories)
    assert found.keys() == POINTS - {7}
    assert all("can no longer take it out of service there" in reason for reason in found.values())
    assert given_up_points(BATCH, POINTS, world.repositories) == POINTS - {7}
    assert split_points(BATCH, POINTS) == POINTS - {7}
    restore(world, "intranet", 4)
    world.sql("extranet", "UPDATE define_nosdata_general SET status = 0 WHERE id = 5")
    assert split_points(BATCH, POINTS) == POINTS - {4, 5, 7}
    assert awaited_environments(BATCH, POINTS, world.repositories) == []
    close(world.governance)


# --- the states of a batch ------------------------------------------------------------------------------
def test_the_store_takes_no_other_step(world: World) -> None:
    batches = world.repositories.batches
    taken = set()
    for state, following in product(BatchState, BatchState):
        world.sql("governance", "UPDATE points_lifecycle.batch SET state = %s", str(state))
        if following in FOLLOWING[state]:
            with transaction(world.governance):
                assert batches.move(BATCH, following).state == state
            assert batches.get(BATCH).state == following
            taken.add((state, following))
            continue
        for refused in (batches.move, batches.require_move):
            with pytest.raises(BatchStateError, match=f"is {state} and cannot become {following}"):
                refused(BATCH, following)
        assert batches.get(BATCH).state == state
    assert len(taken) == 11


def test_an_extranet_downline_after_the_cleanup_has_begun_changes_no_row(stack: Any) -> None:
    """Closed between intranet and extranet: what goes down then would never be observed."""
    world = new_world(stack.require("mysql").config)
    world.load(*small_world())
    world.confirm()
    world.downline("intranet")
    world.repositories.observations.start(BATCH, 30)
    world.prepare_change("extranet")
    before = world.rows("extranet")
    for state in ("cleaning", "cleaned"):
        world.sql("governance", "UPDATE points_lifecycle.batch SET state = %s", state)
        with pytest.raises(BatchStateError, match="make a new report"):
            world.downline("extranet")
        with pytest.raises(BatchStateError, match="cannot become downlined"):
            world.repositories.observations.start(BATCH, 30)
    assert world.rows("extranet") == before
    close(world.governance)


def test_a_batch_that_is_being_downlined_again_is_not_due_until_it_is_verified(world: World) -> None:
    world.sql(
        "governance", "UPDATE points_lifecycle.batch SET observe_from = '2024-06-01', observe_until = '2024-07-01'"
    )
    tickets = TicketRepository(world.governance)
    assert tickets.due_batches("Asia/Shanghai") == [BATCH]
    with transaction(world.governance):
        world.repositories.batches.move(BATCH, BatchState.DOWNLINING)
    assert tickets.due_batches("Asia/Shanghai") == []
    assert [batch for batch, *_ in world.repositories.observations.observed()] == [BATCH]
    world.repositories.observations.start(BATCH, 30)
    assert tickets.due_batches("Asia/Shanghai") == []  # its month began again
