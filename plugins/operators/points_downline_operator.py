"""Take a batch's points out of service, and nothing else, after a human approved exactly that."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context, Variable
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.approval import Role
from drawsguard.points.backup import BackupError, check_backup
from drawsguard.points.downline import used_since_report
from drawsguard.points.execution import Execution, PlanChangedError, StoppedError
from drawsguard.points.journal import Journal
from drawsguard.points.lifecycle import Lifecycle
from drawsguard.points.plan import Plan
from drawsguard.points.rules import get_rules
from drawsguard.points.telemetry_config import points_config
from operators import points_servers
from operators.points_approval_operator import PlanApprovalOperator, as_environment

#: The switch that stops a downline or a restore between two chunks.
STOP_VARIABLE = "points_downline_stop"


def stop_requested() -> bool:
    """Return whether the stop switch is set; read anew before every chunk."""
    return str(Variable.get(STOP_VARIABLE, default="")).strip().lower() in ("1", "true", "yes", "on", "stop")


class PointsDownlineOperator(PlanApprovalOperator):
    """Ask for approval, wait, and set status -80 on the rows of the approved plan.

    There is no way to run it without asking: the change happens only in the resumption by a human's answer, and only
    if the plan is still the approved one, the structures are known, the backups are unedited, and the points are still
    unused. Points that were used meanwhile are taken out and reported.
    """

    role: Role = "execute"

    def current_plan(self, lifecycle: Lifecycle) -> Plan:
        return points_servers.planner(lifecycle).plan(self.batch_id, as_environment(self.environment)).plan

    def _asks(self, plan: Plan) -> bool:
        return bool(plan.pending)

    def approved(self, context: Context, lifecycle: Lifecycle, plan: Plan, approver: str) -> Any:
        """Carry out the approved plan.

        :raises AirflowFailException: when a precondition fails or the switch is set; finished chunks stay and are kept
            in the journal.
        """
        name = as_environment(self.environment)
        planned = points_servers.planner(lifecycle).plan(self.batch_id, name)
        if planned.plan.digest != plan.digest:
            raise AirflowFailException(f"Plan {plan.digest} changed while it was being answered. Clear the plan task.")
        self._require_structures(lifecycle, plan)
        used = used_since_report(lifecycle, lifecycle.connection, planned, points_config())
        points = frozenset(sign.point_id for sign in used)
        reason = "was used after the report's window ended"
        left = plan.without(points, reason, planned.membership) if points else plan
        removed = [row for row in plan.pending if row not in set(left.pending)]
        lifecycle.mark_removed(plan, removed, reason)
        for sign in used:
            self.log.warning("Point %s is taken out: %s was seen at %s.", sign.point_id, sign.oper_type, sign.last_seen)
        with points_servers.environment(name) as connection:
            journal = Journal(connection, plan.batch_id, name)
            execution = Execution(connection, journal, stop_requested, plan.digest, get_rules().execution.chunk_rows)
            try:
                self._require_backups(lifecycle, connection, plan)
                changed = execution.downline(left)
            except (StoppedError, PlanChangedError, BackupError) as refusal:
                self._note(context, lifecycle, plan, "downline_refused", approver, reason=str(refusal))
                raise AirflowFailException(str(refusal)) from refusal
            finally:
                self._copy_journal(lifecycle, plan)
        self._note(context, lifecycle, plan, "downlined", approver, rows=changed, taken_out=sorted(points))
        return {"digest": plan.digest, "approved_by": approver, "rows": changed, "taken_out": sorted(points)}

    def _copy_journal(self, lifecycle: Lifecycle, plan: Plan) -> None:
        """Copy what the journal says on a connection of its own: the execution's may be lost."""
        with points_servers.environment(plan.environment) as connection:
            entries = Journal(connection, plan.batch_id, plan.environment).entries()
        lifecycle.copy_journal(plan.batch_id, plan.environment, entries)

    def _note(
        self, context: Context, lifecycle: Lifecycle, plan: Plan, event: str, approver: str, **detail: Any
    ) -> None:
        detail |= {
            "digest": plan.digest,
            "run_id": context["run_id"],
            "requester": context["dag_run"].triggering_user_name,
        }
        lifecycle.note(plan.batch_id, event, approver, plan.environment, **detail)

    @staticmethod
    def _require_structures(lifecycle: Lifecycle, plan: Plan) -> None:
        known = {structure.point_id for structure in lifecycle.structures(plan.batch_id)}
        if missing := sorted(plan.points() - known):
            raise AirflowFailException(
                f"{len(missing)} points have no storage structure, e.g. {missing[:10]}: no structure, no downline. It "
                "can be asked of NOS only before the status changes. Clear task nos_structures."
            )

    @staticmethod
    def _require_backups(lifecycle: Lifecycle, connection: Any, plan: Plan) -> None:
        backups = {backup.table: backup for backup in lifecycle.backups(plan.batch_id, plan.environment)}
        for table in sorted({row.table for row in plan.rows}):
            if table not in backups:
                raise BackupError(
                    f"Table {table} has no proven backup. Clear the backup task of the {plan.environment}."
                )
            check_backup(connection, backups[table])
