"""Which days of the window have to be built in Hive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk import BaseOperator, Context

from drawsguard.override import check_override
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_plan import Fingerprint, StatisticsWindow, chunks, days_to_build
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.hive_source import fetch, refuse_kept_files
from drawsguard.points.telemetry.push_guard import batch_id_of


class HiveDayPlanOperator(BaseOperator):
    """Return the days to build as lists of days, one list per statement; none when nothing is new or late.

    :param window: the run's window as texts (templated).
    :param rebuild: build every day of the window again: ``True``, or the text ``True`` (templated).
    :param rebuild_reason: why a person has days built again that are built already (templated); recorded.
    """

    template_fields: Sequence[str] = ("window", "rebuild", "rebuild_reason")

    def __init__(
        self,
        *,
        window: Mapping[str, str],
        rebuild: bool | str = False,
        rebuild_reason: str = "",
        hiveserver2_conn_id: str = HiveServer2Hook.default_conn_name,
        mysql_conn_id: str = MySqlHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window = window
        self.rebuild = rebuild
        self.rebuild_reason = rebuild_reason
        self.hiveserver2_conn_id = hiveserver2_conn_id
        self.mysql_conn_id = mysql_conn_id

    def execute(self, context: Context) -> list[list[str]]:
        """Return the days to build.

        :raises OverrideRefusedError: when a rebuild has no reason, or nobody who asked for it.
        :raises KeptFilesError: when a day that is built again could be there twice.
        """
        window = StatisticsWindow.parse(self.window)
        rebuild = str(self.rebuild) == "True"
        if rebuild:
            self._record_rebuild(context, window)
        values = {"first": self.window["first"], "last": self.window["last"]}
        with closing(HiveServer2Hook(self.hiveserver2_conn_id).get_conn()) as hive:
            refuse_kept_files(hive)
            source = {day: Fingerprint(*rest) for day, *rest in fetch(hive, "telemetry/window/source_days.sql", values)}
            built = {day: Fingerprint(*rest) for day, *rest in fetch(hive, "telemetry/window/built_days.sql", values)}
        days = days_to_build(window, source, built, rebuild=rebuild)
        self.log.info("%d of %d day(s) to build: %s", len(days), len(window.days()), ", ".join(days) or "none")
        return chunks(days, points_config().telemetry.days_per_statement)

    def _record_rebuild(self, context: Context, window: StatisticsWindow) -> None:
        """Keep who has the window built again, and why, before anything is built."""
        person = context["dag_run"].triggering_user_name
        reason = check_override("A rebuild of the whole window", self.rebuild_reason, context["dag_run"])
        with closing(MySqlHook(self.mysql_conn_id).get_conn()) as mysql:
            EvidenceRepository(mysql).log_decision(
                batch_id_of("window", window), context["run_id"], "plan", "rebuild", "rebuild",
                f"Every day from {window.first} to {window.last} is built again.", reason, person,
            )  # fmt: skip
