"""``make soak-draws``: play hundreds of random histories of the draw pipeline and count what differs from the truth.

Of fifteen histories one is full-sized, two small ones have the real horizon, the others are small (see
`local.histories.player`). The variables SEED and SIZE play one history and tell it whole; HISTORIES (300), PROCESSES
(2) and SECONDS_AT_MOST (no limit) say how many are played. A run of many adds its count and its mismatches to
``benchmarks/results.json``. Each process has an embedded BigQuery of its own.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.draws_support import result, warehouse
from benchmarks.run import RESULTS, validated
from local.config import REPOSITORY, Config
from local.histories.player import SIZES, play
from local.stack import Stack

#: Sizes of the histories, in turn.
TURN = ("small",) * 10 + ("horizon",) * 2 + ("small",) * 2 + ("full",)

#: Ports of the first process's BigQuery and state of it: beside those of the other stacks.
PORT_BASE, STATE = 18_000, Path(".local/soak")

MIGRATIONS = ("R__100_draws_dedup_v",)


def worker(number: int, until: float, wanted: Iterable[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    """Play the histories of (seed, size) one after the other on a BigQuery of one's own.

    :param number: of the process, from 0.
    :param until: no history is begun after this time (seconds since 1970).
    """
    logging.getLogger().addHandler(logging.NullHandler())  # the tasks' logs; their failures are part of the story
    os.environ["STACK_DIR"] = str(STATE / str(number))
    os.environ["PORT_BASE"] = str(int(os.environ.get("PORT_BASE", PORT_BASE)) + 150 * number)
    try:
        with warehouse(f"histories_{number}", *MIGRATIONS) as client:
            for seed, size in wanted:
                if time.time() > until:
                    return
                played = play(client, seed, SIZES[size])
                yield {
                    "seed": seed,
                    "size": size,
                    "steps": len(played.lines),
                    "seconds": round(played.seconds, 1),
                    "mismatches": len(played.mismatches) + len(played.failures),
                    "story": str(played),
                }
    finally:
        Stack(Config.from_environment()).down()


def shared(wanted: list[tuple[int, str]], processes: int, until: float) -> Iterator[dict[str, Any]]:
    """Play the histories in several processes and yield each as it ends.

    :raises RuntimeError: when a process did not play its share.
    """

    def play_share(number: int) -> list[dict[str, Any]]:
        share = [f"{seed}:{size}" for seed, size in wanted[number::processes]]
        command = [sys.executable, "-m", "benchmarks.histories", "--worker", str(number), str(until), *share]
        played = []
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if not line.startswith("{"):
                    continue
                history = json.loads(line)
                played.append(history)
                print("seed {seed} ({size}): {steps} steps, {seconds} s, {mismatches} mismatches".format(**history))
                if history["mismatches"]:
                    print(history["story"])
                sys.stdout.flush()
        if process.returncode:
            raise RuntimeError(
                f"the process {number} of the soak ended with {process.returncode}: see its output above"
            )
        return played

    with ThreadPoolExecutor(processes) as pool:
        for share in pool.map(play_share, range(processes)):
            yield from share


def record(played: list[dict[str, Any]]) -> None:
    """Write what was played into ``benchmarks/results.json``."""
    sizes = ", ".join(f"{sum(1 for one in played if one['size'] == size)} {size}" for size in sorted(SIZES))
    seeds = f"seeds {min(one['seed'] for one in played)} to {max(one['seed'] for one in played)}"
    entries = (
        result(
            "soak_draws_histories", len(played), None, "histories",
            f"Random histories of the draw pipeline played to their end ({sizes}; {seeds}), with late, corrected, "
            f"moved, doubled and missing draws and tasks killed, timed out and repeated: "
            f"{sum(one['steps'] for one in played):,} steps.",
        ),
        result(
            "soak_draws_mismatches", sum(one["mismatches"] for one in played), None, "rows",
            "Rows of draws and draws_14w that differ from an oracle in plain Python after one full round, and tasks of "
            "that round that failed, over the same histories.",
        ),
    )  # fmt: skip
    results = {one["name"]: one for one in json.loads(RESULTS.read_text())}
    results |= {entry["name"]: validated(entry) for entry in entries}
    RESULTS.write_text(json.dumps(list(results.values()), indent=1, ensure_ascii=False) + "\n")


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        asked = [(int(seed), size) for seed, size in (one.split(":") for one in sys.argv[4:])]
        for history in worker(int(sys.argv[2]), float(sys.argv[3]), asked):
            print(json.dumps(history), flush=True)
        return 0
    seed, size = os.environ.get("SEED"), os.environ.get("SIZE") or "small"
    if size not in SIZES or (seed and not seed.isdecimal()):
        print(f"SEED is a number and SIZE one of {', '.join(SIZES)}; not {seed!r} and {size!r}", file=sys.stderr)
        return 2
    if seed:
        (history,) = worker(0, float("inf"), [(int(seed), size)])
        print(history["story"])
        return 1 if history["mismatches"] else 0
    first = int(f"{datetime.now(UTC):%Y%m%d}0000")
    count = int(os.environ.get("HISTORIES") or 300)
    until = time.time() + float(os.environ.get("SECONDS_AT_MOST") or "inf")
    wanted = [(first + at, TURN[at % len(TURN)]) for at in range(count)]
    played = list(shared(wanted, int(os.environ.get("PROCESSES") or 2), until))
    if not played:
        print("no history was played: give it more time with SECONDS_AT_MOST", file=sys.stderr)
        return 1
    record(played)
    wrong = [one["seed"] for one in played if one["mismatches"]]
    print(f"{len(played)} histories, {len(wrong)} of them wrong in the end{': seeds ' if wrong else ''}{wrong or ''}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
