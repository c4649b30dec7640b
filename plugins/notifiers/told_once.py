"""Send many mails: one that is refused keeps no other, and nobody is told twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

from drawsguard.points.audit_repository import AuditRepository

logger = logging.getLogger(__name__)

#: The audit's event of a mail that was sent.
TOLD = "told"


class NotAllToldError(RuntimeError):
    """Some could not be told; all others were, once, and are not told again."""


def send_each(letters: Mapping[str, Callable[[], object]], told: Collection[str], sent: Callable[[str], None]) -> None:
    """Send every letter that was not sent before; one that is refused keeps no other.

    :param letters: what sends each, by whom it is for.
    :param told: who has theirs.
    :param sent: keeps that one was sent; called after each.
    :raises NotAllToldError: after all, naming those that were refused.
    """
    failures = []
    for name, send in letters.items():
        if name in told:
            continue
        try:
            send()
            sent(name)
        except Exception as error:
            logger.exception("The mail for %s could not be sent", name)
            failures.append(f"{name}: {type(error).__name__}: {error}")
    if failures:
        raise NotAllToldError(
            f"{len(failures)} of {len(letters)} mails could not be sent, the others were; a retry sends these only: "
            + "; ".join(failures)
        )


def tell_each(audit: AuditRepository, batch_id: str, run_id: str, letters: Mapping[str, Callable[[], object]]) -> None:
    """Send the letters about a batch once in a run: whom it told is in the audit.

    :raises NotAllToldError: after all, naming those that were refused.
    """
    told = {
        event["detail"]["to"]
        for event in audit.events(batch_id)
        if event["event"] == TOLD and event["detail"].get("run_id") == run_id
    }
    send_each(letters, told, lambda name: audit.note(batch_id, TOLD, "airflow", to=name, run_id=run_id))
