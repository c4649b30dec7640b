"""``make demo``: the whole pipeline on a fresh embedded stack, checked against the simulator's truth.

Prints what happened and writes it to ``.local/demo/summary.json``. Exits 1 when a promise was not kept.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.airflow_api import ApiError
from local.config import REPOSITORY, Config
from local.demo import draws, sla
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


def play(context: DemoContext) -> dict[str, dict[str, Any]]:
    """Run every part and return a section of figures for each."""
    api = context.api("admin")
    context.say("applying the schema with the DAG warehouse_schema")
    prepare(api)
    api.pause("draw_collect", paused=False)
    with ThreadPoolExecutor(max_workers=1) as beside:
        # The late run needs the clock to pass a five-minute mark; the loads go on meanwhile.
        late = beside.submit(sla.miss, context.api("admin"), context)
        draws.load(api, context)
        late.result()
    start_schedules(api)
    return {"draws": draws.run(api, context), "sla": sla.run(api, context)}


def verdict(summary: dict[str, dict[str, Any]]) -> list[str]:
    """Return every promise that was not kept."""
    checks = {"draws": draws.check, "sla": sla.check}
    return [f"{name}: {problem}" for name, check in checks.items() for problem in check(summary[name])]


def show(summary: dict[str, dict[str, Any]]) -> None:
    for section, figures in summary.items():
        print(f"\n{section}")
        for name, value in figures.items():
            shown = f"{value:.1f}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
            print(f"  {name:<18} {shown}")


def main() -> int:
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
        summary = play(context)
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
