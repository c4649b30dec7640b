"""The steps of a downline that only read and remember: the confirmed workbook, the plan, and the verification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.confirmed import WorkbookRefusedError, read_confirmed
from drawsguard.points.definitions import DefinitionError
from drawsguard.points.evidence import EvidenceRefusedError
from drawsguard.points.execution import verify_downline
from drawsguard.points.journal import Journal
from drawsguard.points.lifecycle import LifecycleError
from drawsguard.points.plan import PlanRefusedError, count
from drawsguard.points.report import downline_report, plan_lines, write_result
from drawsguard.points.review import Decision
from drawsguard.points.rules import get_rules
from drawsguard.settings import get_settings
from operators import points_servers
from operators.points_approval_operator import as_environment
from operators.points_mail import send_mail


class PointsConfirmOperator(BaseOperator):
    """Read the confirmed workbook, keep its decisions, and return its batch id.

    :param workbook: file name below the artifact folder (templated).
    """

    template_fields: Sequence[str] = ("workbook",)

    def __init__(self, *, workbook: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workbook = workbook

    def execute(self, context: Context) -> str:
        """Read the workbook.

        :raises AirflowFailException: naming sheet, row and reason of every refusal.
        """
        path = self._path()
        requester = context["dag_run"].triggering_user_name or ""
        with points_servers.lifecycle() as lifecycle:
            try:
                batch_id, decisions = read_confirmed(path, lifecycle.known_batch)
                lifecycle.save_decisions(batch_id, decisions, requester)
            except (WorkbookRefusedError, LifecycleError) as refusal:
                raise AirflowFailException(str(refusal)) from refusal
            downline = sum(decision.decision is Decision.DOWNLINE for decision in decisions.values())
            lifecycle.note(batch_id, "confirmed", requester, workbook=path.name, downline=downline)
        self.log.info("Batch %s: %s of %s candidates go offline", batch_id, downline, len(decisions))
        return batch_id

    def _path(self) -> Path:
        folder = get_settings().points_artifact_dir.resolve()
        path = (folder / self.workbook).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise AirflowFailException(f"There is no workbook {self.workbook!r} in the artifact folder {folder}.")
        return path


class PointsPlanOperator(BaseOperator):
    """Make the plan of a batch in an environment, keep and show it; nothing is changed. Returns digest and counts.

    :param batch_id: the batch (templated).
    :param environment: intranet or extranet.
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, environment: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan.

        :raises AirflowFailException: when no plan may be made; the message says what to do.
        """
        name = as_environment(self.environment)
        with points_servers.lifecycle() as lifecycle:
            planner = points_servers.planner(lifecycle)
            try:
                if name == "intranet":
                    planner.refuse_second_run(self.batch_id)
                plan = planner.plan(self.batch_id, name).plan
            except (PlanRefusedError, EvidenceRefusedError, LifecycleError, DefinitionError) as refusal:
                raise AirflowFailException(str(refusal)) from refusal
            lifecycle.save_plan(plan)
            requester = context["dag_run"].triggering_user_name or ""
            lifecycle.note(self.batch_id, "planned", requester, name, digest=plan.digest, rows=len(plan.rows))
        self.log.info("Plan %s\n%s", plan.digest, "\n".join(plan_lines(plan)))
        return {"digest": plan.digest, "rows": len(plan.rows), "counts": plan.counts()}


class PointsVerifyOperator(BaseOperator):
    """Compare an environment with the batch's journal, and start the observation. Returns the counts.

    :param batch_id: the batch (templated).
    :param environment: intranet or extranet.
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, environment: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Verify.

        :raises AirflowFailException: when rows are not as planned, e.g. because the task before was only marked.
        """
        name = as_environment(self.environment)
        with points_servers.lifecycle() as lifecycle, points_servers.environment(name) as connection:
            journal = Journal(connection, self.batch_id, name)
            verification = verify_downline(connection, journal)
            lifecycle.copy_journal(self.batch_id, name, journal.entries())
            planner = points_servers.planner(lifecycle)
            waiting = planner.waiting(planner.plan(self.batch_id, name).plan)
            if verification.wrong or waiting:
                raise AirflowFailException(
                    f"Batch {self.batch_id} on the {name}: {len(waiting)} planned rows were not changed, "
                    f"{len(verification.wrong)} changed rows are not as planned: {list(verification.wrong[:10])}. "
                    "Clear the downline task to continue, or run points_restore to undo."
                )
            counts = count(verification.changed)
            lifecycle.start_observation(self.batch_id, get_rules().observe.days)
            lifecycle.note(self.batch_id, "verified", "airflow", name, counts=counts)
        return counts


class PointsDownlineReportOperator(BaseOperator):
    """Write the batch's result workbook and audit file, log them as tab-separated text, and mail them.

    :param batch_id: the batch (templated).
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Report, and return the counts of both environments."""
        folder = points_servers.artifacts(self.batch_id)
        with points_servers.lifecycle() as lifecycle:
            report = downline_report(lifecycle, points_servers.environment, self.batch_id)
            lifecycle.note(self.batch_id, "report_sent", "airflow", counts=report.counts)
        workbook, audit = write_result(folder, report)
        self.log.info("Result of batch %s\n%s", self.batch_id, "\n".join(report.lines()))
        send_mail(get_settings().points_email, "downline_report", [workbook, audit], report=report)
        return report.counts
