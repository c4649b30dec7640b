"""Classify an environment's points by their use, store the candidates as a batch, and write the review workbook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.environments import as_environment
from drawsguard.points.policy import get_policy
from drawsguard.points.review.evidence import EvidenceRefusedError
from drawsguard.points.review.usage_report import make_report, tab_separated
from drawsguard.points.review.workbook import ReviewHead, write_review
from drawsguard.points.telemetry.config import points_config
from drawsguard.refusal import RefusedError
from hooks import artifacts, points_databases

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
        with points_databases.repositories() as repositories, points_databases.environment(name) as connection:
            today = points_databases.business_today()
            try:
                report = make_report(
                    repositories.connection,
                    connection,
                    points_databases.members_of_tags(),
                    get_policy(),
                    points_config(),
                    today,
                    self.evidence_batch or None,
                )
            except EvidenceRefusedError as refusal:
                raise AirflowFailException(str(refusal)) from refusal
            batch_id = self.batch_id or f"{report.window.last:%Y%m%d}"
            if not BATCH_PATTERN.fullmatch(batch_id):
                raise RefusedError(f"Batch id {batch_id!r} does not match {BATCH_PATTERN.pattern}.")
            digest = repositories.batches.save_report(batch_id, name, report.window, report.rows)
            requester = context["dag_run"].triggering_user_name or "schedule"
            repositories.audit.note(batch_id, "reported", requester, name, candidates=len(report.rows), digest=digest)
        head = ReviewHead(batch_id, digest, name, report.window, report.notes())
        with artifacts.drafts() as folder:
            workbook, text = folder / f"review-{batch_id}.xlsx", folder / f"review-{batch_id}.tsv"
            write_review(workbook, head, report.rows)
            text.write_text("\n".join(tab_separated(report.rows)) + "\n", encoding="utf-8")
            for file in (workbook, text):
                artifacts.store(file, batch_id)
        self.log.info(
            "Batch %s, digest %s\n%s", batch_id, digest, "\n".join(islice(tab_separated(report.rows), _LOGGED_LINES))
        )
        return batch_id
