"""Refresh the features of draws that are new or have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.draws.features.refresh import RefreshLog, run_refresh, windows_since_last_refresh
from drawsguard.draws.window import InvalidRangeError, requested_range
from drawsguard.warehouse.limits import BULK
from drawsguard.warehouse.runner import StatementRunner
from hooks.warehouse_hook import warehouse_client


class FeatureRefreshOperator(BaseOperator):
    """Bring draws_14w up to date with the draws and record each refreshed window in ``feature_update_log``.

    Without params it looks at the recent draws and at everything synced since the last refresh. With the params
    ``from`` and ``to`` it recomputes every draw of that range.

    Returns what was done, a list with one entry per window.
    """

    template_fields: Sequence[str] = ()

    def execute(self, context: Any) -> list[dict[str, Any]]:
        started_at = datetime.now(UTC)
        try:
            asked = requested_range(context["params"].get("from"), context["params"].get("to"))
        except InvalidRangeError as error:
            raise AirflowFailException(str(error)) from error
        client = warehouse_client()
        statements = StatementRunner(client, self.dag_id, self.task_id, BULK)
        windows = [asked] if asked else windows_since_last_refresh(statements, started_at)
        task_instance = context["ti"]
        log = RefreshLog(statements, self.dag_id, task_instance.run_id, task_instance.try_number, started_at)
        done = run_refresh(log, windows, lambda: datetime.now(UTC), rebuild=asked is not None)
        for window, result in zip(windows, done, strict=True):
            self.log.info(
                "%s: %s draws new or changed, %s feature rows written", window, result.rows_in, result.rows_written
            )
        return [asdict(result) for result in done]
