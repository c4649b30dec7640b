"""Which flows a run pushes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.points.telemetry.config import Flow
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from hooks.statistics_window import window_of_run


class PushPlanOperator(BaseOperator):
    """Return which flows to push, each with its window: a list of ``{flow, window}``.

    A run that a build has started pushes what was built for today after the day's push was due, i.e. too late for it.
    An earlier build waits for the push, and one of another day for a person: both are skipped.

    :param due: business time of day of the scheduled push, hh:mm.
    :raises RefusedError: when the param ``flows`` is empty or names an unknown flow.
    """

    def __init__(self, *, due: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.due = due

    def execute(self, context: Context) -> list[dict[str, Any]]:
        flows: list[Flow] = list(context["params"]["flows"])
        if not flows or not set(flows) <= {"window", "daily"}:
            raise RefusedError(f"Param flows is {flows}; choose window, daily or both.")
        plan = [{"flow": flow, "window": window_of_run(context, flow).texts()} for flow in flows]
        return self._late(context, plan) if started_by_a_build(context) else plan

    def _late(self, context: Context, plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what of a plan was built too late for the scheduled push.

        :raises AirflowSkipException: when that is nothing.
        """
        run: Any = context["dag_run"]
        if run.run_after.astimezone(ZoneInfo(get_settings().business_timezone)).time() < time.fromisoformat(self.due):
            raise AirflowSkipException(f"Built before {self.due}: the push of that time takes it.")
        built = list(_built(context))
        late = [part for part in plan if {"flow": part["flow"], **part["window"]} in built]
        if not late:
            raise AirflowSkipException(
                f"What was built ({built}) is not for today or not among the flows: trigger points_push with its "
                "run_date to push it."
            )
        return late


def started_by_a_build(context: Context) -> bool:
    """Return whether an asset started the run, and neither the schedule nor a person."""
    return _run_type(context) == "asset_triggered"


def asked_for_by_nobody(context: Context) -> bool:
    """Return whether the schedule or an asset started the run, and no person."""
    return _run_type(context) in ("scheduled", "asset_triggered")


def _run_type(context: Context) -> str:
    run_type = context["dag_run"].run_type
    return str(getattr(run_type, "value", run_type))


def _built(context: Context) -> Iterator[Mapping[str, Any]]:
    """Yield flow, run_date, first and last of each build that started the run."""
    for events in context["triggering_asset_events"].values():
        for event in events:
            yield dict(event.extra)
