"""The golden case, waiting for its reviewers: definitions, 180 days of usage evidence, and the report that was made.

The evidence is put where the 15:00 push puts it; `make demo` builds some from raw telemetry. From the report on
everything is the pipeline's own.
"""

from __future__ import annotations

import json
from contextlib import closing

from drawsguard.sql import render
from local.airflow_api import AirflowApi
from local.config import Config
from local.demo.context import DemoContext
from local.demo.downline import REQUESTER, connect, load_golden
from local.golden.dataset import Golden

#: What people trigger on the tour. The other DAGs of the points follow telemetry of every day, and stay paused.
FOR_PEOPLE = (
    "points_usage_report", "points_downline", "points_restore", "points_release", "points_ticket_done",
)  # fmt: skip


def record_verdict(config: Config, golden: Golden) -> None:
    """Record that the evidence was judged and accepted, as the build does that the golden case has not seen."""
    days, rows = len(golden.window.days), 15_000 * len(golden.window.days)
    values = {
        "run_id": "golden", "flow": "window", "window_start": golden.window.start, "window_end": golden.window.last,
        "accepted": True, "days_present": days, "raw_rows": rows, "rejected_rows": 0, "expansion": 1.0,
        "findings": json.dumps({}),
    }  # fmt: skip
    with closing(connect(config, "governance")) as governance, closing(governance.cursor()) as cursor:
        cursor.execute(render("mysql/telemetry/quality/record_check.sql"), values)
        governance.commit()


def begin_review(api: AirflowApi, context: DemoContext) -> str:
    """Load the golden case and let the requester make its usage report; returns the batch that waits for reviewers."""
    golden = load_golden(context.config)
    record_verdict(context.config, golden)
    for dag_id in FOR_PEOPLE:
        api.pause(dag_id, paused=False)
    batch_id = f"{golden.window.last:%Y%m%d}"
    context.say("the usage report of the golden case is made")
    context.api(REQUESTER).trigger_and_wait("points_usage_report", {"batch_id": batch_id}, timeout=600)
    context.say(f"batch {batch_id} waits for its reviewers")
    return batch_id
