"""The statistics window of a run, from its params and the time it was due."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from drawsguard.points.telemetry.config import Flow
from drawsguard.points.telemetry.day_plan import StatisticsWindow, run_date_of, window_of
from drawsguard.settings import get_settings


def window_of_run(context: Context, flow: Flow) -> StatisticsWindow:
    """Return the window of a run: of its param ``run_date``, or of the business day it was due or triggered by hand."""
    settings = get_settings()
    run: Any = context["dag_run"]
    by_hand = str(getattr(run.run_type, "value", run.run_type)) == "manual"
    # Airflow gives a run that a person triggers the interval of the last slot, which may be yesterday's.
    due = run.run_after if by_hand else run.data_interval_end or run.run_after
    day = run_date_of(context["params"].get("run_date"), due, settings.business_timezone)
    return window_of(day, settings.points_window_days if flow == "window" else 1)
