"""Mail the usage report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException

from drawsguard.points.review.batch_repository import CELL_OWNER, Batch
from drawsguard.points.review.workbook import CLUSTER, TABLE, ReviewRow, count_rows
from drawsguard.settings import get_settings
from hooks import points_databases
from notifiers.points_mail import owner_address, send_each, send_mail

#: The audit's event of a mail that was sent.
MAILED = "mailed"


class PointsReportMailOperator(BaseOperator):
    """Mail the review workbook to the team, and to each owner the list of their points; in one run, each once.

    :param batch_id: the batch (templated).
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, int]:
        """Send the mails; returns the number of points of each owner.

        :raises AirflowException: after all mails, when some were refused. A retry sends only those.
        """
        with points_databases.repositories() as repositories:
            batch = repositories.batches.get(self.batch_id)
            rows = [ReviewRow(c.point_class, c.evidence) for c in repositories.batches.candidates(self.batch_id)]
            owners: dict[str, list[ReviewRow]] = {}
            for row in rows:
                owners.setdefault(str(row.cells[CELL_OWNER]), []).append(row)
            place = {"run_id": context["run_id"], "digest": batch.digest}
            events = repositories.audit.events(self.batch_id)
            sent = {e["detail"]["to"] for e in events if e["event"] == MAILED and place.items() <= e["detail"].items()}

            def once(to: str, send: Callable[[], None]) -> tuple[str, Callable[[], None]]:
                def send_and_note() -> None:
                    if to not in sent:
                        send()
                        repositories.audit.note(self.batch_id, MAILED, "airflow", to=to, **place)

                return to, send_and_note

            mails = [once("the team, with the workbook", partial(self._mail_team, batch, rows, owners.get("", [])))]
            for owner, mine in sorted(owners.items()):
                to = f"owner {owner}" if owner else "the team (points without an owner)"
                mails.append(once(to, partial(self._mail_owner, batch, owner, mine)))
            failures = send_each(mails)
        if failures:
            raise AirflowException(
                f"{len(failures)} of {len(mails)} mails of batch {self.batch_id} were not sent: {failures[:20]}. The "
                "others were, and a retry or a clear of this task sends only these. Correct the addresses "
                "(points_owner_address, points_email) or the mail server, then clear this task."
            )
        return {owner: len(mine) for owner, mine in owners.items()}

    def _mail_team(self, batch: Batch, rows: list[ReviewRow], ownerless: list[ReviewRow]) -> None:
        send_mail(
            get_settings().points_email,
            "review/usage_report",
            [points_databases.artifacts(self.batch_id) / f"review-{self.batch_id}.xlsx"],
            batch=batch,
            total=len(rows),
            clusters=count_rows(rows, CLUSTER),
            tables=count_rows(rows, TABLE),
            ownerless=len(ownerless),
        )

    def _mail_owner(self, batch: Batch, owner: str, rows: list[ReviewRow]) -> None:
        send_mail(owner_address(owner), "review/owner_list", batch=batch, owner=owner, rows=rows)
        self.log.info("Mailed %s about %s points", owner or "the team (points without an owner)", len(rows))
