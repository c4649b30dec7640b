"""Check the result of a sync."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.draws.sync.target import SyncPlan, TargetRepository
from hooks.warehouse_hook import warehouse_client


class DrawVerifyOperator(BaseOperator):
    """Fail when the target lacks, duplicates or contradicts a draw of the source within the plan of a sync.

    :param plan: what the DrawSyncOperator returned (templated). A dry run wrote nothing: the task is skipped.
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def execute(self, context: Any) -> None:  # noqa: ARG002 - the operator interface
        plan = SyncPlan.from_json(self.plan)
        if plan.dry_run:
            raise AirflowSkipException("Dry run: there is nothing to verify.")
        TargetRepository(warehouse_client(), dag_id=self.dag_id, task_id=self.task_id).verify(plan)
        self.log.info("Source minus target is empty in %s", plan.window)
