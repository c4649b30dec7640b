"""The end of a fresh scheduled interval, as the start of a deadline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineReference, deadline_reference

from drawsguard.deadlines import NOT_TOLD

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: So long after people were told, a late delivery counts as the end of what they were told of.
QUIET = timedelta(hours=6)

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
class Told:
    """A missed deadline that people were told of.

    :param deadline: when it was missed (aware).
    :param allowed: what it allows a run, from the end of its interval on.
    """

    deadline: datetime
    allowed: timedelta


def goes_on(told: Told, deliveries: Iterable[timedelta], interval_end: datetime) -> bool:
    """Whether the outage that people were told of has not ended.

    It ends when data are delivered in time. Late ones end it as well, after a while: who is late each time is told of
    it every few hours, and not with every run.

    :param deliveries: how long after the end of its interval each run since then has delivered, that run included.
    :param interval_end: of the run that begins now (aware).
    """
    if interval_end - told.deadline >= QUIET:
        return not any(True for _ in deliveries)
    return all(after > told.allowed for after in deliveries)


@deadline_reference(DeadlineReference.TYPES.DAGRUN_CREATED)
@dataclass(eq=False)
class FreshIntervalEnd(BaseDeadlineReference):
    """The data interval's end of a run that the schedule created within ``stale_after_seconds`` of it.

    None while an outage goes on that people were told of (see `goes_on`): it is one outage, and one mail. For those who
    were told it ends also when a person resolves its alert.

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
        told = self._told(session, run)
        if told is None:
            return start
        last, since = told
        over = not goes_on(last, self._deliveries(session, run, since), start)
        return start if over or resolved_since(session, dag_id, last.deadline) else None

    @staticmethod
    def _told(session: Session, run: Any) -> tuple[Told, datetime] | None:
        """Return the newest missed deadline before ``run`` that people were told of, and when its run was due."""
        from airflow.models import DagRun
        from airflow.models.callback import Callback
        from airflow.models.deadline import Deadline
        from sqlalchemy import or_, select

        found = session.execute(
            select(Deadline.deadline_time, DagRun.data_interval_end, DagRun.run_after)
            .join(DagRun, DagRun.id == Deadline.dagrun_id)
            .join(Callback, Callback.id == Deadline.callback_id)
            .where(
                DagRun.dag_id == run.dag_id,
                DagRun.run_type == "scheduled",
                DagRun.run_after < run.run_after,
                Deadline.missed,
                # A miss that waits for the triggerer has no outcome yet: it will be told.
                or_(Callback.output.is_(None), Callback.output.not_like(f"%{NOT_TOLD}%")),
            )
            .order_by(Deadline.deadline_time.desc())
            .limit(1)
        ).first()
        if found is None:
            return None
        deadline, interval_end, since = found
        return Told(deadline, deadline - (interval_end or since)), since

    def _deliveries(self, session: Session, run: Any, since: datetime) -> Iterable[timedelta]:
        """Yield how late each scheduled run since then, and before ``run``, has delivered; the newest first."""
        from airflow.models import DagRun
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import and_, literal, select

        of = and_(
            TaskInstance.dag_id == DagRun.dag_id,
            TaskInstance.run_id == DagRun.run_id,
            TaskInstance.task_id == self.delivered_by,
        )
        task = (TaskInstance.state, TaskInstance.end_date) if self.delivered_by else (literal(None), literal(None))
        query = (
            select(DagRun.data_interval_end, DagRun.state, DagRun.end_date, *task)
            .where(
                DagRun.dag_id == run.dag_id,
                DagRun.run_type == "scheduled",
                DagRun.run_after >= since,
                DagRun.run_after < run.run_after,
            )
            .order_by(DagRun.run_after.desc())
            .limit(LONGEST_OUTAGE)
        )
        if self.delivered_by:
            query = query.outerjoin(TaskInstance, of)
        for interval_end, run_state, run_ended, task_state, task_ended in session.execute(query):
            ends = [
                ended or datetime.now(UTC)
                for state, ended in ((task_state, task_ended), (run_state, run_ended))
                if str(state) == "success"
            ]
            if ends and interval_end is not None:
                yield min(ends) - interval_end

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
