"""Make an inspection report, keep it, and mail it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import BaseOperator

from drawsguard.monitoring.inspection import Inspector, Kind, keep
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context


class InspectionOperator(BaseOperator):
    """Read the figures of a period, judge them, and send the report as HTML mail with charts.

    It reads only; the report of a period overwrites itself. Bad figures do not fail the task: the report says so.

    :param kind: ``daily``, ``weekly`` or ``monthly``.
    """

    def __init__(self, *, kind: Kind, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def execute(self, context: Context) -> dict[str, str]:
        """Return the kept file, the mail's subject and the verdict by section."""
        settings = get_settings()
        end = getattr(context["dag_run"], "data_interval_end", None) or datetime.now(UTC)
        repository = MonitoringRepository(warehouse_client(), dag_id=self.dag_id, task_id=self.task_id)
        report = Inspector(repository, settings).make(self.kind, end)
        path = keep(report, settings)
        recipients = [address.strip() for address in settings.draws_email.split(",")]
        with SmtpHook(smtp_conn_id=settings.smtp_conn_id) as smtp:
            smtp.send_email_smtp(
                to=recipients,
                from_email=settings.mail_from,
                subject=report.subject,
                html_content=report.html,
                files=[str(path)],
            )
        return {"file": str(path), "subject": report.subject} | {one.title: one.verdict for one in report.sections}
