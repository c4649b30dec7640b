"""An incremental day against the 180-day rescan, at 2, 20 and 60 million raw rows: same result, time, rows read.

The rescan runs the same statements over every day, which is the fairer of the two ways to rescan: the seed's one-pass
form keeps nothing between runs.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_plan import Fingerprint, StatisticsWindow, chunks, days_to_build, window_of
from drawsguard.points.telemetry.day_steps import day_steps
from drawsguard.points.telemetry.hive_source import HiveSource, fetch, statements
from drawsguard.points.telemetry.push_guard import Facts
from local.cma.deliver import register_history, write_history
from local.cma.telemetry import Telemetry, metric_names
from local.config import Config
from local.stack import Stack

DAYS = 180
RUN_DATE = date(2024, 7, 31)
SIZES_MILLION = (2, 20, 60)


def run(sizes_million: Sequence[int] = SIZES_MILLION) -> list[dict[str, Any]]:
    """Measure each size and return one result a size (seconds)."""
    from pyhive import hive

    config = Config.from_environment()
    Stack(config).up(["hive"])
    results = []
    for million in sizes_million:
        address = config.host("hive"), config.port("HIVE_PORT")
        with closing(hive.connect(*address, auth="NONE", username="root")) as connection:
            results.append(_measure(connection, million, config.directory("bench_cma")))
    return results


def _measure(connection: Any, million: int, root: Path) -> dict[str, Any]:
    shutil.rmtree(root, ignore_errors=True)
    plan = Telemetry(seed=million, metrics=metric_names(400, 100), rows_a_day=million * 1_000_000 // DAYS)
    before, after = window_of(RUN_DATE, DAYS), window_of(RUN_DATE + timedelta(days=1), DAYS)
    days = [date.fromisoformat(day) for day in before.days()]
    write_history(plan, days, root)
    register_history(connection, root, days, replace=True)
    with closing(connection.cursor()) as cursor:
        for table in ("base_evt", "evt_rejected", "base_evt_ts", "base_evt_day", "evt_day_quality"):
            cursor.execute(f"DROP TABLE IF EXISTS cma.{table}")
        for statement in statements("schema/points_tables.sql"):
            cursor.execute(statement)
    _build(connection, before, rebuild=False)
    # A day later one more day has arrived.
    new_day = after.last
    truth = write_history(plan, [new_day], root)[new_day]
    register_history(connection, root, [new_day])
    seconds, built, facts = _build(connection, after, rebuild=False)
    rescan_seconds, rebuilt, rescan_facts = _build(connection, after, rebuild=True)
    assert built == 1, f"{built} days were built, one is new"
    assert rebuilt == DAYS
    assert facts == rescan_facts, f"incremental {facts}, rescan {rescan_facts}"
    shutil.rmtree(root)
    return {
        "name": f"hive_day_vs_rescan_{million}m",
        "ours": round(seconds, 1),
        "alternative": round(rescan_seconds, 1),
        "ratio": round(rescan_seconds / seconds, 1),
        "unit": "s",
        "what": f"one new day built and 180 days summed, against all 180 days built again: {truth.raw_rows:,} raw rows "
        f"read in full against about {million} million (finding the new day reads one column of those); "
        f"identical result of {facts.row_count:,} metrics",
    }


def _build(connection: Any, window: StatisticsWindow, *, rebuild: bool) -> tuple[float, int, Facts]:
    """Build what the DAG would build; return seconds, days built, and the facts of the result."""
    started = time.monotonic()
    span = {"first": str(window.first), "last": str(window.last)}
    source = {day: Fingerprint(*rest) for day, *rest in fetch(connection, "telemetry/window/source_days.sql", span)}
    done = {day: Fingerprint(*rest) for day, *rest in fetch(connection, "telemetry/window/built_days.sql", span)}
    days = days_to_build(window, source, done, rebuild=rebuild)
    rules = points_config()
    with closing(connection.cursor()) as cursor:
        for some in chunks(days, rules.telemetry.days_per_statement):
            for step in day_steps(rules):
                for statement in step.statements(some):
                    cursor.execute(statement, step.parameters(some))
        for statement in statements("telemetry/window/ads_evt_ops_status.sql"):
            cursor.execute(statement, span)
    seconds = time.monotonic() - started
    return seconds, len(days), HiveSource(connection, "window").facts()


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
