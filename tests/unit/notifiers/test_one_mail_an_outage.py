"""One outage is one mail: which runs of the schedule get a deadline, asked of Airflow's own tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk.definitions.callback import AsyncCallback

from deadlines.fresh_interval import FreshIntervalEnd
from drawsguard.deadlines import NOT_TOLD


class Airflow:
    """Airflow's tables of runs, tasks, deadlines and their callbacks; a run's interval ends some days ago."""

    def __init__(self, session: Any) -> None:
        self.session, self.now = session, datetime.now(UTC)

    def run(self, days_ago: int, state: str, *, dag_id: str = "points_push", **of: Any) -> Any:
        """Add a run: of the schedule, unless it has a ``conf``."""
        from airflow.models import DagRun

        end, kind = self.now - timedelta(days=days_ago), "manual" if "conf" in of else "scheduled"
        interval = (end - timedelta(days=1), end)
        run = DagRun(
            dag_id, f"{kind}__{end.isoformat()}", run_type=kind, state=state, logical_date=interval[0],
            data_interval=interval, run_after=end, **of,
        )  # fmt: skip
        run.end_date = end + timedelta(hours=3)
        self.session.add(run)
        self.session.flush()
        return run

    def missed(self, run: Any, outcome: str | None) -> None:
        """Add a missed deadline, half an hour after the interval; ``outcome`` is what Airflow keeps of its callback."""
        from airflow.models.deadline import Deadline

        callback = AsyncCallback("notifiers.sla_signal.SlaMissAlert", kwargs={})
        deadline = Deadline(run.data_interval_end + timedelta(minutes=30), callback, run.id, None, run.dag_id)
        deadline.missed, deadline.callback.output = True, outcome
        self.session.add(deadline)
        self.session.flush()

    def task(self, run: Any, state: str) -> None:
        """Add the task *verify* of a run."""
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import insert

        of = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": "verify", "map_index": -1, "state": state}
        fixed = {"pool": "default_pool", "pool_slots": 1, "try_number": 1}
        self.session.execute(insert(TaskInstance.__table__).values(id=uuid4(), **of, **fixed))

    def deadline_of_today(self, delivered_by: str = "") -> bool:
        """Whether the run that the schedule creates now gets a deadline."""
        today = self.run(0, "queued")
        reference = FreshIntervalEnd(delivered_by=delivered_by)
        return reference._evaluate_with(session=self.session, dag_id=today.dag_id, run_id=today.run_id) is not None


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    import_all_models()
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield Airflow(session)


@pytest.mark.parametrize("outcome", ["told", None, "a traceback of the alert"])
def test_an_outage_that_goes_on_is_not_told_again(airflow: Airflow, outcome: str | None) -> None:
    airflow.missed(airflow.run(2, "failed"), outcome)
    airflow.run(1, "failed")
    assert not airflow.deadline_of_today()


def test_a_late_delivery_ends_the_outage(airflow: Airflow) -> None:
    airflow.missed(airflow.run(1, "success"), "told")
    assert airflow.deadline_of_today()


@pytest.mark.parametrize("outcome", [NOT_TOLD, f"NotToldError: {NOT_TOLD}: the mail could not be sent"])
def test_a_miss_that_nobody_was_told_of_is_no_outage(airflow: Airflow, outcome: str) -> None:
    airflow.missed(airflow.run(1, "failed"), outcome)  # delivered when it was asked, cleared afterwards; or no mail
    assert airflow.deadline_of_today()


@pytest.mark.parametrize(
    ("task", "run", "over"),
    [("success", "failed", True), ("failed", "failed", False), ("skipped", "success", True), (None, "failed", False)],
)
def test_what_is_late_is_what_the_task_delivers(airflow: Airflow, task: str | None, run: str, over: bool) -> None:
    late = airflow.run(1, run)
    airflow.missed(late, "told")
    if task:
        airflow.task(late, task)
    assert airflow.deadline_of_today("verify") is over


@pytest.mark.parametrize(
    ("dag_id", "key", "state", "days_ago", "again"),
    [
        ("alert_resolve", "sla:points_push", "success", 1, True),
        ("alert_resolve", "sla:points_push", "failed", 1, False),  # it was refused
        ("alert_resolve", "sla:draw_sync", "success", 1, False),
        ("alert_resolve", "sla:points_push", "success", 3, False),  # an earlier one
        ("alert_mute", "sla:points_push", "success", 1, False),
    ],
)
def test_who_resolves_the_alert_while_the_outage_goes_on_is_told_again(
    airflow: Airflow, dag_id: str, key: str, state: str, days_ago: int, again: bool
) -> None:
    airflow.missed(airflow.run(2, "failed"), "told")
    airflow.run(1, "failed")
    airflow.run(days_ago, state, dag_id=dag_id, conf={"key": key, "reason": "because"})
    assert airflow.deadline_of_today() is again
