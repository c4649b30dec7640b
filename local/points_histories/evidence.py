"""What goes on by itself: points are used, CMA delivers, Hive builds, the push and the observation run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import date, datetime, time, timedelta
from random import Random

from local.points_histories.approvals import HOUR, MINUTE, Approvals
from local.points_histories.telemetry import DAY
from local.points_histories.world import BEGINNING, Run, World, at
from operators.points.downline.points_observe_operator import PointsObserveOperator

#: How often a point that is out of use is used after all (per day), and how often that is once only.
_COMES_BACK, _ONCE = 0.0015, 0.6


class Evidence:
    """Telemetry, aggregation, push and observation of every day."""

    def __init__(self, world: World, rng: Random, approvals: Approvals) -> None:
        self.world, self.rng, self.approvals = world, rng, approvals
        #: Points that are used again, until when.
        self._back: dict[int, date] = {}

    # --- use --------------------------------------------------------------------------------------------------------
    def habits(self, day: date) -> None:
        """Let points be used as they always were."""
        for point, habit in self.world.made.habits.items():
            if habit in ("read", "written") and self.rng.random() < 0.05:
                self.world.use(self._moment(day), f"{'que' if habit == 'read' else 'upd'}_eid_{point}")

    def surprises(self, day: date) -> None:
        """Let points be used that nobody expected to be."""
        for point, habit in self.world.made.habits.items():
            if habit == "in use":
                continue
            if self.approvals.happens(_COMES_BACK):
                span = 0 if self.rng.random() < _ONCE else self.rng.randrange(2, 40)
                self._back[point] = day + span * DAY
            if self._back.get(point, date.min) >= day:
                self._use(point, day)

    def _use(self, point: int, day: date) -> None:
        metric = self._metric(point)
        delivered = None
        if self.rng.random() < 0.15:
            delivered = at(day + self.rng.randrange(2, 25) * DAY, time(self.rng.randrange(24)))
            self.world.fault("late record")
        if not metric.startswith(("que_eid_" + str(point), "upd_eid", "err_eid", "que_tag")):
            self.world.fault("unreadable record")
        use = self.world.use(self._moment(day), metric, delivered)
        self.world.say(f"used: {use}")

    def _metric(self, point: int) -> str:
        tags = sorted(tag for tag, members in self.world.made.tags.items() if point in members)
        kinds = [f"que_eid_{point}", f"que_eid_{point}", f"upd_eid_{point}", f"err_eid_{point}"]
        kinds += [f"que_tag_{tag}" for tag in tags] + [f"que_eid_v2_{point}", f"que_eid_{point} "]
        return self.rng.choice(kinds)

    def _moment(self, day: date) -> datetime:
        return datetime.combine(day, time(self.rng.randrange(24), self.rng.randrange(60)))

    # --- every day --------------------------------------------------------------------------------------------------
    def days(self) -> Iterator[timedelta]:
        """Go on from day to day, from midnight to midnight."""
        while True:
            day = self.world.today
            self.habits(day)
            self.surprises(day)
            yield from self._until(day, time(3))
            self._deliver(day - DAY)
            yield from self._until(day, time(11, 30))
            if self.approvals.calm and self._is_quiet(day):
                pass
            elif self.approvals.happens(0.07):
                self.world.fault("a day without runs", "nothing runs today")
            else:
                yield from self._runs(day)
            if self.approvals.happens(0.02):
                yield from self._jump()
            yield from self._until(day + DAY, time(0))

    @staticmethod
    def _is_quiet(day: date) -> bool:
        """Return whether a calm history needs no run on a day: each push has the days before it."""
        number = (day - BEGINNING).days
        return 8 < number < 34 and number % 8 > 0

    def _until(self, day: date, moment: time) -> Iterator[timedelta]:
        left = at(day, moment) - self.world.now
        if left > timedelta(0):
            yield left

    def _runs(self, day: date) -> Iterator[timedelta]:
        built = yield from self._aggregate(day)
        yield from self._until(day, time(15))
        if self.approvals.happens(0.04):
            yield from self._aggregate(day - self.rng.randrange(1, 60) * DAY)
            self.world.fault("backfill")
        if built or self.rng.random() < 0.5:
            yield from self.push(day)
        yield from self._until(day, time(16))
        if self.rng.random() < 0.95 and self.world.oracle.down:
            yield from self.observe()

    def _deliver(self, day: date) -> None:
        """Let CMA deliver a day: late, in parts, or with records that nobody can read."""
        chance = 1.0 if self.approvals.calm else self.rng.random()
        if chance < 0.03:
            days = self.rng.randrange(1, 5)
            self.world.telemetry.deliver(day, self.world.now + days * DAY)
            self.world.fault("late day", f"CMA delivers {day} {days} days late")
        elif chance < 0.05:
            self.world.deliver(day, minutes=self.rng.randrange(1, 1434))
            self.world.fault("short day", f"CMA delivers a part of {day}")
        elif chance < 0.07:
            self.world.deliver(day, rejected=self.rng.randrange(1001, 500_000))
            self.world.fault("unreadable day", f"much of {day} cannot be read")
        else:
            self.world.deliver(day)
        for earlier, raw in self.world.telemetry.days.items():
            broken = raw.minutes < 1435 or raw.rejected > 1000
            if broken and earlier < day and self.rng.random() < 0.6:
                self.world.deliver(earlier)
                self.world.say(f"CMA delivers {earlier} again")

    def _aggregate(self, run_date: date) -> Generator[timedelta, None, bool]:
        for _ in range(2):
            fault = self.approvals.seldom("check_evidence")
            if self.world.aggregate(run_date, fault, self.approvals.seldom("build")):
                return True
            yield self.rng.randrange(5, 60) * MINUTE
        return False

    def push(self, run_date: date) -> Iterator[timedelta]:
        """Push what Hive holds for a run date, task by task; something may come between two of them."""
        run = self.world.push_run(run_date)
        for task_id in run.tasks:
            outcome = run.task(task_id, self.approvals.seldom(task_id))
            if not outcome:
                yield self.rng.randrange(1, 30) * MINUTE
                outcome = run.task(task_id)
            if not outcome:
                return
            if self.approvals.happens(0.02):
                self.world.fault("backfill")
                yield from self._aggregate(run_date - self.rng.randrange(0, 60) * DAY)
            if self.approvals.happens(0.02):
                self.world.fault("repeated")
                run.task(task_id)

    def observe(self) -> Iterator[timedelta]:
        run = Run("points_observe", self.world.now, None)
        yield from self.approvals.attempt(
            "observe", lambda: PointsObserveOperator(task_id="observe").execute(run.context("observe")), "observe"
        )

    def _jump(self) -> Iterator[timedelta]:
        """Let the machine's clock jump back, or the scheduler be away for days."""
        if self.rng.random() < 0.5:
            hours = self.rng.randrange(1, 4)
            self.world.fault("clock jump", f"the clock goes {hours} h back")
            self.world.wait(-hours * HOUR)
            return
        days = self.rng.randrange(1, 6)
        self.world.fault("days without runs", f"no scheduler for {days} days")
        for _ in range(days):
            day = self.world.today + DAY
            yield from self._until(day, time(3))
            self.habits(day)
            self.surprises(day)
            self._deliver(day - DAY)
