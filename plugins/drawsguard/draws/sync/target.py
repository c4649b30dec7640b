"""What a sync run asks the warehouse before and after its MERGE: the plan, the comparison, the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from google.cloud import bigquery

from drawsguard.draws.corrections import SETTLING
from drawsguard.draws.recent.memory import Memory, NoMemory
from drawsguard.draws.retention import LOG_RETENTION
from drawsguard.draws.sync.difference import Difference
from drawsguard.draws.sync.look import Look, look, recent_watermark
from drawsguard.draws.sync.period_hours import period_hours
from drawsguard.draws.window import SyncRequest, Window, sync_window
from drawsguard.warehouse.parameters import Typed
from drawsguard.warehouse.runner import StatementRunner

#: How many periods an error names before it only counts them.
NAMED_PERIODS = 20

#: How long before its interval an attempt was recorded at most: clocks differ, and a range may end in the future.
EARLY = timedelta(days=1)

#: Below ``include/sql/bigquery``.
MERGE_STATEMENT = "sync/merge_draws.sql"


@dataclass(frozen=True)
class SyncPlan:
    """What one run reads and writes.

    `window` is what it has to cover; `read` also holds every other version of its periods, wherever it lies;
    `period_from` and `period_until` (exclusive) bound those periods and are equal when there is none. `as_of` is when
    it was planned. `equal`: a look at both tables has found that there is nothing to write.
    """

    window: Window
    read: Window
    period_from: int
    period_until: int
    as_of: datetime
    dry_run: bool = False
    equal: bool = False

    def bounds(self) -> dict[str, Any]:
        """Return the parameters that bound a statement to this plan."""
        return {
            "read_from": self.read.start,
            "read_until": self.read.end,
            "period_from": self.period_from,
            "period_until": self.period_until,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values, for XCom."""
        return {
            "window": [self.window.start.isoformat(), self.window.end.isoformat()],
            "read": [self.read.start.isoformat(), self.read.end.isoformat()],
            "periods": [self.period_from, self.period_until],
            "as_of": self.as_of.isoformat(),
            "dry_run": self.dry_run,
            "equal": self.equal,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the plan that `to_json` described."""
        window, read = (Window(*map(datetime.fromisoformat, value[key])) for key in ("window", "read"))
        period_from, period_until = value["periods"]
        as_of = datetime.fromisoformat(value["as_of"])
        return cls(window, read, period_from, period_until, as_of, value["dry_run"], value.get("equal", False))


class DrawsDifferError(Exception):
    """The target does not hold what the source says."""


def describe(differences: Iterable[Difference]) -> str:
    """Return counts, periods and the first expected and actual versions, on one line each."""
    differences = list(differences)
    counts = Counter(difference.problem for difference in differences)
    lines = [", ".join(f"{count} {problem}" for problem, count in sorted(counts.items())) or "no difference"]
    for problem in sorted(counts):
        periods = [difference.period for difference in differences if difference.problem == problem]
        more = f" and {len(periods) - NAMED_PERIODS} more" if len(periods) > NAMED_PERIODS else ""
        lines.append(f"{problem}: {', '.join(map(str, periods[:NAMED_PERIODS]))}{more}")
    lines += [
        f"period {difference.period}: expected {difference.expected}, actual {difference.actual}"
        for difference in differences[:3]
    ]
    return "\n".join(lines)


def require_equal(differences: Iterable[Difference], plan: SyncPlan) -> None:
    """Refuse what was found wrong.

    :raises DrawsDifferError: when there is a difference, with the periods and versions.
    """
    if differences := list(differences):
        raise DrawsDifferError(
            f"The target differs from the source in {plan.window}: {describe(differences)}\n"
            "Trigger draw_repair for these periods; for 'duplicate' or 'foreign' first find out who else writes "
            "to the target."
        )


@dataclass(frozen=True)
class SyncOutcome:
    """How an attempt ended, for ``sync_log``.

    Counts are those of this attempt, None where the engine or the attempt has none; ``window`` is what was read: a draw
    that moved out of what was asked for lies in it.
    """

    status: str
    started_at: datetime
    finished_at: datetime
    window: Window
    job_id: str | None = None
    inserted: int | None = None
    updated: int | None = None
    affected: int | None = None
    bytes_billed: int | None = None
    slot_ms: int | None = None
    error: str | None = None


class TargetRepository:
    """The queries of a sync, labelled with the task that asks.

    :param client: client of the project and location that hold the datasets.
    :param memory: of source and target; with one, what lies in the newest days is looked at without a query.
    """

    def __init__(self, client: bigquery.Client, *, dag_id: str, task_id: str, memory: Memory | None = None) -> None:
        self._runner = StatementRunner(client, dag_id, task_id)
        self._memory = memory or NoMemory()

    def watermark(self, now: datetime) -> datetime | None:
        """Return the time before which scheduled syncs have covered everything, None before the first."""
        if not isinstance(self._memory, NoMemory) and (known := recent_watermark(self._runner.client, now)):
            return known
        (row,) = self._runner.rows("sync/watermark.sql", retained_from=now - LOG_RETENTION)
        watermark: datetime | None = row["watermark"]
        return watermark

    def plan(self, request: SyncRequest, lookback: timedelta, now: datetime) -> SyncPlan:
        """Return what a run has to read and write to fulfil ``request``."""
        watermark = None if request.mode == "range" else self.watermark(now)
        return self.plan_window(sync_window(request, lookback, watermark), now, dry_run=request.dry_run)

    def plan_window(self, window: Window, now: datetime, *, dry_run: bool = False) -> SyncPlan:
        """Return the plan for exactly ``window``."""
        looked = self._look(now)
        if looked and (within := looked.window(window)) is not None:
            equal = not looked.differences(within)
            return SyncPlan(window, looked.read(window), within.start, within.stop, now, dry_run, equal)
        (periods,) = self._runner.rows("sync/window_periods.sql", window_start=window.start, window_end=window.end)
        if periods["first_period"] is None:
            return SyncPlan(window, window, 0, 0, now, dry_run)
        return self._plan_of(window, range(periods["first_period"], periods["last_period"] + 1), now, dry_run=dry_run)

    def plan_periods(self, periods: range, now: datetime) -> SyncPlan | None:
        """Return the plan for exactly these periods, wherever they lie; None when neither side has one of them."""
        hours = period_hours(self._runner, periods)
        return None if hours is None else SyncPlan(hours, hours, periods.start, periods.stop, now)

    def _plan_of(self, window: Window, periods: range, now: datetime, *, dry_run: bool) -> SyncPlan:
        read = window.covering(period_hours(self._runner, periods))
        return SyncPlan(window, read, periods.start, periods.stop, now, dry_run)

    def differences(self, plan: SyncPlan, settled_before: datetime) -> list[Difference]:
        """Return what is wrong in the target within ``plan``.

        :param settled_before: versions collected from then on are not required.
        """
        periods = range(plan.period_from, plan.period_until)
        looked = self._look(plan.as_of)
        if looked and (not periods or looked.holds(periods)):
            return looked.differences(periods, settled_before)
        rows = self._runner.rows("sync/draws_match_source.sql", **plan.bounds(), settled_before=settled_before)
        return [Difference(row["period"], row["problem"], row["expected"], row["actual"]) for row in rows]

    def _look(self, now: datetime) -> Look | None:
        return look(self._runner, self._memory, now)

    def verify(self, plan: SyncPlan) -> None:
        """Check that the target holds the source's newest version of every draw in ``plan``, exactly once.

        :raises DrawsDifferError: when it does not, with the periods and versions.
        """
        require_equal(self.differences(plan, settled_before=plan.as_of - SETTLING), plan)

    def log(self, request: SyncRequest, outcome: SyncOutcome, *, run_id: str, try_number: int) -> None:
        """Write the attempt into ``sync_log``: one row a (dag, task, interval).

        Records of earlier attempts are looked for back to the interval itself: none was made before it.
        """
        first_record = min(request.interval.start, outcome.started_at) - EARLY
        self._runner.run(
            "sync/log_sync.sql",
            dag_id=self._runner.dag_id,
            task_id=self._runner.task_id,
            interval_start=request.interval.start,
            interval_end=request.interval.end,
            mode=request.mode,
            run_id=run_id,
            try_number=try_number,
            job_id=Typed("STRING", outcome.job_id),
            window_start=outcome.window.start,
            window_end=outcome.window.end,
            inserted=Typed("INT64", outcome.inserted),
            updated=Typed("INT64", outcome.updated),
            affected=Typed("INT64", outcome.affected),
            bytes_billed=Typed("INT64", outcome.bytes_billed),
            slot_ms=Typed("INT64", outcome.slot_ms),
            seconds=(outcome.finished_at - outcome.started_at).total_seconds(),
            status=outcome.status,
            error=Typed("STRING", outcome.error),
            started_at=outcome.started_at,
            finished_at=outcome.finished_at,
            retained_from=max(first_record, outcome.finished_at - LOG_RETENTION),
        )
