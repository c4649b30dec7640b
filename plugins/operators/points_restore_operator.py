"""Give downlined points their old status back, after a human approved exactly that."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.approval import Role
from drawsguard.points.execution import Execution, PlanChangedError, StoppedError
from drawsguard.points.journal import Journal
from drawsguard.points.lifecycle import Lifecycle
from drawsguard.points.plan import Plan, PlanRefusedError
from drawsguard.points.report import plan_lines
from drawsguard.points.restore import plan_restore
from drawsguard.points.rules import get_rules
from operators import points_servers
from operators.points_approval_operator import PlanApprovalOperator, as_environment
from operators.points_downline_operator import stop_requested


def restore_plan(batch_id: str, environment: str, ids: str) -> Plan:
    """Return the restore's plan as things are now.

    :param ids: JSON list of points; an empty one means the whole batch.
    :raises AirflowFailException: when nothing can be planned.
    """
    name = as_environment(environment)
    with points_servers.environment(name) as connection:
        journal = Journal(connection, batch_id, name)
        journal.migrate()
        try:
            return plan_restore(connection, journal, batch_id, name, frozenset(map(int, json.loads(ids))) or None)
        except PlanRefusedError as refusal:
            raise AirflowFailException(str(refusal)) from refusal


class PointsRestorePlanOperator(BaseOperator):
    """Plan a restore, keep and show it; nothing is changed. Returns digest and counts.

    :param batch_id: the batch; :param environment: where; :param ids: points, none for all (all templated).
    """

    template_fields: Sequence[str] = ("batch_id", "environment", "ids")

    def __init__(self, *, batch_id: str, environment: str, ids: str = "[]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment
        self.ids = ids

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan."""
        with points_servers.lifecycle() as lifecycle:
            lifecycle.batch(self.batch_id)
            plan = restore_plan(self.batch_id, self.environment, self.ids)
            if not plan.rows:
                raise AirflowFailException(f"Batch {self.batch_id}: everything asked for is restored already.")
            lifecycle.save_plan(plan)
            requester = context["dag_run"].triggering_user_name or ""
            lifecycle.note(self.batch_id, "restore_planned", requester, plan.environment, digest=plan.digest)
        self.log.info("Restore plan %s\n%s", plan.digest, "\n".join(plan_lines(plan)))
        return {"digest": plan.digest, "rows": len(plan.rows), "counts": plan.counts()}


class PointsRestoreOperator(PlanApprovalOperator):
    """Ask for approval, wait, and restore the rows of the approved plan: status and last_modify_time.

    One approver is enough: a restore brings points back to users. Returns what was restored.

    :param ids: points, none for the whole batch (templated).
    """

    template_fields: Collection[str] = ("batch_id", "environment", "ids")
    action = "restore"
    role: Role = "execute"

    def __init__(self, *, ids: str = "[]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ids = ids

    def current_plan(self, lifecycle: Lifecycle) -> Plan:  # noqa: ARG002
        return restore_plan(self.batch_id, self.environment, self.ids)

    def _asks(self, plan: Plan) -> bool:
        return bool(plan.pending)

    def _needed(self, plan: Plan) -> int:  # noqa: ARG002
        return 1

    def approved(self, context: Context, lifecycle: Lifecycle, plan: Plan, approver: str) -> Any:
        """Carry out the approved restore.

        :raises AirflowFailException: when rows differ from the plan or the switch is set; finished chunks stay.
        """
        with points_servers.environment(plan.environment) as connection:
            journal = Journal(connection, plan.batch_id, plan.environment)
            execution = Execution(connection, journal, stop_requested, plan.digest, get_rules().execution.chunk_rows)
            try:
                changed = execution.restore(plan)
            except (StoppedError, PlanChangedError) as refusal:
                raise AirflowFailException(str(refusal)) from refusal
            finally:
                with points_servers.environment(plan.environment) as fresh:
                    entries = Journal(fresh, plan.batch_id, plan.environment).entries()
                lifecycle.copy_journal(plan.batch_id, plan.environment, entries)
        counts = plan.counts()
        lifecycle.note(
            plan.batch_id,
            "restored",
            approver,
            plan.environment,
            rows=changed,
            digest=plan.digest,
            run_id=context["run_id"],
            requester=context["dag_run"].triggering_user_name,
        )
        return {"digest": plan.digest, "approved_by": approver, "rows": changed, "counts": counts}
