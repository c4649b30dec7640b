"""The last run and the next one of DAGs, read from Airflow's database; for its API server only."""

from __future__ import annotations

from collections.abc import Collection

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import func, select

from drawsguard.monitoring.dag_state import DagState


def dag_states(dag_ids: Collection[str]) -> dict[str, DagState]:
    """Return the state of each DAG that Airflow knows."""
    newest = (
        select(DagRun.dag_id, func.max(DagRun.id).label("id"))
        .where(DagRun.dag_id.in_(dag_ids))
        .group_by(DagRun.dag_id)
        .subquery()
    )
    query = (
        select(
            DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after,
            DagRun.run_id, DagRun.state, DagRun.start_date, DagRun.end_date,
        )
        .outerjoin(newest, newest.c.dag_id == DagModel.dag_id)
        .outerjoin(DagRun, DagRun.id == newest.c.id)
        .where(DagModel.dag_id.in_(dag_ids))
    )  # fmt: skip
    with create_session() as session:
        return {
            dag_id: DagState(paused, next_run, run_id, state and str(state), start, end)
            for dag_id, paused, next_run, run_id, state, start, end in session.execute(query)
        }
