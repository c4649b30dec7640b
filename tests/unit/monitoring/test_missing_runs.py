"""Days whose scheduled run Airflow did not create: no deadline tells of them, so the monitor looks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawsguard.monitoring.missing_runs import AGAIN, MissingRun, MissingRuns, newest_missing
from drawsguard.monitoring.observation import Priority

#: 15:00 in Beijing, when points_push is due; its deadline is 30 minutes later.
SLOT = datetime(2025, 10, 3, 7, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PUSH = "points_push"


@dataclass
class Run:
    """A run of points_push: when it is to start, when it is there, and when it has delivered."""

    run_type: str
    after: datetime
    delivered: datetime | None = None
    created: datetime | None = None
    conf: dict[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return f"{self.run_type}__{self.after.isoformat()}"


YESTERDAY = Run("scheduled", SLOT - DAY, SLOT - DAY + MINUTE)


class Airflow:
    """What Airflow says of the runs, at the time of the round."""

    def __init__(self, *runs: Run) -> None:
        self.of = runs
        self.now = SLOT
        self.asked = 0
        self.away: tuple[datetime, datetime] | None = None

    def runs(self, dag_id: str, since: datetime) -> Sequence[Mapping[str, Any]] | None:
        if dag_id != PUSH:
            return []
        self.asked += 1
        if self.away and self.away[0] <= self.now < self.away[1]:
            return None
        return [
            {"dag_run_id": run.run_id, "run_type": run.run_type, "run_after": run.after.isoformat(), "conf": run.conf}
            for run in self.of
            if since <= run.after and (run.created or run.after) <= self.now
        ]

    def delivered(self, dag_id: str, run_id: str) -> bool:
        assert dag_id == PUSH
        (run,) = (run for run in self.of if run.run_id == run_id)
        return run.delivered is not None and run.delivered <= self.now

    def watched(self, begin: datetime, span: timedelta, ahead: timedelta = timedelta()) -> list[tuple[int, datetime]]:
        """Let the monitor make its rounds; return in which minute after the slot it reports which slot."""
        found, left = [], None
        for n in range(int(span / MINUTE)):
            self.now = begin + n * MINUTE
            missing = MissingRuns(self.runs, self.delivered, left)
            for one in missing.look(self.now + (ahead if n == 1 else timedelta())):
                assert (one.dag_id, one.priority) == (PUSH, Priority.P1)
                found.append((round((self.now - SLOT) / MINUTE), one.slot))
            left = missing.left()
        return found


HOUR = timedelta(hours=1)
HISTORIES: dict[str, tuple[list[Run], list[tuple[int, datetime]]]] = {
    "a manual run hangs over the slot": ([YESTERDAY, Run("manual", SLOT - 5 * MINUTE)], [(35, SLOT)]),
    "it delivers in time": ([YESTERDAY, Run("manual", SLOT - 5 * MINUTE, SLOT + 20 * MINUTE)], []),
    "it delivers late": ([YESTERDAY, Run("manual", SLOT - 5 * MINUTE, SLOT + 50 * MINUTE)], [(35, SLOT)]),
    "it is for another day": (
        [YESTERDAY, Run("manual", SLOT - 5 * MINUTE, SLOT + MINUTE, conf={"run_date": "2025-10-01"})],
        [(35, SLOT)],
    ),
    "a run of a build hangs over it": ([YESTERDAY, Run("asset_triggered", SLOT - 5 * MINUTE)], [(35, SLOT)]),
    "paused, or broken by a deploy": ([YESTERDAY], [(35, SLOT)]),
    "pushed by hand, and paused": ([YESTERDAY, Run("manual", SLOT - HOUR, SLOT - 50 * MINUTE)], []),
    # Its own deadline tells of these.
    "a scheduled run hangs": ([YESTERDAY, Run("scheduled", SLOT)], []),
    "a scheduled run that was held up": ([YESTERDAY, Run("scheduled", SLOT, created=SLOT + 32 * MINUTE)], []),
    # Nobody waits for it.
    "never switched on": ([Run("manual", SLOT - HOUR)], []),
    "out of use": ([Run("scheduled", SLOT - 9 * DAY)], []),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_day_without_a_run_of_the_schedule_is_told_once(name: str) -> None:
    runs, expected = HISTORIES[name]
    airflow = Airflow(*runs)
    assert airflow.watched(SLOT - 3 * HOUR, timedelta(hours=12)) == expected


def test_each_day_is_told_and_next_to_nothing_is_asked() -> None:
    airflow = Airflow(YESTERDAY)
    assert airflow.watched(SLOT, 3 * DAY) == [(35 + 1440 * n, SLOT + n * DAY) for n in range(3)]
    assert airflow.asked <= 7
    quiet = Airflow(*(Run("scheduled", SLOT + n * DAY, SLOT + n * DAY + MINUTE) for n in range(-1, 3)))
    assert quiet.watched(SLOT, 3 * DAY) == []
    assert quiet.asked <= 4


def test_after_an_outage_the_scheduler_has_time_to_create_the_run() -> None:
    back = SLOT + 2 * HOUR
    airflow = Airflow(YESTERDAY, Run("scheduled", SLOT, created=back + 2 * MINUTE))
    assert airflow.watched(back, HOUR) == []


def test_what_cannot_be_asked_is_asked_again() -> None:
    airflow = Airflow(YESTERDAY)
    airflow.away = (SLOT + 20 * MINUTE, SLOT + 60 * MINUTE)
    ((minute, slot),) = airflow.watched(SLOT - HOUR, timedelta(hours=4))
    assert slot == SLOT
    assert 60 <= minute <= 60 + 2 * AGAIN / MINUTE
    assert airflow.asked < 15


@pytest.mark.parametrize("ahead", [timedelta(hours=8), -timedelta(hours=8), timedelta(days=9)])
def test_one_round_of_a_wrong_clock_tells_nothing_and_hides_nothing(ahead: timedelta) -> None:
    airflow = Airflow(YESTERDAY)
    ((minute, slot),) = airflow.watched(SLOT - 3 * HOUR, timedelta(hours=12), ahead)
    assert (minute <= 8 * 60 + 40, slot) == (True, SLOT)


def test_a_slot_keeps_its_time_of_day() -> None:
    runs = [{"dag_run_id": YESTERDAY.run_id, "run_after": YESTERDAY.after.isoformat()}]
    assert newest_missing(runs, SLOT - MINUTE) == (None, SLOT)
    assert newest_missing(runs, SLOT) == (SLOT, SLOT + DAY)
    assert newest_missing(runs, SLOT + 3 * DAY + HOUR) == (SLOT + 3 * DAY, SLOT + 4 * DAY)
    assert newest_missing([], SLOT) is None


def test_what_the_round_before_left_may_be_lost_or_unreadable() -> None:
    airflow = Airflow(YESTERDAY)
    airflow.now = SLOT + HOUR
    first = MissingRuns(airflow.runs, airflow.delivered, "no JSON")
    assert first.look(airflow.now) == []
    second = MissingRuns(airflow.runs, airflow.delivered, first.left())
    assert second.look(airflow.now + AGAIN) == [MissingRun(PUSH, SLOT, Priority.P1)]
