"""An incremental refresh of features against a full computation, at 140 thousand, 1.4 and 14 million draws."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from benchmarks.draws_support import NEWEST, NEWEST_PERIOD, fill, result, rows, seconds, warehouse
from drawsguard.draws.features.definitions import COMPUTED_COLUMNS, HORIZON
from drawsguard.draws.features.refresh import BLOCK, Refresh, RefreshLog, run_refresh
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner

SIZES = {"140k": 140_000, "1m4": 1_400_000, "14m": 14_000_000}
#: Between two draws: 14 million of them must lie after the year 2000, where the hourly counts begin.
CADENCE = timedelta(seconds=50)


def run(sizes: dict[str, int] | None = None) -> list[dict[str, Any]]:
    """Compute everything once (the alternative), refresh three new draws and compare them with a rebuild."""
    return [_measure(name, size) for name, size in (sizes or SIZES).items()]


def _measure(name: str, size: int) -> dict[str, Any]:
    with warehouse("features") as client:
        log = RefreshLog(StatementRunner(client, "bench", "features"), "bench", "run", 1, NEWEST)

        def refresh(asked: Window | None = None) -> list[Refresh]:
            return run_refresh(log, lambda: NEWEST, asked=asked)

        fill(client, "target", size - 3, NEWEST_PERIOD - 3, CADENCE)
        full = seconds(refresh)
        fill(client, "target", 3, cadence=CADENCE)
        done: list[Refresh] = []
        ours = seconds(lambda: done.extend(refresh()))
        assert sum(one.rows_in for one in done) == 3, f"three draws are new, {done} were seen"
        recent = Window(NEWEST - 2 * HORIZON * CADENCE, NEWEST + CADENCE)
        assert not sum(one.rows_written for one in refresh(recent)), "incremental and full differ"
        table = get_settings().table("target", "draws_14w")
        assert rows(client, f"SELECT COUNT(*) AS n FROM {table}")[0]["n"] == size
    what = (
        f"A refresh after three new draws at {size:,} draws and {len(COMPUTED_COLUMNS)} columns, on the local engine; "
        f"alternative: computing and writing all of them, {BLOCK:,} at a time."
    )
    return result(f"features_vs_full_{name}", ours, full, "s", what)
