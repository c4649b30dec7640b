"""The daily comparison of source and target: values of the last days and of today's part of the history, every hour
that got versions since the last one, and draws that the target holds twice anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from drawsguard.draws.corrections import SETTLING
from drawsguard.draws.repair.gaps import unwhole_ranges
from drawsguard.draws.repair.repairer import Repairer, RepairIncompleteError, going_on, told
from drawsguard.draws.retention import EARLIEST, LOG_RETENTION
from drawsguard.draws.spans import joined_windows
from drawsguard.draws.sync.period_hours import HOUR, period_hours
from drawsguard.draws.sync.review import review_window
from drawsguard.draws.sync.target import DrawsDifferError, SyncOutcome, SyncPlan, TargetRepository
from drawsguard.draws.window import SyncRequest, Window

#: Versions collected while the last reconcile was already reading are compared once more.
OVERLAP = timedelta(hours=1)

#: Spans of hours with new versions that are compared; beyond it the closest are compared together.
MOST_WINDOWS = 12


@dataclass(frozen=True)
class Reconciliation:
    """Periods that were repaired: by the comparison of values, and by the pass over new versions."""

    compared: Window
    differing: list[int]
    corrected: list[int]
    written: int


def reconcile(repairer: Repairer, hours: int) -> Reconciliation:
    """Repair what differs and verify it. What cannot be repaired stops nothing else.

    :param hours: how many hours of draws are compared value by value.
    :raises drawsguard.draws.sync.target.DrawsDifferError: when rows are left that a MERGE cannot fix (duplicate,
        foreign).
    :raises drawsguard.draws.repair.repairer.RepairIncompleteError: when several parts failed.
    """
    started_at = repairer.clock()
    recent = Window(started_at - timedelta(hours=hours), started_at)
    warehouse = TargetRepository(repairer.client, dag_id=repairer.dag_id, task_id=repairer.task_id)
    # A reconcile that did not end leaves no entry under this name, and its versions are compared again. Without any
    # entry, also when it was lost, everything is.
    complete = f"{repairer.task_id}_complete"
    (last,) = repairer.statements.rows(
        "repair/last_reconcile.sql",
        dag_id=repairer.dag_id,
        task_id=complete,
        retained_from=started_at - LOG_RETENTION,
    )
    since = last["started_at"] - OVERLAP if last["started_at"] else EARLIEST

    differing: set[int] = set()
    corrected: set[int] = set()
    wrong: list[SyncPlan] = []
    failures: list[Exception] = []
    reviewed = review_window(repairer.statements, started_at)
    for window in [recent, *filter(None, [reviewed]), *_changed(repairer, since, recent)]:
        with going_on(failures):
            plan = warehouse.plan_window(window, started_at)
            differences = warehouse.differences(plan, started_at - SETTLING)
            found = differing if window is recent else corrected
            found.update(item.period for item in differences if item.repairable)
            if differences:
                wrong.append(plan)
    with going_on(failures):
        corrected.update(_doubled(repairer))
    written = 0
    with going_on(failures):
        written = repairer.merge(differing | corrected)
    for plan in wrong:
        with going_on(failures):
            warehouse.verify(plan)
    if len(failures) > 1:
        only_differ = all(isinstance(failure, DrawsDifferError) for failure in failures)
        kind = DrawsDifferError if only_differ else RepairIncompleteError
        raise kind(f"{len(failures)} parts of the comparison failed: {told(failures)}")
    if failures:
        raise failures[0]
    outcome = SyncOutcome("success", started_at, repairer.clock(), recent, affected=0)
    TargetRepository(repairer.client, dag_id=repairer.dag_id, task_id=complete).log(
        SyncRequest(recent, "range"), outcome, run_id=repairer.run_id, try_number=repairer.try_number
    )
    return Reconciliation(recent, sorted(differing), sorted(corrected - differing), written)


def _changed(repairer: Repairer, since: datetime, recent: Window) -> list[Window]:
    """Return the spans of draw times outside ``recent`` that hold versions collected since then."""
    rows = repairer.statements.rows("repair/changed_hours.sql", since=since, earliest=EARLIEST)
    hours = (Window(row["hour_utc"], row["hour_utc"] + HOUR) for row in rows)
    outside = (hour for hour in hours if hour.start < recent.start or hour.end > recent.end)
    return joined_windows(outside, MOST_WINDOWS)


def _doubled(repairer: Repairer) -> list[int]:
    """Return the draws that the target holds more than once, wherever their rows lie."""
    doubled: list[int] = []
    for periods in unwhole_ranges(repairer.statements, repairer.known_missing()):
        hours = period_hours(repairer.statements, periods)
        if hours is not None:
            rows = repairer.statements.rows(
                "repair/doubled_periods.sql",
                period_from=periods.start,
                period_until=periods.stop,
                read_from=hours.start,
                read_until=hours.end,
            )
            doubled += [row["period"] for row in rows]
    return doubled
