"""Build a flow's usage in Hive and stamp it: the stamp is off while it is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk import BaseOperator, Context

from drawsguard.points.telemetry.config import Flow
from drawsguard.points.telemetry.day_plan import StatisticsWindow
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.hive_source import NO_WINDOW, run
from drawsguard.points.telemetry.push_guard import batch_id_of


class HiveBuildOperator(BaseOperator):
    """Replace a flow's part of ``cma.ads_evt_ops_status`` and its stamp, under the lock that the push of it holds.

    The stamp says which window the rows are from. It goes first and comes back last, so that a build that broke off
    is never pushed. The days that the rows rest on are recorded with it, and the push takes these and no newer ones.
    Returns flow, run_date, first and last as texts; the same is with the events of its outlets.

    :param flow: whose part is built.
    :param window: the run's window as texts (templated).
    :param file: what builds it, below ``include/sql/hive``.
    :param parameters: what the file names besides ``first`` and ``last`` (templated).
    """

    template_fields: Sequence[str] = ("window", "parameters")

    def __init__(
        self,
        *,
        flow: Flow,
        window: Mapping[str, str],
        file: str,
        parameters: Mapping[str, Any] | None = None,
        hiveserver2_conn_id: str = HiveServer2Hook.default_conn_name,
        mysql_conn_id: str = MySqlHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flow: Flow = flow
        self.window = window
        self.file = file
        self.parameters = parameters or {}
        self.hiveserver2_conn_id = hiveserver2_conn_id
        self.mysql_conn_id = mysql_conn_id

    def execute(self, context: Context) -> dict[str, str]:
        """Build and stamp.

        :raises EvidenceLockedError: when the flow is being pushed or built, or the lock was lost while Hive worked: the
            rows carry no stamp then.
        """
        window = StatisticsWindow.parse(self.window)
        built = {"flow": self.flow, **window.texts()}
        values = {**built, **self.parameters}
        with (
            closing(HiveServer2Hook(self.hiveserver2_conn_id).get_conn()) as hive,
            closing(MySqlHook(self.mysql_conn_id).get_conn()) as mysql,
        ):
            store = EvidenceRepository(mysql)
            with store.locked(self.flow):
                run(hive, "telemetry/push/stamp_build.sql", values | NO_WINDOW)
                before = store.days(self.flow, window)
                run(hive, self.file, values)
                # A day that was checked again while Hive summed may be in the rows or not: only what both saw counts.
                after = store.days(self.flow, window)
                days = {day: min(before[day], after[day]) for day in sorted(before.keys() & after.keys())}
                store.require_held(self.flow)
                person = context["dag_run"].triggering_user_name
                store.record_build(batch_id_of(self.flow, window), context["run_id"], days, person)
                run(hive, "telemetry/push/stamp_build.sql", values)
        for asset in self.outlets:
            context["outlet_events"][asset].extra = dict(built)
        return built
