"""A mail whose subject and body come from ``include/templates/mail``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any
from urllib.parse import quote

from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from drawsguard.settings import get_settings
from drawsguard.templates import render_template


def run_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run in the Airflow UI."""
    return f"{get_settings().ui_base_url}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


class TemplateMail(SmtpNotifier):
    """An SmtpNotifier that fills ``mail/<name>.subject.txt`` and ``mail/<name>.html`` itself.

    Airflow does not render the result again (it may quote an error message with braces in it), and HTML is escaped.

    :param to: recipients, comma separated.
    :param name: the templates' name.
    """

    template_fields = ()  # type: ignore[assignment] # the base class spells out a tuple of eleven

    def __init__(self, *, to: str, name: str, **kwargs: Any) -> None:
        settings = get_settings()
        recipients = [address.strip() for address in to.split(",")]
        super().__init__(to=recipients, from_email=settings.mail_from, smtp_conn_id=settings.smtp_conn_id, **kwargs)
        self.name = name

    @abstractmethod
    def values(self, context: Any) -> dict[str, Any]:
        """Return what the templates need, from what Airflow passes."""

    def _compose(self, context: Any) -> None:
        values = self.values(context)
        self.subject = " ".join(render_template(f"mail/{self.name}.subject.txt", **values).split())
        self.html_content = render_template(f"mail/{self.name}.html", **values)

    def notify(self, context: Any) -> None:
        self._compose(context)
        super().notify(context)

    async def async_notify(self, context: Any) -> None:
        self._compose(context)
        await super().async_notify(context)
