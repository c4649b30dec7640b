"""Begin the migration of legacy draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from hooks.history_migration import history_migration


class DrawHistoryPrepareOperator(BaseOperator):
    """Create the partitioned table, set unusable rows aside, and return the months to copy.

    Skips itself and the copying when there are none; the cut-over decides for itself what is left to do.
    """

    template_fields: Sequence[str] = ()

    def execute(self, context: Any) -> list[str]:
        migration = history_migration(self, context)
        months = migration.prepare()
        for fault, row_count in migration.faults().items():
            self.log.warning("%s legacy rows are set aside in draws_quarantine: %s", row_count, fault)
        if not months:
            raise AirflowSkipException("There is nothing to copy: the table is partitioned already, or empty.")
        self.log.info("%s months to copy: %s … %s", len(months), months[0], months[-1])
        return months
