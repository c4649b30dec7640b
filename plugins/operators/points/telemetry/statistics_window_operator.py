"""The statistics window of a run, for the tasks after it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, Context

from drawsguard.points.telemetry.config import Flow
from drawsguard.settings import get_settings
from hooks.statistics_window import window_of_run


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
