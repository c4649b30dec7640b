"""A DAG as Airflow sees it: its newest run, and the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DagState:
    """The state of a DAG; all times are aware.

    :param run_id: its newest run; None when it never ran.
    :param run_state: queued, running, success or failed.
    """

    paused: bool
    next_run: datetime | None
    run_id: str | None
    run_state: str | None
    started_at: datetime | None
    ended_at: datetime | None
