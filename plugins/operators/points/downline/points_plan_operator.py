"""Plan the downline of a batch in an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.dry_run import is_dry_run
from drawsguard.points.definitions import DefinitionError
from drawsguard.points.downline.plan import PlanRefusedError
from drawsguard.points.downline.report import plan_lines
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.environments import as_environment
from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.points.review.batch_state import BatchState
from drawsguard.points.review.confirmed import Confirmed
from drawsguard.points.review.evidence import EvidenceRefusedError
from drawsguard.refusal import RefusedError
from hooks import points_databases
from hooks.confirmed_workbook import find_workbook, read_workbook


class PointsPlanOperator(BaseOperator):
    """Make the plan of a batch in an environment, store and show it; nothing is changed. Returns digest and counts.

    A dry run stores nothing, neither the plan nor the decisions: it plans what the workbook says.

    :param batch_id: the batch (templated).
    :param environment: intranet or extranet.
    :param workbook: address of the confirmed workbook, for a dry run (templated).
    """

    template_fields: Sequence[str] = ("batch_id", "workbook")

    def __init__(self, *, batch_id: str, environment: str, workbook: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment
        self.workbook = workbook

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan.

        :raises AirflowFailException: when no plan may be made; the message says what to do.
        """
        name = as_environment(self.environment)
        tries = is_dry_run(context.get("params"))
        with points_databases.repositories() as repositories:
            planner = points_databases.planner(repositories, self._tried(repositories) if tries else None)
            before = BatchState.CONFIRMED if tries else None
            try:
                repositories.batches.require_move(self.batch_id, BatchState.DOWNLINING, by_way_of=before)
                if name == "intranet":
                    planner.refuse_second_run(self.batch_id)
                plan = planner.plan(self.batch_id, name).plan
            except (PlanRefusedError, EvidenceRefusedError, BatchStateError, DefinitionError) as refusal:
                raise AirflowFailException(str(refusal)) from refusal
            if not tries:
                repositories.plans.save(plan)
                requester = context["dag_run"].triggering_user_name or ""
                detail = {"digest": plan.digest, "rows": len(plan.rows)}
                repositories.audit.note(self.batch_id, "planned", requester, name, **detail)
        self.log.info("Plan %s\n%s", plan.digest, "\n".join(plan_lines(plan)))
        return {"digest": plan.digest, "rows": len(plan.rows), "counts": plan.counts()}

    def _tried(self, repositories: Repositories) -> dict[int, Confirmed]:
        with find_workbook(self.workbook) as path:
            workbook = read_workbook(repositories, path)
        if workbook.batch_id != self.batch_id:
            raise RefusedError(
                f"Workbook {self.workbook!r} is of batch {workbook.batch_id} now, not of {self.batch_id}. Nothing was "
                "changed. Trigger a new run."
            )
        return workbook.decisions
