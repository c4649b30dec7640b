"""What the approvers of a downline or a restore are asked: the plan, as a proposal of the one approval."""

from __future__ import annotations

from collections.abc import Sequence

from drawsguard.approvals.model import Action, Proposal, Role
from drawsguard.links import runbook_link
from drawsguard.points.downline.backup import Backup
from drawsguard.points.downline.plan import Plan
from drawsguard.settings import get_settings
from drawsguard.templates import render_template

#: Rows and differences that the approval page shows; the workbook has them all.
_SAMPLES = 20

_VERB = {"downline": "下线 downline", "restore": "恢复 restore"}


def plan_proposal(
    plan: Plan,
    backups: Sequence[Backup],
    role: Role,
    *,
    requester: str,
    run_url: str,
    people_needed: int = 1,
    withdraws: Sequence[str] = (),
) -> Proposal:
    """Return the proposal to carry out a plan.

    :param backups: the proven backups of the plan's environment.
    :param role: whether the page is the countersigner's.
    :param requester: who asked for it.
    :param run_url: the run's page.
    :param withdraws: cleanup tickets that the DBA has in hand and must not run after it.
    """
    settings = get_settings()
    body = render_template(
        "points/downline/approval.md",
        plan=plan,
        counts=plan.counts(),
        requester=requester,
        role=str(role),
        verb=_VERB[plan.action],
        samples=plan.pending[:_SAMPLES],
        differences=plan.differences[:_SAMPLES],
        backups=backups,
        withdraws=withdraws,
        folder=settings.artifact(plan.batch_id),
        runbook=runbook_link(f"points-{plan.action}", settings),
        run_url=run_url,
    )
    return Proposal(
        action=Action(plan.action),
        subject=f"{plan.batch_id}/{plan.environment}",
        digest=plan.digest,
        title=f"积分{_VERB[plan.action]} {plan.batch_id} {plan.environment}: {len(plan.pending)} rows",
        body=body,
        people_needed=people_needed,
        done=not plan.pending,
    )
