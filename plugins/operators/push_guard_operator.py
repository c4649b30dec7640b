"""The truncate guard around the push of usage evidence: before it, and before Hive is emptied."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.day_plan import StatisticsWindow
from drawsguard.points.evidence_store import EvidenceStore
from drawsguard.points.hive_source import HiveSource
from drawsguard.points.push_guard import (
    PushRefusedError,
    Situation,
    batch_id_of,
    decide_before,
    decide_truncate,
)
from drawsguard.points.telemetry_config import Flow, points_config


class _GuardOperator(BaseOperator):
    """What both guards share.

    :param flow: whose batch it is (mapped or templated).
    :param window: the run's window as a dict of run_date, first and last, yyyy-MM-dd (templated).
    """

    template_fields: Sequence[str] = ("flow", "window")

    def __init__(
        self,
        *,
        flow: Flow,
        window: dict[str, str],
        hiveserver2_conn_id: str = HiveServer2Hook.default_conn_name,
        mysql_conn_id: str = MySqlHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flow: Flow = flow
        self.window = window
        self.hiveserver2_conn_id = hiveserver2_conn_id
        self.mysql_conn_id = mysql_conn_id

    def execute(self, context: Context) -> str:
        window = StatisticsWindow.parse(self.window)
        with (
            closing(HiveServer2Hook(self.hiveserver2_conn_id).get_conn()) as hive,
            closing(MySqlHook(self.mysql_conn_id).get_conn()) as mysql,
        ):
            store = EvidenceStore(mysql)
            batch_id = batch_id_of(self.flow, window)
            try:
                return self._guard(context, HiveSource(hive, self.flow), store, window)
            except PushRefusedError as refusal:
                store.log_decision(
                    batch_id, context["run_id"], self._stage(), "refused", refusal.code, str(refusal),
                    started_by=context["dag_run"].triggering_user_name,
                )  # fmt: skip
                raise AirflowFailException(f"P1 The push of batch {batch_id} is refused. {refusal}") from refusal

    def _stage(self) -> str:
        raise NotImplementedError

    def _guard(self, context: Context, source: HiveSource, store: EvidenceStore, window: StatisticsWindow) -> str:
        raise NotImplementedError


class PushGuardOperator(_GuardOperator):
    """Refuse a push that would lose, double or misdate evidence. Returns ``push`` or ``resume``.

    :param size_overrule_reason: why an operator accepts a size outside the limits (templated); empty for none.
    """

    template_fields: Sequence[str] = (*_GuardOperator.template_fields, "size_overrule_reason")

    def __init__(self, *, size_overrule_reason: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size_overrule_reason = size_overrule_reason

    def _stage(self) -> str:
        return "before"

    def _guard(self, context: Context, source: HiveSource, store: EvidenceStore, window: StatisticsWindow) -> str:
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
        decision = decide_before(situation, points_config().push, self.size_overrule_reason)
        store.log_decision(
            situation.batch_id,
            context["run_id"],
            self._stage(),
            decision.action,
            decision.overruled_code,
            decision.message,
            self.size_overrule_reason.strip() if decision.overruled_code else None,
            context["dag_run"].triggering_user_name,
        )
        if decision.overruled_code:
            self.log.warning("Size limit overruled (%s): %s", self.size_overrule_reason, decision.message)
        return decision.action


class GuardedTruncateOperator(_GuardOperator):
    """Empty Hive when, and only when, both sides hold the same batch.

    Returns ``truncated`` or ``already completed``.
    """

    def _stage(self) -> str:
        return "after"

    def _guard(self, context: Context, source: HiveSource, store: EvidenceStore, window: StatisticsWindow) -> str:
        batch_id = batch_id_of(self.flow, window)
        must = decide_truncate(store.batch(batch_id), source.facts(), store.batch_facts(batch_id), batch_id)
        if not must:
            return "already completed"
        # From here on the batch is proven: a run that is killed between the two tables goes on with the second.
        store.set_state(batch_id, "truncating")
        source.truncate()
        store.set_state(batch_id, "completed")
        store.log_decision(batch_id, context["run_id"], self._stage(), "truncate")
        return "truncated"
