"""The guard before Hive is emptied, and the emptying."""

from __future__ import annotations

from airflow.sdk import Context

from drawsguard.points.telemetry.day_plan import StatisticsWindow
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.hive_source import HiveSource
from drawsguard.points.telemetry.push_guard import batch_id_of, decide_truncate
from operators.points.telemetry.evidence_guard_operator import EvidenceGuardOperator


class GuardedTruncateOperator(EvidenceGuardOperator):
    """Empty Hive when, and only when, both sides hold the same batch, built from the same window.

    Returns ``truncated`` or ``already completed``.
    """

    def _stage(self) -> str:
        return "after"

    def _guard(self, context: Context, source: HiveSource, store: EvidenceRepository, window: StatisticsWindow) -> str:
        batch_id = batch_id_of(self.flow, window)
        must = decide_truncate(
            self.flow,
            window,
            store.batch(batch_id),
            source.stamp(),
            source.facts(),
            store.batch_facts(batch_id),
        )
        if not must:
            return "already completed"
        store.require_held(self.flow)
        # From here on the batch is proven: a run that is killed between the two tables continues with the second.
        store.set_state(batch_id, "truncating")
        source.truncate()
        store.set_state(batch_id, "completed")
        store.log_decision(batch_id, context["run_id"], self._stage(), "truncate")
        return "truncated"
