"""Definition tables as they are found: views, copies, engines, columns and ids that no tidy schema has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drawsguard.points import definitions
from drawsguard.points.database import close
from drawsguard.points.definitions import DefinitionError
from tests.integration.points_world import World, new_world, small_world

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


def test_views_and_copies_are_named_and_left_alone(world: World) -> None:
    world.sql("intranet", f"CREATE VIEW define_nosdata_all AS SELECT * FROM {TABLE}")
    world.sql("intranet", "CREATE VIEW define_nostag_all AS SELECT * FROM define_nostag_general")
    for copy in (COPY, "define_nosdata_bak"):
        world.sql("intranet", f"CREATE TABLE {copy} AS SELECT * FROM {TABLE}")
    notes = world.report().notes()["不作为定义表 tables left alone"]
    assert all(
        name in notes for name in ("define_nosdata_all is a view", "define_nostag_all", COPY, "define_nosdata_bak")
    )
    world.confirm()
    planned = world.prepare_change("intranet")
    assert {row.table for row in planned.plan.rows} <= {TABLE, "define_nosdata_mqzdr", "define_nosdata_flag",
                                                        "define_nostag_general"}  # fmt: skip
    world.downline("intranet")
    assert world.sql("intranet", f"SELECT COUNT(*) FROM {TABLE} WHERE status = -80") != [(0,)]
    assert world.sql("intranet", f"SELECT COUNT(*) FROM {COPY} WHERE status = -80") == [(0,)]


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
