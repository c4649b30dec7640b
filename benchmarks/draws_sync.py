"""The incremental sync against a MERGE of the whole tables, at 140 thousand, 1.4 and 14 million draws; throughput."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from benchmarks.draws_support import NEWEST, NEWEST_PERIOD, at, fill, result, rows, seconds, warehouse
from drawsguard.draws.sync.target import TargetRepository
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner

SIZES = {"140k": 140_000, "1m4": 1_400_000, "14m": 14_000_000}

#: What a scheduled run covers: its interval and the lookback.
INTERVAL = Window(NEWEST - timedelta(minutes=65), NEWEST + timedelta(seconds=1))

#: The form that this project does not use: every row of both tables takes part, newest version of each period.
FULL_MERGE = """
MERGE {target} AS target
USING (
  SELECT period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at
  FROM {source}
  QUALIFY ROW_NUMBER() OVER (PARTITION BY period ORDER BY COALESCE(updated_at, created_at) DESC) = 1
) AS source
ON target.period = source.period
WHEN MATCHED AND COALESCE(source.updated_at, source.created_at) > COALESCE(target.updated_at, target.created_at)
THEN UPDATE SET
  timestamp = source.timestamp, numbers = source.numbers, sum_value = source.sum_value, big_small = source.big_small,
  odd_even = source.odd_even, updated_at = source.updated_at
WHEN NOT MATCHED THEN INSERT
  (period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, synced_at)
VALUES (source.period, source.timestamp, source.numbers, source.sum_value, source.big_small, source.odd_even,
        source.created_at, source.updated_at, CURRENT_TIMESTAMP())
"""


def run(sizes: dict[str, int] | None = None) -> list[dict[str, Any]]:
    """Measure both forms at each size, then the throughput of batches and of a year's backfill."""
    results: list[dict[str, Any]] = []
    readable: dict[str, int] = {}
    for name, size in (sizes or SIZES).items():
        with warehouse("sync") as client:
            fill(client, "source", size)
            fill(client, "target", size - 3, NEWEST_PERIOD - 3)
            ours = seconds(lambda client=client: _sync(client, INTERVAL))
            newest = rows(client, f"SELECT MAX(period) AS p FROM {get_settings().table('target', 'draws')}")[0]["p"]
            assert newest == NEWEST_PERIOD, "the sync did not reach the newest draw"
            readable[name] = _rows_in_partitions(client, INTERVAL)
            remove = f"DELETE FROM {get_settings().table('target', 'draws')} WHERE period > {NEWEST_PERIOD - 3}"
            client.query(remove).result()
            tables = {side: get_settings().table(side, "draws") for side in ("source", "target")}
            full = seconds(lambda client=client, tables=tables: client.query(FULL_MERGE.format(**tables)).result())
        results.append(
            result(
                f"sync_vs_full_merge_{name}", readable[name], 2 * size - 3, "rows readable",
                f"Rows in the partitions that the MERGE can read at {size:,} draws, from its bound range and the "
                "tables' rows by day; alternative: a MERGE of both whole tables. Computed, not billed.",
            )
        )  # fmt: skip
        results.append(
            result(
                f"sync_wall_{name}", ours, full, "s",
                f"Planning, MERGE and verification on the local engine at {size:,} draws; alternative: the whole-table "
                "MERGE alone. The local engine does not prune partitions, so both grow with the table here.",
            )
        )  # fmt: skip
    if {"140k", "14m"} <= readable.keys():
        results.append(
            result(
                "sync_flat_14m_over_140k", readable["14m"] / readable["140k"], 14_000_000 / 140_000, "×",
                "Rows readable by the MERGE at 14 million draws over those at 140 thousand (at most 1.5); alternative: "
                "the same for the whole-table MERGE. 14 million draws at this cadence are 93 years: more daily "
                "partitions than a real table may have.",
            )
        )  # fmt: skip
    return results + _throughput()


def _sync(client: Any, window: Window) -> int:
    warehouse_ = TargetRepository(client, dag_id="bench", task_id="sync")
    plan = warehouse_.plan_window(window, window.end)
    statements = StatementRunner(client, "bench", "sync")
    affected = statements.affected("sync/merge_draws.sql", **plan.bounds(), synced_at=window.end)
    warehouse_.verify(plan)
    return affected


def _rows_in_partitions(client: Any, window: Window) -> int:
    """Count the rows of both tables in the daily partitions that the plan's bounds touch."""
    plan = TargetRepository(client, dag_id="bench", task_id="sync").plan_window(window, window.end)
    days = f"DATE(timestamp) BETWEEN DATE '{plan.read.start:%F}' AND DATE '{plan.read.end:%F}'"
    return sum(
        rows(client, f"SELECT COUNT(*) AS n FROM {get_settings().table(side, 'draws')} WHERE {days}")[0]["n"]
        for side in ("source", "target")
    )


def _throughput() -> list[dict[str, Any]]:
    year = int(timedelta(days=365) / timedelta(seconds=210))
    whats = {
        "sync_batch_100": (100, "One sync of 100 new draws"),
        "sync_batch_10k": (10_000, "One sync of 10,000 new draws"),
        "backfill_year": (year, "A year of draws, backfilled in twelve ranges"),
    }
    results = []
    for name, (count, what) in whats.items():
        with warehouse("batch") as client:
            fill(client, "source", count)
            start, end = at(NEWEST_PERIOD - count + 1), at(NEWEST_PERIOD) + timedelta(seconds=1)
            parts = 12 if name == "backfill_year" else 1
            bounds: list[datetime] = [start + (end - start) * part / parts for part in range(parts + 1)]
            windows = [Window(bounds[part], bounds[part + 1]) for part in range(parts)]
            taken = seconds(lambda client=client, windows=windows: [_sync(client, window) for window in windows])
            written = rows(client, f"SELECT COUNT(*) AS n FROM {get_settings().table('target', 'draws')}")[0]["n"]
            assert written == count, f"{written} of {count} draws arrived"
        text = f"{what}: planned, merged and verified on the local engine; the target is a sync "
        results.append(result(name, count / taken, None, "draws/s", text + "that takes 100 draws."))
    return results
