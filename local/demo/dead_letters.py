"""Failed sync intervals travel through Pub/Sub: one is replayed, one with a permanent error is set aside."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core.exceptions import BadRequest, ServiceUnavailable

from drawsguard.draws.dead_letters import DeadLetter
from drawsguard.draws.window import SyncRequest, Window
from hooks.dead_letter_hook import DeadLetterQueue
from local.airflow_api import AirflowApi, wait_for
from local.demo.context import DemoContext


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Publish what two failed runs of draw_sync would, each twice as Pub/Sub may, and let draw_sync_replay read it."""
    for name, value in context.config.airflow_environment().items():
        if name.endswith("_EMULATOR_HOST") or name == "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT":
            os.environ[name] = value
    queue = DeadLetterQueue()
    errors = (ServiceUnavailable("the warehouse did not answer"), BadRequest("Syntax error at [1:1]"))
    for hours, error in enumerate(errors, start=4):
        interval_end = context.started - timedelta(hours=hours)
        letter = DeadLetter.of(
            error,
            SyncRequest(Window(interval_end - timedelta(minutes=5), interval_end), "interval"),
            dag_id="draw_sync",
            task_id="sync",
            run_id=f"demo__{hours}",
            try_number=4,
            job_id=None,
            failed_at=datetime.now(UTC),
        )
        for _ in range(2):
            queue.publish(letter)
    context.say("two failed intervals wait in Pub/Sub; draw_sync_replay reads them")
    api.trigger("draw_sync_replay")
    wait_for("the dead letters to be settled", lambda: _settled(context) == len(errors), timeout=300, pause=5)
    return {key: value for key, value in _figures(context).items() if key in ("failed", "replayed", "set_aside")}


def check(section: dict[str, Any]) -> list[str]:
    """Return what is wrong with the section's figures; empty when the promise was kept."""
    left = section["failed"] - section["replayed"] - section["set_aside"]
    wrong = [f"{left} dead letters are not settled"] if left else []
    if section["set_aside"] != 1:
        wrong.append(f"{section['set_aside']} intervals were set aside, expected the one with the permanent error")
    return wrong


def _figures(context: DemoContext) -> dict[str, int]:
    return context.query("demo/dead_letters.sql", since=context.started)[0]


def _settled(context: DemoContext) -> int:
    figures = _figures(context)
    return figures["replayed"] + figures["set_aside"]
