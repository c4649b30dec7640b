"""Registers our deadline references, so that the scheduler may evaluate them."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from deadlines.fresh_interval import FreshIntervalEnd


class DeadlinePlugin(AirflowPlugin):
    """Airflow looks a reference up by its class path among these."""

    name = "drawsguard_deadlines"
    deadline_references = [FreshIntervalEnd]  # noqa: RUF012 - the plugin interface
