"""The three steps of the migration of legacy draws: prepare, copy a month, cut over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.draws.history import HistoryMigration, Side
from drawsguard.draws.statements import Statements
from hooks.warehouse_hook import warehouse_client


class _HistoryOperator(BaseOperator):
    template_fields: Sequence[str] = ()

    def migration(self, context: Any) -> HistoryMigration:
        statements = Statements(warehouse_client(), self.dag_id, self.task_id)
        return HistoryMigration(statements, context["params"]["side"], context["ti"].run_id, lambda: datetime.now(UTC))


class DrawHistoryPrepareOperator(_HistoryOperator):
    """Create the partitioned table and return the months to copy. Skips everything after a finished migration."""

    def execute(self, context: Any) -> list[str]:
        months = self.migration(context).prepare()
        if not months:
            raise AirflowSkipException("There is nothing to migrate: the table is partitioned already, or empty.")
        self.log.info("%s months to copy: %s … %s", len(months), months[0], months[-1])
        return months


class DrawHistoryCopyOperator(_HistoryOperator):
    """Copy one month and hold both sides against each other; returns the figures.

    :param month: UTC month, ``YYYY-MM``.
    """

    template_fields: Sequence[str] = ("month",)

    def __init__(self, *, month: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.month = month

    def execute(self, context: Any) -> dict[str, Any]:
        figures = self.migration(context).copy(self.month)
        if figures["invalid_rows"]:
            self.log.warning(
                "%s rows of %s disagree with their own numbers and stay behind in the legacy table",
                figures["invalid_rows"],
                self.month,
            )
        return figures


class DrawHistoryCutOverOperator(_HistoryOperator):
    """Switch the names after a last copy and comparison; skipped unless the param ``cut_over`` is set.

    :param side: skipped, too, when the run migrates the other side; each side's writer has a pool of its own.
    """

    def __init__(self, *, side: Side, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.side = side

    def execute(self, context: Any) -> list[dict[str, Any]]:
        if context["params"]["side"] != self.side:
            raise AirflowSkipException(f"This run migrates the {context['params']['side']} side.")
        if not context["params"]["cut_over"]:
            raise AirflowSkipException(
                "All months are equal on both sides. Trigger again with cut_over to switch the names."
            )
        return self.migration(context).cut_over()
