"""From a draw to its row in the business table, for a day of draws under the real scheduler.

The draws come faster than the real feed's, so that a day of them passes in a quarter of an hour; collecting, syncing
and their schedules run at their real pace, so the latencies are real.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from benchmarks.draws_support import result
from local.airflow_api import wait_for
from local.config import REPOSITORY, Config
from local.demo.context import DemoContext
from local.prepare import prepare
from local.stack import Stack

#: A day of draws without its pauses: 24 h ÷ 210 s.
DRAWS = 411
#: Seconds between draws here.
INTERVAL = 2

#: The schedule's own bound (seconds): a minute until collected, five until synced, and the run.
BOUND = 60 + 300 + 15

ENVIRONMENT = {
    "STACK_DIR": str(REPOSITORY / ".local" / "bench_latency"),
    "PORT_BASE": os.environ.get("BENCH_PORT_BASE", "19400"),
    "FEED_LIVE_INTERVAL": str(INTERVAL),
    "DRAWSGUARD_DRAW_INTERVAL_SECONDS": str(INTERVAL),
}
SERVICES = (
    "bigquery", "smtp", "feed", "pubsub", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor",
    "airflow-triggerer",
)  # fmt: skip


def run(draws: int = DRAWS) -> list[dict[str, Any]]:
    """Let ``draws`` draws pass and return the latencies (seconds); the alternative is the bound of the schedule."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    stack = Stack(Config.from_environment())
    try:
        stack.up(SERVICES)
        return _measure(DemoContext(stack.config), draws)
    finally:
        stack.down()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _measure(context: DemoContext, draws: int) -> list[dict[str, Any]]:
    api = context.api("admin")
    prepare(api)
    for dag_id in ("draw_collect", "draw_sync"):
        api.pause(dag_id, paused=False)
    started = datetime.now(UTC)

    def measured() -> dict[str, Any] | None:
        (row,) = context.query("demo/latency.sql", live_from=started, window_end=datetime.now(UTC))
        return row if row["fresh"] >= draws else None

    row = wait_for(f"{draws} draws to be synced", measured, timeout=draws * INTERVAL + 1800, pause=20)
    what = (
        f"Seconds from a draw to its row in the business table, over {row['fresh']} draws that came every {INTERVAL} s "
        "under the real scheduler at its real pace; alternative: the bound that the schedules allow."
    )
    return [result(f"latency_{name}", row[name], BOUND, "s", f"{name}: {what}") for name in ("p50", "p95", "p99")]
