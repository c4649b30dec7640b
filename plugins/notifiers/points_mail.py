"""Send a mail of the points lifecycle from its templates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drawsguard.mail import mail_of
from drawsguard.refusal import address_of
from drawsguard.settings import get_settings
from hooks.mail_hook import send


def send_mail(to: str | Sequence[str], name: str, files: Sequence[Path] = (), **values: Any) -> None:
    """Send ``points/<name>.subject.txt`` and ``points/<name>.html`` filled in; answers go to the points team.

    The body may link to ``runbook(page)`` and name the ``team``'s address.

    :param name: ``<stage>/<template>`` below include/templates/points.
    :param to: addresses, or one string of them separated by commas.
    :param files: attachments.
    """
    team = get_settings().points_email
    addresses = [address.strip() for address in to.split(",")] if isinstance(to, str) else list(to)
    send(mail_of(f"points/{name}", team=team, **values), addresses, files, reply_to=team)


def owner_address(owner: str) -> str:
    """Return an owner's mail address, which is always one of the configured domain.

    The team's own for points without an owner, and for one whose name makes no such address: ``people`` is text that
    anybody may have written, and a list of points must not leave the house by it.
    """
    settings = get_settings()
    pattern = settings.points_owner_address
    address = address_of(owner, pattern)
    domain = pattern.rpartition("@")[2]
    return address if address and address.rpartition("@")[2] == domain else settings.points_email
