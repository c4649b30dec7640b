"""Plan a restore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from drawsguard.dry_run import is_dry_run
from drawsguard.points.downline.report import plan_lines
from drawsguard.refusal import RefusedError
from hooks import points_databases
from hooks.restore_plan import restore_plan


class PointsRestorePlanOperator(BaseOperator):
    """Plan a restore, store and show it; nothing is changed. Returns digest and counts. A dry run stores nothing.

    :param batch_id: the batch; :param environment: where; :param ids: points, none for all (all templated).
    """

    template_fields: Sequence[str] = ("batch_id", "environment", "ids")

    def __init__(self, *, batch_id: str, environment: str, ids: str = "[]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment
        self.ids = ids

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan."""
        with points_databases.repositories() as repositories:
            repositories.batches.get(self.batch_id)
            plan = restore_plan(self.batch_id, self.environment, self.ids)
            if not plan.pending:
                raise RefusedError(f"Batch {self.batch_id}: everything asked for is restored already.")
            if not is_dry_run(context.get("params")):
                repositories.plans.save(plan)
                requester = context["dag_run"].triggering_user_name or ""
                detail = {"digest": plan.digest}
                repositories.audit.note(self.batch_id, "restore_planned", requester, plan.environment, **detail)
        self.log.info("Restore plan %s\n%s", plan.digest, "\n".join(plan_lines(plan)))
        return {"digest": plan.digest, "rows": len(plan.pending), "counts": plan.counts()}
