"""The deadlines of draw_sync and the monitor, through Airflow's own models: who gets one, and what a miss sends.

The scheduler's and the triggerer's steps are called one by one here; tests/e2e lets the real ones do it.
"""

from __future__ import annotations

import asyncio
import mailbox
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.settings import REPOSITORY, get_settings
from tests.integration.draws_warehouse import draws_warehouse, rows

pytestmark = pytest.mark.integration

#: DAG → (file, its promise counted from the interval's end, whether a miss is an alert too).
PROMISES = {
    "draw_sync": ("draws/draw_sync.py", lambda: timedelta(seconds=get_settings().sync_deadline_seconds), True),
    # The dead man's switch: the monitor's own alerts stand still with it, so there is the mail alone.
    "monitoring_checks": ("operations/monitoring_checks.py", lambda: timedelta(minutes=5), False),
}
SLOT = timedelta(minutes=5)


@pytest.fixture(scope="module")
def scheduler_dags() -> Iterator[dict[str, Any]]:
    """The DAGs as the scheduler sees them: serialized into a metadata database."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, cwd=REPOSITORY, capture_output=True)

    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.commit()
        for path, *_ in PROMISES.values():
            bag = DagBag(str(REPOSITORY / "dags" / path), bundle_name="dags-folder")
            sync_bag_to_db(bag, "dags-folder", None, session=session)
            session.commit()
        yield {dag_id: SerializedDagModel.get_dag(dag_id, session=session) for dag_id in PROMISES}


def deadlines(scheduler_dag: Any, session: Any, run_type: str, ended_ago: timedelta) -> list[Any]:
    """Create a run whose interval ended ``ended_ago`` and return its deadlines."""
    from airflow.models.deadline import Deadline
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import select

    end = datetime.now(UTC) - ended_ago
    run = scheduler_dag.create_dagrun(
        run_id=f"{run_type}__{end.isoformat()}",
        logical_date=end - SLOT,
        data_interval=(end - SLOT, end),
        run_after=end,
        run_type=DagRunType(run_type),
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.QUEUED,
        session=session,
    )
    session.flush()
    return list(session.scalars(select(Deadline).where(Deadline.dagrun_id == run.id)))


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    stack.require("smtp")
    with draws_warehouse(stack, "V041__check_log") as client:
        yield client


@pytest.mark.parametrize("dag_id", PROMISES)
def test_only_a_fresh_scheduled_run_gets_a_deadline_and_its_miss_is_told(
    scheduler_dags: dict[str, Any], stack: Any, client: Client, dag_id: str
) -> None:
    from airflow.models.trigger import Trigger
    from airflow.triggers.callback import CallbackTrigger
    from airflow.utils.session import create_session

    scheduler_dag, (_, promise, alerts) = scheduler_dags[dag_id], PROMISES[dag_id]
    with create_session() as session:
        assert deadlines(scheduler_dag, session, "backfill", timedelta(seconds=2)) == []
        assert deadlines(scheduler_dag, session, "manual", timedelta(seconds=3)) == []
        assert deadlines(scheduler_dag, session, "scheduled", timedelta(hours=9)) == []
        (deadline,) = deadlines(scheduler_dag, session, "scheduled", timedelta(seconds=4))
        assert deadline.deadline_time == deadline.dagrun.data_interval_end + promise()

        deadline.handle_miss(session)
        session.flush()
        trigger: Trigger = deadline.callback.trigger
        outcome = asyncio.run(_run(CallbackTrigger(**trigger.kwargs)))
        session.rollback()

    assert outcome["state"] == "success", outcome
    mails = mailbox.Maildir(stack.config.directory("smtp") / "maildir")
    subjects = [str(make_header(decode_header(mail["Subject"]))) for mail in mails]
    assert len([subject for subject in subjects if f"SLA missed: {dag_id}" in subject]) == 1
    signals = rows(client, f"SELECT alert_key, state, priority FROM {get_settings().table('monitor', 'alert_signal')}")
    fired = [row for row in signals if row["alert_key"] == f"sla:{dag_id}"]
    assert fired == ([{"alert_key": f"sla:{dag_id}", "state": "firing", "priority": "P0"}] if alerts else [])


def ended(run: Any, state: str, session: Any, *, delivered: bool, late: bool = False) -> None:
    """Let a run have ended, with its data or without, in time or after its deadline."""
    from airflow.utils.state import DagRunState, TaskInstanceState

    allowed = PROMISES[run.dag_id][1]()
    moment = run.data_interval_end + (allowed + timedelta(seconds=9) if late else timedelta(seconds=1))
    run.state, run.end_date = DagRunState(state), moment
    for task in run.get_task_instances(session=session):
        good = delivered and task.task_id != "check_identity"
        task.state = TaskInstanceState.SUCCESS if good else TaskInstanceState.FAILED
        task.end_date = moment
    session.flush()


def told(run_id: str, session: Any) -> None:
    """Let the scheduler have found that a run missed its deadline, and the triggerer have told people."""
    from airflow.models import DagRun
    from airflow.models.deadline import Deadline
    from sqlalchemy import select

    for deadline in session.scalars(select(Deadline).join(DagRun).where(DagRun.run_id == run_id)):
        deadline.missed, deadline.callback.output = True, "told"
    session.flush()


@pytest.mark.parametrize("dag_id", PROMISES)
def test_an_outage_is_told_once_however_many_runs_it_makes_late(scheduler_dags: dict[str, Any], dag_id: str) -> None:
    from airflow.utils.session import create_session

    scheduler_dag = scheduler_dags[dag_id]
    with create_session() as session:
        (first,) = deadlines(scheduler_dag, session, "scheduled", timedelta(seconds=90))
        ended(first.dagrun, "failed", session, delivered=False)
        assert deadlines(scheduler_dag, session, "scheduled", timedelta(seconds=85)) == [], "the first one's waits"
        ended(_newest(dag_id, session), "failed", session, delivered=False)
        told(first.dagrun.run_id, session)
        for ago in (80, 70, 60):
            assert deadlines(scheduler_dag, session, "scheduled", timedelta(seconds=ago)) == []
            ended(_newest(dag_id, session), "failed", session, delivered=False)
        assert deadlines(scheduler_dag, session, "scheduled", timedelta(seconds=50)) == []
        ended(_newest(dag_id, session), "success", session, delivered=True)
        (next_one,) = deadlines(scheduler_dag, session, "scheduled", timedelta(seconds=40))
        assert next_one.deadline_time == next_one.dagrun.data_interval_end + PROMISES[dag_id][1](), "another outage"
        session.rollback()


@pytest.mark.parametrize("dag_id", PROMISES)
def test_after_a_late_delivery_that_was_told_each_run_has_a_deadline_of_twice_the_time(
    scheduler_dags: dict[str, Any], dag_id: str
) -> None:
    from airflow.utils.session import create_session

    scheduler_dag, promise = scheduler_dags[dag_id], PROMISES[dag_id][1]()
    with create_session() as session:
        (first,) = deadlines(scheduler_dag, session, "scheduled", timedelta(seconds=90))
        ended(first.dagrun, "success", session, delivered=True, late=True)
        told(first.dagrun.run_id, session)
        for ago in (80, 70, 60):
            (one,) = deadlines(scheduler_dag, session, "scheduled", timedelta(seconds=ago))
            assert one.deadline_time == one.dagrun.data_interval_end + 2 * promise
            ended(one.dagrun, "success", session, delivered=True, late=True)
        session.rollback()


@pytest.mark.parametrize("dag_id", PROMISES)
def test_a_late_run_that_nobody_was_told_of_silences_nothing(scheduler_dags: dict[str, Any], dag_id: str) -> None:
    from airflow.utils.session import create_session

    with create_session() as session:
        assert deadlines(scheduler_dags[dag_id], session, "scheduled", timedelta(hours=9)) == []
        ended(_newest(dag_id, session), "failed", session, delivered=False)
        assert deadlines(scheduler_dags[dag_id], session, "scheduled", timedelta(seconds=60))
        session.rollback()


def test_runs_that_a_broken_identity_fails_have_missed_nothing(scheduler_dags: dict[str, Any]) -> None:
    from airflow.utils.session import create_session

    with create_session() as session:
        for ago in (90, 80, 70):
            (deadline,) = deadlines(scheduler_dags["draw_sync"], session, "scheduled", timedelta(seconds=ago))
            assert deadline.callback.data["kwargs"]["delivered_by"] == "verify"
            ended(deadline.dagrun, "failed", session, delivered=True)
            told(deadline.dagrun.run_id, session)  # Airflow marks it; what it calls sends nothing
        session.rollback()


def _newest(dag_id: str, session: Any) -> Any:
    from airflow.models import DagRun
    from sqlalchemy import select

    return session.scalar(select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.run_after.desc()).limit(1))


async def _run(trigger: Any) -> dict[str, Any]:
    return [event.payload async for event in trigger.run()][-1]
