"""What people do: report and confirm, take out of service, restore, release, clean, and change rows by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from drawsguard.points.environments import ENVIRONMENTS
from local.golden.load import confirm
from local.points_histories.approvals import HOUR, MINUTE, Approvals, Steps, Task
from local.points_histories.hands import Hands
from local.points_histories.oracle import DOWN, Report, Step
from local.points_histories.telemetry import DAY
from local.points_histories.world import LostError, Run, World
from operators.points.cleanup.cleanup_report_operator import CleanupReportOperator
from operators.points.cleanup.cleanup_ticket_operator import CleanupTicketOperator
from operators.points.cleanup.redis_cleanup_operator import RedisCleanupOperator
from operators.points.downline.nos_structure_operator import NosStructureOperator
from operators.points.downline.points_confirm_operator import PointsConfirmOperator
from operators.points.downline.points_countersign_operator import PointsCountersignOperator
from operators.points.downline.points_downline_operator import PointsDownlineOperator
from operators.points.downline.points_plan_operator import PointsPlanOperator
from operators.points.downline.points_release_operator import PointsReleaseOperator
from operators.points.downline.points_restore_operator import PointsRestoreOperator
from operators.points.downline.points_restore_plan_operator import PointsRestorePlanOperator
from operators.points.downline.points_verify_operator import PointsVerifyOperator
from operators.points.downline.table_backup_operator import TableBackupOperator
from operators.points.review.points_usage_report_operator import PointsUsageReportOperator

_DUE = (
    "SELECT COUNT(*) FROM points_lifecycle.batch"
    " WHERE state IN ('downlined', 'cleaning') AND observe_until <= %s AND halted_at IS NULL"
)


class People:
    """The people of the points team, and those who approve what they ask for."""

    def __init__(self, world: World, rng: Random, approvals: Approvals) -> None:
        self.world, self.rng, self.approvals = world, rng, approvals
        self.hands = Hands(world, rng)
        self._batches: list[str] = []
        self._busy: set[str] = set()
        self._number = 0

    def days(self, spawn: Callable[[Steps], None]) -> Steps:
        """Do something or other, day by day."""
        yield DAY  # the first evidence is pushed
        yield 9 * HOUR
        while True:
            self._some(spawn)
            yield self.rng.choice([3 * HOUR, 5 * HOUR, 9 * HOUR])

    def _some(self, spawn: Callable[[Steps], None]) -> None:
        states = self._states()
        fresh = {
            batch for batch, report in self.world.oracle.reports.items() if self.world.today - report.last < 44 * DAY
        }
        wanted = [b for b, state in states.items() if state in ("reported", "confirmed", "downlining") and b in fresh]
        down = [batch for batch, state in states.items() if state in ("downlining", "downlined", "cleaning")]
        halted = [batch for (batch,) in self._sql("SELECT batch_id FROM points_lifecycle.batch WHERE halted_at")]
        calm = self.approvals.calm  # one batch is enough then
        reported = (0 if states else 0.5) if calm else 0.25 if len(wanted) < 2 else 0.02
        restored = 0.02 if down and not calm else 0
        chances: list[tuple[float, str, Callable[[], Steps]]] = [
            (reported, "points_usage_report", self.report),
            (0.3 if wanted else 0, "points_downline", lambda: self.downline(self.rng.choice(wanted))),
            (0.04 if down and not calm else 0, "points_downline", lambda: self.downline(self.rng.choice(down))),
            (restored, "points_restore", lambda: self.restore(self.rng.choice(down))),
            (0.12 if halted else 0, "points_restore", lambda: self.restore(self.rng.choice(halted), used=True)),
            (0.12 if halted else 0, "points_release", lambda: self.release(self.rng.choice(halted))),
            (0.5 if self._due() else 0 if calm else 0.01, "points_cleanup", self.cleanup),
            (0 if calm else 0.08, "", self.hands.change),
        ]
        for chance, dag_id, process in chances:
            if self.rng.random() < chance and dag_id not in self._busy:
                spawn(self._alone(dag_id, process()))

    def _alone(self, dag_id: str, process: Steps) -> Steps:
        """Keep a second run of a DAG waiting."""
        if dag_id in self._busy:
            return
        if dag_id:
            self._busy.add(dag_id)
        try:
            yield from process
        finally:
            self._busy.discard(dag_id)

    def _sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.world.sight.sql("governance", statement, *values)

    def _states(self) -> dict[str, str]:
        return {
            str(batch): str(state) for batch, state in self._sql("SELECT batch_id, state FROM points_lifecycle.batch")
        }

    def _due(self) -> bool:
        return bool(self._sql(_DUE, self.world.now.replace(tzinfo=None))[0][0])

    def _run(self, dag_id: str, requester: str | None = "requester", **params: Any) -> Run:
        return Run(dag_id, self.world.now, requester, params)

    def _task(self, run: Run, operator: Callable[[], Any], what: str) -> Task:
        kind = type(operator()).__name__
        outcome = yield from self.approvals.attempt(
            what, lambda: operator().execute(run.context(str(operator().task_id))), kind
        )
        return outcome

    # --- report and confirmation ------------------------------------------------------------------------------------
    def report(self) -> Steps:
        self._number += 1
        batch = f"b{self._number}"
        run = self._run("points_usage_report")

        def make() -> Any:
            return PointsUsageReportOperator(task_id="report", environment="intranet", batch_id=batch)

        outcome = yield from self._task(run, make, f"report {batch}")
        known = self._sql("SELECT window_start, window_end FROM points_lifecycle.batch WHERE batch_id = %s", batch)
        if outcome and known:
            classes = self._sql("SELECT point_id, class FROM points_lifecycle.candidate WHERE batch_id = %s", batch)
            first, last = known[0]
            report = Report(first, last, {int(point): str(name) for point, name in classes})
            self.world.oracle.reports[batch] = report
            self._batches.append(batch)
            yield self.rng.randrange(1, 48) * HOUR
            self._fill_in(batch, f"{batch}.xlsx")

    def _fill_in(self, batch: str, name: str) -> frozenset[int]:
        """Confirm some candidates in the workbook of a batch."""
        folder: Path = self.world.around.folder
        classes = self.world.oracle.reports[batch].classes
        others = self.approvals.happens(0.15)  # what is read or written is so again, and halts its batch
        points = sorted(point for point, name in classes.items() if others or name == "unused")
        chosen = frozenset(self.rng.sample(points, min(len(points), self.rng.randrange(2, 20))))
        confirm(folder / batch / f"review-{batch}.xlsx", folder / name, chosen)
        self.world.say(f"workbook of {batch}: {sorted(chosen)}")
        return chosen

    def _read(self, run: Run, batch: str) -> Task:
        def make() -> Any:
            return PointsConfirmOperator(task_id="read_workbook", workbook=f"{batch}.xlsx")

        outcome = yield from self._task(run, make, f"read_workbook {batch}")
        confirmed = self._sql(
            "SELECT point_id FROM points_lifecycle.candidate WHERE batch_id = %s AND decision = 'downline'", batch
        )
        # A task that died may have kept the decisions, or not.
        self.world.oracle.reports[batch].confirmed = frozenset(int(point) for (point,) in confirmed)
        return outcome

    # --- downline ---------------------------------------------------------------------------------------------------
    def downline(self, batch: str) -> Steps:
        if batch not in self._batches or not (self.world.around.folder / f"{batch}.xlsx").exists():
            return
        run = self._run("points_downline", dry_run=False)
        outcome = yield from self._read(run, batch)
        if not outcome:
            return
        for environment in ENVIRONMENTS:
            if environment == "extranet" and self.approvals.happens(0.2):
                return  # the run is left here; another goes on some day
            where: dict[str, Any] = {"batch_id": batch, "environment": environment}
            steps: list[Callable[[], Any]] = [
                partial(PointsPlanOperator, task_id=f"plan_{environment}", **where),
                partial(NosStructureOperator, task_id="nos_structures", batch_id=batch),
                partial(TableBackupOperator, task_id=f"backup_{environment}", **where),
            ]
            for make in steps if environment == "intranet" else steps[::2]:
                outcome = yield from self._task(run, make, f"{make().task_id} {batch}")
                if not outcome:
                    return
                if self.rng.random() < 0.1:
                    yield self.rng.choice([MINUTE, HOUR, 10 * HOUR])
            outcome = yield from self._change(run, batch, environment)
            if not outcome and self.rng.random() < 0.8:
                return

            verify = partial(PointsVerifyOperator, task_id=f"verify_{environment}", **where)
            outcome = yield from self._task(run, verify, f"verify_{environment} {batch}")
            if not outcome:
                return

    def _change(self, run: Run, batch: str, environment: str) -> Task:
        common: dict[str, Any] = {"batch_id": batch, "environment": environment}

        def countersign() -> Any:
            return PointsCountersignOperator(task_id=f"countersign_{environment}", **common)

        def downline() -> Any:
            return PointsDownlineOperator(task_id=f"downline_{environment}", **common)

        nothing = Step(f"countersign_{environment} {batch}", self.world.now)
        outcome = yield from self.approvals.approval(run, countersign, nothing)
        if not outcome and self.rng.random() < 0.8:
            return outcome
        step = Step(f"downline_{environment} {batch}", self.world.now, "downline", batch, environment)
        outcome = yield from self.approvals.approval(run, downline, step, meanwhile=lambda: self._meanwhile(run, batch))
        return outcome

    def _meanwhile(self, run: Run, batch: str) -> Steps:
        """Let somebody change what was asked about."""
        chance = 1.0 if self.approvals.calm else self.rng.random()
        if chance < 0.06:
            self._fill_in(batch, f"{batch}.xlsx")
            self.world.fault("workbook replaced")
            yield from self._read(run, batch)
        elif chance < 0.14:
            yield from self.hands.change()
        elif chance < 0.18:
            self.world.fault("answered late")
            yield self.rng.randrange(1, 60) * HOUR

    # --- restore, release -------------------------------------------------------------------------------------------
    def restore(self, batch: str, *, used: bool = False) -> Steps:
        """Restore some points of a batch, or all, mostly in both environments."""
        points = sorted(
            {key[2] for key, down in self.world.oracle.down.items() if down.batch == batch and "nosdata" in key[1]}
        )
        if not points:
            return
        chosen = self.rng.sample(points, min(len(points), self.rng.randrange(1, 4)))
        if used:
            rows = self._sql("SELECT DISTINCT point_id FROM points_lifecycle.observation WHERE batch_id = %s", batch)
            chosen = [int(point) for (point,) in rows if int(point) in points] or chosen
        elif self.rng.random() < 0.2:
            chosen = []
        for environment in ENVIRONMENTS:
            if self.rng.random() < 0.85:
                yield from self._restore(batch, environment, chosen)

    def _restore(self, batch: str, environment: str, points: list[int], *, surely: bool = False) -> Task:
        run = self._run("points_restore", dry_run=False)
        asked: dict[str, Any] = {"batch_id": batch, "environment": environment, "ids": json.dumps(sorted(points))}
        told = f"{environment} {batch} {sorted(points) or 'all'}"

        def plan() -> Any:
            return PointsRestorePlanOperator(task_id="plan", **asked)

        def restore() -> Any:
            return PointsRestoreOperator(task_id="restore", **asked)

        if surely:
            outcome = self.world.task(f"plan restore {told}", lambda: plan().execute(run.context("plan")))
        else:
            outcome = yield from self._task(run, plan, f"plan restore {told}")
        if not outcome:
            return outcome
        step = Step(f"restore {told}", self.world.now, "restore", batch, environment)
        outcome = yield from self.approvals.approval(run, restore, step, surely=surely)
        return outcome

    def restore_everything(self) -> Steps:
        """Restore, without any fault, whatever a batch took out of service.

        :raises LostError: when rows that nobody touched cannot be restored.
        """
        oracle, world = self.world.oracle, self.world
        for batch in sorted({down.batch for down in oracle.down.values()}):
            for environment in ENVIRONMENTS:
                yield from self._restore(batch, environment, [], surely=True)
        rows = world.seen.rows
        for key, down in sorted(oracle.down.items()):
            if not down.touched and any(row[1] == str(DOWN) for row in rows.get(key, ())):
                problem = f"{key} of batch {down.batch} could not be restored: {list(rows[key].elements())}"
                oracle.lost.append(problem)
                raise LostError(problem)

    def release(self, batch: str) -> Steps:
        run = self._run("points_release")
        asked_at = self.world.now

        def make() -> Any:
            return PointsReleaseOperator(task_id="release", batch_id=batch, reason="查明:测试脚本。A script, stopped.")

        yield from self.approvals.approval(run, make, Step(f"release {batch}", self.world.now))
        halted = self._sql("SELECT halted_at FROM points_lifecycle.batch WHERE batch_id = %s", batch)
        if ("release", -1) in run.approved and halted == [(None,)]:
            self.world.oracle.released[batch] = asked_at
            self.world.oracle.done["released"] += 1

    # --- cleanup ----------------------------------------------------------------------------------------------------
    def cleanup(self) -> Steps:
        run = self._run("points_cleanup", None if self.rng.random() < 0.7 else "requester")

        def tickets() -> Any:
            return CleanupTicketOperator(task_id="write_tickets")

        def report() -> Any:
            return CleanupReportOperator(task_id="report")

        outcome = yield from self._task(run, tickets, "write_tickets")
        for index, ticket in enumerate(outcome.value or [] if outcome else []):

            def clean(ticket: str = ticket) -> Any:
                return RedisCleanupOperator(task_id="clean", ticket_id=ticket)

            step = Step(f"clean {ticket}", self.world.now, "cleanup", ticket.partition("/")[0])
            yield from self.approvals.approval(run, clean, step, index)
        yield from self._task(run, report, "report cleanup")
