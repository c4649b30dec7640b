"""Exact repair of missing draws: found by continuity and comparison, fetched from the feed where needed, merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.cloud.bigquery import Client

from drawsguard.draws.collect.feed import FeedError
from drawsguard.draws.corrections import CORRECTION_REACH, SETTLING
from drawsguard.draws.repair.gaps import MARGIN, Gap, find_gaps_anywhere, first_draws, spans_of
from drawsguard.draws.retention import EARLIEST, LOG_RETENTION
from drawsguard.draws.sync.target import MERGE_STATEMENT, SyncOutcome, SyncPlan, TargetRepository
from drawsguard.draws.window import SyncRequest, Window
from drawsguard.warehouse.parameters import Typed
from drawsguard.warehouse.runner import StatementRunner

#: MERGE statements of one repair at most. Beyond it the closest runs of missing draws share one; the draws between them
#: are equal on both sides and are not written.
MOST_MERGES = 8

#: Draws of one repair at most; the next run continues. A BigQuery request holds 10 MB, parameters included.
MOST_DRAWS = 10_000

#: A draw that neither the source nor the feed had is asked for again after this share of the time it is missing.
ASK_AGAIN_AFTER = 0.25


@dataclass
class Repair:
    """What a repair found and did.

    ``open`` are draws that the feed was not asked for in this run; ``known`` were missing at earlier checks already.
    """

    gaps: list[Gap]
    detected_at: datetime
    finished_at: datetime
    repaired: list[int] = field(default_factory=list)
    nobody_has: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    feed_error: FeedError | None = None
    known: set[int] = field(default_factory=set)

    @property
    def news(self) -> int:
        """How many draws were repaired, or were found missing for the first time."""
        return len(self.repaired) + len({*self.nobody_has, *self.open} - self.known)

    @property
    def seconds(self) -> float:
        """Detection to verified repair."""
        return (self.finished_at - self.detected_at).total_seconds()


class RepairIncompleteError(RuntimeError):
    """Draws that were merged are not in the target."""


def ranges(periods: Iterable[int], at_most: int = MOST_MERGES) -> list[range]:
    """Return runs of periods that hold ``periods``; the closest runs are joined until ``at_most`` remain."""
    runs: list[range] = []
    for period in sorted(set(periods)):
        if runs and runs[-1].stop == period:
            runs[-1] = range(runs[-1].start, period + 1)
        else:
            runs.append(range(period, period + 1))
    while len(runs) > at_most:
        closest = min(range(len(runs) - 1), key=lambda i: runs[i + 1].start - runs[i].stop)
        runs[closest : closest + 2] = [range(runs[closest].start, runs[closest + 1].stop)]
    return runs


def ask_again(detected_at: datetime, asked_at: datetime, now: datetime) -> bool:
    """Return whether to ask the feed again for a draw that it did not have: often at first, then less and less."""
    return now - asked_at >= (now - detected_at) * ASK_AGAIN_AFTER


@dataclass(frozen=True)
class Repairer:
    """Finds and repairs missing draws as one task.

    :param client: client of the project and location that hold the datasets.
    :param read_history: reads a span of the feed's history into the source; raises FeedError.
    :param clock: returns the present time.
    """

    client: Client
    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    read_history: Callable[[Window], None]
    clock: Callable[[], datetime]

    @property
    def statements(self) -> StatementRunner:
        return StatementRunner(self.client, self.dag_id, self.task_id)

    @property
    def incident_id(self) -> str:
        return f"{self.dag_id}|{self.run_id}"

    def find(self, recent: Window, settled_before: datetime) -> list[Gap]:
        """Return the missing draws of ``recent`` and of the whole history before it (see `find_gaps_anywhere`).

        Older draws that the feed lacked too are left out until it is time to ask for them again.
        """
        return find_gaps_anywhere(
            self.statements, recent, settled_before, self._asked_lately(self._open(), self.clock())
        )

    def repair(self, gaps: list[Gap]) -> Repair:
        """Repair the gaps: ask the feed for what the source lacks, merge exactly these draws, verify and record.

        Of more than `MOST_DRAWS` draws the first ones are repaired.

        :raises RepairIncompleteError: when a merged draw is not in the target afterwards.
        """
        detected_at = self.clock()
        gaps = first_draws(gaps, MOST_DRAWS)
        result = Repair(gaps, detected_at, detected_at)
        uncollected = [gap for gap in gaps if gap.cause == "not_collected"]
        asked = self._ask(self._due(uncollected, result), result)
        wanted = [period for gap in gaps for period in gap.periods]
        mergeable = self._present(gaps)["source"]
        self.merge(mergeable)
        result.finished_at = self.clock()
        present = self._present(gaps)["target"]
        unmerged = sorted(set(mergeable) - present)
        if unmerged:
            raise RepairIncompleteError(
                f"{len(unmerged)} draws are still missing after their MERGE: {unmerged[:20]}. Look at the jobs of "
                f"{self.dag_id} in the project's job history: does something else delete rows?"
            )
        result.repaired = sorted(present)
        missing = set(wanted) - present
        result.nobody_has = sorted(missing & asked)
        result.open = sorted(missing - asked)
        self._record(result, asked)
        return result

    def merge(self, periods: Iterable[int]) -> int:
        """Merge the newest version of exactly these draws into the target, verify them, and return the rows written.

        A draw that the target holds twice, because a correction moved it further than a sync looks, becomes one again.

        :raises drawsguard.draws.sync.target.DrawsDifferError: when the target still differs from the source.
        """
        warehouse = TargetRepository(self.client, dag_id=self.dag_id, task_id=self.task_id)
        written = 0
        for run in ranges(periods):
            started_at = self.clock()
            plan = self._plan(run, started_at)
            merged = self.statements.run(MERGE_STATEMENT, **plan.bounds(), synced_at=self.clock())
            affected = merged.affected
            differences = warehouse.differences(plan, settled_before=started_at - SETTLING)
            # A row without any version in the source is not ours to delete; the verification reports it.
            if doubled := [item.period for item in differences if item.problem == "duplicate" and item.expected]:
                affected += self.statements.affected(
                    "repair/replace_doubled.sql", **plan.bounds(), periods=doubled, synced_at=self.clock()
                )
            warehouse.verify(plan)
            written += affected
            outcome = SyncOutcome("success", started_at, self.clock(), plan.window, merged.job_id, affected=affected)
            request = SyncRequest(plan.window, "range")
            warehouse.log(request, outcome, run_id=self.run_id, try_number=self.try_number)
        return written

    def _plan(self, run: range, now: datetime) -> SyncPlan:
        (times,) = self.statements.rows(
            "sync/period_times.sql",
            period_from=run.start,
            period_until=run.stop,
            earliest=EARLIEST,
            latest=now + CORRECTION_REACH,
        )
        span = Window(times["first_time"], times["last_time"] + timedelta(microseconds=1))
        return SyncPlan(span, span, run.start, run.stop, now)

    def _due(self, gaps: list[Gap], result: Repair) -> list[Gap]:
        known = self._open()
        result.known = {row["period"] for row in known}
        recent = self._asked_lately(known, result.detected_at)
        return [gap for gap in gaps if not recent.issuperset(gap.periods)]

    def _open(self) -> list[dict[str, Any]]:
        return self.statements.rows("repair/open_periods.sql", retained_from=self.clock() - LOG_RETENTION)

    @staticmethod
    def _asked_lately(known: list[dict[str, Any]], now: datetime) -> set[int]:
        asked = [row for row in known if row["asked_at"] is not None]
        return {row["period"] for row in asked if not ask_again(row["detected_at"], row["asked_at"], now)}

    def _ask(self, gaps: list[Gap], result: Repair) -> set[int]:
        """Read the history around the gaps; return the periods that the feed was asked for."""
        asked: set[int] = set()
        for span in spans_of(gaps):
            try:
                self.read_history(span)
            except FeedError as error:  # what the source has is repaired first; the caller raises it afterwards
                result.feed_error = error
                break
            asked.update(p for gap in gaps if span.start <= gap.start < span.end for p in gap.periods)
        return asked

    def _present(self, gaps: list[Gap]) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {"source": set(), "target": set()}
        for span in spans_of(gaps, MARGIN):
            periods = [period for gap in gaps if span.start <= gap.start < span.end for period in gap.periods]
            for row in self.statements.rows(
                "repair/present_periods.sql", periods=periods, search_from=span.start, search_to=span.end
            ):
                found[row["side"]].add(row["period"])
        return found

    def _record(self, result: Repair, asked: set[int]) -> None:
        outcomes = {"repaired": set(result.repaired), "nobody_has": set(result.nobody_has), "open": set(result.open)}
        gap_of = {period: gap for gap in result.gaps for period in gap.periods}
        for cause in ("not_synced", "not_collected"):
            for status, of_status in outcomes.items():
                periods = sorted(period for period in of_status if gap_of[period].cause == cause)
                if not periods:
                    continue
                was_asked = bool(asked.intersection(periods))
                self.statements.run(
                    "repair/log_periods.sql",
                    periods=periods,
                    gap_starts=[gap_of[period].start for period in periods],
                    gap_ends=[gap_of[period].end for period in periods],
                    cause=cause,
                    status=status,
                    detected_at=result.detected_at,
                    asked_at=Typed("TIMESTAMP", result.detected_at if was_asked else None),
                    repaired_at=Typed("TIMESTAMP", result.finished_at if status == "repaired" else None),
                    incident_id=self.incident_id,
                    retained_from=result.detected_at - LOG_RETENTION,
                )
