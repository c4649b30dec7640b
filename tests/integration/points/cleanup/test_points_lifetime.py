"""The monthly report of lifetimes on real servers: owners, idle points by their last use, keys that never expire."""

from __future__ import annotations

import mailbox
import os
from collections.abc import Iterator
from datetime import datetime
from email.header import decode_header, make_header
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from openpyxl import load_workbook

from drawsguard.points.database import close
from drawsguard.settings import get_settings
from hooks import points_databases
from operators.points.cleanup.points_lifetime_operator import PointsLifetimeOperator
from tests.integration.points_world import TODAY, World, new_world, small_world

pytestmark = pytest.mark.integration


@pytest.fixture
def world(stack: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """Point 1 was queried three days ago, point 2 through its tag 40 days ago; point 3 has no owner."""
    made = new_world(stack.require("mysql", "redis", "smtp", "nos").config)
    intranet, extranet = small_world()
    for environment in (intranet, extranet):
        rows = environment.points["define_nosdata_general"]
        rows[:] = [row._replace(people="") if row.id == 3 else row for row in rows]
    made.load(
        intranet,
        extranet,
        [
            ("que_eid_1", datetime.fromisoformat("2024-07-30 08:00:00"), 5),
            ("que_tag_501", datetime.fromisoformat("2024-06-23 08:00:00"), 1),
        ],
    )
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", str(tmp_path))
    get_settings.cache_clear()
    monkeypatch.setattr(points_databases, "business_today", lambda: TODAY)
    yield made
    get_settings.cache_clear()
    close(made.governance)


def report(environment: str = "intranet") -> dict[str, Any]:
    run = SimpleNamespace(dag_id="points_lifetime_report", run_id="manual__1")
    task = PointsLifetimeOperator(task_id="report", environment=environment)
    return task.execute({"dag_run": run})  # type: ignore[typeddict-item]


@pytest.fixture
def keys(world: World) -> Iterator[redis.Redis]:
    """The Redis database that stands for evt-001-redis: point 1's keys never expire, point 5's do."""
    database = int(os.environ["AIRFLOW_CONN_EVT_001_REDIS"].partition("?db=")[2])
    config = world.config
    client = redis.Redis(port=config.port("REDIS_PORT"), password=config.secret("redis"), db=database)
    client.flushdb()
    for user in range(20):
        client.set(f"evt:{user}:1", "x")
        client.set(f"evt:{user}:5", "x", ex=3600)
    yield client
    client.flushdb()
    client.close()


def test_the_report_counts_owners_use_and_keys_that_never_expire(
    world: World, keys: redis.Redis, tmp_path: Path
) -> None:
    before = keys.dbsize()
    # Ten points and a living one in each of three tables; all but the used two were created years ago.
    assert report() == {
        "points": 13,
        "without_owner": 1,
        "without_lifetime": 1,
        "lifetime_unknown": 11,
        "idle": {"90": 11, "180": 11, "365": 11},
    }
    assert keys.dbsize() == before
    (path,) = (tmp_path / "lifetime").iterdir()
    assert path.name == "积分生命周期-intranet-2024-08.xlsx"
    rows = load_workbook(path)["无生命周期 no lifetime"].iter_rows(min_row=2, max_row=3, values_only=True)
    assert list(rows) == [(1, "redis_evt_A", "chenwei", "2021-03", 3, "无 no"), (None,) * 6]
    sent = mailbox.Maildir(world.config.state / "smtp" / "maildir")
    subjects = [str(make_header(decode_header(mail["Subject"]))) for mail in sent]
    assert subjects.count("[drawsguard] 积分生命周期月报 points lifetime 2024-08 intranet") == 1


def test_the_last_use_is_read_from_the_newest_window_and_from_every_day(world: World) -> None:
    world.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status_ago")
    assert report()["idle"] == {"90": 13, "180": 13, "365": 13}
    world.sql(
        "governance",
        "INSERT INTO rsp_datagovern.ads_evt_ops_status (oper_ts, oper_type, eid)"
        " VALUES ('2024-07-30 23:59:00', 'upd_eid_5', 1)",
    )
    assert report()["idle"] == {"90": 12, "180": 12, "365": 12}
