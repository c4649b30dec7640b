"""A question as Airflow keeps it under Required Actions, until somebody answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class WaitingQuestion:
    """A task that waits for an answer.

    :param asked_at: aware.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    subject: str
    asked_at: datetime
