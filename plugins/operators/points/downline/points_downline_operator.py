"""Take a batch's points out of service, and nothing else, after a human approved exactly that."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow.sdk import Context, Variable
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.approvals.model import Approved, Proposal
from drawsguard.approvals.rules import approvals_needed
from drawsguard.points.database import transaction
from drawsguard.points.downline.backup import BackupError, check_backup, not_in_backup
from drawsguard.points.downline.execution import Execution, PlanChangedError, StoppedError
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.observe import BEGUN
from drawsguard.points.downline.plan import Plan
from drawsguard.points.downline.planner import Planned, Recheck, used_since_report
from drawsguard.points.downline.proposal import plan_proposal
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.environments import as_environment
from drawsguard.points.policy import get_policy
from drawsguard.points.review.batch_state import BatchState
from drawsguard.points.stop_switch import stops
from drawsguard.points.telemetry.config import points_config
from drawsguard.settings import get_settings
from hooks import points_databases
from hooks.lineage import lineage, mysql_table
from operators.approvals.approval_operator import ApprovalOperator

#: The switch that stops a downline or a restore between two chunks.
STOP_VARIABLE = "points_downline_stop"


def stop_requested() -> bool:
    """Return whether the stop switch is set; read again before every chunk."""
    return stops(Variable.get(STOP_VARIABLE, default=""))


class PointsDownlineOperator(ApprovalOperator):
    """Ask for approval, wait, and set status -80 on the rows of the approved plan.

    The change happens only under an approval of exactly this plan in this run, and only if the structures are known,
    the backups are unedited, and the points are still unused. Points that were used meanwhile are taken out and
    reported.

    :param batch_id: the batch (templated).
    :param environment: intranet or extranet (templated).
    """

    template_fields: Collection[str] = ("batch_id", "environment")

    def __init__(self, *, batch_id: str, environment: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment
        self._changed_tables: list[str] = []

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's signature
        """Return the plan that was carried out and the definition tables that it changed, for OpenLineage."""
        settings = get_settings()
        conn_id = getattr(settings, f"{as_environment(self.environment)}_mysql_conn_id")
        plan = mysql_table(settings.governance_mysql_conn_id, "points_lifecycle.batch_row")
        return lineage([plan], [mysql_table(conn_id, table) for table in self._changed_tables])

    def propose(self, context: Context) -> Proposal:
        """Return the batch's plan as it is now.

        :raises EvidenceRefusedError: when it could not be known whether its points were used since the report.
        """
        name = as_environment(self.environment)
        admit = not self.has_started(context)
        with points_databases.repositories() as repositories:
            repositories.batches.require_move(self.batch_id, BatchState.DOWNLINING)
            planned = points_databases.planner(repositories).plan(self.batch_id, name, admit=admit)
            _recheck(repositories, planned)
            plan = planned.plan
            return plan_proposal(
                plan,
                repositories.backups.of_batch(plan.batch_id, name),
                self.role,
                requester=self.requester(context),
                run_url=self.run_url(context),
                people_needed=approvals_needed(len(plan.rows), get_policy().approval.second_above_rows),
            )

    def prepare(self, context: Context, proposal: Proposal) -> Planned:
        """Return the plan as it is now, with what is needed to take points out of it.

        :raises ApprovalRefusedError: when it is not the approved one; nothing was changed.
        :raises EvidenceRefusedError: when evidence since the report is missing; nothing was changed.
        """
        name, admit = as_environment(self.environment), not self.has_started(context)
        with points_databases.repositories() as repositories:
            planned = points_databases.planner(repositories).plan(self.batch_id, name, admit=admit)
            _recheck(repositories, planned)
        self.require_same(proposal, planned.plan.digest)
        return planned

    def carry_out(
        self,
        context: Context,
        proposal: Proposal,  # noqa: ARG002
        approved: Approved,
        prepared: Planned,
    ) -> Any:
        """Take the approved plan's rows out of service.

        :raises AirflowFailException: when a precondition fails or the switch is set; finished chunks stay and are kept
            in the journal.
        """
        with points_databases.repositories() as repositories:
            return self._downline(context, repositories, prepared, approved.approver)

    def _downline(self, context: Context, repositories: Repositories, planned: Planned, approver: str) -> Any:
        name, plan = as_environment(self.environment), planned.plan
        self._require_structures(repositories, plan)
        recheck = _recheck(repositories, planned)
        used = recheck.used
        self.log.info("Use was looked for from %s to %s: %d sign(s).", recheck.first, recheck.last, len(used))
        points = frozenset(sign.point_id for sign in used)
        reason = "is used: the evidence has use that the report did not know"
        left = plan.without(points, reason, planned.membership) if points else plan
        removed = [row for row in plan.pending if row not in set(left.pending)]
        repositories.plans.save(plan)  # the approved one, against which the result is verified
        repositories.plans.mark_removed(plan, removed, reason)
        for sign in used:
            self.log.warning("Point %s was removed: %s seen at %s.", sign.point_id, sign.oper_type, sign.last_seen)
        with points_databases.environment(name) as connection:
            journal = Journal(connection, plan.batch_id, name)
            execution = Execution(connection, journal, stop_requested, plan.digest, get_policy().execution.chunk_rows)
            try:
                self._require_backups(repositories, connection, plan)
                with transaction(repositories.connection):
                    repositories.batches.move(plan.batch_id, BatchState.DOWNLINING)
                self._note(context, repositories, plan, BEGUN, approver)
                self._changed_tables = sorted({row.table for row in left.pending})
                changed = execution.downline(left)
            except (StoppedError, PlanChangedError, BackupError) as refusal:
                self._note(context, repositories, plan, "downline_refused", approver, reason=str(refusal))
                raise AirflowFailException(str(refusal)) from refusal
            finally:
                self._copy_journal(repositories, plan)
        self._note(
            context, repositories, plan, "downlined", approver, rows=changed, taken_out=sorted(points),
            evidence=[str(recheck.first), str(recheck.last)],
        )  # fmt: skip
        return {"digest": plan.digest, "approved_by": approver, "rows": changed, "taken_out": sorted(points)}

    def _copy_journal(self, repositories: Repositories, plan: Plan) -> None:
        """Copy the journal on a separate connection: the execution's may be lost."""
        with points_databases.environment(plan.environment) as connection:
            entries = Journal(connection, plan.batch_id, plan.environment).entries()
        repositories.plans.copy_journal(plan.batch_id, plan.environment, entries)

    def _note(
        self, context: Context, repositories: Repositories, plan: Plan, event: str, approver: str, **detail: Any
    ) -> None:
        detail |= {
            "digest": plan.digest,
            "run_id": context["run_id"],
            "requester": context["dag_run"].triggering_user_name,
        }
        repositories.audit.note(plan.batch_id, event, approver, plan.environment, **detail)

    @staticmethod
    def _require_structures(repositories: Repositories, plan: Plan) -> None:
        known = {structure.point_id for structure in repositories.structures.of_batch(plan.batch_id)}
        if missing := sorted(plan.points() - known):
            raise AirflowFailException(
                f"{len(missing)} points have no storage structure, e.g. {missing[:10]}: no structure, no downline. It "
                "can be asked of NOS only before the status changes. Trigger a new run, which asks for them."
            )

    @staticmethod
    def _require_backups(repositories: Repositories, connection: Any, plan: Plan) -> None:
        backups = {backup.table: backup for backup in repositories.backups.of_batch(plan.batch_id, plan.environment)}
        for table in sorted({row.table for row in plan.rows}):
            if table not in backups:
                raise BackupError(
                    f"Table {table} has no proven backup on the {plan.environment}. Trigger a new run, which makes it."
                )
            check_backup(connection, backups[table])
        if missing := not_in_backup(connection, backups.values(), plan.pending):
            shown = ", ".join(f"{row.table} {row.row_id}" for row in missing[:10])
            raise BackupError(
                f"{len(missing)} rows of the plan changed after they were backed up on the {plan.environment}: "
                f"{shown}. Nothing was changed now. Trigger a new run: it backs them up, or, in a begun batch, "
                "leaves them out."
            )


def _recheck(repositories: Repositories, planned: Planned) -> Recheck:
    """Look for use since the report in the evidence that has to be there now."""
    expected = points_databases.evidence_expected_until()
    return used_since_report(repositories, planned, points_databases.members_of_tags(), points_config(), expected)
