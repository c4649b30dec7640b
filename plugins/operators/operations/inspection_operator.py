"""Make an inspection report, keep it, and mail it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from drawsguard.alerts.signals import end, fire
from drawsguard.mail import Mail, subject_line
from drawsguard.monitoring.inspection import COST_TITLE, Inspector, Kind, Report
from drawsguard.monitoring.known_bill import to_result
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks import artifacts
from hooks.mail_hook import send
from hooks.scheduled_slot import skip_missed_slot
from hooks.telemetry import Reading
from hooks.telemetry import send as send_figures
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The alert of a month that is on its way over `Settings.bigquery_budget_gib`.
BILL_KEY = "bill:month"


class InspectionOperator(BaseOperator):
    """Read the figures of a period, judge them, and send the report as HTML mail with charts.

    A run for a slot that passed while the DAG was paused, or before it was first switched on, is skipped. It reads
    only, but for the daily signal about the bill; the report of a period overwrites itself. Bad figures do not fail
    the task: the report says so.

    :param kind: ``daily``, ``weekly`` or ``monthly``.
    """

    def __init__(self, *, kind: Kind, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the kept file's address, the mail's subject, the verdict by section, and what was billed if known."""
        skip_missed_slot(context)
        settings = get_settings()
        until = getattr(context["dag_run"], "data_interval_end", None) or datetime.now(UTC)
        repository = MonitoringRepository(warehouse_client(), dag_id=self.dag_id, task_id=self.task_id)
        report = Inspector(repository, settings).make(self.kind, until)
        if self.kind == "daily":
            self._report_bill(repository, report, context["run_id"])
        recipients = [address.strip() for address in settings.draws_email.split(",")]
        with artifacts.drafts() as folder:
            page = folder / report.file_name
            page.write_text(report.html, encoding="utf-8")
            address = artifacts.store(page, "reports")
            send(Mail(subject_line(report.subject), report.html), recipients, [page], reply_to=settings.draws_email)
        send_figures(
            Reading("drawsguard.bill.bytes", billed, {"dag": dag, "period": self.kind})
            for dag, billed in report.bytes_billed.items()
        )
        if report.latency_p95 is not None:
            send_figures([Reading("drawsguard.draws.latency_p95", report.latency_p95, {"period": self.kind})])
        verdicts = {one.title: one.verdict for one in report.sections}
        billed = to_result(report.start, report.end, report.bytes_billed)
        return {"file": address, "subject": report.subject} | verdicts | billed

    @staticmethod
    def _report_bill(repository: MonitoringRepository, report: Report, run_id: str) -> None:
        """Tell the monitor whether the month is on its way over the budget (P2); unknown costs tell nothing."""
        cost = next(section for section in report.sections if section.title == COST_TITLE)
        now = datetime.now(UTC)
        if cost.verdict == "bad":
            fire(repository, BILL_KEY, Priority.P2, cost.text, run_id=run_id, now=now)
        elif cost.verdict == "good":
            end(repository, BILL_KEY, cost.text, run_id=run_id, now=now)
