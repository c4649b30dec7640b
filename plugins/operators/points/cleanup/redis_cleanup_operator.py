"""Execute a cleanup ticket of the pipeline: ask another person first, then delete exactly what was approved."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.approvals.model import Action, Approved, Proposal
from drawsguard.approvals.rules import ApprovalRefusedError
from drawsguard.links import runbook_link
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.mysql_ledger import MySqlLedger
from drawsguard.points.cleanup.sweep import Sweep, SweepResult, SweepStoppedError
from drawsguard.points.cleanup.throttle import Throttle
from drawsguard.points.cleanup.ticket import Ticket
from drawsguard.points.cleanup.ticket_repository import StoredTicket, TicketRepository, TicketStateError
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.stop_switch import stops
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from hooks import cleanup_databases, points_databases
from hooks.approvals_database import approvals
from hooks.cleanup_databases import cleanup_folder, cleanup_repositories, plan_batch
from hooks.redis_instance_hook import RedisInstanceHook
from operators.approvals.approval_operator import ApprovalOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Airflow Variable that stops every sweep between two batches, unless it is empty or ``false``.
STOP_VARIABLE = "points_cleanup_stop"
#: How often a sweep looks at both environments and at the usage evidence (seconds).
LOOK_SECONDS = 30.0
#: How often it is planned again: points that came into service, evidence that was withdrawn (seconds). It reads every
#: live point of both environments.
PLAN_SECONDS = 600.0
#: Points listed on the approval page; all of them are in the workbook.
SHOWN_POINTS = 50


class RedisCleanupOperator(ApprovalOperator):
    """Wait for the approval of one ticket, then sweep its Redis instances.

    There is no way to the deletion but through an approval: of this ticket's digest, in this run, by an approver who
    neither confirmed the batch nor triggered the run. A retry in the same run goes on under the approval it was given,
    as long as the ticket is still the same.

    :param ticket_id: a ticket of the pipeline, as `CleanupTicketOperator` returns it.
    """

    template_fields: Collection[str] = ("ticket_id",)

    def __init__(self, *, ticket_id: str, **kwargs: Any) -> None:
        super().__init__(response_timeout=timedelta(hours=get_config().approval_hours), **kwargs)
        self.ticket_id = ticket_id

    def requester(self, context: Context) -> str:
        """Return who asked for it: who triggered the run; for a scheduled one, who confirmed the batch."""
        if str(getattr(context["dag_run"].run_type, "value", context["dag_run"].run_type)) != "scheduled":
            return super().requester(context)
        with cleanup_repositories() as (tickets, repositories):
            confirmed_by = repositories.batches.get(tickets.ticket(self.ticket_id).batch_id).confirmed_by
        if not confirmed_by:
            raise ApprovalRefusedError(
                f"Nobody is named who confirmed the batch of ticket {self.ticket_id}, so nobody can be told apart from "
                "the requester. Trigger points_cleanup in the UI as yourself."
            )
        return confirmed_by

    def propose(self, context: Context) -> Proposal:
        """Return the ticket as it follows from the points served now.

        :raises AirflowFailException: when it may not be executed.
        """
        requester = self.requester(context)
        with cleanup_repositories() as (tickets, repositories):
            stored = tickets.ticket(self.ticket_id)
            if stored.state == "done":
                return Proposal(Action.CLEANUP, stored.ticket_id, stored.digest, "done", "done", done=True)
            ticket = self._current(stored, tickets, repositories)
            confirmed_by = repositories.batches.get(stored.batch_id).confirmed_by
        body = render_template(
            "points/cleanup/approval.md",
            ticket=ticket,
            stored=stored,
            requester=requester,
            workbook=get_settings().artifact(cleanup_folder(ticket.batch_id)),
            shown=SHOWN_POINTS,
            runbook=runbook_link("points-cleanup", get_settings()),
            run_url=self.run_url(context),
        )
        return Proposal(
            action=Action.CLEANUP,
            subject=ticket.ticket_id,
            digest=ticket.digest,
            title=f"积分清理审批 points cleanup {ticket.ticket_id} ({ticket.digest[:12]})",
            body=body,
            excluded=frozenset([confirmed_by] if confirmed_by and confirmed_by != requester else []),
        )

    def nothing_to_ask(self, context: Context) -> Any:  # noqa: ARG002
        """Refuse: a ticket that is done is not executed again.

        :raises AirflowFailException: always.
        """
        raise RefusedError(f"Ticket {self.ticket_id} is done; only tickets that are not are executed.")

    def prepare(self, context: Context, proposal: Proposal) -> Ticket | None:  # noqa: ARG002
        """Return the ticket as it follows from the points served now; None for one that is done.

        :raises ApprovalRefusedError: when it is not the one that was approved; nothing was deleted.
        """
        if proposal.done:
            return None
        with cleanup_repositories() as (tickets, repositories):
            ticket = self._current(tickets.ticket(self.ticket_id), tickets, repositories)
        self.require_same(proposal, ticket.digest)
        return ticket

    def carry_out(
        self,
        context: Context,  # noqa: ARG002
        proposal: Proposal,  # noqa: ARG002
        approved: Approved,
        prepared: Ticket | None,
    ) -> dict[str, int]:
        """Sweep, and note the end; keys that are left, or a stop, fail the task after everything is recorded."""
        if prepared is None:
            with cleanup_repositories() as (tickets, _):
                return {"deleted": tickets.deleted(self.ticket_id), "wrong_type": 0}
        return self._sweep(prepared, approved)

    def _current(self, stored: StoredTicket, tickets: TicketRepository, repositories: Repositories) -> Ticket:
        """Return the ticket as it follows from the points served now; it must be the stored one."""
        batch = repositories.batches.get(stored.batch_id)
        if batch.halted_at is not None:
            raise RefusedError(
                f"Batch {batch.batch_id} was halted at {batch.halted_at} UTC: {batch.halted_reason}. Its data stays; "
                "restore the points with points_restore, or have the batch released with points_release."
            )
        if batch.observe_from is None or batch.batch_id not in tickets.due_batches(get_settings().business_timezone):
            raise RefusedError(
                f"Batch {batch.batch_id} is {batch.state} and observed until {batch.observe_until} UTC: it is not due "
                "for cleanup, or the usage evidence of its observed days is not all there (points_observe names those "
                "that are missing). Trigger points_cleanup again when it is."
            )
        # Asked here as well: the observation may have been paused, and its last day is not the day of the cleanup.
        cleanup_databases.require_no_use(repositories, batch.batch_id, batch.observe_from)
        cleanup_databases.require_evidence(repositories)
        if stored.executor != "own" or stored.state in ("done", "withdrawn"):
            raise RefusedError(
                f"Ticket {stored.ticket_id} is {stored.state} and its executor is {stored.executor}; only own tickets "
                "that are not finished are executed here."
            )
        try:
            ticket = plan_batch(stored.batch_id, tickets, repositories).ticket(stored.ticket_id)
        except ValueError as error:
            raise AirflowFailException(str(error)) from error
        if ticket.digest != stored.digest:
            raise RefusedError(
                f"Ticket {stored.ticket_id} was made with digest {stored.digest[:12]}, now it would have "
                f"{ticket.digest[:12]}: its points, patterns or the points served have changed. Trigger points_cleanup "
                "again: it rebuilds the tickets and asks about them."
            )
        return ticket

    # --- the deletion ---------------------------------------------------------------------------------
    def _sweep(self, ticket: Ticket, approved: Approved) -> dict[str, int]:
        config, approver = get_config(), approved.approver
        pace = config.sweep
        with (
            cleanup_repositories() as (tickets, repositories),
            points_databases.governance() as connection,
            approvals() as repository,
        ):
            repositories.audit.note(
                ticket.batch_id, "cleanup_started", approver, ticket=ticket.ticket_id, digest=ticket.digest
            )
            sweep = Sweep(
                ticket,
                [RedisInstanceHook(name).get_instance() for name in ticket.instances],
                MySqlLedger(connection, config.samples),
                pace,
                config.samples,
                throttle=Throttle(pace.keys_per_second, pace.deletes_per_second, pace.max_latency_ms),
                should_stop=_stop_switch,
                require_permit=lambda: permit(),
                report=lambda progress: self.log.info("Ticket %s: %s.", ticket.ticket_id, progress),
            )
            try:
                with tickets.execution(ticket, approved, repository) as require_held:
                    permit = _Permit(ticket, require_held, self._require_planned)
                    permit()
                    result = sweep.run()
                    _require_nothing_left(ticket, result)
            except (SweepStoppedError, TicketStateError) as error:
                raise AirflowFailException(str(error)) from error
            finally:
                self._note_end(ticket, approver)
        self.log.info("Ticket %s is done: %s.", ticket.ticket_id, sweep.progress)
        return {"deleted": sweep.progress.deleted, "wrong_type": sum(result.wrong_type.values())}

    def _require_planned(self) -> None:
        with cleanup_repositories() as (tickets, repositories):
            self._current(tickets.ticket(self.ticket_id), tickets, repositories)

    @staticmethod
    def _note_end(ticket: Ticket, approver: str) -> None:
        with cleanup_repositories() as (tickets, repositories):  # the sweep's connection may be lost
            deleted = tickets.deleted(ticket.ticket_id)
            state = tickets.ticket(ticket.ticket_id).state
            repositories.audit.note(
                ticket.batch_id, "cleanup_ended", approver, ticket=ticket.ticket_id, state=state, deleted=deleted
            )


@dataclass
class _Permit:
    """Whether a sweep may go on: its lock and its batch before each deletion, use, restores and the plan now and then.

    :param require_planned: raises when the ticket is not what would be planned now. It was planned just before.
    """

    ticket: Ticket
    require_held: Callable[[], None]
    require_planned: Callable[[], None]
    looked_at: float = float("-inf")
    planned_at: float = field(default_factory=time.monotonic)

    def __call__(self) -> None:
        """Raise when it may not.

        :raises TicketStateError: when the lock is lost, the batch was halted, a point is needed again, or the newest
            usage is not known.
        :raises RefusedError: when the ticket would be another now.
        """
        self.require_held()
        if time.monotonic() - self.looked_at < LOOK_SECONDS:
            return
        with cleanup_repositories() as (_, repositories):
            batch_id = self.ticket.batch_id
            points = frozenset(structure.eid for structure in self.ticket.structures)
            if kept := cleanup_databases.kept_points(batch_id, points, repositories):
                point = min(kept)
                raise TicketStateError(
                    f"{len(kept)} points of ticket {self.ticket.ticket_id} may no longer be cleaned, e.g. {point}: "
                    f"{kept[point]} The sweep ends here; trigger points_cleanup again, which rebuilds the tickets."
                )
            observed_from = repositories.batches.get(batch_id).observe_from
            if observed_from is not None:
                cleanup_databases.require_no_use(repositories, batch_id, observed_from)
            cleanup_databases.require_evidence(repositories)
        if time.monotonic() - self.planned_at >= PLAN_SECONDS:
            self.require_planned()
            self.planned_at = time.monotonic()
        self.looked_at = time.monotonic()


def _require_nothing_left(ticket: Ticket, result: SweepResult) -> None:
    if result.left:
        raise AirflowFailException(
            f"Ticket {ticket.ticket_id}: {sum(result.left.values())} keys or fields are left after the confirming "
            f"scan, by point: {result.left}. Somebody still writes to these points; find out who, then run "
            "points_cleanup again. Everything deleted is counted."
        )


def _stop_switch() -> bool:
    return stops(Variable.get(STOP_VARIABLE, default=""))
