"""Refresh the features of draws that are new or have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.draws.features.refresh import Refresh, RefreshLog, run_refresh
from drawsguard.draws.sync.review import review_window
from drawsguard.draws.window import InvalidRangeError, Window, requested_range
from drawsguard.warehouse.limits import BULK
from drawsguard.warehouse.runner import StatementRunner
from hooks.asset_memory import DRAWS, memory_of
from hooks.lineage import bigquery_table, lineage
from hooks.warehouse_hook import warehouse_client


class FeatureRefreshOperator(BaseOperator):
    """Bring draws_14w up to date with the draws and record each span of changed draws in ``feature_update_log``.

    Without params it writes what has changed, anywhere in the history. With the params ``from`` and ``to`` it
    recomputes every draw of that range.

    Returns what was done, a list with one entry per span.

    :param review: recompute every draw of today's part of the history instead, see `review_window`.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, review: bool = False, **kwargs: Any) -> None:
        super().__init__(inlets=[DRAWS], **kwargs)
        self.review = review

    def execute(self, context: Any) -> list[dict[str, Any]]:
        started_at = datetime.now(UTC)
        statements = StatementRunner(warehouse_client(), self.dag_id, self.task_id, BULK)
        asked = review_window(statements, started_at) if self.review else self._asked(context)
        if self.review and asked is None:
            self.log.info("There are no draws to review.")
            return []
        task_instance = context["ti"]
        log = RefreshLog(statements, self.dag_id, task_instance.run_id, task_instance.try_number, started_at)
        done = run_refresh(log, lambda: datetime.now(UTC), asked=asked, memory=memory_of(context))
        if not done:
            self.log.info("Nothing new: every draw has its features, nothing is written")
        for result in done:
            self.log.info(
                "Issues %s to %s: %s draws new or changed, %s feature rows written",
                result.first_issue, result.last_issue, result.rows_in, result.rows_written,
            )  # fmt: skip
        return [_as_json(result) for result in done]

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's signature
        """Return what the refresh reads and writes, for OpenLineage."""
        return lineage([bigquery_table("target", "draws")], [bigquery_table("target", "draws_14w")])

    def _asked(self, context: Any) -> Window | None:
        try:
            return requested_range(context["params"].get("from"), context["params"].get("to"))
        except InvalidRangeError as error:
            raise AirflowFailException(str(error)) from error


def _as_json(done: Refresh) -> dict[str, Any]:
    return asdict(done) | {"window": str(done.window)}
