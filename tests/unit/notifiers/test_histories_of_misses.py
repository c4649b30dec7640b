"""Histories of runs, and what people are mailed: the deadline and the callback together, over Airflow's own tables.

A run is written as when it ends, in seconds after it began: ``270`` delivers then, ``-20`` fails then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from deadlines import fresh_interval
from deadlines.fresh_interval import FreshIntervalEnd
from notifiers import sla_miss, sla_signal
from notifiers.sla_miss import NotToldError, SlaMissMail
from notifiers.sla_signal import SlaMissAlert

#: 15:00 in Beijing: the first interval of each history ends.
BEGIN = datetime(2025, 10, 3, 7, 0, tzinfo=UTC)
HANG = None
HOURS, DAY = 3600, 86400


@dataclass(frozen=True)
class Schedule:
    """A DAG: what is between its runs and what its deadline allows, in seconds."""

    dag_id: str
    slot: int
    allowed: int
    delivered_by: str = ""
    daily: bool = False
    fails_beside: bool = False


SYNC = Schedule("draw_sync", 300, 240, delivered_by="verify")
BROKEN_IDENTITY = replace(SYNC, fails_beside=True)
MONITOR = Schedule("monitoring_checks", 60, 300)
PUSH = Schedule("points_push", DAY, 1800, delivered_by="pushed", daily=True)


@dataclass
class Other:
    """What happens beside the schedule, so many seconds after `BEGIN`."""

    at: int
    run_type: str = ""
    conf: dict[str, Any] = field(default_factory=dict)
    skipped: bool = False
    dag_id: str = ""


def push(at: int, run_type: str = "asset_triggered", *, skipped: bool = False, **conf: Any) -> Other:
    """A run of points_push that the schedule did not start succeeds."""
    return Other(at, run_type, conf, skipped)


def resolved(at: int, dag_id: str) -> Other:
    return Other(at, "manual", {"key": f"sla:{dag_id}", "reason": "because"}, dag_id="alert_resolve")


def set_to_success(at: int) -> Other:
    """A person sets the newest run to success, which calls nothing."""
    return Other(at)


def played_again(at: int) -> Other:
    """A backfill plays the newest run again, which keeps its id and succeeds."""
    return Other(at, "backfill again")


class World:
    """Scheduler, triggerer and clock. The API's answers are read off the tables."""

    def __init__(self, session: Any, schedule: Schedule) -> None:
        self.session, self.schedule, self.now = session, schedule, BEGIN
        self.mails: list[int] = []
        self.refused_until = BEGIN
        self.down_until = BEGIN

    def run(self, run_type: str, due: datetime, state: str, dag_id: str = "", **of: Any) -> Any:
        from airflow.models import DagRun

        span = timedelta(seconds=self.schedule.slot)
        interval = (due - span, due) if run_type != "asset_triggered" else None
        run = DagRun(
            dag_id or self.schedule.dag_id, f"{run_type}__{due.isoformat()}", run_type=run_type, state=state,
            logical_date=interval and interval[0], data_interval=interval, run_after=due, **of,
        )  # fmt: skip
        self.session.add(run)
        self.session.flush()
        return run

    def task(self, run: Any, task_id: str, state: str) -> None:
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import insert

        of = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task_id, "map_index": -1, "state": state}
        fixed = {"pool": "default_pool", "pool_slots": 1, "try_number": 1}
        self.session.execute(insert(TaskInstance.__table__).values(id=uuid4(), **of, **fixed))

    def created(self, due: datetime) -> Any:
        """Create the scheduled run of an interval, and its deadline, as the scheduler does."""
        from airflow.models.deadline import Deadline

        run, of = self.run("scheduled", due, "running"), self.schedule
        reference = FreshIntervalEnd(delivered_by=of.delivered_by, daily=of.daily, allowed_seconds=of.allowed)
        interval = timedelta(seconds=of.allowed)
        start = reference._evaluate_with(session=self.session, dag_id=run.dag_id, run_id=run.run_id)
        if start is not None:
            callback = AsyncCallback("notifiers.sla_miss.SlaMissMail", kwargs={})
            self.session.add(Deadline(start + interval, callback, run.id, None, run.dag_id))
            self.session.flush()
        return run

    def ended(self, run: Any, delivered: bool) -> None:
        """End a run; Airflow forgets the deadline of one that has succeeded in time."""
        run.state = "success" if delivered and not self.schedule.fails_beside else "failed"
        run.end_date = self.now
        self.task(run, self.schedule.delivered_by or "only", "success" if delivered else "failed")
        for deadline in self.waiting() if run.state == "success" else ():
            if deadline.dagrun_id == run.id and not deadline.missed and self.now <= deadline.deadline_time:
                self.session.delete(deadline)
        self.session.flush()

    def waiting(self) -> list[Any]:
        """Return the deadlines that nothing has come of yet."""
        from airflow.models.callback import Callback
        from airflow.models.deadline import Deadline
        from sqlalchemy import select

        found = select(Deadline).join(Callback, Callback.id == Deadline.callback_id).where(Callback.output.is_(None))
        return list(self.session.scalars(found.order_by(Deadline.deadline_time)))

    def happens(self, other: Other) -> None:
        from airflow.models import DagRun
        from sqlalchemy import select

        if not other.run_type:
            newest = select(DagRun).where(DagRun.run_type == "scheduled").order_by(DagRun.run_after.desc()).limit(1)
            self.session.scalar(newest).state = "success"
            return
        if other.run_type == "backfill again":
            newest = select(DagRun).where(DagRun.run_type == "scheduled").order_by(DagRun.run_after.desc()).limit(1)
            run = self.session.scalar(newest)
            run.run_type, run.state, run.end_date = "backfill", "success", self.now
            return
        due = BEGIN + timedelta(seconds=other.at)
        run = self.run(other.run_type, due, "success", other.dag_id, conf=other.conf)
        run.end_date = self.now
        # A run that pushes one flow of two succeeds, and the task that looks for both is skipped.
        self.task(run, "plan", "success")
        self.task(run, self.schedule.delivered_by or "only", "skipped" if other.skipped else "success")

    def looks(self) -> None:
        """Let the scheduler find what was missed, and the triggerer call back what it has found."""
        for deadline in self.waiting():
            deadline.missed |= deadline.deadline_time < self.now
            if deadline.missed and self.now >= self.down_until:
                deadline.callback.output = self._called_back(deadline)
        self.session.flush()

    def next_look(self) -> datetime | None:
        moment = timedelta(microseconds=1)
        return min((max(one.deadline_time + moment, self.down_until) for one in self.waiting()), default=None)

    def _called_back(self, deadline: Any) -> str:
        run = deadline.dagrun
        shown = {
            "dag_id": run.dag_id, "dag_run_id": run.run_id, "state": run.state,
            "data_interval_start": run.data_interval_start, "data_interval_end": run.data_interval_end,
        }  # fmt: skip
        context = {"dag_run": shown, "deadline": {"deadline_time": deadline.deadline_time}}
        of: dict[str, Any] = {"delivered_by": self.schedule.delivered_by, "daily": self.schedule.daily}
        notifier = (
            SlaMissMail(to="a@example.com", look_at=[], **of)
            if self.schedule is MONITOR
            else SlaMissAlert(to="a@example.com", look_at=[], priority="P0", **of)
        )
        try:
            return asyncio.run(notifier.async_notify(context))
        except NotToldError as error:
            return f"An error occurred: {error}"

    def mail(self) -> None:
        if self.now < self.refused_until:
            raise ConnectionRefusedError("no mail today")
        self.mails.append(round((self.now - BEGIN).total_seconds()))

    def runs_since(self, dag_id: str, moment: datetime) -> list[dict[str, Any]]:
        from airflow.models import DagRun
        from sqlalchemy import select

        runs = self.session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_after >= moment))
        return [
            {
                "dag_run_id": run.run_id, "run_type": str(run.run_type), "state": str(run.state), "conf": run.conf,
                "run_after": run.run_after.isoformat(),
            }
            for run in runs
        ]  # fmt: skip

    def state(self, dag_id: str, run_id: str) -> str:
        from airflow.models import DagRun
        from sqlalchemy import select

        return str(self.session.scalar(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)))

    def count(self, *, dag_id: str, task_ids: list[str] | None, run_ids: list[str], states: list[str]) -> int:
        from airflow.models.taskinstance import TaskInstance as Task
        from sqlalchemy import func, select

        found = select(func.count()).where(Task.dag_id == dag_id, Task.run_id.in_(run_ids), Task.state.in_(states))
        return self.session.scalar(found.where(Task.task_id.in_(task_ids)) if task_ids else found) or 0

    def lives(self, runs: Sequence[int | None], others: Sequence[Other], seconds: int) -> list[int]:
        """Let so much time pass, one run at a time and without catching up; return when a mail was sent.

        :param runs: each one's end; those after them deliver after ten seconds.
        """
        until, slot = BEGIN + timedelta(seconds=seconds), timedelta(seconds=self.schedule.slot)
        ends, due, run, waiting = iter(runs), BEGIN, None, sorted(others, key=lambda one: one.at)
        ends_at: datetime | None = None
        delivers = False
        while True:
            times = [ends_at, due if run is None else None, self.next_look()]
            times += [BEGIN + timedelta(seconds=waiting[0].at)] if waiting else []
            self.now = max(self.now, min((time for time in times if time is not None), default=until))
            if self.now >= until:
                return self.mails
            if waiting and self.now >= BEGIN + timedelta(seconds=waiting[0].at):
                self.happens(waiting.pop(0))
            if run is not None and ends_at is not None and self.now >= ends_at:
                self.ended(run, delivers)
                run = ends_at = None
            self.looks()
            if run is None and self.now >= due:
                due += (self.now - due) // slot * slot
                run, due = self.created(due), due + slot
                if (end := next(ends, 10)) is not None:
                    ends_at, delivers = self.now + timedelta(seconds=abs(end)), end > 0


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Schedule], World]]:
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session
    from sqlalchemy.pool import StaticPool

    import_all_models()
    # The callbacks read in threads of their own what is one connection's.
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    with Session(engine, autoflush=False) as session:

        def make(schedule: Schedule) -> World:
            made = World(session, schedule)

            class Clock(datetime):
                @classmethod
                def now(cls, _tz: Any = None) -> datetime:  # type: ignore[override]
                    return made.now

            async def mail(*_: Any) -> None:
                made.mail()

            def no_warehouse(*_: Any) -> None:
                raise ConnectionError("the warehouse is away")

            monkeypatch.setattr(fresh_interval, "datetime", Clock)
            monkeypatch.setattr(SlaMissMail, "mail", mail)
            monkeypatch.setattr(SlaMissAlert, "values", lambda *_: {})
            # One that keeps no signal, or cannot end one, must not decide who is told.
            monkeypatch.setattr(SlaMissAlert, "_report", lambda *_: made.now < made.refused_until and no_warehouse())
            monkeypatch.setattr(sla_signal, "_end", lambda *_: None)
            monkeypatch.setattr(sla_miss, "runs_since", made.runs_since)
            monkeypatch.setattr(RuntimeTaskInstance, "get_dagrun_state", staticmethod(made.state))
            monkeypatch.setattr(RuntimeTaskInstance, "get_ti_count", staticmethod(made.count))
            return made

        yield make


#: Name → (schedule, runs, what else happens, seconds that pass, when a mail is sent).
HISTORIES: dict[str, tuple[Schedule, list[int | None], list[Other], int, list[int]]] = {
    # One outage is one mail; the next one is another.
    "its data are there": (BROKEN_IDENTITY, [10, 10, HANG], [], 2 * HOURS, [840]),
    "in time": (SYNC, [10, 200, 10], [], 2 * HOURS, []),
    "a hang": (SYNC, [10, HANG], [], 9 * HOURS, [540]),
    "failures, then a hang": (SYNC, [-20, -20, HANG], [], 9 * HOURS, [240]),
    "failures for a day": (SYNC, [-20] * 60, [], 4 * HOURS, [240]),
    "an outage, a delivery, an outage": (SYNC, [-20, -20, 10, -20, -20], [], 2 * HOURS, [240, 1140]),
    "an outage, a delivery, a hang": (SYNC, [-20, 10, HANG], [], 9 * HOURS, [240, 840]),
    "a late end of an outage, a hang of the monitor": (MONITOR, [-20, 400, HANG], [], 9 * HOURS, [300, 720]),
    # After a late delivery a hang is told in twice the time, counted from the end of what held the run up.
    "late once": (SYNC, [270], [], 9 * HOURS, [240]),
    "late, then a hang": (SYNC, [270, HANG], [], 9 * HOURS, [240, 780]),
    "late, then a hang of the monitor": (MONITOR, [330, HANG], [], 9 * HOURS, [300, 900]),
    "so late that the next is held up, and hangs": (SYNC, [450, HANG], [], 9 * HOURS, [240, 930]),
    "late, hours before a hang": (SYNC, [270] + [10] * 80 + [HANG], [], 8 * HOURS, [240, 24540]),
    # Late again and again is told every six hours.
    "late each time": (SYNC, [270] * 160, [], 13 * HOURS, [240, 22140, 44040]),
    "late every other time": (SYNC, [270, 10] * 80, [], 13 * HOURS, [240, 22440, 44640]),
    "later and later": (SYNC, [270, 700, 10, HANG], [], 9 * HOURS, [240, 780, 2160]),
    "a monitor late each time": (MONITOR, [330] * 100, [], 6 * HOURS, [300]),
    # Runs that replace each other: one mail, and none once one has succeeded.
    "the monitor fails for long": (MONITOR, [-20] * 30, [], HOURS, [300]),
    "the monitor fails once": (MONITOR, [-20], [], 2 * HOURS, []),
    "the monitor recovers in time": (MONITOR, [-20] * 4, [], 2 * HOURS, []),
    "the monitor recovers a minute late": (MONITOR, [-20] * 6, [], 2 * HOURS, [300]),
    "the monitor fails every other time": (MONITOR, [-20, 10] * 15, [], HOURS, []),
    "the monitor fails, recovers, and hangs": (MONITOR, [-20, 10, HANG], [], 2 * HOURS, [420]),
    # A day's data may come by a run of an asset, or by hand.
    "pushed before it is missed": (PUSH, [-20], [push(900)], DAY, []),
    "pushed late, a hang the day after": (PUSH, [-20, HANG], [push(4200)], 3 * DAY, [1800, DAY + 1800]),
    "skipped": (PUSH, [-20, -20], [push(4200, skipped=True)], 2 * DAY, [1800]),
    "skipped before": (PUSH, [-20], [push(900, skipped=True)], DAY, [1800]),
    "by hand": (PUSH, [-20, -20], [push(4200, "manual")], 2 * DAY, [1800, DAY + 1800]),
    "by hand, for the day": (PUSH, [-20, -20], [push(4200, "manual", run_date="2025-10-03")], 2 * DAY,
                             [1800, DAY + 1800]),
    "by hand, for another": (PUSH, [-20, -20], [push(4200, "manual", run_date="2025-10-01")], 2 * DAY, [1800]),
    "a range by hand": (SYNC, [-20] * 10, [push(400, "manual", **{"from": "2025-10-01"})], HOURS // 2, [240]),
    "by hand, before it is due": (PUSH, [-20, HANG], [push(-3600, "manual")], 3 * DAY, [DAY + 1800]),
    "one flow of two": (PUSH, [-20, HANG], [push(900, skipped=True)], 3 * DAY, [1800]),
    "played again": (PUSH, [-20, HANG], [played_again(7200)], 3 * DAY, [1800, DAY + 1800]),
    "a backfill": (PUSH, [-20, -20], [push(4200, "backfill")], 2 * DAY, [1800]),
    # What people do.
    "set to success": (PUSH, [-20, HANG], [set_to_success(7200)], 3 * DAY, [1800, DAY + 1800]),
    "set to success before": (PUSH, [-20, -20], [set_to_success(900)], 2 * DAY, [DAY + 1800]),
    "resolved": (SYNC, [-20] * 8, [resolved(500, "draw_sync")], HOURS * 2 // 3, [240, 840]),
    "another's resolved": (SYNC, [-20] * 8, [resolved(500, "points_push")], HOURS * 2 // 3, [240]),
}  # fmt: skip


@pytest.mark.parametrize("name", HISTORIES)
def test_what_is_mailed_of(world: Callable[[Schedule], World], name: str) -> None:
    schedule, runs, others, seconds, expected = HISTORIES[name]
    assert world(schedule).lives(runs, others, seconds) == expected


def test_a_miss_that_could_not_be_told_is_told_with_the_next_run(world: Callable[[Schedule], World]) -> None:
    of = world(SYNC)
    of.refused_until = BEGIN + timedelta(seconds=700)
    assert of.lives([-20] * 20, [], HOURS) == [840]


@pytest.mark.parametrize(("fails", "expected"), [(20, [900]), (10, [])])
def test_a_triggerer_that_was_down_tells_an_outage_once_and_only_while_it_lasts(
    world: Callable[[Schedule], World], fails: int, expected: list[int]
) -> None:
    of = world(MONITOR)
    of.down_until = BEGIN + timedelta(seconds=900)
    assert of.lives([-20] * fails, [], HOURS) == expected
