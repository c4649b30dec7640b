"""Syncing a window outside the scheduled sync, for repairs and replays: plan, MERGE, verification, log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.cloud.bigquery import Client

from drawsguard.draws.statements import Statements
from drawsguard.draws.sync import DrawWarehouse, SyncOutcome
from drawsguard.draws.window import SyncRequest
from drawsguard.settings import get_settings


def resync(client: Client, request: SyncRequest, *, dag_id: str, task_id: str, run_id: str, try_number: int) -> int:
    """Sync and verify what ``request`` asks for, record it in ``sync_log``, and return how many rows were written.

    :param client: client of the project and location that hold the datasets.
    :raises drawsguard.draws.sync.DrawsDifferError: when the target still differs from the source afterwards.
    :raises google.api_core.exceptions.GoogleAPICallError: when a statement fails.
    """
    started_at = datetime.now(UTC)
    warehouse = DrawWarehouse(client, dag_id=dag_id, task_id=task_id)
    plan = warehouse.plan(request, timedelta(minutes=get_settings().sync_lookback_minutes), started_at)
    job = Statements(client, dag_id, task_id).run("sync/merge_draws.sql", **plan.bounds(), synced_at=datetime.now(UTC))
    warehouse.verify(plan)
    affected = job.num_dml_affected_rows or 0
    outcome = SyncOutcome(
        status="success",
        started_at=started_at,
        finished_at=datetime.now(UTC),
        window=plan.window,
        job_id=job.job_id,
        affected=affected,
        bytes_billed=job.total_bytes_billed,
        slot_ms=job.slot_millis,
    )
    warehouse.log(request, outcome, run_id=run_id, try_number=try_number)
    return affected
