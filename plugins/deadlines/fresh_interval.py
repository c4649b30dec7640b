"""The end of a fresh scheduled interval, as the start of a deadline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineReference, deadline_reference

from drawsguard.deadlines import NOT_TOLD

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
    """An earlier scheduled run.

    :param delivered: whether its data are there, in time or late.
    :param told_of: the deadline of it that people were told it has missed (aware); None when they were not.
    """

    delivered: bool
    told_of: datetime | None


def outage_was_told(earlier: Iterable[EarlierRun]) -> datetime | None:
    """Return the missed deadline that people were told of, if nothing was delivered since.

    :param earlier: the newest first.
    """
    for run in earlier:
        if run.delivered:
            return None
        if run.told_of is not None:
            return run.told_of
    return None


@deadline_reference(DeadlineReference.TYPES.DAGRUN_CREATED)
@dataclass(eq=False)
class FreshIntervalEnd(BaseDeadlineReference):
    """The data interval's end of a run that the schedule created within ``stale_after_seconds`` of it.

    None while an outage goes on that people were told of: it is one outage, and one mail. It ends when data are
    delivered, however late, and for those who were told also when a person resolves its alert.

    :param delivered_by: the task whose success means that the data are there; empty: the whole run.
    """

    stale_after_seconds: int = 120
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
        if start is None:
            return None
        told_of = outage_was_told(self._earlier(session, run))
        return start if told_of is None or resolved_since(session, dag_id, told_of) else None

    def _earlier(self, session: Session, run: Any) -> Iterable[EarlierRun]:
        """Yield the scheduled runs before ``run``, the newest first; most often one is enough."""
        from airflow.models import DagRun
        from airflow.models.callback import Callback
        from airflow.models.deadline import Deadline
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import and_, func, literal, or_, select

        # A miss that waits for the triggerer has no outcome yet: it will be told.
        told_of = (
            select(func.max(Deadline.deadline_time))
            .join(Callback, Callback.id == Deadline.callback_id)
            .where(
                Deadline.dagrun_id == DagRun.id,
                Deadline.missed,
                or_(Callback.output.is_(None), Callback.output.not_like(f"%{NOT_TOLD}%")),
            )
            .scalar_subquery()
        )
        of = and_(
            TaskInstance.dag_id == DagRun.dag_id,
            TaskInstance.run_id == DagRun.run_id,
            TaskInstance.task_id == self.delivered_by,
        )
        query = (
            select(DagRun.state, TaskInstance.state if self.delivered_by else literal(None), told_of)
            .where(DagRun.dag_id == run.dag_id, DagRun.run_type == "scheduled", DagRun.run_after < run.run_after)
            .order_by(DagRun.run_after.desc())
        )
        if self.delivered_by:
            query = query.outerjoin(TaskInstance, of)
        for offset, most in ((0, 1), (1, LONGEST_OUTAGE)):
            for run_state, task_state, told in session.execute(query.offset(offset).limit(most)):
                yield EarlierRun("success" in (str(run_state), str(task_state)), told)

    def serialize_reference(self) -> dict[str, Any]:
        return super().serialize_reference() | {
            "stale_after_seconds": self.stale_after_seconds,
            "delivered_by": self.delivered_by,
        }

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> Self:
        # A DAG that an earlier release serialized may have no delivered_by, and more than these.
        return cls(reference_data["stale_after_seconds"], reference_data.get("delivered_by", ""))


def resolved_since(session: Session, dag_id: str, moment: datetime) -> bool:
    """Whether a person has resolved the alert of the DAG's missed deadlines after ``moment`` (aware).

    It is asked of Airflow, which the scheduler has at hand; the warehouse may be what is down.
    """
    from airflow.models import DagRun
    from sqlalchemy import select

    runs = select(DagRun.conf).where(
        DagRun.dag_id == "alert_resolve", DagRun.state == "success", DagRun.end_date > moment
    )
    return any((conf or {}).get("key") == f"sla:{dag_id}" for conf in session.scalars(runs))
