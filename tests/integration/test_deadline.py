"""The deadline of draw_sync, through Airflow's own models: who gets one, and the mail when it is missed.

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

from drawsguard.settings import REPOSITORY
from operators.draw_sync_operator import DrawSyncOperator

pytestmark = pytest.mark.integration

SLOT = timedelta(minutes=5)


@pytest.fixture(scope="module")
def scheduler_dag() -> Iterator[Any]:
    """draw_sync as the scheduler sees it: serialized into a metadata database."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, cwd=REPOSITORY, capture_output=True)

    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.commit()
        bag = DagBag(str(REPOSITORY / "dags" / "draws" / "draw_sync.py"), bundle_name="dags-folder")
        sync_bag_to_db(bag, "dags-folder", None, session=session)
        session.commit()
        assert isinstance(bag.dags["draw_sync"].get_task("sync"), DrawSyncOperator)
        yield SerializedDagModel.get_dag("draw_sync", session=session)


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


def test_only_a_fresh_scheduled_run_gets_a_deadline_and_its_miss_is_mailed(scheduler_dag: Any, stack: Any) -> None:
    from airflow.models.trigger import Trigger
    from airflow.triggers.callback import CallbackTrigger
    from airflow.utils.session import create_session

    from drawsguard.settings import get_settings

    stack.require("smtp")
    with create_session() as session:
        assert deadlines(scheduler_dag, session, "backfill", timedelta(seconds=2)) == []
        assert deadlines(scheduler_dag, session, "manual", timedelta(seconds=3)) == []
        assert deadlines(scheduler_dag, session, "scheduled", timedelta(hours=9)) == []
        (deadline,) = deadlines(scheduler_dag, session, "scheduled", timedelta(seconds=4))
        due = deadline.dagrun.data_interval_end + timedelta(seconds=get_settings().sync_deadline_seconds)
        assert deadline.deadline_time == due

        deadline.handle_miss(session)
        session.flush()
        trigger: Trigger = deadline.callback.trigger
        outcome = asyncio.run(_run(CallbackTrigger(**trigger.kwargs)))
        session.rollback()

    assert outcome["state"] == "success", outcome
    mails = mailbox.Maildir(stack.config.directory("smtp") / "maildir")
    subjects = [str(make_header(decode_header(mail["Subject"]))) for mail in mails]
    assert [subject for subject in subjects if "SLA missed: draw_sync" in subject]


async def _run(trigger: Any) -> dict[str, Any]:
    return [event.payload async for event in trigger.run()][-1]
