"""Mail the usage report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from airflow.sdk import BaseOperator, Context

from drawsguard.points.review.batch_repository import CELL_OWNER, Batch
from drawsguard.points.review.evidence import Window
from drawsguard.points.review.workbook import CLUSTER, TABLE, ReviewRow, count_rows
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.evidence_days import EvidenceDays, evidence_days
from drawsguard.settings import get_settings
from hooks import artifacts, points_databases
from notifiers.points_mail import owner_address, send_mail
from notifiers.told_once import tell_each


class PointsReportMailOperator(BaseOperator):
    """Mail the review workbook to the team, and to each owner the list of their points; in one run, each once.

    :param batch_id: the batch (templated).
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, int]:
        """Send the mails, each once in a run; returns the number of points of each owner.

        :raises NotAllToldError: after all, when some were refused.
        """
        with points_databases.repositories() as repositories:
            batch = repositories.batches.get(self.batch_id)
            rows = [ReviewRow(c.point_class, c.evidence) for c in repositories.batches.candidates(self.batch_id)]
            owners: dict[str, list[ReviewRow]] = {}
            for row in rows:
                owners.setdefault(str(row.cells[CELL_OWNER]), []).append(row)
            evidence = evidence_days(repositories.batches.connection, batch.window_start, points_config().quality)
            letters: dict[str, Callable[[], None]] = {"workbook": partial(self._send_workbook, batch, rows, evidence)}
            for owner, mine in sorted(owners.items()):
                letters[f"owner {owner}"] = partial(self._send_list, batch, owner, mine)
            tell_each(repositories.audit, self.batch_id, context["run_id"], letters)
        return {owner: len(mine) for owner, mine in owners.items()}

    @staticmethod
    def _send_list(batch: Batch, owner: str, rows: Sequence[ReviewRow]) -> None:
        send_mail(owner_address(owner), "review/owner_list", batch=batch, owner=owner, rows=rows)

    def _send_workbook(self, batch: Batch, rows: Sequence[ReviewRow], evidence: EvidenceDays) -> None:
        window = Window(batch.window_start, batch.window_end)
        with artifacts.local_copy(f"{self.batch_id}/review-{self.batch_id}.xlsx") as workbook:
            send_mail(
                get_settings().points_email,
                "review/usage_report",
                [workbook],
                batch=batch,
                total=len(rows),
                clusters=count_rows(rows, CLUSTER),
                tables=count_rows(rows, TABLE),
                ownerless=sum(not row.cells[CELL_OWNER] for row in rows),
                minutes={day: evidence.minutes.get(day, 0) for day in window.days},
                least_minutes=evidence.least,
            )
