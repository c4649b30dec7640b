"""From a draw's publication to its row in the business table and to its features, under the real scheduler.

The draws come faster than the real feed's, and slower than the collector's minute, so that each is news of its own as
on the real feed; collecting, syncing and their schedules run at their real pace, so the latencies are real.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from benchmarks.draws_support import result
from local.airflow_api import wait_for
from local.config import REPOSITORY, Config
from local.demo.context import DemoContext
from local.stack import Stack

#: Draws that are measured; BENCH_DRAWS says another number.
DRAWS = int(os.environ.get("BENCH_DRAWS", "24"))
#: Seconds between draws here: 210 on the real feed.
INTERVAL = 75

#: What the schedule of the first version allowed (seconds): a minute until collected, five until synced, and the run.
BOUND = 60 + 300 + 15
#: And until the features: ten minutes more.
FEATURES_BOUND = BOUND + 600

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
    wait_for("the DAG files to be parsed", lambda: "warehouse_schema" in api.dags(), timeout=600)
    api.pause("warehouse_schema", paused=False)
    api.trigger_and_wait("warehouse_schema", timeout=600)
    for dag_id in ("draw_collect", "draw_news", "draw_sync", "feature_refresh"):
        api.pause(dag_id, paused=False)
    started = datetime.now(UTC)

    def measured() -> dict[str, Any] | None:
        (row,) = context.query("latency.sql", live_from=started, window_end=datetime.now(UTC))
        return row if row["fresh"] >= draws else None

    row = wait_for(f"{draws} draws to be synced", measured, timeout=draws * INTERVAL + 1800, pause=20)
    load = os.getloadavg()[2]
    what = (
        f"over {row['fresh']} draws that came every {INTERVAL} s under the real scheduler at its real pace, from "
        f"publication by the feed; {os.cpu_count()} processors, load {load:.1f}; alternative: the bound of the first "
        "version's schedules."
    )
    figures = [
        result(f"latency_{name}", row[name], BOUND, "s", f"{name}: seconds to the row in the business table, {what}")
        for name in ("p50", "p95", "p99")
    ]
    features = f"p95: seconds to the features, {what}"
    return [*figures, result("latency_features_p95", row["features_p95"], FEATURES_BOUND, "s", features)]
