"""The results of the daily inspections, read from Airflow's database; for its API server only."""

from __future__ import annotations

from datetime import datetime

from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select

from drawsguard.monitoring.known_bill import DAG_ID, TASK_ID, BilledPeriod, from_results


def billed_periods(since: datetime) -> list[BilledPeriod]:
    """Return what the inspections that ran since a moment (aware) have found to be billed; asks BigQuery nothing."""
    query = (
        select(XComModel)
        .join(DagRun, DagRun.id == XComModel.dag_run_id)
        .where(
            XComModel.dag_id == DAG_ID, XComModel.task_id == TASK_ID, XComModel.key == "return_value",
            DagRun.run_after >= since,
        )
    )  # fmt: skip
    with create_session() as session:
        return from_results(XComModel.deserialize_value(one) for one in session.scalars(query))
