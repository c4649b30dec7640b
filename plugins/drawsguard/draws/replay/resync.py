"""Syncing a window outside the scheduled sync, for repairs and replays: plan, MERGE, verification, log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.cloud.bigquery import Client

from drawsguard.draws.recent.memory import Memory
from drawsguard.draws.sync.target import MERGE_STATEMENT, SyncOutcome, TargetRepository
from drawsguard.draws.window import SyncRequest
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner


def resync(
    client: Client,
    request: SyncRequest,
    *,
    dag_id: str,
    task_id: str,
    run_id: str,
    try_number: int,
    memory: Memory | None = None,
) -> int:
    """Sync and verify what ``request`` asks for, record it in ``sync_log``, and return how many rows were written.

    :param client: client of the project and location that hold the datasets.
    :param memory: of source and target; with one, an interval that is synced already costs its record only.
    :raises drawsguard.draws.sync.target.DrawsDifferError: when the target still differs from the source afterwards.
    :raises drawsguard.warehouse.failures.StatementError: when a statement fails.
    """
    started_at = datetime.now(UTC)
    warehouse = TargetRepository(client, dag_id=dag_id, task_id=task_id, memory=memory)
    plan = warehouse.plan(request, timedelta(minutes=get_settings().sync_lookback_minutes), started_at)
    merged = None
    if not plan.equal:
        statements = StatementRunner(client, dag_id, task_id)
        merged = statements.run(MERGE_STATEMENT, **plan.bounds(), synced_at=datetime.now(UTC))
        warehouse.verify(plan)
    outcome = SyncOutcome(
        status="success",
        started_at=started_at,
        finished_at=datetime.now(UTC),
        window=plan.read,
        job_id=merged.job_id if merged else None,
        inserted=merged.inserted if merged else 0,
        updated=merged.updated if merged else 0,
        affected=merged.affected if merged else 0,
        bytes_billed=merged.bytes_billed if merged else None,
        slot_ms=merged.slot_ms if merged else None,
    )
    warehouse.log(request, outcome, run_id=run_id, try_number=try_number)
    return merged.affected if merged else 0
