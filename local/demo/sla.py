"""A scheduled run that is late on purpose: its SLA-miss mail arrives, and only its."""

from __future__ import annotations

from typing import Any

from local.airflow_api import AirflowApi, wait_for
from local.demo.context import DemoContext

POOL = "draws_target"


def miss(api: AirflowApi, context: DemoContext) -> None:
    """Hold the pool that writes the target until the first scheduled run is late, then let go."""
    context.say("holding the pool of draw_sync: its first scheduled run will miss its deadline")
    api.set_pool_slots(POOL, 0)
    try:
        api.pause("draw_sync", paused=False)
        wait_for("the SLA-miss mail", lambda: mails(context), timeout=420)
    finally:
        api.set_pool_slots(POOL, 1)
    context.say(f"mail: {mails(context)[0]['Subject']}")


def mails(context: DemoContext) -> list[dict[str, str]]:
    return [mail for mail in context.mails() if "SLA" in mail["Subject"]]


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Read back how many runs missed their deadline, and how many mails say so."""
    received = mails(context)
    missed = missed_runs(api)
    return {"misses": len(missed), "mails": len(received), "subjects": [mail["Subject"] for mail in received]}


def missed_runs(api: AirflowApi) -> list[str]:
    """Return the ids of the draw_sync runs whose deadline Airflow marked as missed."""
    deadlines = api.call("GET", "/ui/dags/~/dagRuns/~/deadlines", params={"limit": 100})["deadlines"]
    return [
        deadline["dag_run_id"] for deadline in deadlines if deadline["missed"] and deadline["dag_id"] == "draw_sync"
    ]


def check(section: dict[str, Any]) -> list[str]:
    if not section["misses"]:
        return ["no deadline was missed, although a run was held"]
    if section["mails"] != section["misses"]:
        return [f"{section['mails']} mails for {section['misses']} misses"]
    return []
