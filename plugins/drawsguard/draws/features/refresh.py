"""A feature refresh: which draws have changed, and writing them with everything that reads them.

What is to be done follows from the rows themselves and never from a log: a draw has changed when its row in draws_14w
is missing, there twice or computed from other values, and a row has when its draw is gone. So nothing that was killed,
repeated, recorded wrongly or not at all is ever forgotten. Days whose rows cannot all be right are told by counts and
fingerprints that BigQuery keeps of both tables, over the whole history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from drawsguard.draws.features.definitions import HORIZON
from drawsguard.draws.features.look import Look, look, older_days_are_right, remember_right, runs
from drawsguard.draws.recent.memory import Memory, NoMemory
from drawsguard.draws.retention import EARLIEST, LATEST
from drawsguard.draws.spans import joined_windows
from drawsguard.draws.window import Window
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.runner import StatementRunner
from drawsguard.warehouse.streaming import stream

_DAY = timedelta(days=1)
_EVERYTHING = Window(EARLIEST, LATEST)
#: Any issue lies between them.
_ANY_ISSUE = (-(2**62), 2**62)

#: Issues that one statement writes at most: 500 days of draws. BigQuery lets one statement modify 4,000 partitions.
BLOCK = 200_000
#: What names a row of `feature_update_log`: a span that a run writes once more has another row.
ENTRY_KEY = ("dag_id", "run_id", "try_number", "window_from", "first_issue", "finished_at")

#: Windows that are read one by one; with more, the nearest of them are read as one.
MOST_WINDOWS = 20


class FeaturesNotRefreshedError(RuntimeError):
    """Features that a refresh had to write are not right; the message says which, and why."""


@dataclass(frozen=True)
class Span:
    """Changed draws, each within the horizon of the one before it, or a block of them.

    :param first: the oldest issue that has changed.
    :param last: the newest one, included.
    :param changed: how many of the issues between have changed.
    """

    first: int
    last: int
    changed: int

    def meets(self, other: Span, reach: int = 0) -> bool:
        """Return whether they share an issue, when ``other`` reaches further by ``reach`` issues."""
        return self.first <= other.last + reach and other.first <= self.last

    def __str__(self) -> str:
        return f"{self.changed} of the issues {self.first} to {self.last}"


@dataclass(frozen=True)
class Refresh:
    """What a refresh did to one span, or that nothing had changed (issues are None).

    :param window: draw times that were read; the whole history when nothing had changed.
    :param first_issue: the oldest issue that was recomputed.
    :param last_issue: the newest one.
    :param rows_in: draws that had changed.
    :param rows_written: feature rows that were inserted, changed or removed.
    :param job_id: BigQuery job of the MERGE.
    """

    window: Window = _EVERYTHING
    first_issue: int | None = None
    last_issue: int | None = None
    rows_in: int = 0
    rows_written: int = 0
    job_id: str | None = None


def joined(spans: Iterable[Span], horizon: int) -> list[Span]:
    """Return the spans in order; those whose dependents meet are one."""
    result: list[Span] = []
    for span in sorted(spans, key=lambda span: span.first):
        if result and span.meets(result[-1], horizon):
            before = result.pop()
            span = Span(before.first, max(before.last, span.last), before.changed + span.changed)
        result.append(span)
    return result


@dataclass(frozen=True)
class FeatureTable:
    """draws_14w beside the draws that it is computed from.

    :param horizon: how many periods back a feature looks.
    :param block: how many issues one statement writes at most, beside their dependents.
    :param clock: returns the present time.
    :param memory: of both tables; with one, what lies in the newest days is looked at without a query.
    """

    statements: StatementRunner
    horizon: int
    block: int
    clock: Callable[[], datetime]
    memory: Memory

    @property
    def asks(self) -> bool:
        """Whether a comparison costs something, and is recorded also when it has found nothing."""
        return isinstance(self.memory, NoMemory)

    def changed(self) -> list[Span]:
        """Return everything that has changed, in the whole history, oldest first.

        The older days are compared when one of them has changed since they were found right.
        """
        looked = look(self.statements, self.memory, self.clock())
        if looked and older_days_are_right(looked, self.memory):
            issues = looked.changed()
            if issues is not None:
                return [Span(run[0], run[-1], len(run)) for run in runs(issues, self.horizon, self.block)]
        found = self._changed_anywhere()
        if looked and not found:
            remember_right(looked, self.memory)
        return found

    def _changed_anywhere(self) -> list[Span]:
        days = self.statements.rows("features/differing_days.sql", earliest=EARLIEST)
        windows = joined_windows((Window(row["day"], row["day"] + _DAY) for row in days), MOST_WINDOWS)
        suspected = [span for window in windows for span in self._read(window)]
        # A row that lies outside the days that were read looks as if it were missing: a draw that has moved or that the
        # target holds twice. So each suspicion is looked at again, wherever its rows lie.
        found: list[Span] = []
        for span in joined(suspected, self.horizon):
            bounds = self._bounds(span.first, span)
            if bounds:
                found += self._compare(bounds, (span.first, span.last))
        return found

    def within(self, window: Window) -> list[Span]:
        """Return all draws and features of a window as if they had changed, oldest first."""
        return self._read(window, every=True)

    def write(self, span: Span, computed_at: datetime) -> Refresh:
        """Recompute the draws of a span and those that read them, in one statement.

        :param computed_at: what the rows that change carry as the time of their computation.
        :raises StatementError: when BigQuery refuses; nothing is written then.
        """
        reached = Span(span.first, span.last + self.horizon, span.changed)
        looked = look(self.statements, self.memory, computed_at)
        bounds = self._known_bounds(looked, span) or self._bounds(span.first - self.horizon, reached)
        if bounds is None:
            return Refresh()
        newest = bounds.pop("newest_issue")
        merged = self.statements.run(
            "features/merge_features.sql",
            **bounds,
            first_issue=span.first,
            last_issue=span.last,
            horizon=self.horizon,
            computed_at=computed_at,
        )
        window = Window(
            min(bounds["draws_from"], bounds["features_from"]), max(bounds["draws_to"], bounds["features_to"])
        )
        return Refresh(window, span.first, min(reached.last, newest), span.changed, merged.affected, merged.job_id)

    def _known_bounds(self, looked: Look | None, span: Span) -> dict[str, Any] | None:
        """Return the bounds of a span of new draws as the newest days tell them; None when they do not."""
        if looked is None or not (looked.draws.holds(span.first) and looked.features.holds(span.first)):
            return None
        return looked.bounds(span.first - self.horizon, span.first)

    def _read(self, window: Window, *, every: bool = False) -> list[Span]:
        times = {"draws_from": window.start, "draws_to": window.end}
        times |= {"features_from": window.start, "features_to": window.end}
        return self._compare(times, _ANY_ISSUE, every=every)

    def _compare(self, bounds: dict[str, Any], issues: tuple[int, int], *, every: bool = False) -> list[Span]:
        rows = self.statements.rows(
            "features/changed_draws.sql",
            **{name: bounds[name] for name in ("draws_from", "draws_to", "features_from", "features_to")},
            first_issue=issues[0],
            last_issue=issues[1],
            every=every,
            horizon=self.horizon,
            block=self.block,
        )
        return [Span(row["first_issue"], row["last_issue"], row["changed"]) for row in rows]

    def _bounds(self, lead_in: int, span: Span) -> dict[str, Any] | None:
        """Return the times between which all draws from ``lead_in`` and all features of ``span`` lie; None: no rows."""
        (found,) = self.statements.rows(
            "features/span_bounds.sql",
            earliest=EARLIEST,
            lead_in_issue=lead_in,
            first_issue=span.first,
            last_issue=span.last,
        )
        if found["newest_issue"] is None:
            return None
        for table, other in (("draws", "features"), ("features", "draws")):
            for end in ("from", "to"):
                found[f"{table}_{end}"] = found[f"{table}_{end}"] or found[f"{other}_{end}"]
        return found


@dataclass
class Entry:
    """One row of feature_update_log that is being made; ``done`` is set once there is something to record."""

    done: Refresh | None = None


@dataclass(frozen=True)
class RefreshLog:
    """Streams feature_update_log for one try of one run. It is evidence: no refresh reads it."""

    statements: StatementRunner
    dag_id: str
    run_id: str
    try_number: int
    started_at: datetime

    @contextmanager
    def entry(self, clock: Callable[[], datetime], *, rebuild: bool, span: Span | None = None) -> Iterator[Entry]:
        """Record what is done within: ``done`` of the entry, or why it failed, also when the task is stopped."""
        entry = Entry()
        try:
            yield entry
        except BaseException as failure:  # a task that is stopped at its own time limit did not succeed either
            failed = Refresh(first_issue=span.first, last_issue=span.last) if span else Refresh()
            self._write(failed, clock(), rebuild=rebuild, error=f"{type(failure).__name__}: {failure}")
            raise
        if entry.done:
            self._write(entry.done, clock(), rebuild=rebuild, error=None)

    def _write(self, done: Refresh, finished_at: datetime, *, rebuild: bool, error: str | None) -> None:
        row = {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "try_number": self.try_number,
            "window_from": done.window.start,
            "window_to": done.window.end,
            "rebuild": rebuild,
            "job_id": done.job_id,
            "first_issue": done.first_issue,
            "last_issue": done.last_issue,
            "rows_in": done.rows_in,
            "rows_written": done.rows_written,
            "seconds": (finished_at - self.started_at).total_seconds(),
            "status": "failed" if error else "success",
            "error": error,
            "started_at": self.started_at,
            "finished_at": finished_at,
        }
        stream(self.statements.client, "feature_update_log", [row], ENTRY_KEY)


def run_refresh(
    log: RefreshLog,
    clock: Callable[[], datetime],
    *,
    asked: Window | None = None,
    horizon: int = HORIZON,
    memory: Memory | None = None,
) -> list[Refresh]:
    """Bring draws_14w up to date, span by span, and record each; an ordinary refresh needs no further argument.

    Everything that has changed is known before anything is written. A span that BigQuery refuses stops no other. Then
    the whole history is compared again: what is left, or has changed meanwhile, is written once more.

    :param log: says by which runner the statements are sent, and as which run it is recorded.
    :param clock: returns the present time.
    :param asked: recompute every draw of this window, changed or not, and nothing else.
    :param horizon: how many periods back a feature looks.
    :param memory: see `FeatureTable`.
    :returns: what was done to each span; empty when nothing had changed.
    :raises FeaturesNotRefreshedError: when spans were refused or are not right afterwards; the others are written.
    :raises StatementError: when BigQuery does not tell what has changed.
    """
    table = FeatureTable(log.statements, horizon, BLOCK, clock, memory or NoMemory())
    done: list[Refresh] = []
    refused: dict[Span, StatementError] = {}

    def write(spans: list[Span], *, rebuild: bool) -> None:
        for span in spans:
            try:
                with log.entry(clock, rebuild=rebuild, span=span) as entry:
                    entry.done = table.write(span, clock())
                    done.append(entry.done)
            except StatementError as error:
                refused[span] = error

    def left_of(spans: list[Span], reach: int) -> list[Span]:
        """Return what is (still, or again) to be done where spans were written, without those that were refused."""
        written = [span for span in spans if span not in refused]
        return [
            span
            for span in (table.changed() if written else [])
            if any(span.meets(one, reach) for one in written) and not any(span.meets(one) for one in refused)
        ]

    rebuild = asked is not None
    with log.entry(clock, rebuild=rebuild) as entry:
        spans = table.within(asked) if asked else table.changed()
        if not spans and table.asks:
            entry.done = Refresh()
    write(spans, rebuild=rebuild)
    with log.entry(clock, rebuild=rebuild):
        again = left_of(spans, horizon)
    write(again, rebuild=False)
    with log.entry(clock, rebuild=rebuild):
        left = left_of(again, 0)
        if left or refused:
            raise FeaturesNotRefreshedError(_described(left, refused))
    return done


def _described(left: list[Span], refused: dict[Span, StatementError]) -> str:
    """Return what is wrong, where, why, and what to do."""
    lines = [f"{span} could not be written, or not recorded: {error}" for span, error in refused.items()]
    lines += [
        f"draws_14w is not right for {span}: they were written twice and still differ from pc28.draws. Either it has a "
        "draw without three digits there, or somebody else writes to draws_14w: find out who."
        for span in left
    ]
    return "\n".join([*lines, "Everything else is written. The next run tries these again by itself."])
