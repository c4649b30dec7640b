"""Send many mails: one that is refused keeps no other, and nobody is told twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from drawsguard.points.audit_repository import AuditRepository
from drawsguard.points.database import utc

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


def told_before(
    audit: AuditRepository, batch_id: str, run_id: str, says: str | None = None, again_after: timedelta | None = None
) -> set[str]:
    """Return who needs no letter about a batch.

    :param says: digest of what the letters say: whose last one said the same needs none. None: who had one in this run.
    :param again_after: when a last one that said the same is too old to be remembered; None: it never is.
    """
    told = [event for event in audit.events(batch_id) if event["event"] == TOLD]
    if says is None:
        return {event["detail"]["to"] for event in told if event["detail"].get("run_id") == run_id}
    last = {event["detail"]["to"]: event for event in told}
    same = {name: event for name, event in last.items() if event["detail"].get("says") == says}
    if again_after is None:
        return set(same)
    now = utc(audit.clock())
    return {name for name, event in same.items() if now - event["at"] < again_after}


def tell_each(
    audit: AuditRepository,
    batch_id: str,
    run_id: str,
    letters: Mapping[str, Callable[[], object]],
    says: str | None = None,
    again_after: timedelta | None = None,
) -> None:
    """Send the letters about a batch once in a run, or once until they say something else; the audit has who was told.

    :param says: digest of what the letters say; None: every run sends them.
    :param again_after: when they are sent again although they say the same; None: never.
    :raises NotAllToldError: after all, naming those that were refused.
    """

    def sent(name: str) -> None:
        audit.note(batch_id, TOLD, "airflow", to=name, run_id=run_id, says=says)

    send_each(letters, told_before(audit, batch_id, run_id, says, again_after), sent)
