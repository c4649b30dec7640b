"""Whether a day's evidence is in MySQL, of every flow, whichever runs have pushed it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.points.telemetry.config import Flow
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.push_guard import batch_id_of
from hooks.statistics_window import window_of_run


class EvidencePushedOperator(BaseOperator):
    """Succeed when the ledger has a finished batch of each flow for the run's day; what the deadline waits for.

    A run that a late build has started, or a person for one flow, pushes a part of the day. Returns the batches' ids.

    :param flows: that are pushed each day.
    :raises AirflowSkipException: when one is not there yet.
    """

    template_fields: Sequence[str] = ()

    def __init__(
        self, *, flows: Sequence[Flow], mysql_conn_id: str = MySqlHook.default_conn_name, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.flows = tuple(flows)
        self.mysql_conn_id = mysql_conn_id

    def execute(self, context: Context) -> list[str]:
        wanted = [batch_id_of(flow, window_of_run(context, flow)) for flow in self.flows]
        with closing(MySqlHook(self.mysql_conn_id).get_conn()) as mysql:
            finished = {batch.batch_id for batch in EvidenceRepository(mysql).ledger() if batch.finished}
        if missing := [batch_id for batch_id in wanted if batch_id not in finished]:
            raise AirflowSkipException(f"Not in MySQL yet, or not counted: {', '.join(missing)}.")
        return wanted
