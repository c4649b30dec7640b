"""What follows what in the usage evidence is tied by assets; a clock is the floor under each step."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Asset

from drawsguard.points.telemetry.config import points_config
from tests.dags import policy

#: DAG → the asset that starts it, its own time, and the DAG and task that emit the asset (None: CMA does).
ORDER = {
    "points_hive_aggregation": ("datalake_platform.cma_hudi", "30 11 * * *", None),
    "points_push": ("cma.ads_evt_ops_status", "0 15 * * *", ("points_hive_aggregation", "ads_evt_ops_status")),
    "points_observe": (
        "rsp_datagovern.ads_evt_ops_status_ago", "0 16 * * *", ("points_push", "push_flow.consolidate"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(str(policy.REPOSITORY / "dags" / "points"))


def outlets(bag: DagBag, dag_id: str, task_id: str) -> list[Any]:
    task = bag.dags[dag_id].get_task(task_id)
    return getattr(task, "partial_kwargs", {}).get("outlets") or task.outlets


@pytest.mark.parametrize("dag_id", ORDER)
def test_each_step_is_started_by_the_one_before_and_by_its_clock(bag: DagBag, dag_id: str) -> None:
    asset, expression, source = ORDER[dag_id]
    schedule: Any = bag.dags[dag_id].timetable
    assert [found.name for found in schedule.asset_condition.objects] == [asset]
    assert schedule.timetable.expression == expression
    if source:
        assert Asset(asset) in outlets(bag, *source)


def test_the_legacy_flow_is_pushed_on_schedule(bag: DagBag) -> None:
    assert outlets(bag, "points_hive_daily", "ads_evt_ops_status") == [Asset("cma.ads_evt_ops_status")]
    assert points_config().push.flows == ("window", "daily")
