"""Which business day a run works for, which days it covers, and what follows from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.sdk import BaseOperator, Context

from drawsguard.points.day_plan import Fingerprint, StatisticsWindow, chunks, days_to_build, run_date_of, window_of
from drawsguard.points.hive_source import fetch
from drawsguard.points.telemetry_config import Flow, points_config
from drawsguard.settings import get_settings


def window_of_run(context: Context, flow: Flow) -> StatisticsWindow:
    """Return the window of a run: of its param ``run_date``, or of the business day it was due."""
    settings = get_settings()
    run: Any = context["dag_run"]
    due = run.data_interval_end or run.run_after
    day = run_date_of(context["params"].get("run_date"), due, settings.business_timezone)
    return window_of(day, settings.points_window_days if flow == "window" else 1)


class StatisticsWindowOperator(BaseOperator):
    """Return the run's window as texts: run_date, first and last, yyyy-MM-dd; and the parts of the last day.

    :param flow: window (180 days) or daily (the day before).
    """

    def __init__(self, *, flow: Flow, **kwargs: Any) -> None:
        super().__init__(multiple_outputs=True, **kwargs)  # so that a task can take one of the texts
        self.flow: Flow = flow

    def execute(self, context: Context) -> dict[str, str]:
        window = window_of_run(context, self.flow)
        year, month, day = window.last.isoformat().split("-")
        root = get_settings().points_feed_root.rstrip("/")
        # The feed's folders carry no leading zeros: NOSEVT/2024/7/29.
        location = f"{root}/{int(year)}/{int(month)}/{int(day)}"
        parts = {"pt_year": year, "pt_month": month, "pt_day": day, "pt_dt": window.last.isoformat()}
        return {**window.texts(), **parts, "root": root, "location": location}


class HiveDayPlanOperator(BaseOperator):
    """Return the days to build as lists of days, one list a statement; none when nothing is new or late.

    :param window: the run's window as texts (templated).
    :param rebuild: build every day of the window again: ``True``, or the text ``True`` (templated).
    """

    template_fields: Sequence[str] = ("window", "rebuild")

    def __init__(
        self,
        *,
        window: Mapping[str, str],
        rebuild: bool | str = False,
        hiveserver2_conn_id: str = HiveServer2Hook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window = window
        self.rebuild = rebuild
        self.hiveserver2_conn_id = hiveserver2_conn_id

    def execute(self, context: Context) -> list[list[str]]:
        del context
        window = StatisticsWindow.parse(self.window)
        values = {"first": self.window["first"], "last": self.window["last"]}
        with closing(HiveServer2Hook(self.hiveserver2_conn_id).get_conn()) as hive:
            source = {day: Fingerprint(*rest) for day, *rest in fetch(hive, "window/source_days.sql", values)}
            built = {day: Fingerprint(*rest) for day, *rest in fetch(hive, "window/built_days.sql", values)}
        days = days_to_build(window, source, built, rebuild=str(self.rebuild) == "True")
        self.log.info("%d of %d day(s) to build: %s", len(days), len(window.days()), ", ".join(days) or "none")
        return chunks(days, points_config().telemetry.days_per_statement)


class PushPlanOperator(BaseOperator):
    """Return which flows to push, each with its window: a list of ``{flow, window}``.

    :raises ValueError: when the param ``flows`` is empty or names an unknown flow.
    """

    def execute(self, context: Context) -> list[dict[str, Any]]:
        flows: list[Flow] = list(context["params"]["flows"])
        if not flows or not set(flows) <= {"window", "daily"}:
            raise ValueError(f"Param flows is {flows}; choose window, daily or both.")
        return [{"flow": flow, "window": window_of_run(context, flow).texts()} for flow in flows]
