"""A warehouse of the benchmarks' own on the embedded BigQuery, and draws at any size."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from drawsguard.settings import get_settings
from drawsguard.sql import render
from local.config import Config
from local.stack import Stack

MIGRATIONS = (
    "V001__datasets", "bootstrap", "V002__draws", "V003__logs", "R__010_draw_version", "V020__draws_14w",
    "V021__feature_update_log", "V024__repair_log", "R__140_draw_versions_hourly_mv", "R__150_draws_hourly_mv",
    "R__155_draws_14w_hourly_mv",
)  # fmt: skip

#: The newest draw of every benchmark table; older ones precede it, 210 s apart.
NEWEST = datetime(2026, 1, 1, tzinfo=UTC)
CADENCE = timedelta(seconds=210)
#: Its period.
NEWEST_PERIOD = 20_000_000


@contextmanager
def warehouse(name: str, *further: str) -> Iterator[Client]:
    """Start the embedded BigQuery where it is not running and yield a client of empty datasets named after ``name``.

    :param further: migrations beyond `MIGRATIONS`.
    """
    config = Config.from_environment()
    Stack(config).up(["bigquery"])
    for variable, value in config.airflow_environment().items():
        if variable.startswith("AIRFLOW_CONN_") or variable.endswith("_EMULATOR_HOST"):
            os.environ[variable] = value
    before = {key: os.environ.get(key) for key in _dataset_variables(name)}
    os.environ.update(_dataset_variables(name))
    get_settings.cache_clear()
    settings = get_settings()
    client = Client(project=settings.project, credentials=AnonymousCredentials(), location=settings.location)
    datasets = (settings.source_dataset, settings.target_dataset, settings.monitor_dataset)
    for dataset in datasets:
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
    for migration in (*MIGRATIONS, *further):
        client.query(render(f"bigquery/schema/{migration}.sql")).result()
    try:
        yield client
    finally:
        for dataset in datasets:
            client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
        for key, former in before.items():
            if former is None:
                os.environ.pop(key)
            else:
                os.environ[key] = former
        get_settings.cache_clear()


def _dataset_variables(name: str) -> dict[str, str]:
    return {f"DRAWSGUARD_{side.upper()}_DATASET": f"bench_{name}_{side}" for side in ("source", "target", "monitor")}


def fill(client: Client, side: str, count: int, newest: int = NEWEST_PERIOD, cadence: timedelta = CADENCE) -> None:
    """Put ``count`` draws up to ``newest`` into the source or the target; their digits follow from the period."""
    stamp = "ingested_at" if side == "source" else "synced_at"
    client.query(
        f"""
        INSERT INTO {get_settings().table(side, "draws")}
          (period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, {stamp})
        SELECT
          period, drawn_at, [a, b, c], a + b + c, IF(a + b + c >= 14, 'big', 'small'),
          IF(MOD(a + b + c, 2) = 1, 'odd', 'even'), drawn_at, NULL, drawn_at
        FROM (
          SELECT
            period,
            TIMESTAMP_ADD(
              TIMESTAMP '{NEWEST.isoformat()}', INTERVAL {cadence.seconds} * (period - {NEWEST_PERIOD}) SECOND
            ) AS drawn_at,
            MOD(period * 7 + DIV(period, 11), 10) AS a,
            MOD(period * 3 + DIV(period, 17), 10) AS b,
            MOD(period + DIV(period, 29), 10) AS c
          FROM UNNEST(GENERATE_ARRAY({newest - count + 1}, {newest})) AS period
        )
        """
    ).result()


def at(period: int) -> datetime:
    """Return the time of a draw of `fill`."""
    return NEWEST + (period - NEWEST_PERIOD) * CADENCE


def rows(client: Client, statement: str) -> list[dict[str, Any]]:
    return [dict(row.items()) for row in client.query(statement).result()]


def seconds(work: Any, repeat: int = 1) -> float:
    """Return how long the fastest of ``repeat`` calls of ``work`` takes."""
    best = float("inf")
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def result(name: str, ours: float, alternative: float | None, unit: str, what: str) -> dict[str, Any]:
    """Return a result; the ratio is alternative ÷ ours, above 1 when ours is the better."""
    ratio = None if alternative is None or not ours else round(alternative / ours, 2)
    rounded = None if alternative is None else round(alternative, 3)
    return {"name": name, "ours": round(ours, 3), "alternative": rounded, "ratio": ratio, "unit": unit, "what": what}
