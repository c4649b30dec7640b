"""What a run of the push takes: its flows at 15:00, and after that what was built too late for it."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from hooks.statistics_window import window_of_run
from operators.points.telemetry.push_plan_operator import PushPlanOperator

WINDOW = {"flow": "window", "run_date": "2024-07-31", "first": "2024-02-02", "last": "2024-07-30"}
DAY = {"flow": "daily", "run_date": "2024-07-31", "first": "2024-07-30", "last": "2024-07-30"}
OTHER = {"flow": "window", "run_date": "2024-07-30", "first": "2024-02-01", "last": "2024-07-29"}


def plan(run_type: str, at: str, *built: dict[str, str], flows: tuple[str, ...] = ("window", "daily")) -> list[str]:
    run = SimpleNamespace(run_type=run_type, data_interval_end=None, run_after=datetime.fromisoformat(f"{at}+08:00"))
    events = {"cma.ads_evt_ops_status": [SimpleNamespace(extra=extra) for extra in built]}
    context: Any = {"dag_run": run, "params": {"flows": list(flows)}, "triggering_asset_events": events}
    return [part["flow"] for part in PushPlanOperator(task_id="plan", due="15:00").execute(context)]


@pytest.mark.parametrize("run_type", ["scheduled", "manual"])
def test_the_schedule_and_a_person_push_every_flow(run_type: str) -> None:
    assert plan(run_type, "2024-07-31T15:00") == ["window", "daily"]


@pytest.mark.parametrize(
    ("run_type", "run_date", "last"),
    [
        ("manual", None, "2024-07-30"),
        ("manual", "2024-07-31", "2024-07-30"),
        ("manual", "2024-07-30", "2024-07-29"),
        ("scheduled", None, "2024-07-29"),
        ("backfill", None, "2024-07-29"),
    ],
)
def test_a_run_by_hand_before_the_slot_is_of_its_own_day(run_type: str, run_date: str | None, last: str) -> None:
    """The page that triggers a run gives it the interval that ended with yesterday's slot."""
    run = SimpleNamespace(
        run_type=run_type,
        data_interval_end=datetime.fromisoformat("2024-07-30T15:00+08:00"),
        run_after=datetime.fromisoformat("2024-07-31T14:00+08:00"),
    )
    context: Any = {"dag_run": run, "params": {"run_date": run_date}}
    assert str(window_of_run(context, "daily").last) == last


def test_what_is_built_after_the_push_was_due_is_pushed_then() -> None:
    assert plan("asset_triggered", "2024-07-31T15:20", WINDOW) == ["window"]
    assert plan("asset_triggered", "2024-07-31T15:20", DAY) == ["daily"]
    assert plan("asset_triggered", "2024-07-31T15:20", WINDOW, DAY, OTHER) == ["window", "daily"]


@pytest.mark.parametrize(
    ("at", "built", "flows"),
    [
        ("2024-07-31T11:40", WINDOW, ("window", "daily")),
        ("2024-07-31T14:59", WINDOW, ("window", "daily")),
        ("2024-07-31T15:20", OTHER, ("window", "daily")),
        ("2024-07-31T15:20", DAY, ("window",)),
        ("2024-08-01T00:10", WINDOW, ("window", "daily")),
    ],
    ids=["morning", "a minute before", "backfill", "flow not pushed", "the day after"],
)
def test_an_early_build_and_one_of_another_day_start_no_push(
    at: str, built: dict[str, str], flows: tuple[str, ...]
) -> None:
    with pytest.raises(AirflowSkipException):
        plan("asset_triggered", at, built, flows=flows)
