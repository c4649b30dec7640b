"""Write the cleanup tickets of the batches whose observation has ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator

from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.estimate import Estimate, estimate_points
from drawsguard.points.cleanup.result import STATES
from drawsguard.points.cleanup.ticket import TicketPlan, Unticketed
from drawsguard.points.cleanup.ticket_repository import DBA_WITHDRAWN, TicketRepository
from drawsguard.points.cleanup.ticket_workbook import EXECUTORS, workbook_name, write_tickets
from drawsguard.points.digest import digest_of
from drawsguard.points.downline.observe import RELEASED
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.policy import get_policy
from drawsguard.points.review.evidence import admitted_until
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from hooks import artifacts
from hooks.cleanup_databases import (
    awaited_environments,
    cleanup_folder,
    cleanup_repositories,
    held_points,
    missing_evidence,
    plan_batch,
    require_due,
    require_still_gone,
)
from hooks.redis_instance_hook import RedisInstanceHook
from notifiers.points_mail import send_mail
from notifiers.template_mail import run_url
from notifiers.told_once import tell_each, told_before

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The audit's events of a batch that has its tickets, and of one that has none, with the reason.
TICKETS_MADE, TICKETS_FAILED = "cleanup_tickets", "cleanup_tickets_failed"
#: Its name for the mail with the tickets.
LETTER = "cleanup tickets"
#: The audit's events after which the DBA was told to stop, or has to be told to go on.
_STOPPED = frozenset({DBA_WITHDRAWN, "restored", RELEASED})
#: When a mail is sent again although it says the same, while the batch waits for somebody: a week, whichever minute of
#: its day the daily run comes.
REMIND_AFTER = timedelta(days=6, hours=12)
#: Why points are on no ticket of the DBA while the newest usage is not known.
_UNKNOWN_USE = (
    "最近一日的使用数据缺失，暂不移交 DBA。The newest day's usage evidence is missing; not handed to the DBA before."
)


class CleanupTicketOperator(BaseOperator):
    """Make the tickets of every due batch, store them, and mail them as a workbook.

    Due is a batch that was downlined, whose observation has ended with the evidence of all its days, and that nothing
    halted. Making tickets again replaces those that are not finished; without a change, and with nothing to approve, it
    writes no workbook and sends no mail, but once a week while the batch waits for the DBA or for a decision. While the
    newest day's usage evidence is missing, nothing is handed to the DBA or asked about; the mail names the day.

    :param batch_id: make the tickets of this batch only, if it is due; empty for all.
    :returns: the ids of the pipeline's tickets that wait for approval or are not finished.
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> list[str]:
        """Return the tickets that need approval. A batch that fails keeps no other from its tickets and its cleanup.

        What failed is kept in the audit (`TICKETS_FAILED`), and fails the run in `CleanupTicketsMadeOperator`: if it
        failed here, the tickets that were made would not be executed.

        :raises RefusedError: when the batch that was asked for is not due.
        """
        with cleanup_repositories() as (store, _):
            self.log.info("%d expired samples removed.", store.expire_samples())
            due = store.due_batches(get_settings().business_timezone)
        if self.batch_id and self.batch_id not in due:
            raise RefusedError(
                f"Batch {self.batch_id!r} is not due for cleanup; due are {due}. A batch is due when it was "
                "downlined, its observation has ended, the usage evidence of all its days is there (points_observe "
                "names those that are missing), and it is neither halted nor cleaned."
            )
        run = context["dag_run"]
        made: list[str] = []
        for batch_id in [self.batch_id] if self.batch_id else due:
            try:
                with cleanup_repositories() as (store, repositories):
                    made += self._make(batch_id, store, repositories, run.run_id, run_url(run.dag_id, run.run_id))
            except Exception as error:
                if self.batch_id:
                    raise
                self.log.exception("Batch %s has no tickets", batch_id)
                with cleanup_repositories() as (_, repositories):
                    reason = f"{type(error).__name__}: {error}"
                    repositories.audit.note(batch_id, TICKETS_FAILED, "airflow", run_id=run.run_id, reason=reason)
        return made

    def _make(
        self, batch_id: str, store: TicketRepository, repositories: Repositories, run_id: str, url: str
    ) -> list[str]:
        batch = repositories.batches.get(batch_id)
        require_due(batch, store)
        plan = plan_batch(batch_id, store, repositories)
        unticketed = frozenset(point.eid for point in plan.unticketed)
        ahead = [] if plan.tickets else awaited_environments(batch_id, unticketed, repositories)
        held = [] if ahead else _by_reason(held_points(batch_id, plan, store, repositories))
        missing = missing_evidence(repositories)
        if missing:  # what the DBA has is left as it is, as far as it follows; nobody is handed or asked more
            theirs = {ticket.ticket_id for ticket in plan.tickets if ticket.executor == "dba"}
            handed = {ticket.ticket_id for ticket in store.tickets(batch_id) if ticket.state == "handed_over"}
            plan = plan.without(theirs - handed, _UNKNOWN_USE)
        estimates = self._estimate(plan)
        store.save_tickets(batch, plan, estimates)
        require_still_gone(batch_id, plan, store, repositories)
        tickets = store.tickets(batch_id)
        planned = {ticket.ticket_id for ticket in plan.tickets}  # what a sweep still holds may follow no more
        waiting = [
            ticket.ticket_id
            for ticket in tickets
            if not missing
            and ticket.ticket_id in planned
            and ticket.executor == "own"
            and ticket.state in ("open", "running", "incomplete")
        ]
        # Each run asks for its approvals again, and says so; what the DBA has in hand is said once.
        stopped = _stopped(repositories.audit.events(batch_id))
        news = [ahead, stopped, *(["evidence"] if missing else []), *held]  # not which day: it differs every day
        says = None if waiting else digest_of([*news, *([t.ticket_id, t.digest, t.state] for t in tickets)])
        open_ended = ahead or held or missing or any(ticket.state == "handed_over" for ticket in tickets)
        again_after = REMIND_AFTER if open_ended else None
        told = told_before(repositories.audit, batch_id, run_id, says)
        made: dict[str, Any] = {"tickets": {t.ticket_id: t.digest for t in tickets}, "unticketed": len(plan.unticketed)}
        with artifacts.drafts() as folder:
            workbook = folder / workbook_name(datetime.now(UTC).astimezone(ZoneInfo(get_settings().business_timezone)))
            if waiting or LETTER not in told_before(repositories.audit, batch_id, run_id, says, again_after):
                write_tickets(workbook, batch_id, plan, estimates)
                made["workbook"] = artifacts.store(workbook, cleanup_folder(batch_id))
            repositories.audit.note(batch_id, TICKETS_MADE, "airflow", run_id=run_id, **made)

            def send() -> None:
                send_mail(
                    get_settings().points_email,
                    "cleanup/tickets",
                    [workbook],
                    batch_id=batch_id,
                    tickets=tickets,
                    executors=EXECUTORS,
                    states=STATES,
                    unticketed=len(plan.unticketed),
                    ahead=ahead,
                    missing=missing,
                    held=held,
                    again=not waiting and LETTER in told,
                    until=admitted_until(batch.window_end, get_policy().evidence),
                    run_url=url,
                )

            store.require_handed_over(batch_id, tickets)  # writing the workbook takes a while, too
            tell_each(repositories.audit, batch_id, run_id, {LETTER: send}, says, again_after)
        for point in plan.unticketed:
            self.log.warning("Point %s (%s) has no ticket: %s", point.eid, point.cluster, point.reason)
        return waiting

    def _estimate(self, plan: TicketPlan) -> dict[int, Estimate]:
        """Estimate the pipeline's tickets, one sample of each instance for all of them."""
        totals: dict[int, Estimate] = {}
        own = [ticket for ticket in plan.tickets if ticket.executor == "own"]
        for name in sorted({instance for ticket in own for instance in ticket.instances}):
            structures = [s for ticket in own if name in ticket.instances for s in ticket.structures]
            found = estimate_points(structures, [RedisInstanceHook(name).get_instance()], get_config().estimate)
            for eid, estimate in found.items():
                totals[eid] = totals.get(eid, Estimate(0, 0, 0, 0)) + estimate
        return totals


def _by_reason(points: Sequence[Unticketed]) -> list[tuple[str, list[int]]]:
    """Return points by the reason why they have no ticket, most points first."""
    found: dict[str, list[int]] = defaultdict(list)
    for point in points:
        found[point.reason].append(point.eid)
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))


def _stopped(events: Sequence[Mapping[str, Any]]) -> int:
    """Return how often people were told that a batch's tickets do not hold: the same tickets are news after each."""
    return sum(event["event"] in _STOPPED for event in events)
