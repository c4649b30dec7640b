"""Take the confirmed workbook of a batch: nothing is changed but what is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.dry_run import is_dry_run
from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.points.review.candidate import Decision
from hooks import points_databases
from hooks.confirmed_workbook import find_workbook, read_workbook


class PointsConfirmOperator(BaseOperator):
    """Read the confirmed workbook, store its decisions, and return its batch id. A dry run stores nothing.

    :param workbook: address of an artifact, or its path below the root of the artifacts (templated).
    """

    template_fields: Sequence[str] = ("workbook",)

    def __init__(self, *, workbook: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workbook = workbook

    def execute(self, context: Context) -> str:
        """Read the workbook.

        :raises AirflowFailException: naming sheet, row and reason of every refusal.
        """
        requester = context["dag_run"].triggering_user_name or ""
        with find_workbook(self.workbook) as workbook, points_databases.repositories() as repositories:
            path, batch_id, decisions = read_workbook(repositories, workbook)
            downline = sum(decision.decision is Decision.DOWNLINE for decision in decisions.values())
            if not is_dry_run(context.get("params")):
                try:
                    repositories.batches.save_decisions(batch_id, decisions, requester)
                except BatchStateError as refusal:
                    raise AirflowFailException(str(refusal)) from refusal
                repositories.audit.note(batch_id, "confirmed", requester, workbook=path.name, downline=downline)
        self.log.info("Batch %s: %s of %s candidates go offline", batch_id, downline, len(decisions))
        return batch_id
