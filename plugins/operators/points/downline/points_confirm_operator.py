"""Take the confirmed workbook of a batch: nothing is changed but what is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.points.review.candidate import Decision
from drawsguard.points.review.confirmed import WorkbookRefusedError, read_confirmed
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from hooks import points_databases


class PointsConfirmOperator(BaseOperator):
    """Read the confirmed workbook, store its decisions, and return its batch id.

    :param workbook: file name below the artifact folder (templated).
    """

    template_fields: Sequence[str] = ("workbook",)

    def __init__(self, *, workbook: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workbook = workbook

    def execute(self, context: Context) -> str:
        """Read the workbook.

        :raises AirflowFailException: naming sheet, row and reason of every refusal.
        """
        path = self._path()
        requester = context["dag_run"].triggering_user_name or ""
        with points_databases.repositories() as repositories:
            try:
                batch_id, decisions = read_confirmed(path, repositories.batches.known)
                repositories.batches.save_decisions(batch_id, decisions, requester)
            except (WorkbookRefusedError, BatchStateError) as refusal:
                raise AirflowFailException(str(refusal)) from refusal
            downline = sum(decision.decision is Decision.DOWNLINE for decision in decisions.values())
            repositories.audit.note(batch_id, "confirmed", requester, workbook=path.name, downline=downline)
        self.log.info("Batch %s: %s of %s candidates go offline", batch_id, downline, len(decisions))
        return batch_id

    def _path(self) -> Path:
        folder = get_settings().points_artifact_dir.resolve()
        try:
            path = (folder / self.workbook).resolve()
            found = path.is_relative_to(folder) and path.is_file()
        except (OSError, ValueError):  # a name that no file can have: too long, or with a NUL
            found = False
        if not found:
            raise RefusedError(
                f"There is no workbook {self.workbook[:200]!r} in the artifact folder {folder}. Put the confirmed "
                "workbook there and trigger a new run with its file name."
            )
        return path
