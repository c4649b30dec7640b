"""Days without a run of the schedule, which have no deadline that could pass.

Airflow creates no scheduled run while another run of the DAG is active, and none for a DAG that is paused or cannot be
parsed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from drawsguard.deadlines import SCHEDULED, Deadline, delivers, load_deadlines
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import get_settings

log = logging.getLogger(__name__)

DAY = timedelta(days=1)
#: A DAG that the schedule has not run for so long is not in use.
IN_USE = timedelta(days=8)
#: A missing run is told when it is missing for so long: the scheduler may be just about to create it. What cannot be
#: asked is asked again after as long.
AGAIN = timedelta(minutes=5)
#: A DAG that is not in use is looked at so often.
SELDOM = timedelta(hours=1)

#: Tells the runs of a DAG since a time (aware), as Airflow's REST API shows them; None when it cannot be asked.
Runs = Callable[[str, datetime], Sequence[Mapping[str, Any]] | None]
#: Tells whether a run of a DAG has delivered.
Delivered = Callable[[str, str], bool]


class MissingRun(NamedTuple):
    """The newest slot (aware) of a DAG whose deadline has passed, without its run and without the day's data."""

    dag_id: str
    slot: datetime
    priority: Priority

    @property
    def run_id(self) -> str:
        """The id that its run would have."""
        return f"{SCHEDULED}{self.slot.isoformat()}"


class _Look(BaseModel):
    """What is known of a DAG.

    :param again: when to look again.
    :param missing: the slot whose run was missing at the look before.
    """

    model_config = ConfigDict(extra="forbid")

    again: AwareDatetime
    missing: AwareDatetime | None = None


class _Looks(BaseModel):
    model_config = ConfigDict(extra="forbid")

    of: dict[str, _Look] = {}


class MissingRuns:
    """Looks for them in one round of the monitor, twice a day for each DAG with a deadline of a day's data.

    :param kept: what the round before left, see `left`.
    """

    def __init__(self, runs: Runs, delivered: Delivered, kept: object = None) -> None:
        self._runs, self._delivered = runs, delivered
        self._left, self._answers = _Looks(), True
        try:
            self._kept = _Looks.model_validate_json(kept) if isinstance(kept, str) else _Looks()
        except ValidationError as error:
            log.warning("What the round before knew of missing runs cannot be read; Airflow is asked: %s", error)
            self._kept = _Looks()

    def look(self, now: datetime) -> list[MissingRun]:
        """Return what is to be told.

        :param now: aware.
        """
        found = []
        for dag_id, deadline in load_deadlines().items():
            if not (deadline.daily and deadline.priority):
                continue
            before = self._kept.of.get(dag_id)
            # A clock that was set back must not make this wait.
            if before is not None and timedelta() < before.again - now <= 2 * DAY:
                self._left.of[dag_id] = before
                continue
            slot, self._left.of[dag_id] = self._of(dag_id, deadline, before.missing if before else None, now)
            if slot is not None:
                found.append(MissingRun(dag_id, slot, Priority(deadline.priority)))
        return found

    def left(self) -> str:
        """Return what the next round may start from."""
        return self._left.model_dump_json()

    def _of(
        self, dag_id: str, deadline: Deadline, before: datetime | None, now: datetime
    ) -> tuple[datetime | None, _Look]:
        """Return the slot to tell of, if there is one, and what is known then."""
        runs, allowed = self._runs(dag_id, now - IN_USE) if self._answers else None, deadline.interval(get_settings())
        if runs is None:
            self._answers = False  # each question to an Airflow that hangs takes as long as the first
            return None, _Look(again=now + AGAIN, missing=before)
        due = newest_missing(runs, now - allowed)
        if due is None:
            return None, _Look(again=now + SELDOM)
        missing, following = due
        if missing is None or self._is_there(dag_id, runs, missing):
            return None, _Look(again=following + allowed)
        if missing != before:
            return None, _Look(again=now + AGAIN, missing=missing)
        return missing, _Look(again=following + allowed)

    def _is_there(self, dag_id: str, runs: Sequence[Mapping[str, Any]], slot: datetime) -> bool:
        """Return whether a run beside the schedule has delivered the day's data."""
        return any(
            delivers(run["dag_run_id"], run["run_type"], _moment(run), run["conf"], slot, daily=True)
            and self._delivered(dag_id, run["dag_run_id"])
            for run in runs
        )


def newest_missing(runs: Sequence[Mapping[str, Any]], moment: datetime) -> tuple[datetime | None, datetime] | None:
    """Return a day's slot without its run, and the slot after it.

    The slots of a day follow from the newest run of the schedule; None when there is none.

    :param runs: as Airflow's REST API shows them.
    :param moment: of the slots until then (aware) the newest.
    """
    last = max((_moment(run) for run in runs if run["dag_run_id"].startswith(SCHEDULED)), default=None)
    if last is None:
        return None
    here = last.astimezone(ZoneInfo(get_settings().business_timezone))  # the same time of day, whatever its clocks do
    days = 1
    while (here + days * DAY).astimezone(UTC) <= moment:
        days += 1
    missing = (here + (days - 1) * DAY).astimezone(UTC) if days > 1 else None
    return missing, (here + days * DAY).astimezone(UTC)


def _moment(run: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(run["run_after"])
