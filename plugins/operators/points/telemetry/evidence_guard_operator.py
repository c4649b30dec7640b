"""What the steps of the push of usage evidence share: both sides opened and locked, and a refusal recorded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.telemetry.config import Flow
from drawsguard.points.telemetry.day_plan import StatisticsWindow
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.hive_source import HiveSource
from drawsguard.points.telemetry.push_guard import PushRefusedError, batch_id_of
from drawsguard.refusal import RefusedError


class EvidenceGuardOperator(BaseOperator):
    """What the steps share. Each holds the flow's lock, and proves for itself which build Hive holds.

    :param flow: the batch's flow (mapped or templated).
    :param window: the run's window as a dict of run_date, first and last, yyyy-MM-dd (templated).
    """

    template_fields: Sequence[str] = ("flow", "window")
    #: What a refusal means to the person who asked, if one did.
    failure: type[AirflowFailException | RefusedError] = AirflowFailException
    #: Whether the step loads rows into MySQL.
    local_infile = False

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

    def execute(self, context: Context) -> Any:
        """Take the step under the flow's lock.

        :raises EvidenceLockedError: when the flow is being built or pushed by another task.
        """
        window = StatisticsWindow.parse(self.window)
        with (
            closing(HiveServer2Hook(self.hiveserver2_conn_id).get_conn()) as hive,
            closing(MySqlHook(self.mysql_conn_id, local_infile=self.local_infile).get_conn()) as mysql,
        ):
            store = EvidenceRepository(mysql)
            batch_id = batch_id_of(self.flow, window)
            try:
                with store.locked(self.flow):
                    return self._guard(context, HiveSource(hive, self.flow), store, window)
            except PushRefusedError as refusal:
                store.log_decision(
                    batch_id, context["run_id"], self._stage(), "refused", refusal.code, str(refusal),
                    started_by=context["dag_run"].triggering_user_name,
                )  # fmt: skip
                raise self.failure(f"P1 The push of batch {batch_id} is refused. {refusal}") from refusal

    def _stage(self) -> str:
        raise NotImplementedError

    def _guard(self, context: Context, source: HiveSource, store: EvidenceRepository, window: StatisticsWindow) -> Any:
        raise NotImplementedError
