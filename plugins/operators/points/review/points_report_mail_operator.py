"""Mail the usage report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from drawsguard.points.review.batch_repository import CELL_OWNER
from drawsguard.points.review.workbook import CLUSTER, TABLE, ReviewRow, count_rows
from drawsguard.settings import get_settings
from hooks import points_databases
from notifiers.points_mail import owner_address, send_mail


class PointsReportMailOperator(BaseOperator):
    """Mail the review workbook to the team, and to each owner the list of their points.

    :param batch_id: the batch (templated).
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, int]:  # noqa: ARG002
        """Send the mails; returns the number of points of each owner."""
        with points_databases.repositories() as repositories:
            batch = repositories.batches.get(self.batch_id)
            rows = [ReviewRow(c.point_class, c.evidence) for c in repositories.batches.candidates(self.batch_id)]
        owners: dict[str, list[ReviewRow]] = {}
        for row in rows:
            owners.setdefault(str(row.cells[CELL_OWNER]), []).append(row)
        folder = points_databases.artifacts(self.batch_id)
        send_mail(
            get_settings().points_email,
            "review/usage_report",
            [folder / f"review-{self.batch_id}.xlsx"],
            batch=batch,
            total=len(rows),
            clusters=count_rows(rows, CLUSTER),
            tables=count_rows(rows, TABLE),
            ownerless=len(owners.get("", [])),
        )
        for owner, mine in sorted(owners.items()):
            send_mail(owner_address(owner), "review/owner_list", batch=batch, owner=owner, rows=mine)
            self.log.info("Mailed %s about %s points", owner or "the team (points without an owner)", len(mine))
        return {owner: len(mine) for owner, mine in owners.items()}
