"""Release a batch whose cleanup observation has halted: who used its points, and lifting the halt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from drawsguard.approvals.model import Action, Proposal
from drawsguard.approvals.rules import ApprovalRefusedError
from drawsguard.links import runbook_link
from drawsguard.points.database import execute, utc
from drawsguard.points.digest import digest_of
from drawsguard.points.downline.observe import (
    RELEASED,
    SHOWN,
    as_shown,
    keep_signs,
    kept_signs,
)
from drawsguard.points.downline.recheck import Sign
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.review.batch_repository import Batch, BatchStateError
from drawsguard.points.telemetry.evidence_days import listed
from drawsguard.settings import get_settings
from drawsguard.templates import render_template

#: A released batch is watched at least this much longer: the daily observation must see what happens now.
WATCH_DAYS = 2
#: Signs of life that the approval page shows.
_SHOWN = 50
_REASON_CHARACTERS = 1000
#: Why a point is on no ticket until the next ones are made.
_USED_SINCE = "工单完成后仍有使用，将重新开单。It was used although its ticket was done, and gets another."


def halted_batch(repositories: Repositories, batch_id: str) -> Batch:
    """Return a batch that is halted.

    :raises ApprovalRefusedError: when it is not, or is not known.
    """
    try:
        batch = repositories.batches.get(batch_id)
    except BatchStateError as error:
        raise ApprovalRefusedError(str(error)) from error
    if batch.halted_at is None:
        raise ApprovalRefusedError(f"Batch {batch_id} is {batch.state} and not halted: there is nothing to release.")
    return batch


def checked_reason(reason: str) -> str:
    """Return why somebody wants the release, without blanks around it.

    :raises ApprovalRefusedError: when it says nothing, or too much for the page.
    """
    reason = reason.strip()
    if not reason:
        raise ApprovalRefusedError("A release needs a reason: say what was found out about the use of the points.")
    if len(reason) > _REASON_CHARACTERS:
        raise ApprovalRefusedError(f"The reason has {len(reason)} characters, at most {_REASON_CHARACTERS} are shown.")
    return reason


def release_proposal(
    repositories: Repositories,
    batch: Batch,
    fresh: Sequence[Sign],
    reason: str,
    *,
    requester: str,
    run_url: str,
    missing: Sequence[str],
    down: Collection[int],
) -> Proposal:
    """Return the proposal to lift a halt.

    :param fresh: signs of life of the points still at -80, as the statistics are now. The digest binds them: a sign
        that comes after the question makes another plan.
    :param missing: days of the observation whose evidence is missing.
    :param down: the points that are at -80 in some environment.
    """
    settings = get_settings()
    digest = digest_of(
        [
            ["release", batch.batch_id, str(batch.halted_at), batch.halted_reason, reason],
            *sorted([sign.kind, sign.oper_type, sign.point_id, str(sign.last_seen)] for sign in fresh),
        ]
    )
    kept = (sign for sign, _ in kept_signs(repositories, batch.batch_id))
    known = {(sign.kind, sign.oper_type, sign.point_id): sign for sign in kept}
    known |= {(sign.kind, sign.oper_type, sign.point_id): sign for sign in fresh}
    body = render_template(
        "points/downline/release.md",
        batch=batch,
        digest=digest,
        requester=requester,
        reason=reason,
        signs=sorted(known.values(), key=lambda sign: (sign.last_seen, sign.point_id), reverse=True),
        shown=_SHOWN,
        owners={candidate.point_id: candidate.owner for candidate in repositories.batches.candidates(batch.batch_id)},
        down=down,
        watch_days=WATCH_DAYS,
        missing=listed(missing),
        runbook=runbook_link("points-observe", settings),
        run_url=run_url,
    )
    return Proposal(
        action=Action.RELEASE,
        subject=batch.batch_id,
        digest=digest,
        title=f"积分解除暂停 release of a halted batch {batch.batch_id}",
        body=body,
    )


def lift_halt(
    repositories: Repositories,
    batch: Batch,
    approver: str,
    detail: Mapping[str, str],
    missing: Sequence[str],
    shown: Sequence[Sign],
) -> None:
    """Lift exactly this halt, and note who approved it and why, in one transaction.

    Tickets that were being swept are withdrawn: they come back with the next ones, and are swept from the beginning.
    Points that were used and whose tickets are done get another: what they wrote since is there.

    :param shown: the fresh signs that the question's digest binds: they halt the batch no more. The audit keeps them,
        since an observation may find and keep others between the question and this.
    :param missing: days of the observation so far whose evidence is missing, for the audit.
    :raises ApprovalRefusedError: when the batch is halted again, or not any more.
    """
    keep_signs(repositories, batch.batch_id, shown)
    now = utc(repositories.clock())
    values = {
        "batch_id": batch.batch_id,
        "halted_at": batch.halted_at,
        "halted_reason": batch.halted_reason,
        "watched_until": now + timedelta(days=WATCH_DAYS),
    }
    if execute(repositories.connection, "downline/release/release_batch.sql", values) != 1:
        repositories.connection.rollback()
        raise ApprovalRefusedError(f"The halt of batch {batch.batch_id} is another one now. Trigger a new run.")
    execute(repositories.connection, "downline/release/withdraw_begun.sql", {"batch_id": batch.batch_id})
    if used := tuple(sorted({sign.point_id for sign in shown if sign.kind == "use"})):
        again = {"batch_id": batch.batch_id, "points": used, "reason": _USED_SINCE}
        execute(repositories.connection, "downline/release/reopen_points.sql", again)
    repositories.audit.note(
        batch.batch_id,
        RELEASED,
        approver,
        "",
        halted_at=str(batch.halted_at),
        halted_reason=batch.halted_reason,
        missing_days=list(missing),
        **{SHOWN: as_shown(shown)},
        **dict(detail),
    )


def released_in(repositories: Repositories, batch_id: str, run_id: str) -> str | None:
    """Return the digest of the release that a run carried out, or None when it carried out none."""
    for event in reversed(repositories.audit.events(batch_id)):
        if event["event"] == RELEASED and event["detail"].get("run_id") == run_id:
            return str(event["detail"]["digest"])
    return None
