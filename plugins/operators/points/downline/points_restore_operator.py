"""Give downlined points their old status back, after a human approved exactly that."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.approvals.model import Approved, Proposal
from drawsguard.points.cleanup.ticket_repository import DBA_WITHDRAWN, TicketRepository
from drawsguard.points.downline.execution import Execution, PlanChangedError, StoppedError
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.plan import Plan
from drawsguard.points.downline.proposal import plan_proposal
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.policy import get_policy
from drawsguard.settings import get_settings
from hooks import points_databases
from hooks.restore_plan import restore_plan
from notifiers.points_mail import send_mail
from notifiers.told_once import NotAllToldError, tell_each
from operators.approvals.approval_operator import ApprovalOperator
from operators.points.downline.points_downline_operator import stop_requested


class PointsRestoreOperator(ApprovalOperator):
    """Ask for approval, wait, and restore the rows of the approved plan: status and last_modify_time.

    One approver is enough: a restore brings points back to users. Returns what was restored, and which cleanup tickets
    were withdrawn; those that the DBA had in hand are mailed at once.

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
            withdraws = TicketRepository(repositories.connection).handed_over_of(plan.batch_id, plan.points())
        return plan_proposal(
            plan, backups, self.role,
            requester=self.requester(context), run_url=self.run_url(context), withdraws=withdraws,
        )  # fmt: skip

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
        :raises NotAllToldError: when it could not be mailed which tickets the DBA must not run; the rows are restored.
        """
        plan = prepared
        counts = plan.counts()
        who: dict[str, Any] = {"actor": approved.approver, "run_id": context["run_id"]}
        with (
            points_databases.repositories() as repositories,
            points_databases.environment(plan.environment) as connection,
        ):
            store = TicketRepository(repositories.connection)
            tickets = store.withdraw_points(plan.batch_id, plan.points(), **who)
            # The DBA may be at it; the points come back whether people can be told or not.
            untold = self._tell(plan, repositories, context)
            journal = Journal(connection, plan.batch_id, plan.environment)
            execution = Execution(connection, journal, stop_requested, plan.digest, get_policy().execution.chunk_rows)
            try:
                changed = execution.restore(plan)
            except (StoppedError, PlanChangedError) as refusal:
                raise AirflowFailException(f"{refusal} {untold}" if untold else str(refusal)) from refusal
            finally:
                with points_databases.environment(plan.environment) as fresh:
                    entries = Journal(fresh, plan.batch_id, plan.environment).entries()
                repositories.plans.copy_journal(plan.batch_id, plan.environment, entries)
                # Once more: tickets may have been made of the rows as they were before.
                tickets += store.withdraw_points(plan.batch_id, plan.points(), served=True, **who)
                untold = self._tell(plan, repositories, context)
            tickets = sorted(set(tickets))
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
        if untold:
            raise untold
        return {
            "digest": plan.digest,
            "approved_by": approved.approver,
            "rows": changed,
            "counts": counts,
            "withdrawn_tickets": tickets,
        }

    def _tell(self, plan: Plan, repositories: Repositories, context: Context) -> NotAllToldError | None:
        """Mail what this run has taken from the DBA and was not told yet; return what kept it from being sent."""
        run_id, audit = context["run_id"], repositories.audit
        taken = [
            event
            for event in audit.events(plan.batch_id)
            if event["event"] == DBA_WITHDRAWN and event["detail"].get("run_id") == run_id
        ]

        def send(tickets: list[str]) -> None:
            send_mail(
                get_settings().points_email,
                "cleanup/withdrawn",
                batch_id=plan.batch_id,
                environment=plan.environment,
                points=sorted(plan.points()),
                tickets=tickets,
                run_url=self.run_url(context),
            )

        letters = {f"tickets withdrawn at {e['at']}": partial(send, e["detail"]["tickets"]) for e in taken}
        try:
            tell_each(audit, plan.batch_id, run_id, letters)
        except NotAllToldError as error:
            return error
        return None
