"""Give downlined points their old status back, after a human approved exactly that."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.approvals.model import Approved, Proposal
from drawsguard.points.cleanup.ticket_repository import TicketRepository
from drawsguard.points.downline.execution import Execution, PlanChangedError, StoppedError
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.plan import Plan
from drawsguard.points.downline.proposal import plan_proposal
from drawsguard.points.policy import get_policy
from hooks import points_databases
from hooks.restore_plan import restore_plan
from operators.approvals.approval_operator import ApprovalOperator
from operators.points.downline.points_downline_operator import stop_requested


class PointsRestoreOperator(ApprovalOperator):
    """Ask for approval, wait, and restore the rows of the approved plan: status and last_modify_time.

    One approver is enough: a restore brings points back to users. Returns what was restored.

    :param batch_id: the batch; :param environment: where; :param ids: points, none for all (all templated).
    """

    template_fields: Collection[str] = ("batch_id", "environment", "ids")

    def __init__(self, *, batch_id: str, environment: str, ids: str = "[]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment
        self.ids = ids

    def propose(self, context: Context) -> Proposal:
        """Return the restore's plan as it is now.

        :raises BatchStateError: when there is no batch of this id, written like this.
        """
        with points_databases.repositories() as repositories:
            repositories.batches.get(self.batch_id)
            plan = restore_plan(self.batch_id, self.environment, self.ids)
            backups = repositories.backups.of_batch(plan.batch_id, plan.environment)
        return plan_proposal(plan, backups, self.role, requester=self.requester(context), run_url=self.run_url(context))

    def prepare(self, context: Context, proposal: Proposal) -> Plan:  # noqa: ARG002
        """Return the restore's plan as it is now.

        :raises ApprovalRefusedError: when it is not the approved one; nothing was changed.
        """
        plan = restore_plan(self.batch_id, self.environment, self.ids)
        self.require_same(proposal, plan.digest)
        return plan

    def carry_out(
        self,
        context: Context,
        proposal: Proposal,  # noqa: ARG002
        approved: Approved,
        prepared: Plan,
    ) -> Any:
        """Give the approved plan's rows their status back, after their cleanup tickets were withdrawn.

        :raises TicketStateError: when the data of one of the points is being deleted; nothing was restored.
        :raises AirflowFailException: when rows differ from the plan or the switch is set; finished chunks stay.
        """
        plan = prepared
        counts = plan.counts()
        with (
            points_databases.repositories() as repositories,
            points_databases.environment(plan.environment) as connection,
        ):
            tickets = TicketRepository(repositories.connection).withdraw_points(plan.batch_id, plan.points())
            journal = Journal(connection, plan.batch_id, plan.environment)
            execution = Execution(connection, journal, stop_requested, plan.digest, get_policy().execution.chunk_rows)
            try:
                changed = execution.restore(plan)
            except (StoppedError, PlanChangedError) as refusal:
                raise AirflowFailException(str(refusal)) from refusal
            finally:
                with points_databases.environment(plan.environment) as fresh:
                    entries = Journal(fresh, plan.batch_id, plan.environment).entries()
                repositories.plans.copy_journal(plan.batch_id, plan.environment, entries)
            repositories.audit.note(
                plan.batch_id,
                "restored",
                approved.approver,
                plan.environment,
                rows=changed,
                digest=plan.digest,
                run_id=context["run_id"],
                requester=context["dag_run"].triggering_user_name,
                withdrawn_tickets=tickets,
            )
        return {"digest": plan.digest, "approved_by": approved.approver, "rows": changed, "counts": counts}
