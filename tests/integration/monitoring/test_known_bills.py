"""The bills that the daily inspections have found, through Airflow's own models: what its API server reads of them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.monitoring.known_bill import DAG_ID, TASK_ID, BilledPeriod, to_result
from drawsguard.settings import REPOSITORY
from hooks.known_bills import billed_periods

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 3, 0, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def inspections() -> None:
    """Three runs of the daily inspection: of two days, one without figures, and one of the month before."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, cwd=REPOSITORY, capture_output=True)

    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.commit()
        bag = DagBag(str(REPOSITORY / "dags" / "operations" / "daily_inspection.py"), bundle_name="dags-folder")
        sync_bag_to_db(bag, "dags-folder", None, session=session)
        session.commit()
        dag = SerializedDagModel.get_dag(DAG_ID, session=session)
        for ago, by_dag in ((0, {"draw_sync": 7, "heartbeat": 1}), (1, {}), (9, {"draw_sync": 5})):
            end = NOW - ago * DAY
            run = dag.create_dagrun(
                run_id=f"scheduled__{end.isoformat()}", logical_date=end - DAY, data_interval=(end - DAY, end),
                run_after=end, run_type=DagRunType.SCHEDULED, triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.SUCCESS, session=session,
            )  # fmt: skip
            session.flush()
            result = {"file": "report.html"} | to_result(end - DAY, end, by_dag)
            XComModel.set("return_value", result, dag_id=DAG_ID, task_id=TASK_ID, run_id=run.run_id, session=session)


def test_the_periods_of_the_runs_since_a_moment_are_known(inspections: None) -> None:
    assert billed_periods(NOW - 2 * DAY) == [BilledPeriod(NOW - DAY, NOW, 8)]
    assert {one.bytes_billed for one in billed_periods(NOW - 20 * DAY)} == {8, 5}
