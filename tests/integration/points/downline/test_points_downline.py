"""The downline on a real server: the golden case, refusals, and faults at every statement."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import MySQLdb
import pytest

from drawsguard.points.database import close
from drawsguard.points.downline.backup import BackupError, back_up, check_backup
from drawsguard.points.downline.execution import Execution, PlanChangedError, StoppedError, verify_downline
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.observe import signs_of_life
from drawsguard.points.downline.plan import CapExceededError, PlanRefusedError
from drawsguard.points.downline.planner import Planner, used_since_report
from drawsguard.points.downline.report import downline_report
from drawsguard.points.environments import ENVIRONMENTS, Environment
from drawsguard.points.policy import load_policy
from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.points.review.evidence import EvidenceRefusedError
from drawsguard.points.telemetry.config import points_config
from drawsguard.settings import get_settings
from local.golden.dataset import EXPECTED, METRIC_ROWS, ORIGINAL_LAST_DAY, build
from tests.integration.points_world import (
    BATCH,
    EVIDENCE,
    OLD,
    RULES,
    TODAY,
    WINDOW,
    World,
    new_world,
    small_world,
    tag,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def world(stack: Any) -> Iterator[World]:
    """A small world, reported and confirmed."""
    made = new_world(stack.require("mysql").config)
    made.load(*small_world())
    made.confirm()
    yield made
    close(made.governance)


# --- the golden case -----------------------------------------------------------------------------------
def test_the_golden_case_ends_in_exactly_the_numbers_of_the_batch(stack: Any) -> None:
    world = new_world(stack.require("mysql").config)
    golden = build(ORIGINAL_LAST_DAY)
    assert len(golden.metrics) == METRIC_ROWS
    world.load(golden.intranet, golden.extranet, golden.metrics)
    world.confirm(*golden.confirmed)
    planner = Planner(world.repositories, world.environment, load_policy(), TODAY)
    for name in ENVIRONMENTS:
        planned = planner.plan(BATCH, name)
        world.repositories.plans.save(planned.plan)
        assert planned.plan.counts() == EXPECTED[name]
        assert _used(world, planned) == []
        with world.environment(name) as connection:
            assert world.execute(planned, connection, chunk_rows=200) == len(planned.plan.rows)
            verified = verify_downline(connection, Journal(connection, BATCH, name))
        assert verified.wrong == ()
    report = downline_report(world.repositories, world.environment, BATCH, [])
    assert report.counts == EXPECTED
    _every_difference_is_explained(report.entries, report.differences["extranet"])
    planner_done = Planner(world.repositories, world.environment, load_policy(), TODAY)
    with pytest.raises(PlanRefusedError, match="carried out in both"):
        planner_done.refuse_second_run(BATCH)
    close(world.governance)


def test_without_an_extranet_a_batch_is_done_when_the_intranet_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAWSGUARD_ABSENT_PARTS", "extranet")
    get_settings.cache_clear()

    def connect(name: Environment) -> Any:
        assert name == "intranet", "there is no extranet to connect to"
        return world.environment(name)

    planner = Planner(world.repositories, connect, RULES, TODAY)
    planned = planner.plan(BATCH, "intranet")
    world.repositories.plans.save(planned.plan)
    planner.refuse_second_run(BATCH)
    with connect("intranet") as connection:
        assert world.execute(planned, connection) == len(planned.plan.rows)
    report = downline_report(world.repositories, connect, BATCH, [])
    assert set(report.counts) == {"intranet"}
    with pytest.raises(PlanRefusedError, match="carried out in the intranet"):
        planner.refuse_second_run(BATCH)
    monkeypatch.undo()
    get_settings.cache_clear()


def _used(world: World, planned: Any, expected: date = WINDOW.last) -> Any:
    return used_since_report(world.repositories, planned, world.members(), points_config(), expected).used


def _every_difference_is_explained(entries: Any, differences: Any) -> None:
    ids = {name: {(e.row.kind, e.row.row_id) for e in found} for name, found in entries.items()}
    assert {(d.kind, d.row_id) for d in differences} == ids["intranet"] ^ ids["extranet"]
    kinds = Counter(d.kind for d in differences)
    assert kinds == {"point": 1277 - 1160, "tag": 8}
    assert all(d.reason for d in differences)


# --- plan ---------------------------------------------------------------------------------------------
def test_the_plan_has_every_live_row_of_an_id_and_the_tags_that_would_be_dead(world: World) -> None:
    plan = world.plan("intranet").plan
    rows = Counter((row.kind, row.row_id) for row in plan.rows)
    assert rows["point", 3] == 2
    assert {row.row_id for row in plan.rows if row.kind == "tag"} == {501, 503}
    assert world.plan("intranet").plan.digest == plan.digest


def test_making_a_plan_changes_nothing(world: World) -> None:
    before = world.rows("intranet")
    world.plan("intranet")
    assert world.rows("intranet") == before


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE define_nosdata_general SET status = 0 WHERE id = 1", "no longer has a live row"),
        ("UPDATE define_nosdata_general SET description = 'neu' WHERE id = 1", "changed since the report"),
        ("UPDATE define_nosdata_general SET cluster = 'redis_mq' WHERE id = 1", "changed since the report"),
    ],
)
def test_a_point_that_changed_since_the_report_is_not_planned(world: World, statement: str, reason: str) -> None:
    digest = world.plan("intranet").plan.digest
    world.sql("intranet", statement)
    plan = world.plan("intranet").plan
    assert 1 not in plan.points()
    assert [(d.row_id, reason in d.reason) for d in plan.differences] == [(1, True)]
    assert plan.digest != digest


@pytest.mark.parametrize(("cap", "limit"), [({"rows": 3}, "limit 3"), ({"percent": 20.0}, "limit 20.0 %")])
def test_a_plan_above_a_cap_is_refused_with_limit_and_numbers(world: World, cap: dict[str, Any], limit: str) -> None:
    rules = RULES.model_copy(update={"caps": RULES.caps.model_copy(update=cap)})
    with pytest.raises(CapExceededError, match=limit):
        Planner(world.repositories, world.environment, rules, TODAY).plan(BATCH, "intranet")


def test_the_extranet_is_never_first(world: World) -> None:
    with pytest.raises(PlanRefusedError, match="finish the intranet first"):
        world.plan("extranet")


def test_stale_evidence_plans_nothing(world: World) -> None:
    late = TODAY + timedelta(days=RULES.evidence.max_age_days)
    with pytest.raises(EvidenceRefusedError, match="stale"):
        Planner(world.repositories, world.environment, RULES, late).plan(BATCH, "intranet")


def test_a_batch_without_a_confirmed_point_plans_nothing(world: World) -> None:
    report = world.report()
    world.repositories.batches.save_report("b2", "intranet", report.window, report.rows)
    with pytest.raises(PlanRefusedError, match="no confirmed point"):
        world.plan("intranet", "b2")
    with pytest.raises(BatchStateError, match="not known"):
        world.plan("intranet", "nobody")


def test_the_extranet_plan_explains_every_difference(world: World) -> None:
    world.downline("intranet")
    plan = world.plan("extranet").plan
    assert {(d.kind, d.row_id, d.reason) for d in plan.differences} == {
        ("point", 7, "missing there"),
        ("tag", 502, "only there: on the intranet the tag has live members outside the batch here: 9000"),
    }


# --- change -------------------------------------------------------------------------------------------
def test_rows_go_to_minus_80_and_keep_their_last_modify_time(world: World) -> None:
    before = world.rows("intranet")
    planned = world.prepare_change("intranet")
    with world.environment("intranet") as connection:
        assert world.execute(planned, connection) == len(planned.plan.rows)
    after = world.rows("intranet")
    changed = {key for key in before if before[key] != after[key]}
    assert len(changed) == len(planned.plan.rows) == 13
    assert all(after[key] == (-80, before[key][1]) for key in changed)
    assert {(e.row.row_id, e.row.old_status) for e in world.journal("intranet")} >= {(3, 1), (3, 2), (501, 1)}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE define_nosdata_general SET status = 2 WHERE id = 5",
        "UPDATE define_nosdata_general SET people = 'x', last_modify_time = last_modify_time WHERE id = 5",
        "UPDATE define_nosdata_general SET last_modify_time = '2024-01-01' WHERE id = 5",
        "DELETE FROM define_nosdata_general WHERE id = 5",
        "INSERT INTO define_nosdata_general (id, status) VALUES (5, 1)",
        "UPDATE define_nostag_general SET eids = '4,5,11,9000', last_modify_time = last_modify_time WHERE id = 503",
    ],
)
def test_rows_that_differ_from_the_approved_plan_roll_their_chunk_back(world: World, statement: str) -> None:
    planned = world.prepare_change("intranet")
    world.sql("intranet", statement)
    before = world.rows("intranet")
    with world.environment("intranet") as connection, pytest.raises(PlanChangedError, match="rolled back"):
        world.execute(planned, connection, chunk_rows=100)
    after = world.rows("intranet")
    changed = {key[:2] for key in before if before[key] != after.get(key)}
    journaled = {(e.row.table, e.row.row_id) for e in world.journal("intranet")}
    assert changed == journaled
    assert ("define_nosdata_general", 5) not in changed or "nostag" in statement


def test_a_trigger_that_moves_last_modify_time_rolls_back(world: World) -> None:
    planned = world.prepare_change("intranet")
    world.sql(
        "intranet",
        "CREATE TRIGGER moves BEFORE UPDATE ON define_nosdata_general"
        " FOR EACH ROW SET NEW.last_modify_time = '2024-08-02'",
    )
    before = world.rows("intranet")
    with (
        world.environment("intranet") as connection,
        pytest.raises(PlanChangedError, match="last_modify_time unchanged"),
    ):
        world.execute(planned, connection)
    assert world.rows("intranet") == before
    assert world.journal("intranet") == []


def test_the_stop_switch_stops_between_chunks_and_the_rest_can_be_continued(world: World) -> None:
    planned = world.prepare_change("intranet")
    asked = iter([False, False, True])
    with world.environment("intranet") as connection, pytest.raises(StoppedError, match="of 13 rows"):
        world.execute(planned, connection, chunk_rows=2, stop=lambda: next(asked))
    done = len(world.journal("intranet"))
    assert 0 < done < 13
    again = world.plan("intranet")
    assert again.plan.digest == planned.plan.digest
    assert len(again.plan.pending) == 13 - done
    with world.environment("intranet") as connection:
        assert world.execute(again, connection) == 13 - done


def test_a_point_that_was_used_since_the_report_is_taken_out_with_its_tag(world: World) -> None:
    planned = world.prepare_change("intranet")
    world.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")
    world.sql(
        "governance", "INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES ('que_eid_4', '2024-07-31 00:00:00', 1)"
    )
    signs = _used(world, planned)
    world.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")
    assert [(sign.point_id, sign.oper_type) for sign in signs] == [(4, "que_eid_4")]
    left = planned.plan.without(frozenset({4}), "was used", planned.membership)
    assert 4 not in left.points()
    assert {row.row_id for row in left.rows if row.kind == "tag"} == {501}
    assert {(d.kind, d.row_id) for d in left.differences} == {("point", 4), ("tag", 503)}


def test_a_push_that_failed_since_the_report_leaves_no_downline(world: World) -> None:
    """No evidence is not no use: the days after the report are named, whether none came, or one of them is short."""
    planned = world.prepare_change("intranet")
    expected = WINDOW.last + timedelta(days=2)
    with pytest.raises(EvidenceRefusedError, match=r"lacks 2 day.*: 2024-07-31, 2024-08-01\. Missing telemetry is not"):
        _used(world, planned, expected)
    world.sql("governance", "UPDATE rsp_datagovern.evidence_batch SET window_end = '2024-08-01'")
    world.sql(
        "governance",
        "INSERT INTO rsp_datagovern.evidence_batch_day VALUES (%s, '2024-07-31', 700), (%s, '2024-08-01', 1440)",
        EVIDENCE, EVIDENCE,
    )  # fmt: skip
    with pytest.raises(EvidenceRefusedError, match=r"lacks 1 day.*: 2024-07-31 \(700 min\)"):
        _used(world, planned, expected)
    world.sql("governance", "UPDATE rsp_datagovern.evidence_batch_day SET minutes = 1440")
    assert _used(world, planned, expected) == []
    world.sql("governance", "UPDATE rsp_datagovern.evidence_batch SET purged_at = '2024-08-02'")
    with pytest.raises(EvidenceRefusedError, match="lacks 2 day"):
        _used(world, planned, expected)


def test_use_through_a_tag_of_the_other_environment_is_use(world: World) -> None:
    """Tag 601 exists on the extranet only, and 501 has another member there."""
    world.sql(
        "extranet",
        "INSERT INTO define_nostag_general (id, status, eids) VALUES (601, 1, '5,6'), (501, 1, '1,2,12')",
    )
    world.load_use(("que_tag_601", 3), ("upd_tag_601", 3), ("que_tag_501", 1), ("upd_tag_501", 1))
    report = world.report()
    assert not {5, 6, 1, 2, 12} & {int(row.cells[0]) for row in report.rows}
    assert report.undefined_tags == []


def test_use_through_the_other_environments_tag_stops_the_downline_and_is_observed(world: World) -> None:
    planned = world.prepare_change("intranet")
    world.sql("extranet", "INSERT INTO define_nostag_general (id, status, eids) VALUES (601, 1, '5,6')")
    world.sql(
        "governance", "INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES ('que_tag_601', '2024-07-31 00:00:00', 1)"
    )
    # A kind of metric that nobody can read yet: it may be about point 7, and about point 2.
    world.sql(
        "governance",
        "INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES ('que_eid_v2_7', '2024-07-31 00:00:00', 1)",
    )
    assert {sign.point_id for sign in _used(world, planned)} == {2, 5, 6, 7}
    with world.environment("intranet") as connection:
        world.execute(planned, connection)
    entries = world.journal("intranet")
    world.repositories.plans.copy_journal(BATCH, "intranet", entries)
    signs = signs_of_life(
        world.repositories, world.members(), BATCH, datetime.fromisoformat("2024-07-30"), points_config(), "UTC"
    )
    world.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")
    assert {(sign.kind, sign.point_id) for sign in signs} == {("use", number) for number in (2, 5, 6, 7)}


def test_two_batches_over_the_same_points_change_each_row_once(world: World) -> None:
    world.confirm(batch_id="b2")
    plans = [world.prepare_change("intranet"), world.prepare_change("intranet", "b2")]
    results: list[Any] = []

    def go(planned: Any) -> None:
        with world.environment("intranet") as connection:
            try:
                results.append(world.execute(planned, connection, chunk_rows=100))
            except (PlanChangedError, MySQLdb.Error) as error:
                results.append(error)

    threads = [threading.Thread(target=go, args=(planned,)) for planned in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = world.journal("intranet") + world.journal("intranet", "b2")
    keys = Counter((e.row.table, e.row.row_id, e.row.identity, e.row.old_status) for e in entries)
    assert set(keys.values()) == {1}
    assert any(isinstance(result, Exception) for result in results)
    assert {status for (_, number, _), (status, _) in world.rows("intranet").items() if number in range(1, 8)} == {-80}


# --- backup -------------------------------------------------------------------------------------------
def test_a_backup_that_was_edited_is_refused(world: World) -> None:
    with world.environment("intranet") as connection:
        backup = back_up(connection, BATCH, "intranet", "define_nosdata_general")
        check_backup(connection, backup)
        assert backup.checksum.rows == 9
    world.sql("intranet", f"UPDATE {backup.place} SET status = 7 WHERE id = 2")
    with world.environment("intranet") as connection, pytest.raises(BackupError, match="expected 9 rows"):
        check_backup(connection, backup)


def test_a_checksum_tells_swapped_doubled_and_empty_values_apart(world: World) -> None:
    found = set()
    for statement in (
        "SELECT 1",
        "UPDATE define_nosdata_flag SET people = NULL, lv1 = ''",
        "UPDATE define_nosdata_flag SET people = '', lv1 = NULL",
        "INSERT INTO define_nosdata_flag SELECT * FROM define_nosdata_flag",
        "INSERT INTO define_nosdata_flag SELECT * FROM define_nosdata_flag LIMIT 1",
    ):
        world.sql("intranet", statement)
        with world.environment("intranet") as connection:
            found.add(back_up(connection, BATCH, "intranet", "define_nosdata_flag").checksum)
    assert len(found) == 5


# --- faults -------------------------------------------------------------------------------------------
class KilledError(BaseException):
    """The process died here."""


class Dying:
    """A connection whose process dies at the n-th statement or commit, before or after it took effect."""

    def __init__(self, connection: Any, at: int, after: bool) -> None:
        self._connection, self._left, self._after = connection, at, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _step(self, call: Any, *arguments: Any) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:
            self._die()
        result = call(*arguments)
        if self._left == 0:
            self._die()
        return result

    def _die(self) -> None:
        self._connection.close()
        raise KilledError

    def commit(self) -> None:
        self._step(self._connection.commit)

    def rollback(self) -> None:
        if self._connection.open:
            self._connection.rollback()

    def cursor(self, *arguments: Any) -> Any:
        cursor, step, connection = self._connection.cursor(*arguments), self._step, self._connection

        class Stepping:
            def __getattr__(self, name: str) -> Any:
                return getattr(cursor, name)

            def close(self) -> None:
                if connection.open:  # a dead process closes nothing
                    cursor.close()

            def execute(self, *arguments: Any) -> Any:
                return step(cursor.execute, *arguments)

            def executemany(self, *arguments: Any) -> Any:
                return step(cursor.executemany, *arguments)

        return Stepping()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_statement_the_rest_is_done_exactly_once(world: World, after: bool) -> None:
    before = world.rows("intranet")
    planned = world.prepare_change("intranet")
    at = 0
    while True:
        at += 1
        current = world.plan("intranet")
        assert current.plan.digest == planned.plan.digest
        with world.environment("intranet") as connection:
            try:
                world.execute(current, Dying(connection, at, after), chunk_rows=100)
                break
            except KilledError:
                pass
        _untouched_or_downlined(world, before)
    assert at > 7  # attempts; what an attempt committed is not done again
    after_all = world.rows("intranet")
    assert {key for key in before if before[key] != after_all[key]} == {
        key for key in after_all if after_all[key][0] == -80
    }
    assert len(world.journal("intranet")) == 13


def _untouched_or_downlined(world: World, before: dict[Any, tuple[int, str]]) -> None:
    rows = world.rows("intranet")
    journaled = Counter((e.row.table, e.row.row_id) for e in world.journal("intranet"))
    changed = Counter(key[:2] for key in rows if rows[key] != before[key])
    assert changed == journaled
    assert all(rows[key] == (-80, before[key][1]) for key in rows if rows[key] != before[key])


def test_killed_at_any_statement_of_the_backup_a_second_attempt_proves_it(world: World) -> None:
    at, finished = 0, False
    while not finished:
        at += 1
        with world.environment("intranet") as connection:
            try:
                back_up(Dying(connection, at, False), BATCH, "intranet", "define_nosdata_general")
                finished = True
            except KilledError:
                pass
        with world.environment("intranet") as connection:
            assert back_up(connection, BATCH, "intranet", "define_nosdata_general").checksum.rows == 9
    assert at > 8


def test_a_server_that_restarts_between_chunks_loses_nothing(world: World, stack: Any) -> None:
    before = world.rows("intranet")
    planned = world.prepare_change("intranet")
    calls = iter(range(100))

    def restart() -> bool:
        if next(calls) == 2:
            stack.restart("mysql")
        return False

    connection = world.environment("intranet")
    with connection as opened, pytest.raises(MySQLdb.Error, match=r"gone away|Lost connection|server has"):
        world.execute(planned, opened, chunk_rows=2, stop=restart)
    close(world.governance)
    again = new_connection(world)
    _untouched_or_downlined(again, before)
    left = again.plan("intranet")
    assert left.plan.digest == planned.plan.digest
    with again.environment("intranet") as opened:
        again.execute(left, opened)
    assert len(again.journal("intranet")) == 13
    close(again.governance)


def new_connection(world: World) -> World:
    from drawsguard.points.downline.repositories import Repositories
    from local.demo.downline import connect

    governance = connect(world.config, "governance")
    return World(world.config, governance, Repositories(governance))


# --- the lifecycle's copy -------------------------------------------------------------------------------
def test_the_audit_goes_from_candidate_to_row_after(world: World) -> None:
    world.repositories.audit.note(BATCH, "confirmed", "requester")
    world.downline("intranet")
    report = downline_report(world.repositories, world.environment, BATCH, [])
    records = [record for record in report.audit() if record.get("candidate") == 3]
    assert [record["decision"] for record in records] == ["downline"]
    rows = records[0]["rows"]
    assert sorted((row["before"]["status"], row["after"]["status"]) for row in rows) == [(1, -80), (2, -80)]
    assert {row["before"]["last_modify_time"] for row in rows} == {str(OLD)}


def test_a_confirmed_batch_is_never_replaced_by_a_new_report(world: World) -> None:
    report = world.report()
    with pytest.raises(BatchStateError, match="confirmed already"):
        world.repositories.batches.save_report(BATCH, "intranet", report.window, report.rows)


def test_points_used_through_a_tag_or_before_the_window_are_told_apart(stack: Any) -> None:
    world = new_world(stack.require("mysql").config)
    intranet, extranet = small_world()
    intranet.tags["define_nostag_general"].append(tag(504, 6, status=-80))
    seen = datetime.fromisoformat("2024-07-01 10:00:00")
    before = WINDOW.start - timedelta(seconds=1)
    world.load(
        intranet,
        extranet,
        [
            ("que_tag_504", seen, 1), ("upd_tag_504", seen, 1), ("que_eid_5", seen, 2), ("upd_eid_4", seen, 2),
            ("que_eid_2", before, 2), ("upd_eid_2", before, 2),
        ],
    )  # fmt: skip
    classes = {int(row.cells[0]): str(row.point_class) for row in world.report().rows}
    assert classes[5] == "read_only"
    assert classes[4] == "write_only"
    assert classes[2] == "unused"
    assert 6 not in classes
    close(world.governance)


def test_incomplete_evidence_makes_no_report(world: World) -> None:
    world.sql("governance", "DELETE FROM rsp_datagovern.evidence_batch_day WHERE pt_dt = '2024-05-03'")
    with pytest.raises(EvidenceRefusedError, match="2024-05-03"):
        world.report()


def test_a_wrong_kind_of_plan_is_not_carried_out(world: World) -> None:
    planned = world.plan("intranet")
    with world.environment("intranet") as connection:
        execution = Execution(connection, Journal(connection, BATCH, "intranet"), lambda: False, "x", 10)
        with pytest.raises(ValueError, match="not to restore"):
            execution.restore(planned.plan)
