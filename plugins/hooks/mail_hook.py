"""Mails as people's programs want them: plain text beside the HTML, pictures as parts, attachments with their types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

from airflow.providers.smtp.hooks.smtp import SmtpHook

from drawsguard.mail import Mail, media_type, pictures_apart, plain_text
from drawsguard.settings import get_settings

#: Seven bits: smtplib refuses a text with anything else in it.
_POLICY = policy.SMTP.clone(cte_type="7bit")


class MailHook(SmtpHook):
    """The provider's hook, whose messages hold HTML alone and attachments of no type."""

    def _build_mime_message(  # type: ignore[override] # the provider's class has another base
        self,
        mail_from: str | None,
        to: str | Iterable[str],
        subject: str,
        html_content: str,
        files: list[str] | None = None,
        cc: str | Iterable[str] | None = None,
        bcc: str | Iterable[str] | None = None,
        mime_subtype: str = "mixed",  # noqa: ARG002 - the provider's signature
        mime_charset: str = "utf-8",
        custom_headers: dict[str, Any] | None = None,
    ) -> tuple[EmailMessage, list[str]]:
        """Return the message and everybody who gets it."""
        addresses, copies, hidden = (self._get_email_address_list(some or []) for some in (to, cc, bcc))
        message = EmailMessage(policy=_POLICY)
        message["Subject"] = subject
        if mail_from:
            message["From"] = mail_from
        message["To"] = ", ".join(addresses)
        if copies:
            message["Cc"] = ", ".join(copies)
        message["Date"] = formatdate(localtime=True)
        message["Message-ID"] = make_msgid()
        for name, value in (custom_headers or {}).items():
            message[name] = value
        message.set_content(plain_text(html_content), charset=mime_charset)
        html, pictures = pictures_apart(html_content)
        message.add_alternative(html, subtype="html", charset=mime_charset)
        *_, page = message.iter_parts()
        for name, picture in pictures.items():
            page.add_related(picture, "image", "png", cid=f"<{name}>", disposition="inline")
        if pictures:
            page.set_param("type", "text/html")  # RFC 2387, and the standard library leaves it out
        for path in map(Path, files or []):
            main, _, sub = media_type(path).partition("/")
            message.add_attachment(path.read_bytes(), maintype=main, subtype=sub, filename=path.name)
        return message, [*addresses, *copies, *hidden]


def send(mail: Mail, to: Sequence[str], files: Sequence[Path] = (), *, reply_to: str = "") -> None:
    """Send a mail.

    :param reply_to: who reads the answers; nobody reads the sender's.
    """
    settings = get_settings()
    with MailHook(smtp_conn_id=settings.smtp_conn_id) as hook:
        hook.send_email_smtp(
            to=list(to),
            from_email=settings.mail_from,
            subject=mail.subject,
            html_content=mail.html,
            files=[str(path) for path in files],
            custom_headers={"Reply-To": reply_to} if reply_to else None,
        )
