"""Definition tables as they are found: views, copies, engines, columns and ids that no tidy schema has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drawsguard.points import definitions
from drawsguard.points.database import close
from drawsguard.points.definitions import DefinitionError
from drawsguard.points.downline.backup import back_up, check_backup
from drawsguard.points.downline.execution import Execution, PlanChangedError
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.restore import plan_restore
from drawsguard.points.policy import load_policy
from tests.integration.points_world import BATCH, World, new_world, small_world

pytestmark = pytest.mark.integration

TABLE = "define_nosdata_general"
COPY = f"{TABLE}_bak20240101"


@pytest.fixture
def world(stack: Any) -> Iterator[World]:
    made = new_world(stack.require("mysql").config)
    made.load(*small_world())
    yield made
    made.sql("intranet", "DROP VIEW IF EXISTS define_nosdata_all, define_nostag_all")
    made.sql("intranet", f"DROP TABLE IF EXISTS {COPY}, define_nosdata_bak, define_nosdata_odd")
    close(made.governance)


@pytest.fixture
def leave_alone(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Configure tables that are none."""

    def configure(*names: str) -> None:
        policy = load_policy()
        tables = policy.tables.model_copy(update={"left_alone": frozenset(names)})
        monkeypatch.setattr(definitions, "get_policy", lambda: policy.model_copy(update={"tables": tables}))

    return configure


def test_views_and_copies_are_named_and_left_alone(world: World, leave_alone: Callable[..., None]) -> None:
    world.sql("intranet", f"CREATE VIEW define_nosdata_all AS SELECT * FROM {TABLE}")
    world.sql("intranet", "CREATE VIEW define_nostag_all AS SELECT * FROM define_nostag_general")
    for copy in (COPY, "define_nosdata_bak"):
        world.sql("intranet", f"CREATE TABLE {copy} AS SELECT * FROM {TABLE}")
    notes = world.report().notes()["不作为定义表 tables left alone"]
    assert all(
        name in notes for name in ("define_nosdata_all is a view", "define_nostag_all", COPY, "define_nosdata_bak")
    )
    world.confirm()
    leave_alone("define_nosdata_all", "define_nostag_all", COPY, "define_nosdata_bak")
    planned = world.prepare_change("intranet")
    assert {row.table for row in planned.plan.rows} <= {TABLE, "define_nosdata_mqzdr", "define_nosdata_flag",
                                                        "define_nostag_general"}  # fmt: skip
    world.downline("intranet")
    assert world.sql("intranet", f"SELECT COUNT(*) FROM {TABLE} WHERE status = -80") != [(0,)]
    assert world.sql("intranet", f"SELECT COUNT(*) FROM {COPY} WHERE status = -80") == [(0,)]


@pytest.mark.parametrize(
    ("name", "how", "served"),
    [
        (COPY, "CREATE TABLE {name} AS SELECT * FROM define_nosdata_general WHERE id = 2", [2]),
        (
            "define_nosdata_2025",
            "CREATE TABLE {name} AS SELECT * FROM define_nosdata_general WHERE id IN (1, 5)",
            [1, 5],
        ),
        ("define_nosdata_all", "CREATE VIEW {name} AS SELECT * FROM define_nosdata_mqzdr WHERE id = 11", [11]),
        # Use through any tag is use: a tag that nobody counts keeps its points as well.
        ("define_nostag_new_v2", "CREATE TABLE {name} AS SELECT 77 id, 1 status, '4, 12,999' eids", [4, 12]),
    ],
)
def test_what_a_table_that_nobody_listed_may_serve_is_not_downlined(
    world: World, leave_alone: Callable[..., None], name: str, how: str, served: list[int]
) -> None:
    world.confirm()
    before = world.rows("intranet")
    for at in ("intranet", "extranet"):
        world.sql(at, how.format(name=name))
        kind = "VIEW" if "VIEW" in how else "TABLE"
        try:
            with world.environment(at) as connection:
                assert definitions.serving_unlisted(connection, frozenset(range(1, 14))) == dict.fromkeys(served, name)
            if at == "extranet":
                world.downline("intranet")
            with pytest.raises(DefinitionError, match=rf"{name} \({len(served)}, e.g. \{served}\).*left_alone"):
                world.plan(at)
            assert at == "extranet" or world.rows(at) == before
            world.sql(at, "CREATE OR REPLACE VIEW define_nosdata_all AS SELECT 3 id, -80 status, '' cluster")
            leave_alone(name, "define_nosdata_all")
            assert set(served) <= world.plan(at).plan.points() | {7}
        finally:
            world.sql(at, "DROP VIEW IF EXISTS define_nosdata_all")
            world.sql(at, f"DROP {kind} IF EXISTS {name}")
            leave_alone()


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("define_nosdata_of_users", "CREATE TABLE {name} (user_id INT, value INT)"),
        ("define_nostag_names_", "CREATE TABLE {name} (id INT, status INT)"),
        ("define_nosdata_all", "CREATE VIEW {name} AS SELECT * FROM define_nosdata_odd"),
    ],
)
def test_what_cannot_be_read_serves_nobody_knows_whom(
    world: World, leave_alone: Callable[..., None], name: str, how: str
) -> None:
    world.confirm()
    world.sql("intranet", f"CREATE TABLE define_nosdata_odd AS SELECT * FROM {TABLE} LIMIT 0")
    world.sql("intranet", how.format(name=name))
    world.sql("intranet", "DROP TABLE define_nosdata_odd")
    try:
        with pytest.raises(DefinitionError, match=rf"{name} has a name like .* cannot be read .*tables\.left_alone"):
            world.plan("intranet")
        leave_alone(name)
        assert world.plan("intranet").plan.points()
    finally:
        world.sql("intranet", f"DROP {'VIEW' if 'VIEW' in how else 'TABLE'} {name}")


def test_batches_and_tables_with_similar_names_have_backups_of_their_own(world: World) -> None:
    names = ["a-1", "a_1", "A-1", "A_1"]
    world.sql("intranet", "CREATE TABLE `define_nosdata_甲` LIKE define_nosdata_flag")
    world.sql("intranet", "CREATE TABLE `define_nosdata_乙` LIKE define_nosdata_flag")
    try:
        with world.environment("intranet") as connection:
            made = [back_up(connection, batch, "intranet", TABLE) for batch in names]
            made += [back_up(connection, "a", "intranet", f"define_nosdata_{one}") for one in "甲乙"]
            assert len({backup.place.lower() for backup in made}) == len(made)
            for backup in made:
                check_backup(connection, backup)
    finally:
        world.sql("intranet", "DROP TABLE `define_nosdata_甲`, `define_nosdata_乙`")


@pytest.mark.parametrize("table", ["define_nosdata_mqzdr", "define_nostag_general"])
def test_what_cannot_roll_back_is_refused_before_anything(world: World, table: str) -> None:
    world.confirm()
    before = world.rows("intranet")
    world.sql("intranet", f"ALTER TABLE {table} ENGINE = MyISAM")
    try:
        with pytest.raises(DefinitionError, match=f"{table} has the storage engine MyISAM.*ENGINE = InnoDB"):
            world.plan("intranet")
        assert world.rows("intranet") == before
    finally:
        world.sql("intranet", f"ALTER TABLE {table} ENGINE = InnoDB")


def test_a_table_of_something_else_with_a_name_like_a_definition_tables_is_named(
    world: World, leave_alone: Callable[..., None]
) -> None:
    world.sql("intranet", "CREATE TABLE define_nosdata_odd (user_id INT, value INT)")
    for read in (definitions.live_definitions, definitions.live_counts):
        with world.environment("intranet") as connection:
            with pytest.raises(DefinitionError, match=r"define_nosdata_odd .* cannot be read .*tables\.left_alone"):
                list(read(connection))
            connection.rollback()
    leave_alone("define_nosdata_odd")
    assert len(world.report().rows) == 10


def test_a_tag_without_a_status_is_not_in_service(world: World) -> None:
    world.sql("intranet", "ALTER TABLE define_nostag_general MODIFY status INT NULL")
    world.sql("intranet", "UPDATE define_nostag_general SET status = NULL WHERE id = 501")
    world.confirm()
    assert 501 not in {row.row_id for row in world.plan("intranet").plan.rows}
    with world.environment("intranet") as connection:
        assert {tag.tag_id: tag.status for tag in definitions.read_tags(connection)}[501] == 0


@pytest.mark.parametrize("eids", ["1_1,3", "\u0663", "-3,+3", "3;4", "\uff13", "1e3", "3.0"])
def test_a_member_that_is_no_plain_number_is_refused_with_its_tag(world: World, eids: str) -> None:
    world.sql("intranet", "UPDATE define_nostag_general SET eids = %s WHERE id = 502", eids)
    with world.environment("intranet") as connection, pytest.raises(DefinitionError, match="eids of tag 502 is"):
        definitions.read_tags(connection)


@pytest.mark.parametrize("kind", ["DATE NULL", "VARCHAR(30) NULL", "INT NOT NULL DEFAULT 1600000000"])
def test_a_creation_time_of_another_type_is_read_or_named(world: World, kind: str) -> None:
    world.sql("intranet", f"ALTER TABLE {TABLE} DROP COLUMN created_time, ADD COLUMN created_time {kind}")
    world.sql("intranet", f"UPDATE {TABLE} SET created_time = IF(%s = 'I', 1600000000, '2021-03-04')", kind[0])
    if kind.startswith("DATE"):
        assert len(world.report().rows) == 10
    else:
        with pytest.raises(DefinitionError, match=f"{TABLE}.created_time of 1 is .*expected a date"):
            world.report()


def test_the_first_year_of_the_calendar_is_not_a_change(world: World) -> None:
    """What other programs write for "never": 0001-01-01."""
    world.sql("intranet", f"ALTER TABLE {TABLE} MODIFY last_modify_time DATETIME NOT NULL")
    world.sql("intranet", f"UPDATE {TABLE} SET last_modify_time = '0001-01-01 00:00:00' WHERE id = 1")
    world.confirm()
    before = world.rows("intranet")
    assert world.plan("intranet").plan.differences == ()
    assert world.downline("intranet") == 13
    with world.environment("intranet") as connection:
        journal = Journal(connection, BATCH, "intranet")
        plan = plan_restore(connection, journal, BATCH, "intranet")
        assert Execution(connection, journal, lambda: False, plan.digest, 2).restore(plan) == 13
    assert world.rows("intranet") == before


def test_character_sets_that_no_text_can_join_are_named(world: World) -> None:
    world.confirm()
    world.sql("intranet", f"ALTER TABLE {TABLE} ADD COLUMN c VARCHAR(10) CHARACTER SET utf16 NULL")
    with pytest.raises(DefinitionError, match=f"{TABLE} has a name .*cannot be read .*collations"):
        world.plan("intranet")


def test_a_clusters_name_that_is_too_long_is_refused_with_its_row(world: World) -> None:
    world.confirm()
    world.downline("intranet")
    world.sql("extranet", f"ALTER TABLE {TABLE} MODIFY cluster VARCHAR(300) NULL")
    world.sql("extranet", f"UPDATE {TABLE} SET cluster = REPEAT('x', 300) WHERE id = 2")
    with pytest.raises(DefinitionError, match=f"{TABLE}.cluster of 2 has 300 characters"):
        world.plan("extranet")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("MODIFY status INT UNSIGNED NOT NULL", "Out of range"),
        ("ADD CONSTRAINT no_minus CHECK (status >= 0)", "no_minus"),
        ("ADD UNIQUE KEY one_a_status (id, status)", "Duplicate entry '3--80'"),
        ("PARTITION BY LIST (status) (PARTITION p VALUES IN (0, 1, 2))", "no partition for value -80"),
    ],
)
def test_a_table_that_cannot_hold_the_status_is_one_refusal_with_its_rows(world: World, how: str, reason: str) -> None:
    world.confirm()
    world.sql("intranet", f"ALTER TABLE {TABLE} {how}")
    with pytest.raises(PlanChangedError, match=rf"{TABLE}: the server refused to set .*{reason}.*rolled back"):
        world.downline("intranet")
    status = world.sql("intranet", f"SELECT status FROM {TABLE} WHERE id = 3 ORDER BY status")
    assert [number for (number,) in status] == [1, 2]


def test_a_second_column_that_changes_by_itself_is_named_as_a_cause(world: World) -> None:
    world.confirm()
    world.sql("intranet", f"ALTER TABLE {TABLE} ADD COLUMN m TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP")
    with pytest.raises(PlanChangedError, match=r"rolled back.*change by themselves \(ON UPDATE\)"):
        world.downline("intranet")


@pytest.mark.parametrize("value", [None, "x", "01", "1.0"])
def test_an_id_that_is_no_number_is_named(world: World, value: str | None) -> None:
    world.sql("intranet", f"CREATE TABLE define_nosdata_odd AS SELECT * FROM {TABLE} LIMIT 1")
    world.sql("intranet", "ALTER TABLE define_nosdata_odd MODIFY id VARCHAR(20) NULL")
    world.sql("intranet", "UPDATE define_nosdata_odd SET id = %s, status = 1", value)
    with world.environment("intranet") as connection:
        with pytest.raises(DefinitionError, match=f"define_nosdata_odd has a row with the id {value!r}"):
            list(definitions.live_definitions(connection))
        connection.rollback()


def test_a_column_that_no_statement_can_name_is_refused_by_name(world: World) -> None:
    world.confirm()
    world.sql("intranet", f"ALTER TABLE {TABLE} ADD COLUMN `a``b %%s` INT NULL")
    try:
        with pytest.raises(DefinitionError, match=r"Column 'a`b %+s' of define_nosdata_general has a name"):
            world.plan("intranet")
    finally:
        world.sql("intranet", f"ALTER TABLE {TABLE} DROP COLUMN `a``b %%s`")
