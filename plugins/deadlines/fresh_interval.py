"""The end of a fresh scheduled interval, as the start of a deadline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineReference, deadline_reference

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: Runs of an outage that are looked at: two days of one that runs every minute.
LONGEST_OUTAGE = 3000


def deadline_start(
    run_type: str, interval_end: datetime | None, now: datetime, stale_after_seconds: int
) -> datetime | None:
    """Return when the clock of a run's deadline starts, None for a run that has no deadline.

    Only a run that the schedule created, soon after its interval ended, can be late in a way worth reporting:
    manual runs and backfills have no service level, and the first run after an outage is late before it starts.

    :param run_type: Airflow's type of the run, e.g. ``scheduled``.
    :param interval_end: end of its data interval.
    :param now: when the run is created.
    """
    if run_type != "scheduled" or interval_end is None:
        return None
    return interval_end if (now - interval_end).total_seconds() <= stale_after_seconds else None


@dataclass(frozen=True)
class EarlierRun:
    """An earlier scheduled run; times are aware.

    :param delivered_at: when its data were there; None when they never were.
    :param missed: whether Airflow reported a missed deadline of it.
    """

    interval_end: datetime | None
    delivered_at: datetime | None
    missed: bool

    def in_time(self, allowed: timedelta) -> bool:
        """Whether its data were there by its deadline."""
        if self.delivered_at is None:
            return False
        return self.interval_end is None or self.delivered_at - self.interval_end <= allowed


def outage_was_reported(earlier: Iterable[EarlierRun], allowed: timedelta) -> bool:
    """Whether the runs before are late without an interruption, and one of them was reported.

    :param earlier: the newest first.
    """
    for run in earlier:
        if run.in_time(allowed):
            return False
        if run.missed:
            return True
    return False


@deadline_reference(DeadlineReference.TYPES.DAGRUN_CREATED)
@dataclass(eq=False)
class FreshIntervalEnd(BaseDeadlineReference):
    """The data interval's end of a run that the schedule created within ``stale_after_seconds`` of it.

    None while an outage goes on that was reported: it is one outage, and one mail.

    :param allowed_seconds: how long after the end of its interval a run's data may take.
    :param delivered_by: the task whose success means that the data are there; empty: the whole run.
    """

    stale_after_seconds: int = 120
    allowed_seconds: int = 0
    delivered_by: str = ""

    required_kwargs: ClassVar[set[str]] = {"dag_id", "run_id"}

    def _evaluate_with(self, *, session: Session, dag_id: str, run_id: str) -> datetime | None:
        # Runs in the scheduler, when it creates the run; that is where the metadata database may be used.
        from airflow.models import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            return None
        start = deadline_start(str(run.run_type), run.data_interval_end, datetime.now(UTC), self.stale_after_seconds)
        if start is None or outage_was_reported(self._earlier(session, run), timedelta(seconds=self.allowed_seconds)):
            return None
        return start

    def _earlier(self, session: Session, run: Any) -> Iterable[EarlierRun]:
        """Yield the scheduled runs before ``run``, the newest first; most often one is enough."""
        from airflow.models import DagRun
        from airflow.models.deadline import Deadline
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import and_, select

        missed = select(Deadline.id).where(Deadline.dagrun_id == DagRun.id, Deadline.missed).exists()
        of = and_(
            TaskInstance.dag_id == DagRun.dag_id,
            TaskInstance.run_id == DagRun.run_id,
            TaskInstance.task_id == self.delivered_by,
        )
        task = (TaskInstance.state, TaskInstance.end_date)
        whole = (DagRun.state, DagRun.end_date)
        query = (
            select(DagRun.data_interval_end, *(task if self.delivered_by else whole), missed)
            .where(DagRun.dag_id == run.dag_id, DagRun.run_type == "scheduled", DagRun.run_after < run.run_after)
            .order_by(DagRun.run_after.desc())
        )
        if self.delivered_by:
            query = query.outerjoin(TaskInstance, of)
        for offset, most in ((0, 1), (1, LONGEST_OUTAGE)):
            for interval_end, state, ended_at, was_missed in session.execute(query.offset(offset).limit(most)):
                yield EarlierRun(interval_end, ended_at if str(state) == "success" else None, was_missed)

    def serialize_reference(self) -> dict[str, Any]:
        return super().serialize_reference() | {
            "stale_after_seconds": self.stale_after_seconds,
            "allowed_seconds": self.allowed_seconds,
            "delivered_by": self.delivered_by,
        }

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> Self:
        # A DAG that an earlier release serialized has neither of the two.
        return cls(
            reference_data["stale_after_seconds"],
            reference_data.get("allowed_seconds", 0),
            reference_data.get("delivered_by", ""),
        )
