"""Execute an own cleanup ticket: ask another person first, then delete exactly what was approved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, Variable
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.alerts.message import runbook_link
from drawsguard.points.approval import DIGEST_FIELD, Answer, ApprovalRefusedError, Question, check_answer
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.store import CleanupStore, MySqlLedger, StoredTicket, TicketStateError
from drawsguard.points.cleanup.sweep import Sweep, SweepResult, SweepStoppedError
from drawsguard.points.cleanup.throttle import Throttle
from drawsguard.points.cleanup.ticket import Ticket
from drawsguard.points.database import utc
from drawsguard.points.lifecycle import Lifecycle
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from hooks.redis_instance_hook import RedisInstanceHook
from operators import points_servers
from operators.cleanup_desk import cleanup_folder, desk, plan_batch

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Airflow Variable that stops every sweep between two batches while it is ``true``.
STOP_VARIABLE = "points_cleanup_stop"
#: Points listed on the approval page; all of them are in the workbook.
SHOWN_POINTS = 50


class RedisCleanupOperator(ApprovalOperator):
    """Wait for the approval of one ticket, then sweep its Redis instances.

    There is no way to the deletion but through an approval: of this ticket's digest, in this run, by an approver who
    neither confirmed the batch nor triggered the run. A retry or a clear of the same run goes on under the approval
    it was given, as long as the ticket is still the same.

    :param ticket_id: an own ticket, as `CleanupTicketOperator` returns it.
    """

    template_fields: Sequence[str] = ("ticket_id", "subject", "body")

    def __init__(self, *, ticket_id: str, **kwargs: Any) -> None:
        if "defaults" in kwargs:
            raise ValueError("RedisCleanupOperator takes no defaults: no answer must never become an approval.")
        super().__init__(
            subject="积分清理审批 points cleanup",
            response_timeout=timedelta(hours=get_config().approval_hours),
            **kwargs,
        )
        self.ticket_id = ticket_id

    def execute(self, context: Context) -> Any:
        """Ask, unless this run was given its approval already.

        :raises AirflowFailException: when the ticket may not be executed, or nobody may approve it.
        """
        with desk() as (store, lifecycle):
            stored = store.ticket(self.ticket_id)
            ticket = self._current(stored, store, lifecycle)
            run = context["dag_run"]
            given = store.approval_of_run(stored.batch_id, ticket.digest, run.dag_id, run.run_id)
            if not given:
                self._compose(ticket, stored, self._question(ticket, lifecycle, context))
        if given:
            self.log.info("Going on under the approval that %s gave in this run.", given[0])
            return self._sweep(ticket, given[0])
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Check the answer against the ticket as it is now, keep it, and sweep.

        :raises AirflowFailException: when it is no approval of exactly this ticket; nothing was deleted.
        """
        with desk() as (store, lifecycle):
            stored = store.ticket(self.ticket_id)
            if event.get("error"):
                # Kept before anything else can fail: that nobody answered holds whatever became of the ticket.
                lifecycle.note(
                    stored.batch_id,
                    "approval_unanswered",
                    "",
                    "redis",
                    ticket=self.ticket_id,
                    reason=event["error"],
                    run_id=context["run_id"],
                )
            ticket = self._current(stored, store, lifecycle)
            question = self._question(ticket, lifecycle, context)
            answer = _answer(event)
            try:
                approver = check_answer(question, answer)
            except ApprovalRefusedError as error:
                decision = "rejected" if answer.options == (self.REJECT,) else "refused"
                self._keep(context, lifecycle, question, answer, decision, str(error))
                raise AirflowFailException(f"Ticket {self.ticket_id}: {error}") from error
            self._keep(context, lifecycle, question, answer, "approved", None)
        return self._sweep(ticket, approver)

    # --- the question ---------------------------------------------------------------------------------
    def _current(self, stored: StoredTicket, store: CleanupStore, lifecycle: Lifecycle) -> Ticket:
        """Return the ticket as it follows from the points served now; it must be the stored one."""
        batch = lifecycle.batch(stored.batch_id)
        if batch.halted_at is not None:
            raise AirflowFailException(
                f"Batch {batch.batch_id} was halted at {batch.halted_at} UTC: {batch.halted_reason}. Its data stays; "
                "restore the points with points_restore, or clear up the objection first."
            )
        if stored.executor != "own" or stored.state in ("done", "withdrawn"):
            raise AirflowFailException(
                f"Ticket {stored.ticket_id} is {stored.state} and its executor is {stored.executor}; only own tickets "
                "that are not finished are executed here."
            )
        try:
            ticket = plan_batch(stored.batch_id, store, lifecycle).ticket(stored.ticket_id)
        except ValueError as error:
            raise AirflowFailException(str(error)) from error
        if ticket.digest != stored.digest:
            raise AirflowFailException(
                f"Ticket {stored.ticket_id} was made with digest {stored.digest}, now it would have {ticket.digest}: "
                "its points, patterns or the points served have changed. Clear the task that writes the tickets, then "
                "have the new ticket approved."
            )
        return ticket

    def _question(self, ticket: Ticket, lifecycle: Lifecycle, context: Context) -> Question:
        confirmed_by = lifecycle.batch(ticket.batch_id).confirmed_by
        triggered_by = getattr(context["dag_run"], "triggering_user_name", None)
        names = frozenset(name.strip() for name in get_settings().approvers.split(",") if name.strip())
        return Question(
            digest=ticket.digest,
            requester=triggered_by or confirmed_by,
            approvers=names - {confirmed_by},
        )

    def _compose(self, ticket: Ticket, stored: StoredTicket, question: Question) -> None:
        try:
            eligible = question.eligible()
        except ApprovalRefusedError as error:
            raise AirflowFailException(f"Ticket {self.ticket_id}: {error}") from error
        self.assigned_users = [{"id": name, "name": name} for name in eligible]
        self.subject = f"积分清理审批 points cleanup {ticket.ticket_id} ({ticket.digest[:12]})"
        self.body = render_template(
            "cleanup/approval.md",
            ticket=ticket,
            stored=stored,
            approvers=eligible,
            workbook=cleanup_folder(ticket.batch_id),
            shown=SHOWN_POINTS,
            runbook=runbook_link("points-cleanup", get_settings()),
        )
        self.params = ParamsDict(
            {
                DIGEST_FIELD: Param(
                    ticket.digest,
                    type="string",
                    enum=[ticket.digest],
                    description="所批准工单的摘要,请勿修改。Digest of the ticket that you approve; leave it as it is.",
                )
            }
        )

    def _keep(
        self,
        context: Context,
        lifecycle: Lifecycle,
        question: Question,
        answer: Answer,
        decision: str,
        reason: str | None,
    ) -> None:
        task_instance = context["ti"]
        batch_id = self.ticket_id.partition("/")[0]
        lifecycle.save_approval(
            batch_id=batch_id,
            environment="redis",
            action="cleanup",
            digest=question.digest,
            role="execute",
            decision=decision,
            responder=answer.responder,
            requester=question.requester,
            reason=reason,
            dag_id=task_instance.dag_id,
            run_id=task_instance.run_id,
            task_id=task_instance.task_id,
            responded_at=answer.responded_at and utc(answer.responded_at),
        )

    # --- the deletion ---------------------------------------------------------------------------------
    def _sweep(self, ticket: Ticket, approver: str) -> dict[str, int]:
        """Sweep, and note the end; keys that are left, or a stop, fail the task after everything is recorded."""
        config = get_config()
        pace = config.sweep
        with desk() as (store, lifecycle), points_servers.governance() as connection:
            lifecycle.note(ticket.batch_id, "cleanup_started", approver, ticket=ticket.ticket_id, digest=ticket.digest)
            sweep = Sweep(
                ticket,
                [RedisInstanceHook(name).get_instance() for name in ticket.instances],
                MySqlLedger(connection, config.samples),
                pace,
                config.samples,
                throttle=Throttle(pace.keys_per_second, pace.deletes_per_second, pace.max_latency_ms),
                should_stop=_stop_switch,
                report=lambda progress: self.log.info("Ticket %s: %s.", ticket.ticket_id, progress),
            )
            try:
                with store.execution(ticket, approver):
                    result = sweep.run()
                    _require_nothing_left(ticket, result)
            except (SweepStoppedError, TicketStateError) as error:
                raise AirflowFailException(str(error)) from error
            finally:
                self._note_end(store, lifecycle, ticket, approver)
        self.log.info("Ticket %s is done: %s.", ticket.ticket_id, sweep.progress)
        return {"deleted": sweep.progress.deleted, "wrong_type": sum(result.wrong_type.values())}

    @staticmethod
    def _note_end(store: CleanupStore, lifecycle: Lifecycle, ticket: Ticket, approver: str) -> None:
        deleted = sum(p.deleted for p in store.results(ticket.batch_id) if p.ticket_id == ticket.ticket_id)
        state = store.ticket(ticket.ticket_id).state
        lifecycle.note(
            ticket.batch_id, "cleanup_ended", approver, ticket=ticket.ticket_id, state=state, deleted=deleted
        )


def _require_nothing_left(ticket: Ticket, result: SweepResult) -> None:
    if result.left:
        raise AirflowFailException(
            f"Ticket {ticket.ticket_id}: {sum(result.left.values())} keys or fields are left after the confirming "
            f"scan, by point: {result.left}. Somebody still writes to these points; find out who, then run "
            "points_cleanup again. Everything deleted is counted."
        )


def _answer(event: dict[str, Any]) -> Answer:
    responder = event.get("responded_by_user") or {}
    responded_at = event.get("responded_at")
    if isinstance(responded_at, str):
        responded_at = datetime.fromisoformat(responded_at)
    if responded_at is not None and responded_at.tzinfo is None:
        responded_at = responded_at.replace(tzinfo=UTC)
    return Answer(
        options=tuple(event.get("chosen_options") or ()),
        responder=responder.get("id") or responder.get("name"),
        fields=event.get("params_input") or {},
        responded_at=responded_at,
    )


def _stop_switch() -> bool:
    return str(Variable.get(STOP_VARIABLE, default="")).strip().lower() in ("1", "true", "yes", "on", "stop")
