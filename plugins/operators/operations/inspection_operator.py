"""Make an inspection report, keep it, and mail it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from drawsguard.mail import Mail, subject_line
from drawsguard.monitoring.inspection import Inspector, Kind, keep
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks.mail_hook import send
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
        send(Mail(subject_line(report.subject), report.html), recipients, [path], reply_to=settings.draws_email)
        return {"file": str(path), "subject": report.subject} | {one.title: one.verdict for one in report.sections}
