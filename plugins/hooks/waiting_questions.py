"""The questions that Airflow shows under Required Actions, read from its database; for its API server only."""

from __future__ import annotations

from collections.abc import Collection

from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from drawsguard.approvals.waiting import WaitingQuestion

#: The oldest ones come first; nobody reads more.
MOST = 200


def waiting_questions(dag_ids: Collection[str]) -> list[WaitingQuestion]:
    """Return the questions of some DAGs that nobody has answered, oldest first."""
    query = (
        select(
            TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index,
            HITLDetail.subject, HITLDetail.created_at,
        )
        .join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
        .where(
            HITLDetail.responded_at.is_(None),
            TaskInstance.state == TaskInstanceState.AWAITING_INPUT,
            TaskInstance.dag_id.in_(dag_ids),
        )
        .order_by(HITLDetail.created_at)
        .limit(MOST)
    )  # fmt: skip
    with create_session() as session:
        return [WaitingQuestion(*row) for row in session.execute(query)]
