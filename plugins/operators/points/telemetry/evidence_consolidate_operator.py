"""After a push: check the day's minutes, add the batch to the accumulated counts, delete old batches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.telemetry.config import Flow, points_config
from drawsguard.points.telemetry.consolidation import CheckCountError, check_minutes
from drawsguard.points.telemetry.day_plan import StatisticsWindow
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.push_guard import batch_id_of


class EvidenceConsolidateOperator(BaseOperator):
    """Consolidate a pushed batch.

    Batches of the daily flow are added to ``ads_evt_ops_status``, each once. Batches of the window flow are not:
    consecutive windows share all but one day, so adding them would count every use 180 times. Batches published more
    than a week ago are deleted from ``ads_evt_ops_status_ago`` for both flows.

    :param flow: the batch's flow (mapped or templated).
    :param window: the run's window as a dict of run_date, first and last, yyyy-MM-dd (templated).
    """

    template_fields: Sequence[str] = ("flow", "window")

    def __init__(
        self,
        *,
        flow: Flow,
        window: dict[str, str],
        mysql_conn_id: str = MySqlHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flow: Flow = flow
        self.window = window
        self.mysql_conn_id = mysql_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        del context
        config = points_config()
        batch_id = batch_id_of(self.flow, StatisticsWindow.parse(self.window))
        with closing(MySqlHook(self.mysql_conn_id).get_conn()) as mysql:
            store = EvidenceRepository(mysql)
            # Old batches are deleted first: a day that is refused below must not keep them.
            purged = store.purge(config.push.keep_days, batch_id)
            added = False
            if self.flow == "daily":
                try:
                    check_minutes(batch_id, store.check_count(batch_id), config.quality)
                except CheckCountError as refusal:
                    raise AirflowFailException(str(refusal)) from refusal
                added = store.consolidate(batch_id)
        self.log.info("Batch %s: %s; %d old row(s) deleted.", batch_id, "added" if added else "not added", purged)
        return {"batch_id": batch_id, "added": added, "purged_rows": purged}
