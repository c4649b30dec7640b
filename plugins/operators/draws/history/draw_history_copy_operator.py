"""Migrate one month of legacy draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator

from hooks.history_migration import history_migration


class DrawHistoryCopyOperator(BaseOperator):
    """Copy one month and hold both sides against each other; returns the figures.

    :param month: UTC month, ``YYYY-MM``.
    """

    template_fields: Sequence[str] = ("month",)

    def __init__(self, *, month: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.month = month

    def execute(self, context: Any) -> dict[str, Any]:
        figures = history_migration(self, context).copy(self.month)
        if figures["invalid_rows"]:
            self.log.warning(
                "%s rows of %s cannot be taken over; they are in draws_quarantine and in the legacy table",
                figures["invalid_rows"],
                self.month,
            )
        return figures
