"""The mail with the report of a repaired incident."""

from __future__ import annotations

from typing import Any

from drawsguard.settings import get_settings
from notifiers.template_mail import TemplateMail


class IncidentMail(TemplateMail):
    """Sends a report to the draws team.

    :param report: the report's text and the values that it was made from.
    """

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__(to=get_settings().draws_email, name="incident")
        self.report = report

    def values(self, context: Any) -> dict[str, Any]:  # noqa: ARG002 - everything was gathered before
        return self.report
