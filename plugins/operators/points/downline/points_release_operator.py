"""Lift the halt of an observed batch, after a human approved it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from airflow.sdk import Context

from drawsguard.approvals.model import Action, Approved, Proposal
from drawsguard.approvals.rules import ApprovalRefusedError
from drawsguard.points.downline.recheck import Sign
from drawsguard.points.downline.release import (
    checked_reason,
    halted_batch,
    lift_halt,
    release_proposal,
    released_in,
)
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.review.batch_repository import Batch
from hooks import points_databases
from operators.approvals.approval_operator import ApprovalOperator


class PointsReleaseOperator(ApprovalOperator):
    """Ask for approval, wait, and let a halted batch go on to its cleanup.

    Any sign of use or error that comes after the question was asked makes it another plan, which is refused.

    :param batch_id: the batch; :param reason: what was found out about the use (both templated).
    """

    template_fields: Collection[str] = ("batch_id", "reason")

    def __init__(self, *, batch_id: str, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.reason = reason

    def propose(self, context: Context) -> Proposal:
        """Return the release of the halt as it is now.

        :raises ApprovalRefusedError: when the batch is not halted, or no reason is given.
        """
        with points_databases.repositories() as repositories:
            return self._proposal(context, repositories)

    def prepare(self, context: Context, proposal: Proposal) -> list[Sign]:
        """Look for signs of use once more, and return them.

        :raises ApprovalRefusedError: when one came meanwhile, or the batch was halted again; it stays halted.
        """
        if proposal.done:
            return []
        with points_databases.repositories() as repositories:
            fresh = self._fresh(repositories)
            self.require_same(proposal, self._proposal(context, repositories, fresh).digest)
        return fresh

    def carry_out(
        self,
        context: Context,
        proposal: Proposal,
        approved: Approved,
        prepared: list[Sign],
    ) -> Any:
        """Lift the halt."""
        result = {"digest": proposal.digest, "approved_by": approved.approver}
        if proposal.done:
            return result
        with points_databases.repositories() as repositories:
            batch = halted_batch(repositories, self.batch_id)
            lift_halt(
                repositories,
                batch,
                approved.approver,
                {
                    "requester": self.requester(context),
                    "reason": checked_reason(self.reason),
                    "digest": proposal.digest,
                    "run_id": context["run_id"],
                },
                _missing_days(repositories, batch),
                prepared,
            )
        return result

    def _fresh(self, repositories: Repositories) -> list[Sign]:
        batch = halted_batch(repositories, self.batch_id)
        if batch.observe_from is None:
            raise ApprovalRefusedError(f"Batch {self.batch_id} is {batch.state}: it was never observed.")
        return points_databases.signs_now(repositories, self.batch_id, batch.observe_from)

    def _proposal(self, context: Context, repositories: Repositories, fresh: Sequence[Sign] | None = None) -> Proposal:
        if done := released_in(repositories, self.batch_id, context["run_id"]):
            return Proposal(Action.RELEASE, self.batch_id, done, "done", "done", done=True)
        return release_proposal(
            repositories,
            halted_batch(repositories, self.batch_id),
            self._fresh(repositories) if fresh is None else fresh,
            checked_reason(self.reason),
            requester=self.requester(context),
            run_url=self.run_url(context),
            missing=_missing_days(repositories, halted_batch(repositories, self.batch_id)),
            down=points_databases.points_down(self.batch_id),
        )


def _missing_days(repositories: Repositories, batch: Batch) -> tuple[str, ...]:
    if batch.observe_from is None or batch.observe_until is None:
        return ()
    return points_databases.observed_now(repositories, batch.observe_from, batch.observe_until).missing
