"""The guard before usage evidence is pushed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.override import OverrideRefusedError, check_override
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_plan import StatisticsWindow
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.hive_source import HiveSource, KeptFilesError
from drawsguard.points.telemetry.push_guard import PushRefusedError, Situation, decide_before
from drawsguard.refusal import RefusedError
from operators.points.telemetry.evidence_guard_operator import EvidenceGuardOperator
from operators.points.telemetry.push_plan_operator import asked_for_by_nobody


class PushGuardOperator(EvidenceGuardOperator):
    """Refuse a push that would lose, duplicate or misdate evidence. Returns ``push`` or ``resume``.

    In a run of the schedule or of a build, what has been pushed already is skipped: nobody asked for it again.

    :param size_overrule_reason: why an operator accepts a size outside the limits (templated); empty for none.
    """

    template_fields: Sequence[str] = (*EvidenceGuardOperator.template_fields, "size_overrule_reason")
    failure = RefusedError  # nothing was pushed yet; the refusal of the truncate is an alert in any run

    def __init__(self, *, size_overrule_reason: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size_overrule_reason = size_overrule_reason

    def _stage(self) -> str:
        return "before"

    def _guard(self, context: Context, source: HiveSource, store: EvidenceRepository, window: StatisticsWindow) -> str:
        try:
            source.refuse_kept_files()
        except KeptFilesError as error:
            raise PushRefusedError("keeps_files", str(error)) from error
        situation = Situation(
            flow=self.flow,
            window=window,
            source=source.facts(),
            stamp=source.stamp(),
            ledger=store.ledger(),
            stored=store.stored(),
            source_columns=source.columns(),
            target_columns=store.columns(),
        )
        try:
            decision = decide_before(situation, points_config().push, self.size_overrule_reason)
        except PushRefusedError as refusal:
            if refusal.code == "already_pushed" and asked_for_by_nobody(context):
                raise AirflowSkipException(f"Nothing to push. {refusal}") from refusal
            raise
        person = context["dag_run"].triggering_user_name
        if decision.overruled_code:
            try:
                check_override("Overruling the size limit", self.size_overrule_reason, context["dag_run"])
            except OverrideRefusedError as error:
                raise PushRefusedError(decision.overruled_code, f"{decision.message} {error}") from error
        store.log_decision(
            situation.batch_id,
            context["run_id"],
            self._stage(),
            decision.action,
            decision.overruled_code,
            decision.message,
            self.size_overrule_reason.strip() if decision.overruled_code else None,
            person,
        )
        if decision.overruled_code:
            self.log.warning("Size limit overruled (%s): %s", self.size_overrule_reason, decision.message)
        return decision.action
