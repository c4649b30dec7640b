"""``make demo``: both pipelines on a fresh embedded stack, checked against what the simulators know.

Prints what happened and writes it to ``.local/demo/summary.json``. Exits 1 when a promise was not kept.
``python -m local.demo identity evidence`` plays the main job and only the named parts.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from local.airflow_api import ApiError
from local.config import REPOSITORY, Config
from local.demo import (
    alerts,
    bill,
    cleanup,
    dead_letters,
    downline,
    draws,
    evidence,
    features,
    identity,
    preflight,
    repair,
    sla,
)
from local.demo.context import LIVE_INTERVAL_SECONDS, DemoContext
from local.prepare import prepare, start_schedules
from local.stack import Stack, StackError

HOME = REPOSITORY / ".local" / "demo"

#: The demo has its own stack, apart from that of `make up`, and starts empty.
ENVIRONMENT = {
    "STACK_DIR": str(HOME / "stack"),
    "PORT_BASE": os.environ.get("DEMO_PORT_BASE", "19200"),
    "FEED_LIVE_INTERVAL": str(LIVE_INTERVAL_SECONDS),
    # A run that is still waiting this long after its interval is late; short, so that the demo does not have to wait.
    "DRAWSGUARD_SYNC_DEADLINE_SECONDS": "30",
    # A task that fails on purpose fails for good within seconds, and its interval is set aside after one replay.
    "DRAWSGUARD_TASK_RETRY_SECONDS": "1",
    "DRAWSGUARD_DEAD_LETTER_MAX_ATTEMPTS": "1",
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
    "preflight": preflight,
}
#: Parts that build on each other, in order. The lanes run in parallel: each mostly waits for Airflow.
LANES = (("features", "repair", "dead_letters"), ("identity", "alerts"), ("evidence", "downline", "cleanup"))
#: Played when the lanes have ended: they break things on purpose, and this part looks at everything.
LAST = ("preflight",)
#: The main job's figures are read back when everything else is done.
MAIN_JOB: dict[str, Any] = {"draws": draws, "sla": sla, "bill": bill}


def play(context: DemoContext, names: Collection[str] = tuple(PARTS)) -> dict[str, dict[str, Any]]:
    """Play the main job and the named parts on a prepared stack; return a section of figures for each."""
    api = context.api("admin")
    for dag_id in ("draw_collect", "draw_history"):
        api.pause(dag_id, paused=False)
    # The late run needs the clock to pass a five-minute mark; the loads continue meanwhile.
    _side_by_side(partial(draws.load, api, context), partial(sla.miss, context.api("admin"), context))
    start_schedules(api)
    lanes = [[name for name in lane if name in names] for lane in LANES]
    parts = _side_by_side(*[partial(_in_order, context, lane) for lane in lanes])
    parts.append(_in_order(context, [name for name in LAST if name in names]))
    sections = {name: module.run(api, context) for name, module in MAIN_JOB.items()}
    return sections | {name: figures for lane in parts for name, figures in lane.items()}


def _in_order(context: DemoContext, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {name: PARTS[name].run(context.api("admin"), context) for name in names}


def _side_by_side(*jobs: Callable[[], Any]) -> list[Any]:
    """Run the jobs in threads and return their results; the first failure is raised at once."""
    pool = ThreadPoolExecutor(max_workers=len(jobs))
    futures = [pool.submit(job) for job in jobs]
    pool.shutdown(wait=False)
    for future in wait(futures, return_when=FIRST_EXCEPTION).done:
        future.result()
    return [future.result() for future in futures]


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
    names = sys.argv[1:] or list(PARTS)
    if unknown := set(names) - PARTS.keys():
        print(f"there is no part {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    os.environ.update(ENVIRONMENT)
    stack = Stack(Config.from_environment())

    def ended_from_outside(_signal: int, _frame: object) -> None:
        # At once: the threads that wait for services and runs would keep waiting.
        stack.down()
        os._exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, ended_from_outside)
    context = None
    try:
        stack.down()
        shutil.rmtree(HOME, ignore_errors=True)
        stack = Stack(Config.from_environment())
        context = DemoContext(stack.config)
        context.say("starting the embedded stack")
        stack.up()
        context.say("applying the schemas with their DAGs")
        prepare(context.api("admin"))
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
