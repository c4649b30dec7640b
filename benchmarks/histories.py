"""``make soak-draws``: play hundreds of random histories and days of the draw pipeline and count what is wrong.

A day has faults of the whole world around the pipeline, and the monitor (see `local.histories.day`). Of fifteen
histories one is full-sized, two small ones have the real horizon, the others are small (see `local.histories.player`).
The variables SEED and SIZE play one of them and tell it whole; DAYS (40), HISTORIES (300), PROCESSES (2) and
SECONDS_AT_MOST (no limit) say how many are played. A run of many writes its figures to ``benchmarks/results.json``.
Each process has an embedded BigQuery of its own.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.draws_support import result, warehouse
from benchmarks.run import RESULTS, validated
from local.config import REPOSITORY, Config
from local.histories.player import SIZES, play
from local.histories.year import MIGRATIONS as DAY_MIGRATIONS
from local.histories.year import play_day
from local.stack import Stack

#: Sizes of the histories, in turn.
TURN = ("small",) * 10 + ("horizon",) * 2 + ("small",) * 2 + ("full",)

#: Ports of the first process's BigQuery and state of it: beside those of the other stacks.
PORT_BASE, STATE = 18_000, Path(".local/soak")

MIGRATIONS = ("R__100_draws_dedup_v", *DAY_MIGRATIONS)

#: What a day is called among the sizes of histories.
DAY = "day"


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
                if size == DAY:
                    day = play_day(client, seed)
                    found = {"mismatches": len(day.problems), "tally": asdict(day.tally)}
                else:
                    history = play(client, seed, SIZES[size])
                    found = {"mismatches": len(history.mismatches) + len(history.failures)}
                told = day if size == DAY else history
                yield {
                    "seed": seed,
                    "size": size,
                    "steps": len(told.lines),
                    "seconds": round(told.seconds, 1),
                    "story": str(told),
                    **found,
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
    histories = [one for one in played if one["size"] != DAY]
    results = {one["name"]: one for one in json.loads(RESULTS.read_text())}
    for entry in [*_of_histories(histories), *_of_days([one for one in played if one["size"] == DAY])]:
        results[entry["name"]] = validated(entry)
    RESULTS.write_text(json.dumps(list(results.values()), indent=1, ensure_ascii=False) + "\n")


def _of_days(days: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if not days:
        return
    tallies = [day["tally"] for day in days]
    kinds = Counter[str]()
    for tally in tallies:
        kinds.update(tally["faults"])
    detected = sorted(seconds for tally in tallies for seconds in tally["detected"])
    seeds = f"seeds {min(day['seed'] for day in days)} to {max(day['seed'] for day in days)}"
    rounds = sum(tally["rounds"] for tally in tallies)
    spread = f"{len(days)} simulated days of 2025 and 2026 ({seeds})"
    yield result(
        "soak_draws_faults", kinds.total(), None, "faults",
        f"Random faults of {len(kinds)} kinds on {spread}: feed, BigQuery, schedulers, clocks, people.",
    )  # fmt: skip
    for name, what in (
        ("lost", "Rows missing in draws or draws_14w"),
        ("doubled", "Rows that draws or draws_14w hold twice"),
        ("other", "Rows of draws or draws_14w that are stale, foreign or differ from the oracle"),
    ):
        yield result(
            f"soak_draws_{name}", sum(tally[name] for tally in tallies), None, "rows",
            f"{what} after the recovery of each episode of ten to seventeen faults, over the same days.",
        )  # fmt: skip
    yield result(
        "soak_draws_false_alarms", sum(len(tally["false_alarms"]) for tally in tallies), None, "alarms",
        f"Alerts without a cause, or before it was visible, in {rounds:,} rounds of the monitor over the same days.",
    )  # fmt: skip
    yield result(
        "soak_draws_unseen", sum(len(tally["unseen"]) for tally in tallies), None, "faults",
        f"Visible faults that the round after them did not find; {len(detected)} were found.",
    )  # fmt: skip
    if detected:
        yield result(
            "soak_draws_detect_p95_s", round(detected[-(len(detected) // 20) - 1], 1), None, "s",
            f"From the moment at which a fault is visible to its alert, on the simulated clock, p95 of {len(detected)} "
            f"(longest {detected[-1]:.0f} s); the monitor looks once a minute.",
        )  # fmt: skip


def _of_histories(played: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if not played:
        return
    sizes = ", ".join(f"{sum(1 for one in played if one['size'] == size)} {size}" for size in sorted(SIZES))
    seeds = f"seeds {min(one['seed'] for one in played)} to {max(one['seed'] for one in played)}"
    yield from (
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


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        asked = [(int(seed), size) for seed, size in (one.split(":") for one in sys.argv[4:])]
        for history in worker(int(sys.argv[2]), float(sys.argv[3]), asked):
            print(json.dumps(history), flush=True)
        return 0
    seed, size = os.environ.get("SEED"), os.environ.get("SIZE") or "small"
    if size not in (*SIZES, DAY) or (seed and not seed.isdecimal()):
        print(
            f"SEED is a number and SIZE one of {', '.join((*SIZES, DAY))}; not {seed!r} and {size!r}", file=sys.stderr
        )
        return 2
    if seed:
        (history,) = worker(0, float("inf"), [(int(seed), size)])
        print(history["story"])
        return 1 if history["mismatches"] else 0
    first = int(f"{datetime.now(UTC):%Y%m%d}0000")
    count = int(os.environ.get("HISTORIES", "300") or 300)
    until = time.time() + float(os.environ.get("SECONDS_AT_MOST") or "inf")
    days = int(os.environ.get("DAYS", "40") or 40)
    wanted = [(first + at, DAY) for at in range(days)]
    wanted += [(first + at, TURN[at % len(TURN)]) for at in range(count)]
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
