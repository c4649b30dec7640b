"""Report the downline of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from drawsguard.points.downline.report import downline_report, write_result
from drawsguard.settings import get_settings
from hooks import artifacts, points_databases
from hooks.approvals_database import approvals
from notifiers.points_mail import send_mail


class PointsDownlineReportOperator(BaseOperator):
    """Write the batch's result workbook and audit file, log them as tab-separated text, and mail them.

    :param batch_id: the batch (templated).
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Report, and return the counts of both environments."""
        with approvals() as repository:
            answers = repository.of_batch(self.batch_id)
        with points_databases.repositories() as repositories:
            report = downline_report(repositories, points_databases.environment, self.batch_id, answers)
            repositories.audit.note(self.batch_id, "report_sent", "airflow", counts=report.counts)
        self.log.info("Result of batch %s\n%s", self.batch_id, "\n".join(report.lines()))
        with artifacts.drafts() as folder:
            files = write_result(folder, report)
            for file in files:
                artifacts.store(file, self.batch_id)
            send_mail(get_settings().points_email, "downline/downline_report", files, report=report)
        return report.counts
