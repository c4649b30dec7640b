"""Check the result of a sync."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.draws.sync.target import SyncPlan, TargetRepository
from hooks.asset_memory import DRAWS, memory_of
from hooks.warehouse_hook import warehouse_client


class DrawVerifyOperator(BaseOperator):
    """Fail when the target lacks, duplicates or contradicts a draw of the source within the plan of a sync.

    :param plan: what the DrawSyncOperator returned (templated). A dry run wrote nothing: the task is skipped.
    :param news: the asset that has changed when that sync has written rows; an event is emitted then.
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, plan: Any, news: Asset | None = None, **kwargs: Any) -> None:
        # An event of an outlet would be emitted by every run; one of an alias only where it is added.
        self.alias = AssetAlias(f"news of {news.name}") if news else None
        super().__init__(outlets=[self.alias] if self.alias else [], inlets=[DRAWS], **kwargs)
        self.plan = plan
        self.news = news

    def execute(self, context: Any) -> None:
        plan = SyncPlan.from_json(self.plan)
        if plan.dry_run:
            raise AirflowSkipException("Dry run: there is nothing to verify.")
        memory = memory_of(context)
        TargetRepository(warehouse_client(), dag_id=self.dag_id, task_id=self.task_id, memory=memory).verify(plan)
        self.log.info("Source minus target is empty in %s", plan.window)
        if self.news and self.alias and self.plan.get("affected") != 0:
            context["outlet_events"][self.alias].add(self.news)
