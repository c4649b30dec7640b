"""A warehouse of a test module's own, with the migrations that the draws need."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from drawsguard.settings import get_settings
from drawsguard.sql import render

MIGRATIONS = (
    "V001__datasets", "bootstrap", "V002__draws", "V003__logs", "R__010_draw_version", "R__100_draws_dedup_v",
    "V020__draws_14w", "V021__feature_update_log", "R__140_draw_versions_hourly_mv", "R__150_draws_hourly_mv",
    "R__155_draws_14w_hourly_mv", "V023__dead_letters", "R__200_draws_daily_stats_v", "R__210_draws_weekly_stats_v",
    "R__220_dead_letter_depth_v",
)  # fmt: skip


@contextmanager
def draws_warehouse(stack: Any, *further: str) -> Iterator[Client]:
    """Yield a client of new datasets, which go away afterwards; ``further`` are migrations beyond `MIGRATIONS`."""
    stack.require("bigquery")
    with pytest.MonkeyPatch.context() as environment:
        suffix = uuid.uuid4().hex[:8]
        for dataset in ("source", "target", "monitor"):
            environment.setenv(f"DRAWSGUARD_{dataset.upper()}_DATASET", f"{dataset}_{suffix}")
        get_settings.cache_clear()
        settings = get_settings()
        client = Client(project=settings.project, credentials=AnonymousCredentials(), location=settings.location)
        for migration in (*MIGRATIONS, *further):
            client.query(render(f"bigquery/schema/{migration}.sql")).result(timeout=60)
        yield client
        for name in (settings.source_dataset, settings.target_dataset, settings.monitor_dataset):
            client.delete_dataset(name, delete_contents=True, not_found_ok=True)
    get_settings.cache_clear()


def truncate(client: Client, *tables: tuple[str, str]) -> None:
    """Empty tables, given as (dataset, name) with ``source``, ``target`` or ``monitor``."""
    for table in tables:
        client.query(f"TRUNCATE TABLE {get_settings().table(*table)}").result()


def rows(client: Client, statement: str) -> list[dict[str, Any]]:
    """Run a query of the test's own and return its rows."""
    return [dict(row.items()) for row in client.query(statement).result()]
