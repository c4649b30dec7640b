"""Close a ticket that the DBA has executed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.cleanup.ticket_repository import TicketStateError
from drawsguard.points.review.batch_repository import BatchStateError
from hooks.cleanup_databases import cleanup_repositories, require_dba_may_have

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The audit's events: done, which the result report reads, and refused, with what the person said was deleted.
DBA_DONE, DBA_REFUSED = "dba_ticket_done", "dba_ticket_refused"


class DbaTicketDoneOperator(BaseOperator):
    """Record, on a person's confirmation, that a DBA ticket is done, who confirmed it and what was found.

    :param ticket_id: the ticket (templated).
    :param note: what was deleted, and how that was checked (templated).
    :returns: the ticket's batch.
    """

    template_fields: Sequence[str] = ("ticket_id", "note")

    def __init__(self, *, ticket_id: str, note: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ticket_id = ticket_id
        self.note = note

    def execute(self, context: Context) -> str:
        """Close the ticket, if its points may be cleaned as things are now. A refusal is kept, with the note.

        :raises AirflowFailException: when the run has no user, the ticket is not known or not in the DBA's hands, or
            its batch is halted, not due or in use.
        """
        run = context["dag_run"]
        person = run.triggering_user_name
        if not person:
            raise AirflowFailException(
                "This run has no user, and somebody has to be accountable for a closed ticket. Trigger the DAG in the "
                "UI or the REST API as yourself."
            )
        with cleanup_repositories() as (tickets, repositories):
            try:
                batch_id = tickets.ticket(self.ticket_id).batch_id
            except TicketStateError as error:
                raise AirflowFailException(str(error)) from error
            if self._was_closed_in(run.run_id, repositories.audit.events(batch_id)):
                return batch_id  # killed after that: the report is still to come
            try:
                require_dba_may_have(self.ticket_id, tickets, repositories)
                tickets.finish_handed_over(self.ticket_id, DBA_DONE, person, note=self.note, run_id=run.run_id)
            except (TicketStateError, BatchStateError) as error:
                values = {"ticket": self.ticket_id, "note": self.note, "reason": str(error), "run_id": run.run_id}
                repositories.audit.note(batch_id, DBA_REFUSED, person, "redis", **values)
                raise AirflowFailException(
                    f"{error} If the DBA has run commands of it already, tell the points team: what was deleted is "
                    "gone, and the note of this run is in the audit."
                ) from error
        return batch_id

    def _was_closed_in(self, run_id: str, events: Iterable[Mapping[str, Any]]) -> bool:
        own = {"ticket": self.ticket_id, "run_id": run_id}
        return any(event["event"] == DBA_DONE and own.items() <= event["detail"].items() for event in events)
