"""The end of a fresh scheduled interval, as the start of a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineReference, deadline_reference

from drawsguard.deadlines import NOT_TOLD, SCHEDULED, delivers, earliest_delivery

if TYPE_CHECKING:
    from airflow.models import DagRun
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

#: So long people need not hear again of runs that are late and then deliver.
QUIET = timedelta(hours=6)


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


@deadline_reference(DeadlineReference.TYPES.DAGRUN_CREATED)
@dataclass(eq=False)
class FreshIntervalEnd(BaseDeadlineReference):
    """The data interval's end of a run that the schedule created within ``stale_after_seconds`` of it, or of the end of
    the run that held it up.

    An outage has one deadline, that of its first run, so that it is one mail: a run has none while the newest deadline
    before it waits or was told, and nothing was delivered since. For those who were told an outage ends also when a
    person resolves its alert. Each mail of the last six hours whose run delivered after all doubles what is allowed:
    who is late again and again is not told each time, and a run that hangs always is.

    :param delivered_by: the task whose success means that the data are there; empty: the whole run.
    :param daily: whether runs of an asset, or by hand, deliver a day's data as well.
    :param allowed_seconds: what the deadline allows, see `notifiers.sla_deadline`.
    """

    stale_after_seconds: int = 120
    delivered_by: str = ""
    daily: bool = False
    allowed_seconds: float = 0

    required_kwargs: ClassVar[set[str]] = {"dag_id", "run_id"}

    def _evaluate_with(self, *, session: Session, dag_id: str, run_id: str) -> datetime | None:
        # Runs in the scheduler, when it creates the run; that is where the metadata database may be used.
        from airflow.models import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            return None
        start = self._start(session, run)
        if start is None or self._goes_on(session, run):
            return None
        return start + timedelta(seconds=self.allowed_seconds) * ((1 << self._told_in_vain(session, run, start)) - 1)

    def _start(self, session: Session, run: DagRun) -> datetime | None:
        """Return when the run could begin: at the end of its interval, or of the run that held it up."""
        from airflow.models import DagRun
        from sqlalchemy import func, select

        def since(moment: datetime | None) -> datetime | None:
            return deadline_start(str(run.run_type), moment, datetime.now(UTC), self.stale_after_seconds)

        before = select(func.max(DagRun.end_date)).where(DagRun.dag_id == run.dag_id, DagRun.id != run.id)
        return since(run.data_interval_end) or since(session.scalar(before))

    def _goes_on(self, session: Session, run: Any) -> bool:
        """Whether an earlier run's deadline stands for this run: it waits or was told, and nothing came since."""
        from airflow.models import DagRun
        from airflow.models.deadline import Deadline

        newest = self._deadlines(run).order_by(DagRun.run_after.desc()).limit(1)
        found = session.execute(newest.with_only_columns(Deadline.deadline_time, DagRun.run_after)).first()
        if found is None:
            return False
        deadline, due = found
        return not self._delivered(session, run, due) and not resolved_since(session, run.dag_id, deadline)

    def _told_in_vain(self, session: Session, run: Any, start: datetime) -> int:
        """Return how many misses people were told of within `QUIET` before ``start`` whose run delivered after all."""
        from airflow.models import DagRun
        from airflow.models.callback import Callback
        from airflow.models.deadline import Deadline
        from sqlalchemy import func

        told = self._deadlines(run).where(
            # Without an outcome nobody has been told yet, and perhaps nobody will be.
            Deadline.missed,
            Callback.output.is_not(None),
            Deadline.deadline_time > start - QUIET,
            self._has_delivered(),
        )
        return session.scalar(told.with_only_columns(func.count(DagRun.id.distinct()))) or 0

    @staticmethod
    def _deadlines(run: Any) -> Select[Any]:
        """Select the deadlines of earlier runs; not those that passed and people were not told of."""
        from airflow.models import DagRun
        from airflow.models.callback import Callback
        from airflow.models.deadline import Deadline
        from sqlalchemy import or_, select

        return (
            select(Deadline.id)
            .select_from(Deadline)
            .join(DagRun, DagRun.id == Deadline.dagrun_id)
            .join(Callback, Callback.id == Deadline.callback_id)
            .where(
                DagRun.dag_id == run.dag_id,
                _is_scheduled(),
                DagRun.run_after < run.run_after,
                # One that waits, for its time or for the triggerer, has no outcome yet: it will be told.
                or_(Callback.output.is_(None), Callback.output.not_like(f"%{NOT_TOLD}%")),
            )
        )

    def _has_delivered(self) -> ColumnElement[bool]:
        """Whether a run's task that delivers has succeeded, or the whole run if the schedule created it."""
        from airflow.models import DagRun

        succeeded = (DagRun.state == "success") & _is_scheduled()
        return succeeded | _succeeded(self.delivered_by) if self.delivered_by else succeeded

    def _delivered(self, session: Session, run: Any, due: datetime) -> bool:
        """Whether what was due at ``due``, or later, was delivered before ``run``."""
        from airflow.models import DagRun
        from sqlalchemy import select

        runs = select(DagRun.run_id, DagRun.run_type, DagRun.run_after, DagRun.conf).where(
            DagRun.dag_id == run.dag_id,
            DagRun.run_after >= earliest_delivery(due, daily=self.daily),
            DagRun.id != run.id,
            self._has_delivered(),
        )
        return any(
            delivers(run_id, str(run_type), run_after, conf, due, daily=self.daily)
            for run_id, run_type, run_after, conf in session.execute(runs)
        )

    def serialize_reference(self) -> dict[str, Any]:
        return super().serialize_reference() | {
            "stale_after_seconds": self.stale_after_seconds,
            "delivered_by": self.delivered_by,
            "daily": self.daily,
            "allowed_seconds": self.allowed_seconds,
        }

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> Self:
        # A DAG that an earlier release serialized may have fewer of these, and more than these.
        known = ("stale_after_seconds", "delivered_by", "daily", "allowed_seconds")
        return cls(**{name: reference_data[name] for name in known if name in reference_data})


def _is_scheduled() -> ColumnElement[bool]:
    """Whether the schedule created the run, whoever has played it again."""
    from airflow.models import DagRun

    return DagRun.run_id.startswith(SCHEDULED, autoescape=True)


def _succeeded(task_id: str) -> ColumnElement[bool]:
    """Whether this task of the run has succeeded."""
    from airflow.models import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import exists

    of_the_run = (TaskInstance.dag_id == DagRun.dag_id) & (TaskInstance.run_id == DagRun.run_id)
    return (
        exists().where(of_the_run, TaskInstance.task_id == task_id, TaskInstance.state == "success").correlate(DagRun)
    )


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
