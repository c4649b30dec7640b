"""What the monitor returned last, read from Airflow's database; for its API server only."""

from __future__ import annotations

from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select

from drawsguard.monitoring.health import Round

#: The monitor's task, and how many of its newest runs are looked at: one that failed returned nothing.
DAG_ID, TASK_ID, NEWEST_RUNS = "monitoring_checks", "check", 10


def newest_round() -> Round | None:
    """Return the monitor's last whole round; None when none of its newest runs had one."""
    runs = select(DagRun.run_id).where(DagRun.dag_id == DAG_ID).order_by(DagRun.id.desc()).limit(NEWEST_RUNS)
    query = (
        select(XComModel)
        .where(XComModel.dag_id == DAG_ID, XComModel.task_id == TASK_ID, XComModel.key == "return_value")
        .where(XComModel.run_id.in_(runs))
        .order_by(XComModel.timestamp.desc())
        .limit(1)
    )
    with create_session() as session:
        kept = session.scalars(query).first()
        if kept is None:
            return None
        value = XComModel.deserialize_value(kept)
        failing = value.get("failing") if isinstance(value, dict) else None
        return None if failing is None else Round(kept.timestamp, frozenset(failing))
