"""Plan the downline of a batch in an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.definitions import DefinitionError
from drawsguard.points.downline.plan import PlanRefusedError
from drawsguard.points.downline.report import plan_lines
from drawsguard.points.environments import as_environment
from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.points.review.batch_state import BatchState
from drawsguard.points.review.evidence import EvidenceRefusedError
from hooks import points_databases


class PointsPlanOperator(BaseOperator):
    """Make the plan of a batch in an environment, store and show it; nothing is changed. Returns digest and counts.

    :param batch_id: the batch (templated).
    :param environment: intranet or extranet.
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, environment: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan.

        :raises AirflowFailException: when no plan may be made; the message says what to do.
        """
        name = as_environment(self.environment)
        with points_databases.repositories() as repositories:
            planner = points_databases.planner(repositories)
            try:
                repositories.batches.require_move(self.batch_id, BatchState.DOWNLINING)
                if name == "intranet":
                    planner.refuse_second_run(self.batch_id)
                plan = planner.plan(self.batch_id, name).plan
            except (PlanRefusedError, EvidenceRefusedError, BatchStateError, DefinitionError) as refusal:
                raise AirflowFailException(str(refusal)) from refusal
            repositories.plans.save(plan)
            requester = context["dag_run"].triggering_user_name or ""
            repositories.audit.note(self.batch_id, "planned", requester, name, digest=plan.digest, rows=len(plan.rows))
        self.log.info("Plan %s\n%s", plan.digest, "\n".join(plan_lines(plan)))
        return {"digest": plan.digest, "rows": len(plan.rows), "counts": plan.counts()}
