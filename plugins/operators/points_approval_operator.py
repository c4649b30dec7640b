"""Ask a human to approve a plan, and keep the answer beyond the life of the task instance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException
from MySQLdb import IntegrityError

from drawsguard.alerts.message import runbook_link
from drawsguard.points.approval import (
    APPROVE,
    DIGEST_FIELD,
    REJECT,
    Answer,
    ApprovalRefusedError,
    Question,
    Role,
    approvals_needed,
    check_answer,
)
from drawsguard.points.database import utc
from drawsguard.points.journal import Environment
from drawsguard.points.lifecycle import Lifecycle
from drawsguard.points.plan import Action, Plan
from drawsguard.points.rules import get_rules
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from operators import points_servers

#: What the human-in-the-loop operator could be given and these operators decide themselves.
_FIXED = ("subject", "body", "options", "defaults", "multiple", "assigned_users")

#: Rows and differences that the approval page shows; the workbook has them all.
_SAMPLES = 20


_VERB = {"downline": "下线 downline", "restore": "恢复 restore"}


def as_environment(name: str) -> Environment:
    """Return ``name`` as an environment.

    :raises AirflowFailException: when it is none.
    """
    if name not in ("intranet", "extranet"):
        raise AirflowFailException(f"environment is {name!r}, expected intranet or extranet.")
    return "intranet" if name == "intranet" else "extranet"


class PlanApprovalOperator(HITLOperator):
    """Ask for the approval of a batch's plan: somebody else than the requester, in time, of exactly this plan.

    Every try asks anew. The answer is held against the plan as it is when the task resumes.

    :param batch_id: the batch (templated).
    :param environment: intranet or extranet (templated).
    """

    template_fields: Collection[str] = ("batch_id", "environment")
    action: Action = "downline"
    role: Role = "countersign"

    def __init__(self, *, batch_id: str, environment: str, **kwargs: Any) -> None:
        for name in _FIXED:
            if name in kwargs:
                raise ValueError(f"{type(self).__name__} decides {name} itself: an approval has no defaults.")
        kwargs.setdefault("response_timeout", timedelta(hours=get_rules().approval.timeout_hours))
        super().__init__(subject="积分变更审批 Approval of a points change", options=[APPROVE, REJECT], **kwargs)
        self.batch_id = batch_id
        self.environment = environment

    def execute(self, context: Context) -> Any:
        """Ask, unless nothing is left to approve.

        :raises AirflowFailException: when nobody may approve, or the run is no named person's own.
        """
        with points_servers.lifecycle() as lifecycle:
            plan = self.current_plan(lifecycle)
            if not self._asks(plan):
                self.log.info("No approval is needed: %s rows, %s pending.", len(plan.rows), len(plan.pending))
                return self.nothing_to_ask(plan)
            try:
                question = self._question(context, lifecycle, plan)
                eligible = question.eligible()
            except ApprovalRefusedError as refusal:
                self._keep(context, lifecycle, plan, "refused", None, None, str(refusal))
                raise AirflowFailException(str(refusal)) from refusal
            self.subject = f"积分{_VERB[self.action]} {plan.batch_id} {plan.environment}: {len(plan.pending)} rows"
            self.body = self._body(context, lifecycle, plan, question)
            self.params = ParamsDict(
                {
                    DIGEST_FIELD: Param(
                        plan.digest,
                        type="string",
                        description="计划摘要,请勿修改。Digest of this plan; leave as it is.",
                    )
                }
            )
            self.assigned_users = [{"id": name, "name": name} for name in eligible]
            lifecycle.note(
                plan.batch_id,
                "approval_asked",
                question.requester or "",
                plan.environment,
                role=self.role,
                digest=plan.digest,
                of=eligible,
                run_id=context["run_id"],
            )
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Check the answer against the plan as it is now, keep it, and go on.

        :raises AirflowFailException: when the answer is no approval of this plan.
        """
        with points_servers.lifecycle() as lifecycle:
            if event.get("error"):
                # Kept before anything else can fail: that nobody answered holds whatever became of the plan.
                lifecycle.note(
                    self.batch_id,
                    "approval_unanswered",
                    "",
                    self.environment,
                    role=self.role,
                    reason=event["error"],
                    run_id=context["run_id"],
                )
            plan = self.current_plan(lifecycle)
            user = event.get("responded_by_user") or {}
            answer = Answer(
                options=tuple(event.get("chosen_options") or ()),
                responder=user.get("id") or user.get("name"),
                fields=event.get("params_input") or {},
                responded_at=event.get("responded_at"),
            )
            try:
                approver = check_answer(self._question(context, lifecycle, plan), answer)
            except ApprovalRefusedError as refusal:
                decision = "rejected" if answer.options == (REJECT,) else "refused"
                self._keep(context, lifecycle, plan, decision, answer.responder, answer.responded_at, str(refusal))
                raise AirflowFailException(str(refusal)) from refusal
            self._keep(context, lifecycle, plan, "approved", approver, answer.responded_at, None)
            return self.approved(context, lifecycle, plan, approver)

    @abstractmethod
    def current_plan(self, lifecycle: Lifecycle) -> Plan:
        """Return the plan as things are now."""

    def nothing_to_ask(self, plan: Plan) -> Any:
        """Return the task's result when no approval is needed."""
        return {"digest": plan.digest, "approved_by": None}

    def approved(self, context: Context, lifecycle: Lifecycle, plan: Plan, approver: str) -> Any:  # noqa: ARG002
        """Do what was approved and return the task's result."""
        return {"digest": plan.digest, "approved_by": approver}

    def _asks(self, plan: Plan) -> bool:
        return bool(plan.pending) and self._needed(plan) > 1

    def _needed(self, plan: Plan) -> int:
        return approvals_needed(len(plan.rows), get_rules().approval.second_above_rows)

    def _question(self, context: Context, lifecycle: Lifecycle, plan: Plan) -> Question:
        run = context["dag_run"]
        if str(getattr(run.run_type, "value", run.run_type)) != "manual":
            raise ApprovalRefusedError(
                f"This run is {run.run_type}, not triggered by a person. Changes of points run by hand only."
            )
        earlier: frozenset[str] = frozenset()
        if self.role == "execute":
            earlier = lifecycle.countersigned_by(plan, run.dag_id, context["run_id"])
            if len(earlier) + 1 < self._needed(plan):
                raise ApprovalRefusedError(
                    f"A plan of {len(plan.rows)} rows needs {self._needed(plan)} approvers, and nobody countersigned "
                    f"{plan.digest[:12]} in this run. Clear the countersign task and have it answered."
                )
        approvers = frozenset(name.strip() for name in get_settings().approvers.split(",") if name.strip())
        return Question(plan.digest, run.triggering_user_name, approvers, earlier)

    def _body(self, context: Context, lifecycle: Lifecycle, plan: Plan, question: Question) -> str:
        settings = get_settings()
        run = context["dag_run"]
        return render_template(
            "points/approval.md",
            plan=plan,
            counts=plan.counts(),
            question=question,
            role=self.role,
            verb=_VERB[self.action],
            samples=plan.pending[:_SAMPLES],
            differences=plan.differences[:_SAMPLES],
            backups=lifecycle.backups(plan.batch_id, plan.environment),
            folder=settings.points_artifact_dir / plan.batch_id,
            runbook=runbook_link(f"points-{self.action}", settings),
            run_url=f"{settings.ui_base_url}/dags/{run.dag_id}/runs/{context['run_id']}",
        )

    def _keep(
        self,
        context: Context,
        lifecycle: Lifecycle,
        plan: Plan,
        decision: str,
        responder: str | None,
        responded_at: Any,
        reason: str | None,
    ) -> None:
        run = context["dag_run"]
        try:
            lifecycle.save_approval(
                batch_id=plan.batch_id,
                environment=plan.environment,
                action=plan.action,
                digest=plan.digest,
                role=self.role,
                decision=decision,
                responder=responder,
                requester=run.triggering_user_name,
                reason=reason,
                dag_id=run.dag_id,
                run_id=context["run_id"],
                task_id=self.task_id,
                responded_at=utc(responded_at) if responded_at else None,
            )
        except IntegrityError as error:
            lifecycle.connection.rollback()
            raise AirflowFailException(
                f"The answer of {responder} at {responded_at} was used already; an answer counts once. Clear the task "
                "to ask again."
            ) from error
        self.log.info("Answer kept: %s by %s on plan %s", decision, responder, plan.digest[:12])


class PointsCountersignOperator(PlanApprovalOperator):
    """The second pair of approving eyes on a downline; asks only above the configured size."""

    def current_plan(self, lifecycle: Lifecycle) -> Plan:
        return points_servers.planner(lifecycle).plan(self.batch_id, as_environment(self.environment)).plan
