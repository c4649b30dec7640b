"""Classify an environment's points by their use, keep the candidates as a batch, and write the review workbook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.evidence import EvidenceRefusedError
from drawsguard.points.lifecycle import CELL_OWNER
from drawsguard.points.rules import get_rules
from drawsguard.points.telemetry_config import points_config
from drawsguard.points.usage_report import make_report, tab_separated
from drawsguard.points.workbook import CLUSTER, TABLE, ReviewHead, ReviewRow, count_rows, write_review
from drawsguard.settings import get_settings
from operators import points_servers
from operators.points_approval_operator import as_environment
from operators.points_mail import owner_address, send_mail

#: Short enough for the names of backup tables.
BATCH_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,19}")

#: Lines of tab-separated text that go to the log; the file beside the workbook has them all.
_LOGGED_LINES = 20_000


class PointsUsageReportOperator(BaseOperator):
    """Make the usage report and return the batch id.

    :param environment: whose definitions are read (templated).
    :param batch_id: id of the new batch (templated); empty: the last day of the evidence.
    :param evidence_batch: evidence to read (templated); empty: the newest.
    """

    template_fields: Sequence[str] = ("environment", "batch_id", "evidence_batch")

    def __init__(self, *, environment: str, batch_id: str = "", evidence_batch: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment = environment
        self.batch_id = batch_id
        self.evidence_batch = evidence_batch

    def execute(self, context: Context) -> str:
        """Make the report.

        :raises AirflowFailException: when the evidence is refused, or the batch id cannot be used.
        """
        name = as_environment(self.environment)
        with points_servers.lifecycle() as lifecycle, points_servers.environment(name) as connection:
            today = points_servers.business_today()
            try:
                report = make_report(
                    lifecycle.connection, connection, get_rules(), points_config(), today, self.evidence_batch or None
                )
            except EvidenceRefusedError as refusal:
                raise AirflowFailException(str(refusal)) from refusal
            batch_id = self.batch_id or f"{report.window.last:%Y%m%d}"
            if not BATCH_PATTERN.fullmatch(batch_id):
                raise AirflowFailException(f"Batch id {batch_id!r} does not match {BATCH_PATTERN.pattern}.")
            digest = lifecycle.save_report(batch_id, name, report.window, report.rows)
            requester = context["dag_run"].triggering_user_name or "schedule"
            lifecycle.note(batch_id, "reported", requester, name, candidates=len(report.rows), digest=digest)
        folder = points_servers.artifacts(batch_id)
        head = ReviewHead(batch_id, digest, name, report.window, report.notes())
        write_review(folder / f"review-{batch_id}.xlsx", head, report.rows)
        (folder / f"review-{batch_id}.tsv").write_text("\n".join(tab_separated(report.rows)) + "\n", encoding="utf-8")
        self.log.info(
            "Batch %s, digest %s\n%s", batch_id, digest, "\n".join(islice(tab_separated(report.rows), _LOGGED_LINES))
        )
        return batch_id


class PointsReportMailOperator(BaseOperator):
    """Mail the review workbook to the team, and to each owner the list of their points.

    :param batch_id: the batch (templated).
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, int]:  # noqa: ARG002
        """Send the mails; returns the number of points of each owner."""
        with points_servers.lifecycle() as lifecycle:
            batch = lifecycle.batch(self.batch_id)
            rows = [ReviewRow(c.point_class, c.evidence) for c in lifecycle.candidates(self.batch_id)]
        owners: dict[str, list[ReviewRow]] = {}
        for row in rows:
            owners.setdefault(str(row.cells[CELL_OWNER]), []).append(row)
        folder = points_servers.artifacts(self.batch_id)
        send_mail(
            get_settings().points_email,
            "usage_report",
            [folder / f"review-{self.batch_id}.xlsx"],
            batch=batch,
            total=len(rows),
            clusters=count_rows(rows, CLUSTER),
            tables=count_rows(rows, TABLE),
            ownerless=len(owners.get("", [])),
        )
        for owner, mine in sorted(owners.items()):
            send_mail(owner_address(owner), "owner_list", batch=batch, owner=owner, rows=mine)
            self.log.info("Told %s of %s points", owner or "the team (points without an owner)", len(mine))
        return {owner: len(mine) for owner, mine in owners.items()}
