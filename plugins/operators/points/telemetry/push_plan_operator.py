"""Which flows a run pushes."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, Context

from drawsguard.points.telemetry.config import Flow
from drawsguard.refusal import RefusedError
from hooks.statistics_window import window_of_run


class PushPlanOperator(BaseOperator):
    """Return which flows to push, each with its window: a list of ``{flow, window}``.

    :raises RefusedError: when the param ``flows`` is empty or names an unknown flow.
    """

    def execute(self, context: Context) -> list[dict[str, Any]]:
        flows: list[Flow] = list(context["params"]["flows"])
        if not flows or not set(flows) <= {"window", "daily"}:
            raise RefusedError(f"Param flows is {flows}; choose window, daily or both.")
        return [{"flow": flow, "window": window_of_run(context, flow).texts()} for flow in flows]
