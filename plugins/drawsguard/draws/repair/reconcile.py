"""The daily comparison of source and target: values of the last days, and every version since the last one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from drawsguard.draws.corrections import SETTLING
from drawsguard.draws.repair.repairer import Repairer
from drawsguard.draws.retention import EARLIEST, LOG_RETENTION
from drawsguard.draws.sync.target import SyncOutcome, TargetRepository
from drawsguard.draws.window import SyncRequest, Window

#: Versions collected while the last reconcile was already reading are compared once more.
OVERLAP = timedelta(hours=1)


@dataclass(frozen=True)
class Reconciliation:
    """Periods that were repaired: by the comparison of values, and by the pass over new versions."""

    compared: Window
    differing: list[int]
    corrected: list[int]
    written: int


def reconcile(repairer: Repairer, hours: int) -> Reconciliation:
    """Repair what differs and verify it.

    :param hours: how many hours of draws are compared value by value.
    :raises drawsguard.draws.sync.target.DrawsDifferError: when rows are left that a MERGE cannot fix (duplicate,
        foreign).
    """
    started_at = repairer.clock()
    window = Window(started_at - timedelta(hours=hours), started_at)
    warehouse = TargetRepository(repairer.client, dag_id=repairer.dag_id, task_id=repairer.task_id)
    plan = warehouse.plan_window(window, started_at)
    settled_before = started_at - SETTLING
    differences = warehouse.differences(plan, settled_before)
    differing = sorted({item.period for item in differences if item.problem in ("missing", "stale", "duplicate")})

    # A reconcile that did not end leaves no entry under this name, and its versions are compared again.
    complete = f"{repairer.task_id}_complete"
    (last,) = repairer.statements.rows(
        "repair/last_reconcile.sql",
        dag_id=repairer.dag_id,
        task_id=complete,
        retained_from=started_at - LOG_RETENTION,
    )
    corrected = [
        row["period"]
        for row in repairer.statements.rows(
            "repair/corrected_periods.sql",
            since=last["started_at"] - OVERLAP if last["started_at"] else EARLIEST,
            settled_before=settled_before,
            earliest=EARLIEST,
        )
    ]
    written = repairer.merge({*differing, *corrected})
    warehouse.verify(plan)
    outcome = SyncOutcome("success", started_at, repairer.clock(), window, affected=0)
    TargetRepository(repairer.client, dag_id=repairer.dag_id, task_id=complete).log(
        SyncRequest(window, "range"), outcome, run_id=repairer.run_id, try_number=repairer.try_number
    )
    return Reconciliation(window, differing, sorted(set(corrected) - set(differing)), written)
