"""Finish the migration of legacy draws, after another person approved exactly that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.approvals.model import Action, Approved, Proposal
from drawsguard.draws.history.cut_over import CutOver, plan_cut_over
from drawsguard.draws.history.migration import Side
from drawsguard.links import runbook_link
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from drawsguard.warehouse.adoption import awaited_tables, next_step
from hooks.history_migration import history_migration
from hooks.operation_audit import record_operation
from notifiers.template_mail import run_url
from operators.approvals.approval_operator import ApprovalOperator

#: The operation's name in ``operation_audit``.
OPERATION = "draw_history_migration"

#: What comes next once no table awaits its cut-over.
NOTHING_AWAITED = (
    "Both sides are switched. Next: trigger warehouse_schema, which creates the views, then feature_refresh from the "
    "first draw on when draws_14w was replaced (docs/adoption.md)."
)


class DrawHistoryCutOverOperator(ApprovalOperator):
    """Ask for the approval of the cut-over, wait, and switch the names after a last copy and comparison.

    Skipped unless the param ``cut_over`` is set. What is approved are the months that had ended when the run started:
    their numbers of versions and digests, equal on both sides. Returns the figures of the months; the log says
    which step comes next.

    :param side: skipped, too, when the run migrates the other side; each side's writer has a pool of its own.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, side: Side, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.side = side

    def execute(self, context: Any) -> Any:
        """Ask, if this run is to switch the names of this side."""
        if context["params"]["side"] != self.side:
            raise AirflowSkipException(f"This run migrates the {context['params']['side']} side.")
        if not context["params"]["cut_over"]:
            raise AirflowSkipException(
                "All months are equal on both sides. Trigger again with cut_over to switch the names."
            )
        return super().execute(context)

    def propose(self, context: Any) -> Proposal:
        """Return the cut-over as both tables are now.

        :raises CutOverRefusedError: when a month that has ended differs; nothing was switched.
        """
        plan = self._plan(context)
        settings = get_settings()
        body = render_template(
            "history/approval.md",
            proposal=plan,
            requester=self.requester(context),
            run_url=run_url(self.dag_id, context["run_id"]),
            runbook=runbook_link("request-refused", settings),
        )
        title = f"审批历史切换 Approve the cut-over of the history: {self.side}"
        return Proposal(Action.HISTORY_CUT_OVER, self.side, plan.digest, title, body, done=plan.done)

    def nothing_to_ask(self, context: Any) -> Any:  # noqa: ARG002
        """Skip: the names were switched before.

        :raises AirflowSkipException: always.
        """
        raise AirflowSkipException(f"The names of the {self.side} side were switched before; there is nothing to do.")

    def prepare(self, context: Any, proposal: Proposal) -> None:
        """Compare the months that were approved once more.

        :raises ApprovalRefusedError: when one changed since; nothing was switched.
        """
        self.require_same(proposal, self._plan(context).digest)

    def carry_out(
        self,
        context: Any,
        proposal: Proposal,
        approved: Approved,
        prepared: None,  # noqa: ARG002
    ) -> list[dict[str, Any]]:
        """Copy what arrived meanwhile, compare every month, and switch the names."""
        audit = {"subject": self.side, "digest": proposal.digest}
        record_operation(self, context, OPERATION, action="approved", actor=approved.approver, **audit)
        migration = history_migration(self, context)
        figures = migration.cut_over()
        record_operation(self, context, OPERATION, action="cut over", **audit)
        awaited = awaited_tables(migration.statements)
        self.log.info("%s", next_step(awaited) if awaited else NOTHING_AWAITED)
        return figures

    def _plan(self, context: Any) -> CutOver:
        return plan_cut_over(history_migration(self, context), context["dag_run"].start_date)
