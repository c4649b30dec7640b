"""Look at everything that the connections point to, and report what is missing for production."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.mail import Mail, subject_line
from drawsguard.preflight.catalogue import checks
from drawsguard.preflight.mail import recipients
from drawsguard.preflight.model import FolderProbe
from drawsguard.preflight.report import Report
from drawsguard.preflight.run import run
from drawsguard.settings import get_settings
from hooks.mail_hook import send
from hooks.preflight_connections import PreflightConnections

#: Under this key the report is kept; the UI's page (plugins/preflight_plugin.py) reads it.
REPORT_KEY = "report"


class PreflightOperator(BaseOperator):
    """Run the checks, keep the report for the UI, write it to the log and mail it. It changes nothing.

    :param areas: what to look at (templated); everything when empty.
    :param test_message: whether each channel of alerts gets a test message (templated).
    :param folder_probes: what the workers saw of where artifacts are (templated).
    :raises AirflowFailException: when something is missing, after the report was delivered.
    """

    template_fields: Sequence[str] = ("areas", "test_message", "folder_probes")

    def __init__(
        self,
        *,
        folder_probes: Any,
        areas: Sequence[str] | str = (),
        test_message: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.areas = areas
        self.test_message = test_message
        self.folder_probes = folder_probes

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many checks there were, and how many passed, failed and warned."""
        settings = get_settings()
        probes: Sequence[Mapping[str, str]] = list(self.folder_probes or ())
        world = PreflightConnections(
            sends_messages=str(self.test_message) == "True",
            folder_probes=[FolderProbe(**probe) for probe in probes],
            settings=settings,
        )
        areas = [self.areas] if isinstance(self.areas, str) else list(self.areas)
        report = Report(run(checks(areas), world), datetime.now(UTC), settings.ui_base_url, settings)
        context["ti"].xcom_push(key=REPORT_KEY, value=report.to_json())
        self.log.info("%s\n%s/preflight/?run_id=%s", report.text(), settings.ui_base_url, context["run_id"])
        send(Mail(subject_line(report.subject), report.html()), recipients(settings), reply_to=settings.draws_email)
        if not report.ready:
            raise AirflowFailException(
                f"{report.verdict}. The report says what to do: {settings.ui_base_url}/preflight/"
            )
        return report.counts()
