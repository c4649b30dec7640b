"""The end of a fresh scheduled interval, as the start of a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineReference, deadline_reference

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


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
    """The data interval's end of a run that the schedule created within ``stale_after_seconds`` of it.

    :param once_per_outage: no deadline for a run that follows a failed one: the outage was reported already.
    """

    stale_after_seconds: int = 120
    once_per_outage: bool = False

    required_kwargs: ClassVar[set[str]] = {"dag_id", "run_id"}

    def _evaluate_with(self, *, session: Session, dag_id: str, run_id: str) -> datetime | None:
        # Runs in the scheduler, when it creates the run; that is where the metadata database may be used.
        from airflow.models import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            return None
        if self.once_per_outage:
            earlier = select(DagRun.state).where(
                DagRun.dag_id == dag_id, DagRun.run_type == "scheduled", DagRun.run_after < run.run_after
            )
            if session.scalar(earlier.order_by(DagRun.run_after.desc()).limit(1)) == "failed":
                return None
        return deadline_start(str(run.run_type), run.data_interval_end, datetime.now(UTC), self.stale_after_seconds)

    def serialize_reference(self) -> dict[str, Any]:
        own = {"stale_after_seconds": self.stale_after_seconds, "once_per_outage": self.once_per_outage}
        return super().serialize_reference() | own

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> Self:
        return cls(reference_data["stale_after_seconds"], reference_data["once_per_outage"])
