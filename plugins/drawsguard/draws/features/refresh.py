"""What a feature refresh recomputes: from the first changed draw to the last one and everything that reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from drawsguard.draws.features.definitions import HORIZON
from drawsguard.draws.retention import EARLIEST, LATEST
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.parameters import Typed
from drawsguard.warehouse.runner import StatementRunner

_DAY = timedelta(days=1)
#: Syncs that ended while the last refresh was already reading are examined once more.
_OVERLAP = timedelta(minutes=10)
#: An older last refresh is not searched for: everything that was synced is examined.
_LOG_SEARCH = timedelta(days=60)


@dataclass(frozen=True)
class Refresh:
    """What a refresh did: the issues it recomputed (None when nothing had changed), rows seen changed, rows written."""

    first_issue: int | None = None
    last_issue: int | None = None
    rows_in: int = 0
    rows_written: int = 0
    job_id: str | None = None


class DuplicateFeaturesError(RuntimeError):
    """draws_14w holds an issue twice."""


def windows_to_check(recent: Window, synced: list[Window]) -> list[Window]:
    """Return the windows to search for changed draws: the recent one and what syncs wrote, overlaps merged.

    :param recent: the refresh's own interval with its lookback.
    :param synced: windows of syncs, repairs and backfills since the last refresh; they may be of any age.
    """
    merged: list[Window] = []
    for window in sorted([recent, *synced], key=lambda w: w.start):
        if merged and window.start <= merged[-1].end:
            merged[-1] = merged[-1].covering(window)
        else:
            merged.append(window)
    return merged


def _search(edge: datetime, step: timedelta, limit: datetime, reaches: Callable[[datetime], bool]) -> datetime:
    """Return the first of ``edge + step`` and ``limit`` that reaches far enough; ``limit`` always does."""
    near = min(edge + step, limit) if step > timedelta() else max(edge + step, limit)
    return near if near == limit or reaches(near) else limit


def refresh(
    statements: StatementRunner, window: Window, computed_at: datetime, *, rebuild: bool = False, horizon: int = HORIZON
) -> Refresh:
    """Recompute the features that the changed draws of a window touch, and nothing else.

    :param window: draw times to look for changed draws in.
    :param computed_at: what the rows that change carry as the time of their computation.
    :param rebuild: recompute every draw of the window, changed or not.
    :param horizon: how many periods back a feature looks.
    :raises DuplicateFeaturesError: when an issue has two rows afterwards.
    """
    (changed,) = statements.rows(
        "features/changed_draws.sql", window_from=window.start, window_to=window.end, rebuild=rebuild
    )
    if not changed["changed"]:
        return Refresh()
    first, last = changed["first_issue"], changed["last_issue"]
    lead_in, reach = first - horizon, last + horizon

    def bounds(start: datetime, end: datetime) -> dict[str, int | datetime]:
        (row,) = statements.rows(
            "features/span_bounds.sql", oldest_issue=lead_in, newest_issue=reach, search_from=start, search_to=end
        )
        return row

    # Periods are counted, times are not: a pause of the feed stretches the same number of draws over more days. The
    # near bound holds in ordinary weeks; where it does not reach far enough, everything on that side is searched.
    near = 1.25 * horizon * timedelta(seconds=get_settings().draw_interval_seconds) + 2 * _DAY
    first_ts, last_ts = changed["first_ts"], changed["last_ts"]
    search_from = _search(first_ts, -near, EARLIEST, lambda at: bounds(at, first_ts + _DAY)["oldest_issue"] <= lead_in)
    search_to = _search(last_ts, near, LATEST, lambda at: bounds(last_ts - _DAY, at)["newest_issue"] >= reach)
    found = bounds(search_from, search_to)
    span = {
        "first_issue": first,
        "last_issue": found["newest_issue"],
        # One extra day at both ends: a corrected draw may have moved across the bound.
        "read_to": max(found["newest_ts"], last_ts) + _DAY,
    }
    write_from = first_ts - _DAY
    merged = statements.run(
        "features/merge_features.sql",
        **span,
        lead_in_issue=lead_in,
        read_from=min(found["oldest_ts"], write_from),
        write_from=write_from,
        horizon=horizon,
        computed_at=computed_at,
    )
    (count,) = statements.rows("features/duplicate_issues.sql", **span, read_from=write_from)
    if count["row_count"] != count["issues"]:
        raise DuplicateFeaturesError(
            f"draws_14w holds {count['row_count']} rows for {count['issues']} issues between {first} and "
            f"{span['last_issue']}: a draw's time moved by more than a day, or two refreshes ran at once. Delete the "
            "stale rows of those issues, then run feature_refresh with rebuild for the range."
        )
    return Refresh(first, span["last_issue"], changed["changed"], merged.affected, merged.job_id)


def windows_since_last_refresh(statements: StatementRunner, now: datetime) -> list[Window]:
    """Return what an ordinary refresh looks at: the recent window, and everything synced since the last refresh.

    :param now: the time of the refresh.
    """
    (last,) = statements.rows("features/last_refresh.sql", since=now - _LOG_SEARCH)
    since = last["started_at"] - _OVERLAP if last["started_at"] else EARLIEST
    synced = statements.rows("features/synced_windows.sql", since=since)
    recent = Window(now - timedelta(hours=get_settings().feature_lookback_hours), now + _DAY)
    return windows_to_check(recent, [Window(row["window_start"], row["window_end"]) for row in synced])


@dataclass(frozen=True)
class RefreshLog:
    """Writes feature_update_log for one try of one run."""

    statements: StatementRunner
    dag_id: str
    run_id: str
    try_number: int
    started_at: datetime

    def write(self, window: Window, done: Refresh, finished_at: datetime, *, rebuild: bool, error: str | None) -> None:
        """Record one window; ``error`` is None for a success."""
        self.statements.run(
            "features/log_refresh.sql",
            dag_id=self.dag_id,
            run_id=self.run_id,
            try_number=self.try_number,
            window_from=window.start,
            window_to=window.end,
            rebuild=rebuild,
            job_id=Typed("STRING", done.job_id),
            first_issue=Typed("INT64", done.first_issue),
            last_issue=Typed("INT64", done.last_issue),
            rows_in=done.rows_in,
            rows_written=done.rows_written,
            seconds=(finished_at - self.started_at).total_seconds(),
            status="failed" if error else "success",
            error=Typed("STRING", error),
            started_at=self.started_at,
            finished_at=finished_at,
        )


def run_refresh(
    log: RefreshLog, windows: list[Window], clock: Callable[[], datetime], *, rebuild: bool = False
) -> list[Refresh]:
    """Refresh each window and record it. A run that failed on one window is recorded as failed on all of them, so that
    the next one looks at all of them again.

    :param clock: returns the present time.
    """
    done: list[Refresh] = []
    error = None
    try:
        done.extend(refresh(log.statements, window, clock(), rebuild=rebuild) for window in windows)
    except BaseException as failure:  # a task that is stopped at its own time limit did not succeed either
        error = f"{type(failure).__name__}: {failure}"
        raise
    finally:
        for index, window in enumerate(windows):
            result = done[index] if index < len(done) else Refresh()
            log.write(window, result, clock(), rebuild=rebuild, error=error)
    return done
