"""Whether a task's run is for a slot that nobody was there for; asks Airflow for the run before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.monitoring.slots import is_missed_slot


def skip_missed_slot(context: Any, paused: Callable[[datetime, datetime], bool] = lambda *_: True) -> None:
    """Skip the task when its scheduled run is for a slot of before the DAG was switched on, or of a pause.

    :param paused: tells whether the DAG was paused from one time to another (aware), asked when that is how the slot
        may have been missed; default: it was. What Airflow missed because it was down is made then.
    :raises AirflowSkipException: saying so, and how the report is made all the same.
    """
    run = context.get("dag_run")
    run_type = str(getattr(run, "run_type", None) and getattr(run.run_type, "value", run.run_type))
    start, end = getattr(run, "data_interval_start", None), getattr(run, "data_interval_end", None)
    if run_type != "scheduled" or start is None or end is None:
        return
    began = run.start_date or datetime.now(UTC)
    first = context["ti"].get_previous_dagrun() is None
    if is_missed_slot(run_type, (start, end), began, first=first) and (first or paused(end, began)):
        raise AirflowSkipException(
            f"The slot of {end.isoformat()} passed {began - end} before this run began: the DAG was paused or new. "
            "Trigger the DAG by hand for a report of now."
        )
