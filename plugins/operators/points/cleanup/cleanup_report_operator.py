"""Report the result of the cleanup: 积分清理结果."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from drawsguard.approvals.model import ANSWERS, Action
from drawsguard.points.cleanup.result import OUTCOMES, STATES, CleanupResult, write_result
from drawsguard.points.cleanup.ticket_repository import TicketRepository
from drawsguard.points.digest import digest_of
from drawsguard.points.downline.repositories import Repositories
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from hooks import artifacts, cleanup_databases
from hooks.approvals_database import approvals
from hooks.cleanup_databases import cleanup_folder, cleanup_repositories
from notifiers.points_mail import send_mail
from notifiers.template_mail import run_url
from notifiers.told_once import tell_each
from operators.points.cleanup.cleanup_ticket_operator import TICKETS_MADE
from operators.points.cleanup.dba_ticket_operator import DBA_DONE

if TYPE_CHECKING:
    from airflow.sdk import Context


class CleanupReportOperator(BaseOperator):
    """Write the result of every batch that this run made tickets for, whatever their outcome, and mail what is new.

    A batch is closed when it is due and each of its points is on a ticket that is done, the DBA's included, or gets
    none for a reason that does not pass: it was restored, somebody else changed it, no route fits it.

    :param batch_id: report this batch only; empty for all that this run made tickets for, halted since or not.
    :returns: per batch, whether it was closed, and keys deleted and left.
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, dict[str, int | bool]]:
        """Report each batch; one that fails keeps no other.

        :raises AirflowException: after all, when some could not be reported.
        """
        run = context["dag_run"]
        url = run_url(run.dag_id, run.run_id)
        found: dict[str, dict[str, int | bool]] = {}
        failures = []
        with cleanup_repositories() as (_, repositories):
            batches = [self.batch_id] if self.batch_id else _with_tickets_of(run.run_id, repositories)
        for batch_id in batches:
            try:
                with cleanup_repositories() as (tickets, repositories):  # its own: what broke one keeps no other
                    found[batch_id] = self._report(batch_id, tickets, repositories, run.run_id, url)
            except Exception as error:
                self.log.exception("Batch %s could not be reported", batch_id)
                failures.append(f"{batch_id}: {type(error).__name__}: {error}")
        if failures:
            raise AirflowException(f"{len(failures)} batches could not be reported, the others were: {failures}")
        return found

    def _report(
        self, batch_id: str, tickets: TicketRepository, repositories: Repositories, run_id: str, url: str
    ) -> dict[str, int | bool]:
        points = tickets.results(batch_id)
        without = frozenset(point.point_id for point in points if point.ticket_id is None)
        result = CleanupResult(
            batch_id,
            tickets.tickets(batch_id),
            points,
            tickets.memory(batch_id),
            cleanup_databases.given_up_points(batch_id, without, repositories),
            cleanup_databases.split_points(batch_id, without),
        )
        with approvals() as repository:
            answers = [e for e in repository.of_batch(batch_id) if e.action == Action.CLEANUP and e.kind in ANSWERS]
        events = repositories.audit.events(batch_id)
        text = render_template(
            "points/cleanup/result.md",
            result=result,
            approvals=answers,
            events=len(events),
            dba_done=[event for event in events if event["event"] == DBA_DONE],
            states=STATES,
            outcomes=OUTCOMES,
            run_url=url,
        )
        with artifacts.drafts() as folder:
            files = [folder / f"积分清理结果-{batch_id}.xlsx", folder / f"积分清理结果-{batch_id}.md"]
            write_result(files[0], result)
            files[1].write_text(text, encoding="utf-8")
            for file in files:
                artifacts.store(file, cleanup_folder(batch_id))

            def send() -> None:
                send_mail(
                    get_settings().points_email,
                    "cleanup/result",
                    files,
                    result=result,
                    states=STATES,
                    outcomes=OUTCOMES,
                    run_url=url,
                )

            # Not the points' reasons and estimates: they differ from day to day while nothing happens.
            counts = [list(vars(cluster).values()) for cluster in result.clusters]
            rest = [result.outcome, sorted(result.given_up), sorted(result.split)]
            says = digest_of([counts, rest, *([t.ticket_id, t.digest, t.state] for t in result.tickets)])
            tell_each(repositories.audit, batch_id, run_id, {"cleanup result": send}, says)
        # After the mail: what is closed is not reported again.
        closed = tickets.close_batch(
            batch_id,
            get_settings().business_timezone,
            lambda: cleanup_databases.is_settled(batch_id, tickets, repositories),
        )
        repositories.audit.note(
            batch_id, "cleanup_reported", "airflow", deleted=result.deleted, left=result.left, closed=closed
        )
        return {"closed": closed, "deleted": result.deleted, "left": result.left}


def _with_tickets_of(run_id: str, repositories: Repositories) -> list[str]:
    """Return the batches that a run made tickets for, and that are not cleaned yet: halted ones have results, too."""
    return [
        batch.batch_id
        for batch in repositories.observations.observed()
        if any(
            event["event"] == TICKETS_MADE and event["detail"].get("run_id") == run_id
            for event in repositories.audit.events(batch.batch_id)
        )
    ]
