"""Exact repair of missing draws: found by continuity and comparison, fetched from the feed where needed, merged.

Missing draws are repaired in groups of neighbours, one after the other, and each group is recorded when it is done.
What fails, a span that the feed refuses or a draw that cannot be merged, is kept and named at the end; it stops
nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.cloud.bigquery import Client

from drawsguard.draws.collect.feed import FeedUnreachableError
from drawsguard.draws.corrections import SETTLING
from drawsguard.draws.draw_time import sure_times
from drawsguard.draws.recent.memory import Memory, NoMemory
from drawsguard.draws.repair.gaps import (
    MOST_DRAWS,
    Gap,
    cut_out,
    cut_to,
    find_gaps_anywhere,
    first_draws,
    span_of,
)
from drawsguard.draws.repair.look import Whole, known_whole, newest_are_whole, older_days_of, remember_whole
from drawsguard.draws.retention import LOG_RETENTION
from drawsguard.draws.spans import joined_ranges, joined_windows
from drawsguard.draws.sync.look import look
from drawsguard.draws.sync.period_hours import period_hours
from drawsguard.draws.sync.target import MERGE_STATEMENT, SyncOutcome, TargetRepository, require_equal
from drawsguard.draws.window import SyncRequest, Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.parameters import Typed
from drawsguard.warehouse.runner import StatementRunner

log = logging.getLogger(__name__)

#: MERGE statements of one repair at most. Beyond it the closest runs of missing draws share one; the draws between them
#: are equal on both sides and are not written.
MOST_MERGES = 8

#: Missing draws that are no further apart than this (periods) are repaired together.
NEIGHBOURHOOD = 40

#: A draw that neither the source nor the feed had is asked for again after this share of the time it is missing.
ASK_AGAIN_AFTER = 0.25


@dataclass
class Repair:
    """What a repair found and did.

    ``open`` are draws that the feed was not asked for in this run; ``known`` were missing at earlier checks already.
    ``failures`` are what kept some of them from being repaired.
    """

    gaps: list[Gap]
    detected_at: datetime
    finished_at: datetime
    repaired: list[int] = field(default_factory=list)
    nobody_has: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    known: set[int] = field(default_factory=set)

    @property
    def news(self) -> int:
        """How many draws were repaired or newly found missing, without those that a load of history shows."""
        loaded = {period for gap in self.gaps if gap.loaded for period in gap.periods}
        return len({*self.repaired, *({*self.nobody_has, *self.open} - self.known)} - loaded)

    @property
    def seconds(self) -> float:
        """Detection to verified repair."""
        return (self.finished_at - self.detected_at).total_seconds()

    @property
    def failure(self) -> Exception | None:
        """What the repair has to fail with after everything else was done; None when nothing failed."""
        if len(self.failures) < 2:
            return self.failures[0] if self.failures else None
        left = sorted({*self.nobody_has, *self.open})
        return RepairIncompleteError(
            f"{len(self.failures)} parts of the repair failed; the others are done and recorded "
            f"({len(self.repaired)} draws). Left are {len(left)} draws: {left[:20]}. {told(self.failures)}"
        )


class RepairIncompleteError(RuntimeError):
    """Draws that were merged are not in the target, or several parts of a repair failed."""


@contextmanager
def going_on(failures: list[Exception]) -> Iterator[None]:
    """Keep what fails in the block among ``failures``, so that the rest goes on."""
    try:
        yield
    except Exception as error:
        log.exception("A part failed; the rest goes on")
        failures.append(error)


def told(failures: Sequence[Exception]) -> str:
    """Return the failures as one text."""
    return " | ".join(f"{type(failure).__name__}: {failure}" for failure in failures)


def ranges(periods: Iterable[int], at_most: int = MOST_MERGES, within: int = 0) -> list[range]:
    """Return runs of periods that hold ``periods``; the closest runs are joined until ``at_most`` remain.

    :param within: runs that are no further apart than this are joined in any case.
    """
    return joined_ranges((range(period, period + 1) for period in set(periods)), at_most, within)


def grouped(gaps: Iterable[Gap]) -> list[list[Gap]]:
    """Return the gaps in groups of neighbours, oldest first, at most `MOST_MERGES`."""
    gaps = sorted(gaps, key=lambda gap: gap.first)
    runs = joined_ranges((range(gap.first, gap.last + 1) for gap in gaps), MOST_MERGES, NEIGHBOURHOOD)
    return [[gap for gap in gaps if gap.first in run] for run in runs]


def ask_again(detected_at: datetime, asked_at: datetime, now: datetime) -> bool:
    """Return whether to ask the feed again for a draw that it did not have: often at first, then less and less."""
    return now - asked_at >= (now - detected_at) * ASK_AGAIN_AFTER


def next_question(known: Mapping[str, datetime]) -> datetime:
    """Return from when on `ask_again` holds for an open entry of the log."""
    detected_at, asked_at = known["detected_at"], known["asked_at"]
    return detected_at + (asked_at - detected_at) / (1 - ASK_AGAIN_AFTER)


@dataclass(frozen=True)
class Repairer:
    """Finds and repairs missing draws as one task.

    :param client: client of the project and location that hold the datasets.
    :param read_history: reads a span of the feed's history into the source; raises FeedError.
    :param clock: returns the present time.
    :param memory: of source and target; with one, a search costs nothing while nothing is missing.
    """

    client: Client
    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    read_history: Callable[[Window], None]
    clock: Callable[[], datetime]
    memory: Memory = field(default_factory=NoMemory)

    @property
    def statements(self) -> StatementRunner:
        return StatementRunner(self.client, self.dag_id, self.task_id)

    @property
    def incident_id(self) -> str:
        return f"{self.dag_id}|{self.run_id}"

    def waiting(self) -> set[int]:
        """Return the missing draws that nobody had, and that the feed need not be asked for again yet."""
        return self._waiting(self._open(), self.clock())

    def _waiting(self, known: list[dict[str, Any]], now: datetime) -> set[int]:
        lately = self._asked_lately(known, now)
        return lately - self._present(lately)["source"] if lately else lately

    def search(self, settled_before: datetime) -> tuple[list[Gap], set[int]]:
        """Return the missing draws of the whole history (see `find`), and those that are left out (see `waiting`).

        It asks nothing while the older days are as they were when nothing was missing, and the newest ones are whole.
        """
        now = self.clock()
        looked = look(self.statements, self.memory, now)
        whole = looked and known_whole(looked, self.memory, now)
        if looked and whole and newest_are_whole(looked, whole.waiting, settled_before):
            return [], set(whole.waiting)
        rows = self._open()
        waiting = self._waiting(rows, now)
        gaps = self.find(settled_before, waiting)
        if looked and not gaps:
            until = min((next_question(row) for row in rows if row["period"] in waiting), default=None)
            remember_whole(Whole(older_days_of(looked), frozenset(waiting), until), self.memory)
        return gaps, waiting

    def find(self, settled_before: datetime, waiting: Collection[int] | None = None) -> list[Gap]:
        """Return the missing draws of the whole history (see `find_gaps_anywhere`).

        :param waiting: draws that are left out; None: those of `waiting`.
        """
        return find_gaps_anywhere(self.statements, settled_before, self.waiting() if waiting is None else waiting)

    def known_missing(self) -> set[int]:
        """Return the draws that earlier checks found missing and could not repair."""
        return {row["period"] for row in self._open()}

    def repair(self, gaps: list[Gap]) -> Repair:
        """Repair the gaps, group by group: ask the feed for what the source lacks, merge these draws, verify, record.

        Of more than `MOST_DRAWS` draws the first ones are repaired. Whatever fails is in the result's ``failures``; the
        caller raises `Repair.failure` when it has told of the rest. A gap that is none (see `Gap.is_possible`) is a
        failure, and neither asked for nor recorded.
        """
        detected_at = self.clock()
        known = self._open()
        interval = timedelta(seconds=get_settings().draw_interval_seconds)
        impossible = [gap for gap in gaps if not gap.is_possible(interval)]
        gaps = [gap for gap in gaps if gap not in impossible]
        before = {row["period"] for row in known}
        # What was never asked for comes first, or many draws that nobody has would keep all others waiting.
        fresh = [part for gap in gaps for part in cut_out(gap, before)]
        again = [part for gap in gaps for part in cut_to(gap, before)]
        gaps = first_draws([*fresh, *again], MOST_DRAWS)
        result = Repair(gaps, detected_at, detected_at, known=before)
        result.failures += [
            RepairIncompleteError(
                f"Draws {gap.first - 1} and {gap.last + 1} lie {gap.end - gap.start} apart, too near for the "
                f"{len(gap.periods)} draws between them: one of the two has a wrong period. Find out which, "
                f"and delete its versions from {get_settings().table('source', 'draws')} and its row from "
                f"{get_settings().table('target', 'draws')}; the next run is then whole again."
            )
            for gap in impossible
        ]
        lately = self._asked_lately(known, detected_at)
        for group in grouped(gaps):
            self._repair_group(group, lately, result)
        for periods in (result.repaired, result.nobody_has, result.open):
            periods.sort()
        return result

    def _repair_group(self, group: list[Gap], lately: set[int], result: Repair) -> None:
        wanted = {period for gap in group for period in gap.periods}
        uncollected = [gap for gap in group if gap.cause == "not_collected" and not lately.issuperset(gap.periods)]
        asked: set[int] = set()
        present: set[int] = set()
        with going_on(result.failures):
            asked = self._ask(uncollected, result)
        with going_on(result.failures):
            mergeable = self._present(wanted)["source"]
            merged: set[int] = set()
            with going_on(result.failures):
                self.merge(mergeable, at_most=1)
                merged = mergeable
            present = self._present(wanted)["target"]
            if unmerged := sorted(merged - present):
                result.failures.append(
                    RepairIncompleteError(
                        f"{len(unmerged)} draws are still missing after their MERGE: {unmerged[:20]}. Look at the jobs "
                        f"of {self.dag_id} in the project's job history: does something else delete rows?"
                    )
                )
        result.finished_at = self.clock()
        outcomes = {"repaired": present, "nobody_has": (wanted - present) & asked, "open": wanted - present - asked}
        result.repaired += outcomes["repaired"]
        result.nobody_has += outcomes["nobody_has"]
        result.open += outcomes["open"]
        with going_on(result.failures):
            self._record(group, outcomes, asked, result)

    def merge(self, periods: Iterable[int], at_most: int = MOST_MERGES) -> int:
        """Merge the newest version of exactly these draws into the target, verify them, and return the rows written.

        A draw that the target holds twice becomes one again. A run of draws that fails does not stop the others.

        :param at_most: how many MERGE statements the draws share at most.
        :raises drawsguard.draws.sync.target.DrawsDifferError: when one of these draws still differs from the source.
        :raises RepairIncompleteError: when several runs of them failed.
        """
        periods = set(periods)
        written = 0
        failures: list[Exception] = []
        for run in ranges(periods, at_most, NEIGHBOURHOOD):
            with going_on(failures):
                written += self._merge_run(run, periods)
        if len(failures) > 1:
            raise RepairIncompleteError(f"{len(failures)} runs of draws could not be merged: {told(failures)}")
        if failures:
            raise failures[0]
        return written

    def _merge_run(self, run: range, wanted: set[int]) -> int:
        warehouse = TargetRepository(self.client, dag_id=self.dag_id, task_id=self.task_id)
        started_at = self.clock()
        plan = warehouse.plan_periods(run, started_at)
        if plan is None:
            return 0
        merged = self.statements.run(MERGE_STATEMENT, **plan.bounds(), synced_at=self.clock())
        affected = merged.affected
        settled_before = started_at - SETTLING
        differences = [item for item in warehouse.differences(plan, settled_before) if item.period in wanted]
        # A row without any version in the source is not ours to delete; it is reported.
        if doubled := [item.period for item in differences if item.problem == "duplicate" and item.repairable]:
            affected += self.statements.affected(
                "repair/replace_doubled.sql", **plan.bounds(), periods=doubled, synced_at=self.clock()
            )
            differences = [item for item in warehouse.differences(plan, settled_before) if item.period in wanted]
        outcome = SyncOutcome("success", started_at, self.clock(), plan.read, merged.job_id, affected=affected)
        request = SyncRequest(plan.window, "range")
        warehouse.log(request, outcome, run_id=self.run_id, try_number=self.try_number)
        require_equal(differences, plan)
        return affected

    def _open(self) -> list[dict[str, Any]]:
        return self.statements.rows("repair/open_periods.sql", retained_from=self.clock() - LOG_RETENTION)

    @staticmethod
    def _asked_lately(known: list[dict[str, Any]], now: datetime) -> set[int]:
        asked = [row for row in known if row["asked_at"] is not None]
        return {row["period"] for row in asked if not ask_again(row["detected_at"], row["asked_at"], now)}

    def _ask(self, gaps: list[Gap], result: Repair) -> set[int]:
        """Read the history in which the gaps lie; return the periods that the feed was asked for.

        A span that it refuses does not stop the others; a feed that cannot be reached is not tried again meanwhile.
        """
        asked: set[int] = set()
        if not gaps:
            return asked
        sure = self._sure_times(gaps)
        span_by_gap = {gap: span_of(gap, sure) for gap in gaps}
        for span in joined_windows(span_by_gap.values()):
            if any(isinstance(failure, FeedUnreachableError) for failure in result.failures):
                break
            with going_on(result.failures):
                self.read_history(span)
                within = (gap for gap, own in span_by_gap.items() if span.start <= own.start < span.end)
                asked.update(period for gap in within for period in gap.periods)
        return asked

    def _sure_times(self, gaps: list[Gap]) -> dict[int, datetime]:
        """Return the times of the draws around the gaps that fit each other beyond doubt."""
        edges = {edge for gap in gaps for edge in (gap.first - 1, gap.last + 1)}
        around = range(min(edges) - NEIGHBOURHOOD, max(edges) + NEIGHBOURHOOD + 1)
        hours = period_hours(self.statements, around)
        if hours is None:
            return {}
        rows = self.statements.rows(
            "repair/draw_times.sql",
            period_from=around.start,
            period_until=around.stop,
            read_from=hours.start,
            read_until=hours.end,
            blocks=sorted({edge // NEIGHBOURHOOD + step for edge in edges for step in (-1, 0, 1)}),
            block_size=NEIGHBOURHOOD,
        )
        interval = timedelta(seconds=get_settings().draw_interval_seconds)
        return sure_times({row["period"]: row["drawn_at"] for row in rows}, interval)

    def _present(self, periods: set[int]) -> dict[str, set[int]]:
        """Return which of the draws each side has, wherever they lie."""
        found: dict[str, set[int]] = {"source": set(), "target": set()}
        for run in ranges(periods, within=NEIGHBOURHOOD):
            hours = period_hours(self.statements, run)
            if hours is None:
                continue
            for row in self.statements.rows(
                "repair/present_periods.sql",
                periods=sorted(periods.intersection(run)),
                read_from=hours.start,
                read_until=hours.end,
            ):
                found[row["side"]].add(row["period"])
        return found

    def _record(self, group: list[Gap], outcomes: Mapping[str, set[int]], asked: set[int], result: Repair) -> None:
        gap_of = {period: gap for gap in group for period in gap.periods}
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
