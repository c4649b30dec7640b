"""A scheduled run that is late on purpose: its SLA-miss mail arrives, and only its."""

from __future__ import annotations

import time
from typing import Any

from local.airflow_api import AirflowApi, wait_for
from local.demo.context import DemoContext

POOL = "draws_target"
#: draw_sync's runs begin at these marks of the clock; the pool is held from shortly before one (seconds).
SLOT, BEFORE = 300, 2
#: How long before the mark the turn is taken, so that a range that is being synced has ended (seconds).
EARLY = 30


def miss(api: AirflowApi, context: DemoContext) -> None:
    """Start the schedule of draw_sync and hold its pool until one of its runs is late and the mail is there."""
    with context.sync_turn:
        api.set_pool_slots(POOL, 0)
        api.pause("draw_sync", paused=False)
        (run,) = wait_for("a scheduled run of draw_sync", lambda: api.runs("draw_sync", run_type="scheduled"), 300)
        if _deadlines(api, run["dag_run_id"]):
            _wait_for_the_mail(api, context)
            return
        # Its interval ended too long ago for a miss to be reported: take the next one, which begins when
        # this one has ended.
        api.set_pool_slots(POOL, 1)
        api.wait_run("draw_sync", run["dag_run_id"], timeout=900)
    while True:
        time.sleep(max(0.0, _until_the_mark() - EARLY))
        with context.sync_turn:
            if (left := _until_the_mark()) <= EARLY:
                time.sleep(max(0.0, left - BEFORE))
                api.set_pool_slots(POOL, 0)
                _wait_for_the_mail(api, context)
                return


def _until_the_mark() -> float:
    return SLOT - time.time() % SLOT


def _wait_for_the_mail(api: AirflowApi, context: DemoContext) -> None:
    context.say("holding the pool of draw_sync: its scheduled run is going to miss its deadline")
    try:
        wait_for("the SLA-miss mail", lambda: mails(context), timeout=300)
    finally:
        api.set_pool_slots(POOL, 1)
    context.say(f"mail: {mails(context)[0]['Subject']}")


def _deadlines(api: AirflowApi, run_id: str) -> list[dict[str, Any]]:
    return list(api.call("GET", f"/ui/dags/draw_sync/dagRuns/{run_id}/deadlines")["deadlines"])


def mails(context: DemoContext) -> list[dict[str, str]]:
    return [mail for mail in context.mails() if "SLA missed: draw_sync" in mail["Subject"]]


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
    # Airflow marks every run that ended late; whose data were there by then is mailed to nobody.
    if not 1 <= section["mails"] <= section["misses"]:
        return [f"{section['mails']} mails for {section['misses']} misses"]
    return []
