"""Fail a run whose batches did not all get their tickets, beside the cleanup of those that did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from drawsguard.settings import get_settings
from hooks.cleanup_databases import cleanup_repositories
from operators.points.cleanup.cleanup_ticket_operator import TICKETS_FAILED, TICKETS_MADE

if TYPE_CHECKING:
    from airflow.sdk import Context


class CleanupTicketsMadeOperator(BaseOperator):
    """Name the due batches that this run could make no tickets for."""

    def execute(self, context: Context) -> None:
        """Look into the audit.

        :raises AirflowException: naming each batch and why.
        """
        run_id = context["dag_run"].run_id
        with cleanup_repositories() as (store, repositories):
            due = store.due_batches(get_settings().business_timezone)
            newest = {batch_id: _newest(repositories.audit.events(batch_id)) for batch_id in due}
        failures = [
            f"{batch_id}: {event['detail']['reason']}"
            for batch_id, event in newest.items()
            if event and event["event"] == TICKETS_FAILED and event["detail"]["run_id"] == run_id
        ]
        if failures:
            raise AirflowException(
                f"{len(failures)} batches have no tickets, the others go on: {'; '.join(failures)}. Remove the "
                "cause and trigger points_cleanup for the batch; the next run tries again by itself."
            )


def _newest(events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what became of a batch's tickets last: a task that was killed and retried may have made them after all."""
    return next((event for event in reversed(events) if event["event"] in (TICKETS_MADE, TICKETS_FAILED)), None)
