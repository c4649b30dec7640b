"""Send a mail of the points lifecycle from its templates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.providers.smtp.hooks.smtp import SmtpHook

from drawsguard.alerts.message import runbook_link
from drawsguard.settings import get_settings
from drawsguard.templates import render_template


def send_mail(to: str | Sequence[str], name: str, files: Sequence[Path] = (), **values: Any) -> None:
    """Send ``points/<name>.subject.txt`` and ``points/<name>.html`` filled in; the body may link to ``runbook(page)``.

    :param to: addresses, or one string of them separated by commas.
    :param files: attachments.
    """
    settings = get_settings()
    addresses = [address.strip() for address in to.split(",")] if isinstance(to, str) else list(to)
    with SmtpHook(smtp_conn_id=settings.smtp_conn_id) as hook:
        hook.send_email_smtp(
            to=addresses,
            from_email=settings.mail_from,
            subject=" ".join(render_template(f"points/{name}.subject.txt", **values).split()),
            html_content=render_template(
                f"points/{name}.html", runbook=lambda page: runbook_link(page, settings), **values
            ),
            files=[str(path) for path in files],
        )


def owner_address(owner: str) -> str:
    """Return an owner's mail address; the team's own for points without an owner."""
    settings = get_settings()
    return settings.points_owner_address.format(owner=owner) if owner else settings.points_email
