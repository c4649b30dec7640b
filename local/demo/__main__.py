"""``make demo``: both pipelines on a fresh embedded stack, checked against what the simulators know.

Prints what happened and writes it to ``.local/demo/summary.json``. Exits 1 when a promise was not kept.
``python -m local.demo identity evidence`` plays the main job and the named parts instead of the usual ones.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

from local.airflow_api import ApiError
from local.config import REPOSITORY, Config
from local.demo import (
    alerts,
    cleanup,
    dead_letters,
    downline,
    draws,
    evidence,
    features,
    identity,
    repair,
    sla,
)
from local.demo.context import LIVE_INTERVAL_SECONDS, DemoContext
from local.prepare import prepare, start_schedules
from local.stack import Stack, StackError

HOME = REPOSITORY / ".local" / "demo"

#: The demo has a stack of its own beside the one of `make up`, and begins with nothing.
ENVIRONMENT = {
    "STACK_DIR": str(HOME / "stack"),
    "PORT_BASE": os.environ.get("DEMO_PORT_BASE", "19200"),
    "FEED_LIVE_INTERVAL": str(LIVE_INTERVAL_SECONDS),
    # A run that is still waiting this long after its interval is late; short, so that the demo need not wait.
    "DRAWSGUARD_SYNC_DEADLINE_SECONDS": "30",
}


#: Every part after the main job; each has ``run(api, context)`` and ``check(figures)``.
PARTS: dict[str, Any] = {
    "features": features,
    "repair": repair,
    "dead_letters": dead_letters,
    "identity": identity,
    "alerts": alerts,
    "evidence": evidence,
    "downline": downline,
    "cleanup": cleanup,
}
#: Those that `make demo` plays; the others are played when they are named.
USUAL = ("features", "repair", "dead_letters")
POINTS = {"evidence", "downline", "cleanup"}
#: The main job's figures are read back when everything else is done.
MAIN_JOB: dict[str, Any] = {"draws": draws, "sla": sla}


def play(context: DemoContext, names: Iterable[str] = USUAL) -> dict[str, dict[str, Any]]:
    """Play the main job and the named parts; return a section of figures for each."""
    api = context.api("admin")
    context.say("applying the schema with the DAG warehouse_schema")
    prepare(api)
    api.pause("draw_collect", paused=False)
    # The late run needs the clock to pass a five-minute mark; the loads go on meanwhile.
    pool = ThreadPoolExecutor(max_workers=2)
    jobs = [pool.submit(draws.load, api, context), pool.submit(sla.miss, context.api("admin"), context)]
    pool.shutdown(wait=False)
    for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
        job.result()
    start_schedules(api, points=not POINTS.isdisjoint(names))
    parts = {name: PARTS[name].run(api, context) for name in names}
    return {name: module.run(api, context) for name, module in MAIN_JOB.items()} | parts


def verdict(summary: dict[str, dict[str, Any]]) -> list[str]:
    """Return every promise that was not kept."""
    modules = MAIN_JOB | PARTS
    return [f"{name}: {problem}" for name, figures in summary.items() for problem in modules[name].check(figures)]


def show(summary: dict[str, dict[str, Any]]) -> None:
    for section, figures in summary.items():
        print(f"\n{section}")
        for name, value in figures.items():
            shown = f"{value:.1f}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
            print(f"  {name:<18} {shown}")


def main() -> int:
    names = sys.argv[1:] or list(USUAL)
    if unknown := set(names) - PARTS.keys():
        print(f"there is no part {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    os.environ.update(ENVIRONMENT)
    stack = Stack(Config.from_environment())
    context = None
    try:
        stack.down()
        shutil.rmtree(HOME, ignore_errors=True)
        stack = Stack(Config.from_environment())
        context = DemoContext(stack.config)
        context.say("starting the embedded stack")
        stack.up()
        summary = play(context, names)
    except (StackError, ApiError) as error:
        print(f"\nthe demo stopped: {error}\nlogs: {stack.state}/logs", file=sys.stderr)
        return 1
    finally:
        stack.down()
    (HOME / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False, default=str))
    show(summary)
    problems = verdict(summary)
    print(f"\n{time.monotonic() - started:.0f} s in all; the same figures are in {HOME / 'summary.json'}")
    for problem in problems:
        print(f"NOT KEPT: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
