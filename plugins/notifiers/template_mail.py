"""A mail whose subject and body come from ``include/templates/mail``."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any
from urllib.parse import quote

from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from drawsguard.mail import mail_of
from drawsguard.settings import get_settings
from hooks.mail_hook import MailHook


def run_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run in the Airflow UI."""
    return f"{get_settings().ui_base_url}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


class TemplateMail(SmtpNotifier):
    """An SmtpNotifier that fills ``mail/<name>.subject.txt`` and ``mail/<name>.html`` itself.

    Answers go to the team (``reply_to``): nobody reads the sender's mailbox.

    Airflow does not render the result again (it may quote an error message with braces in it), and HTML is escaped.

    :param to: recipients, comma separated.
    :param name: the templates' name.
    :param reply_to: who reads the answers; the recipients themselves when not given.
    """

    template_fields = ()  # type: ignore[assignment] # the base class spells out a tuple of eleven

    def __init__(self, *, to: str, name: str, reply_to: str = "", **kwargs: Any) -> None:
        settings = get_settings()
        recipients = [address.strip() for address in to.split(",")]
        super().__init__(
            to=recipients,
            from_email=settings.mail_from,
            smtp_conn_id=settings.smtp_conn_id,
            custom_headers={"Reply-To": reply_to or to},
            **kwargs,
        )
        self.name = name

    @cached_property
    def hook(self) -> MailHook:
        """The hook that adds the plain text part."""
        return MailHook(smtp_conn_id=self.smtp_conn_id, auth_type=self.auth_type)

    @abstractmethod
    def values(self, context: Any) -> dict[str, Any]:
        """Return what the templates need, from what Airflow passes."""

    def _compose(self, context: Any) -> None:
        mail = mail_of(f"mail/{self.name}", **self.values(context))
        self.subject, self.html_content = mail.subject, mail.html

    def notify(self, context: Any) -> None:
        self._compose(context)
        super().notify(context)

    async def async_notify(self, context: Any) -> None:
        self._compose(context)
        await super().async_notify(context)
