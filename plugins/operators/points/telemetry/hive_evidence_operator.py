"""Judge the telemetry of a window before conclusions are drawn from it, and record the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date
from typing import Any

from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.telemetry.config import Flow, points_config
from drawsguard.points.telemetry.day_plan import StatisticsWindow
from drawsguard.points.telemetry.day_quality import DayQuality, EvidenceIncompleteError, assess, refuse_unless_accepted
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.hive_source import fetch


class HiveEvidenceOperator(BaseOperator):
    """Check that a window's days are present, complete, and were filtered without loss.

    The verdict is written to ``rsp_datagovern.evidence_check`` also when it is a refusal. A refusal fails the task for
    good (a retry would find the same telemetry).

    :param flow: whose days are judged.
    :param first: first day, yyyy-MM-dd (templated).
    :param last: last day, included (templated).
    """

    template_fields: Sequence[str] = ("first", "last")

    def __init__(
        self,
        *,
        flow: Flow,
        first: str,
        last: str,
        hiveserver2_conn_id: str = HiveServer2Hook.default_conn_name,
        mysql_conn_id: str = MySqlHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flow: Flow = flow
        self.first = first
        self.last = last
        self.hiveserver2_conn_id = hiveserver2_conn_id
        self.mysql_conn_id = mysql_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        first, last = date.fromisoformat(self.first), date.fromisoformat(self.last)
        window = StatisticsWindow(last, first, last)
        values = {"flow": self.flow, "first": self.first, "last": self.last}
        with closing(HiveServer2Hook(self.hiveserver2_conn_id).get_conn()) as hive:
            rejected: dict[str, dict[str, int]] = {}
            for day, reason, number in fetch(hive, "telemetry/window/rejected_by_reason.sql", values):
                rejected.setdefault(day, {})[reason] = number
            found = sorted(fetch(hive, "telemetry/window/quality_of_days.sql", values))
            days = [DayQuality(*row)._replace(rejected=rejected.get(row[0], {})) for row in found]
        assessment = assess(window.days(), days, points_config().quality)
        with closing(MySqlHook(self.mysql_conn_id).get_conn()) as mysql:
            EvidenceRepository(mysql).record_check(context["run_id"], self.flow, window, assessment)
        try:
            refuse_unless_accepted(assessment, f"{self.first} to {self.last} (flow {self.flow})")
        except EvidenceIncompleteError as refusal:
            raise AirflowFailException(str(refusal)) from refusal
        return {
            "days": len(days),
            "raw_rows": assessment.raw_rows,
            "rejected_rows": assessment.rejected_rows,
            "expansion": assessment.expansion,
        }
