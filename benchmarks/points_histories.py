"""``make soak-points``: random years of the points lifecycle, until a thousand faults struck; counts what is lost.

See `local.points_histories`. The variables SEED and SIZE play one history and tell it whole; FAULTS (1000), PROCESSES
(2) and SECONDS_AT_MOST (no limit; histories end early then) say how many are played. A run of many adds its faults and
its losses to ``benchmarks/results.json``. Each process has an embedded MySQL and Redis of its own.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from benchmarks.draws_support import result
from benchmarks.run import RESULTS, validated
from local.config import REPOSITORY, Config
from local.points_histories.player import SIZES, play
from local.stack import Stack

#: Ports of the first process's services and state of it: beside those of the other stacks.
PORT_BASE, STATE = 18_300, Path(".local/soak-points")
#: Variables besides connections that the hooks read.
_EXPORTED = ("_BACKUP_SCHEMA", "_SCRATCH_SCHEMA", "_JOURNAL_SCHEMA")
#: Losses whose story is told at the end.
_TOLD = 3


def worker(number: int, first: int, step: int, size: str, until: float) -> Iterator[dict[str, Any]]:
    """Play the histories of the seeds ``first``, ``first + step``, … on services of one's own.

    :param number: of the process, from 0.
    :param step: 0: this seed alone.
    :param until: histories end early at this time (seconds since 1970).
    """
    logging.disable(logging.CRITICAL)  # the tasks' logs; how they ended is part of the story
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    os.environ["STACK_DIR"] = str(STATE / str(number))
    os.environ["PORT_BASE"] = str(int(os.environ.get("PORT_BASE", PORT_BASE)) + 150 * number)
    config = Config.from_environment()
    stack = Stack(config)
    try:
        stack.up(["mysql", "redis"])
        for name, value in config.airflow_environment().items():
            if name.startswith("AIRFLOW_CONN_") or name.endswith(_EXPORTED):
                os.environ[name] = value
        seed = first
        while time.time() < until:
            played = play(config, seed, SIZES[size], until - time.time())
            yield {
                "seed": seed,
                "size": size,
                "days": played.days,
                "steps": len(played.lines),
                "seconds": round(played.seconds, 1),
                "faults": played.faults,
                "done": played.done,
                "lost": len(played.lost),
                "story": str(played),
            }
            if not step:
                return
            seed += step
    finally:
        stack.down()


def shared(first: int, size: str, faults: int, processes: int, until: float) -> Iterator[dict[str, Any]]:
    """Play histories in several processes until so many faults struck, and yield each as it ends.

    :raises RuntimeError: when a process broke.
    """
    struck = 0

    def play_share(number: int) -> list[dict[str, Any]]:
        nonlocal struck
        command = [sys.executable, "-m", "benchmarks.points_histories", "--worker"]
        command += [str(number), str(first + number), str(processes), size, str(until)]
        played = []
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if not line.startswith("{"):
                    continue
                history = json.loads(line)
                played.append(history)
                struck += sum(history["faults"].values())
                history["struck"] = struck
                print(
                    "{seed} {size}: {steps} steps, {seconds} s, {lost} lost; {struck} faults so far".format(**history)
                )
                sys.stdout.flush()
                if struck >= faults:
                    process.terminate()
                    break
        if process.returncode and struck < faults:
            raise RuntimeError(f"process {number} of the soak ended with {process.returncode}: see its output above")
        return played

    with ThreadPoolExecutor(processes) as pool:
        for share in pool.map(play_share, range(processes)):
            yield from share


def record(played: list[dict[str, Any]]) -> None:
    """Write what was played into ``benchmarks/results.json``."""
    faults = sum((Counter(one["faults"]) for one in played), Counter[str]())
    done = sum((Counter(one["done"]) for one in played), Counter[str]())
    days = sum(one["days"] for one in played)
    seeds = ", ".join(str(one["seed"]) for one in sorted(played, key=lambda one: int(one["seed"])))
    entries = (
        result(
            "soak_points_faults", faults.total(), None, "faults",
            f"Faults that struck in {len(played)} random histories of the points lifecycle (seeds {seeds}), {days:,} "
            f"days and {sum(one['steps'] for one in played):,} steps in all, among them {_counted(done)}. The faults: "
            f"{_counted(faults)}.",
        ),
        result(
            "soak_points_lost", sum(one["lost"] for one in played), None, "losses",
            "Used points at -80 beyond what was approved knowing it, keys deleted of points that are served, restored "
            "or in use, and rows whose history does not restore them byte for byte, judged by an oracle in plain "
            "Python after every step of the same histories.",
        ),
    )  # fmt: skip
    results = {one["name"]: one for one in json.loads(RESULTS.read_text())}
    results |= {entry["name"]: validated(entry) for entry in entries}
    RESULTS.write_text(json.dumps(list(results.values()), indent=1, ensure_ascii=False) + "\n")


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in counter.most_common())


def _end(*_: object) -> None:
    """End this process and its services; nobody reads what it says any more."""
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    sys.exit(0)


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        signal.signal(signal.SIGTERM, _end)
        number, first, step = (int(text) for text in sys.argv[2:5])
        for history in worker(number, first, step, sys.argv[5], float(sys.argv[6])):
            print(json.dumps(history), flush=True)
        return 0
    seed, size = os.environ.get("SEED"), os.environ.get("SIZE") or "year"
    if size not in SIZES or (seed and not seed.isdecimal()):
        print(f"SEED is a number and SIZE one of {', '.join(SIZES)}; not {seed!r} and {size!r}", file=sys.stderr)
        return 2
    if seed:
        (history,) = worker(0, int(seed), 0, size, float("inf"))
        print(history["story"])
        return 1 if history["lost"] else 0
    first = int(f"{datetime.now(UTC):%Y%m%d}00")
    until = time.time() + float(os.environ.get("SECONDS_AT_MOST") or "inf")
    faults = int(os.environ.get("FAULTS") or 1000)
    played = list(shared(first, size, faults, int(os.environ.get("PROCESSES") or 2), until))
    if not played:
        print("no history was played: give it more time with SECONDS_AT_MOST", file=sys.stderr)
        return 1
    record(played)
    lost = [one for one in played if one["lost"]]
    for one in lost[:_TOLD]:
        print(one["story"])
    print(f"{len(played)} histories, {len(lost)} of them lost something: seeds {[one['seed'] for one in lost]}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
