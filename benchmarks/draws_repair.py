"""Time from an injected outage or gap to a target that equals the source again (MTTR), run by run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from benchmarks.draws_support import CADENCE, NEWEST, NEWEST_PERIOD, at, fill, result, rows, seconds, warehouse
from drawsguard.draws.repair.gaps import find_gaps
from drawsguard.draws.repair.repairer import Repairer
from drawsguard.draws.sync.target import TargetRepository
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner

#: A month of draws.
SIZE = 12_000
OUTAGES = {
    "10min": timedelta(minutes=10),
    "1h": timedelta(hours=1),
    "9h": timedelta(hours=9),
    "3d": timedelta(days=3),
}
HOLES = (1, 16, 154)
REPEAT = 3

#: The longest wait for the schedule (seconds): both draw_sync and draw_repair run every five minutes.
WAIT_FOR_A_RUN = 300.0


def run() -> list[dict[str, Any]]:
    """Measure the work of one run, from its start to the verified target; there is no alternative to it."""
    results = []
    with warehouse("repair") as client:
        fill(client, "source", SIZE)
        fill(client, "target", SIZE)
        for name, length in OUTAGES.items():
            lost = range(NEWEST_PERIOD - int(length / CADENCE), NEWEST_PERIOD + 1)
            times = [_timed(client, lost, partial(_sync_after, client, length)) for _ in range(REPEAT)]
            results.append(_result(f"mttr_outage_{name}", times, f"An outage of {length}, healed by one sync"))
        for size in HOLES:
            lost = range(NEWEST_PERIOD - 1500, NEWEST_PERIOD - 1500 + size)
            times = [_timed(client, lost, partial(_repair, client)) for _ in range(REPEAT)]
            results.append(_result(f"mttr_hole_{size}", times, f"A hole of {size} draws, found and healed by a repair"))
    return results


def _result(name: str, times: list[float], what: str) -> dict[str, Any]:
    longest = max(times)
    text = (
        f"{what}: seconds of the run's own work on the local engine (longest of {len(times)}, median "
        f"{statistics.median(times):.2f}). Detection adds the wait for the schedule, at most {WAIT_FOR_A_RUN:.0f} s."
    )
    return result(name, longest, None, "s", text)


def _timed(client: Any, lost: range, heal: Callable[[], None]) -> float:
    table = get_settings().table("target", "draws")
    bounds = f"timestamp >= TIMESTAMP '{at(lost[0]).isoformat()}' AND period BETWEEN {lost[0]} AND {lost[-1]}"
    client.query(f"DELETE FROM {table} WHERE {bounds}").result()
    taken = seconds(heal)
    healed = rows(client, f"SELECT COUNT(*) AS n FROM {table} WHERE {bounds}")[0]["n"]
    assert healed == len(lost), f"{len(lost) - healed} of {len(lost)} draws are still missing"
    return taken


def _sync_after(client: Any, outage: timedelta) -> None:
    """Run the first sync after an outage: its window reaches back to the watermark."""
    warehouse_ = TargetRepository(client, dag_id="bench", task_id="sync")
    window = Window(NEWEST - outage - timedelta(minutes=65), NEWEST + timedelta(seconds=1))
    plan = warehouse_.plan_window(window, NEWEST)
    StatementRunner(client, "bench", "sync").run("sync/merge_draws.sql", **plan.bounds(), synced_at=NEWEST)
    warehouse_.verify(plan)


def _repair(client: Any) -> None:
    def no_feed(_span: Window) -> None:
        raise AssertionError("the source has every draw: the feed is not asked")

    repairer = Repairer(client, "bench", "repair", "run", 1, no_feed, lambda: datetime.now(UTC))
    gaps = find_gaps(repairer.statements, Window(NEWEST - timedelta(days=7), NEWEST), NEWEST)
    repairer.repair(gaps)
