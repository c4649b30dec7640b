"""Use that nobody knew who approved a downline counts, whenever it was: telemetry is late, and records are later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from drawsguard.points.database import close, utc
from drawsguard.points.downline.observe import RELEASED, VERIFIED, keep_signs, signs_of_life
from drawsguard.points.downline.planner import used_since_report
from drawsguard.points.downline.recheck import Sign
from drawsguard.points.downline.release import lift_halt
from drawsguard.points.telemetry.config import points_config
from tests.integration.points_world import BATCH, WINDOW, World, new_world, small_world

pytestmark = pytest.mark.integration

#: Within the report's window, and after it: the day of the downline, before it.
INSIDE, AFTER = "2024-07-20 10:00:00", "2024-07-31 10:00:00"
OBSERVED_FROM = datetime.fromisoformat("2024-08-01 09:30:20")


@pytest.fixture
def world(stack: Any) -> Iterator[World]:
    """Point 4 is read in the report's window, so it is read-only; the others are unused."""
    made = new_world(stack.require("mysql").config)
    made.load(*small_world(), [("que_eid_4", datetime.fromisoformat(INSIDE), 3), ("que_eid_9999", WINDOW.start, 1)])
    made.confirm()
    yield made
    made.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")
    close(made.governance)


def arrives(world: World, *metrics: tuple[str, str]) -> None:
    """Let metrics be published that the report did not see."""
    for name, at in metrics:
        world.sql("governance", "REPLACE INTO rsp_datagovern.ads_evt_ops_status VALUES (%s, %s, 1)", name, at)


def halts(world: World) -> set[tuple[str, int]]:
    """Return what the observation finds: kind and point."""
    signs = signs_of_life(world.repositories, world.members(), BATCH, OBSERVED_FROM, points_config(), "UTC")
    return {(sign.kind, sign.point_id) for sign in signs}


def test_a_late_record_of_the_reports_window_stops_the_downline(world: World) -> None:
    """The report called point 5 unused and point 4 read-only: a write of it, and use of the other, are news."""
    planned = world.prepare_change("intranet")

    def used() -> set[int]:
        recheck = used_since_report(world.repositories, planned, world.members(), points_config(), WINDOW.last)
        return {sign.point_id for sign in recheck.used}

    assert used() == set()  # point 4's reads are what made it a candidate
    arrives(world, ("que_eid_5", INSIDE), ("que_tag_501", INSIDE), ("que_eid_v2_6", INSIDE), ("err_eid_7", INSIDE))
    assert used() == {1, 2, 5, 6}
    arrives(world, ("upd_eid_4", INSIDE))
    assert used() == {1, 2, 4, 5, 6}


def test_use_between_the_last_evidence_and_the_observation_halts_it(world: World) -> None:
    """The downline's re-check ends with the evidence of the day before; the observation began after the use."""
    world.downline("intranet")
    world.repositories.plans.copy_journal(BATCH, "intranet", world.journal("intranet"))
    assert halts(world) == set()
    arrives(world, ("que_eid_5", AFTER), ("que_eid_4", AFTER), ("upd_eid_1", INSIDE), ("err_eid_7", AFTER))
    assert halts(world) == {("use", 5), ("use", 4), ("use", 1)}
    arrives(world, ("err_eid_7", "2024-08-01 09:31:00"))
    assert ("error", 7) in halts(world)


def test_a_release_excuses_what_it_showed_and_nothing_else(world: World) -> None:
    world.downline("intranet")
    world.repositories.plans.copy_journal(BATCH, "intranet", world.journal("intranet"))
    world.repositories.observations.start(BATCH, 30)
    world.repositories.audit.note(BATCH, VERIFIED, "airflow", "intranet")
    later = "2999-08-05 10:00:00"
    arrives(world, ("que_eid_5", AFTER), ("err_eid_7", later))
    signs = signs_of_life(world.repositories, world.members(), BATCH, OBSERVED_FROM, points_config(), "UTC")
    keep_signs(world.repositories, BATCH, signs[:1])  # the other one is seen by the release for the first time
    # What an observation finds after the question was prepared is kept, too, and nobody was shown it.
    unseen = Sign("use", 11, "que_eid_11", datetime.fromisoformat(AFTER), 1)
    keep_signs(world.repositories, BATCH, [unseen])
    world.repositories.observations.halt(BATCH, "used")
    batch = world.repositories.batches.get(BATCH)
    lift_halt(world.repositories, batch, "approver", {"run_id": "r"}, (), signs)

    def news() -> list[Sign]:
        observed_from = utc(datetime.now(UTC))
        return signs_of_life(world.repositories, world.members(), BATCH, observed_from, points_config(), "UTC")

    assert news() == []
    arrives(world, ("que_eid_11", AFTER))
    assert news() == [unseen]
    arrives(world, ("que_eid_6", INSIDE), ("que_eid_5", "2024-07-31 10:01:00"), ("err_eid_7", "2999-08-05 10:01:00"))
    assert [(s.kind, s.point_id) for s in news()] == [("error", 7), ("use", 5), ("use", 6), ("use", 11)]
    # A second release shows what is new only; what the first one showed stays excused.
    world.repositories.observations.halt(BATCH, "used again")
    batch = world.repositories.batches.get(BATCH)
    lift_halt(world.repositories, batch, "approver", {"run_id": "r2"}, (), [unseen])
    assert [(s.kind, s.point_id) for s in news()] == [("error", 7), ("use", 5), ("use", 6)]


def test_a_release_that_did_not_keep_what_it_showed_excuses_nothing(world: World) -> None:
    world.downline("intranet")
    world.repositories.plans.copy_journal(BATCH, "intranet", world.journal("intranet"))
    world.repositories.audit.note(BATCH, VERIFIED, "airflow", "intranet")
    arrives(world, ("que_eid_5", AFTER))
    signs = signs_of_life(world.repositories, world.members(), BATCH, OBSERVED_FROM, points_config(), "UTC")
    keep_signs(world.repositories, BATCH, signs)
    world.repositories.audit.note(BATCH, RELEASED, "approver")
    assert halts(world) == {("use", 5)}
