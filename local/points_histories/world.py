"""One world: its tasks run as Airflow would run them, and after each the oracle looks at everything."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from drawsguard.points.telemetry.day_plan import StatisticsWindow, window_of
from drawsguard.points.telemetry.push_guard import Facts
from local.config import Config
from local.points_histories import definitions
from local.points_histories.faults import Fault, Killed
from local.points_histories.oracle import Look, Oracle, Rows, Step
from local.points_histories.sight import Sight
from local.points_histories.surroundings import Surroundings
from local.points_histories.telemetry import DAY, WINDOW_DAYS, ZONE, Telemetry, Use
from operators.points.telemetry.evidence_consolidate_operator import EvidenceConsolidateOperator
from operators.points.telemetry.guarded_truncate_operator import GuardedTruncateOperator
from operators.points.telemetry.hive_build_operator import HiveBuildOperator
from operators.points.telemetry.hive_evidence_operator import HiveEvidenceOperator
from operators.points.telemetry.hive_to_mysql_operator import HiveToMySqlStreamOperator
from operators.points.telemetry.push_guard_operator import PushGuardOperator

#: The first day of every year: a Wednesday.
BEGINNING = date(2025, 1, 1)
SECOND = timedelta(seconds=1)


class LostError(AssertionError):
    """Something was lost that nobody may lose; the history ends here."""


@dataclass
class Run:
    """One run of a DAG."""

    dag_id: str
    started_at: datetime
    requester: str | None = "requester"
    params: dict[str, Any] = field(default_factory=dict)
    run_id: str = field(default_factory=lambda: f"run__{uuid.uuid4().hex}")
    #: When the last valid yes was given, by task and map index.
    approved: dict[tuple[str, int], datetime] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)

    def context(self, task_id: str, map_index: int = -1) -> Any:
        run = SimpleNamespace(
            dag_id=self.dag_id,
            run_id=self.run_id,
            triggering_user_name=self.requester,
            run_type="manual" if self.requester else "scheduled",
            start_date=self.started_at,
            data_interval_end=self.started_at,
            run_after=self.started_at,
        )
        task = SimpleNamespace(
            id=uuid.uuid4(), dag_id=self.dag_id, task_id=task_id, run_id=self.run_id, map_index=map_index, try_number=1
        )
        return {
            "dag_run": run, "run_id": self.run_id, "ti": task, "task_instance": task, "params": self.params,
            "outlet_events": {},
        }  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a task ended: ``ended``, ``waits`` for an answer, ``skipped``, or how it failed; and what it returned."""

    how: str
    value: Any = None

    @property
    def refused(self) -> bool:
        """Whether Airflow tries it no more."""
        return "AirflowFailException" in self.how or "RefusedError" in self.how

    def __bool__(self) -> bool:
        return self.how in ("ended", "skipped")


class World:
    """The points of a company, and a year of theirs.

    :param config: of the stack with MySQL and Redis.
    :param rng: chooses the definitions.
    """

    def __init__(self, config: Config, rng: Random) -> None:
        self.made = definitions.make(rng)
        every_day = tuple(
            f"{operation}_eid_{point}"
            for point, habit in self.made.habits.items()
            if habit == "in use"
            for operation in ("que", "upd")
        )
        self.telemetry = Telemetry(every_day)
        self.sight = Sight(config)
        self.sight.empty()
        self.sight.load(self.made)
        self.around = Surroundings(self.telemetry, self.made.describe, at(BEGINNING, time(0)))
        self.oracle = Oracle(self.made.keys, self.made.tags, self.telemetry.uses)
        self.lines: list[str] = []
        #: Every fault that happened, by kind.
        self.faults: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.steps = 0
        self._seen: Look = self.sight.look()
        self._published: set[tuple[Any, ...]] = set()

    def close(self) -> None:
        self.sight.close()

    # --- clock and story --------------------------------------------------------------------------------------------
    @property
    def now(self) -> datetime:
        return self.around.now

    @property
    def today(self) -> date:
        return self.now.astimezone(ZONE).date()

    def move_to(self, moment: datetime) -> None:
        self.around.move_to(moment)

    def wait(self, span: timedelta) -> None:
        self.move_to(self.now + span)

    def say(self, line: str) -> None:
        self.lines.append(f"{self.now.astimezone(ZONE):%m-%d %H:%M:%S} {line}")

    def fault(self, kind: str, line: str = "") -> None:
        """Count something that went wrong in the world, and tell it."""
        self.faults[kind] += 1
        if line:
            self.say(line)

    # --- telemetry --------------------------------------------------------------------------------------------------
    def use(self, moment: datetime, metric: str, delivered: datetime | None = None) -> Use:
        """Let a metric be used at a moment of business time; CMA delivers it with its day, or later."""
        made = Use(moment, metric, delivered or at(moment.date() + DAY, time(3)))
        self.telemetry.uses.append(made)
        return made

    def deliver(self, day: date, minutes: int = 1440, rejected: int = 0) -> None:
        self.telemetry.deliver(day, self.now, minutes, rejected)

    # --- tasks ------------------------------------------------------------------------------------------------------
    def task(
        self,
        what: str,
        do: Callable[[], Any],
        fault: Fault | None = None,
        *,
        step: Step | None = None,
        kind: str = "",
    ) -> Outcome:
        """Run a task; say how it ended, and look at everything.

        :param kind: of tasks that make the same calls.
        :raises LostError: when something was lost.
        """
        kind = kind or what.partition(" ")[0]
        self.wait(SECOND)
        self.around.boundary.arm(fault)
        try:
            outcome = Outcome("ended", do())
        except TaskAwaitingInput:
            outcome = Outcome("waits")
        except AirflowSkipException as skip:
            outcome = Outcome("skipped", str(skip))
        except Killed:
            outcome = Outcome("killed")
        except Exception as error:  # noqa: BLE001 - whatever it is, the task failed with it
            outcome = Outcome(f"{type(error).__name__}: {str(error)[:200]}")
        except BaseException as error:
            if type(error).__name__ != "AirflowTaskTimeout":
                raise
            outcome = Outcome("timed out")
        struck = self.around.boundary.struck
        self.around.boundary.disarm(kind)
        self.around.close_connections()
        self.around.switch("false")
        if struck and fault:
            self.faults[f"{fault.kind} {fault.service or ''}".strip()] += 1
        if outcome.how not in ("ended", "waits", "skipped", "killed", "timed out"):
            self.failures[f"{kind}: {outcome.how[:90]}"] += 1
        told = f" [{fault}{'' if struck else ', which did not come to it'}]" if fault else ""
        self.say(f"{what}: {outcome.how}{told}")
        self.look(step or Step(what, self.now))
        return outcome

    def look(self, step: Step) -> None:
        """Judge what a step did.

        :raises LostError: when something was lost.
        """
        self.steps += 1
        after = self.sight.look()
        if after == self._seen:
            return
        changed = [k for k in after.rows.keys() | self._seen.rows.keys() if after.rows.get(k) != self._seen.rows.get(k)]
        backups = self.sight.backups(step.batch, changed) if changed and step.action == "downline" else {}
        step = Step(step.what, self.now, step.action, step.batch, step.environment, step.approved)
        found = self.oracle.judge(step, self._seen, after, backups)
        self._seen = after
        if found:
            raise LostError("\n".join(found))

    def by_hand(self, what: str, environment: str, statement: str, *values: Any) -> None:
        """Let somebody change rows outside the pipeline."""
        self.wait(SECOND)
        before: Rows = self._seen.rows
        self.sight.sql(environment, statement, *values, at=self.now)
        self._seen = self.sight.look()
        self.oracle.by_hand(before, self._seen.rows)
        self.fault("by hand", f"by hand on the {environment}: {what}")

    @property
    def seen(self) -> Look:
        return self._seen

    # --- evidence ---------------------------------------------------------------------------------------------------
    def aggregate(self, run_date: date, fault: Fault | None = None, second: Fault | None = None) -> bool:
        """Check and build the window of a run date, as `points_hive_aggregation` does."""
        window = window_of(run_date, WINDOW_DAYS)
        run = Run("points_hive_aggregation", self.now, None)
        self.telemetry.refresh_days(self.now)
        span = {"first": str(window.first), "last": str(window.last)}
        check = HiveEvidenceOperator(task_id="check_evidence", flow="window", **span)
        if not self.task(f"check_evidence {run_date}", lambda: check.execute(run.context("check_evidence")), fault):
            return False
        build = HiveBuildOperator(
            task_id="ads_evt_ops_status", flow="window", window=window.texts(), file="window/ads_evt_ops_status.sql"
        )
        return bool(self.task(f"build {run_date}", lambda: build.execute(run.context("ads_evt_ops_status")), second))

    def push_run(self, run_date: date) -> PushRun:
        """Trigger `points_push` for a run date."""
        return PushRun(self, Run("points_push", self.now, None), window_of(run_date, WINDOW_DAYS))

    def note_published(self) -> None:
        """Tell the oracle what is published now.

        :raises LostError: when it is not what was built for its window.
        """
        for entry in self.sight.published():
            batch, first, last, *facts, _ = entry
            if entry in self._published:
                continue
            self._published.add(entry)
            of_window = [b for b in self.telemetry.builds if (b.first, b.last) == (first, last)]
            build = next((b for b in reversed(of_window) if b.facts == Facts(*facts)), None)
            if build is None:
                problem = f"batch {batch} was published with {facts}, which nobody built for its window"
                self.oracle.lost.append(problem)
                raise LostError(problem)
            self.oracle.whole_days |= {day for day, minutes in build.minutes.items() if minutes >= 1435}
            for use in self.telemetry.uses:
                if use.known is None and use.delivered <= build.at and use.day in build.minutes:
                    use.known = self.now


class PushRun:
    """A run of `points_push`, task by task."""

    def __init__(self, world: World, run: Run, window: StatisticsWindow) -> None:
        batch: dict[str, Any] = {"flow": "window", "window": window.texts()}
        self._world, self._run = world, run
        self._name = f"{window.run_date}"
        self.tasks = {
            "guard_before": PushGuardOperator(task_id="guard_before", **batch),
            "push": HiveToMySqlStreamOperator(task_id="push", **batch),
            "truncate": GuardedTruncateOperator(task_id="truncate", **batch),
            "consolidate": EvidenceConsolidateOperator(task_id="consolidate", **batch),
        }

    def task(self, task_id: str, fault: Fault | None = None) -> Outcome:
        operator = self.tasks[task_id]
        outcome = self._world.task(
            f"{task_id} {self._name}", lambda: operator.execute(self._run.context(task_id)), fault
        )
        self._world.note_published()
        return outcome


def at(day: date, moment: time) -> datetime:
    """Return a moment of business time (aware, UTC)."""
    return datetime.combine(day, moment, ZONE).astimezone(UTC)
