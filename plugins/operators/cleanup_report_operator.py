"""Report what cleanup did: 积分清理结果."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from drawsguard.points.cleanup.result import STATES, CleanupResult, write_result
from drawsguard.points.cleanup.store import CleanupStore
from drawsguard.points.lifecycle import Lifecycle
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from notifiers.template_mail import run_url
from operators.cleanup_desk import cleanup_folder, desk
from operators.dba_ticket_operator import DBA_DONE
from operators.points_mail import send_mail

if TYPE_CHECKING:
    from airflow.sdk import Context


class CleanupReportOperator(BaseOperator):
    """Write and mail the result of every batch that this run made tickets for, whatever became of them.

    A batch is closed when its own tickets are done and the others are handed over.

    :param batch_id: report this batch only; empty for all that are due.
    :returns: per batch, whether it was closed, and keys deleted and left.
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, dict[str, int | bool]]:
        """Report each batch."""
        run = context["dag_run"]
        url = run_url(run.dag_id, run.run_id)
        with desk() as (store, lifecycle):
            due = [self.batch_id] if self.batch_id else [batch_id for batch_id, _ in store.due_batches()]
            return {batch_id: self._report(batch_id, store, lifecycle, url) for batch_id in due}

    def _report(self, batch_id: str, store: CleanupStore, lifecycle: Lifecycle, url: str) -> dict[str, int | bool]:
        closed = store.close_batch(batch_id)
        result = CleanupResult(batch_id, store.tickets(batch_id), store.results(batch_id), store.memory(batch_id))
        folder = cleanup_folder(batch_id)
        workbook, markdown = folder / f"积分清理结果-{batch_id}.xlsx", folder / f"积分清理结果-{batch_id}.md"
        write_result(workbook, result)
        approvals = [approval for approval in lifecycle.approvals(batch_id) if approval["action"] == "cleanup"]
        events = lifecycle.events(batch_id)
        text = render_template(
            "cleanup/result.md",
            result=result,
            approvals=approvals,
            events=len(events),
            dba_done=[event for event in events if event["event"] == DBA_DONE],
            states=STATES,
            run_url=url,
        )
        markdown.write_text(text, encoding="utf-8")
        send_mail(get_settings().points_email, "cleanup_result", [workbook, markdown], result=result, run_url=url)
        lifecycle.note(batch_id, "cleanup_reported", "airflow", deleted=result.deleted, left=result.left, closed=closed)
        return {"closed": closed, "deleted": result.deleted, "left": result.left}
