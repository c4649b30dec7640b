"""Tables from before this repository are adopted in the right order, and nothing of them is lost."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from drawsguard.draws.collect.source_repository import SourceRepository
from drawsguard.draws.history.migration import HistoryMigration, MigrationDiffersError, Side
from drawsguard.draws.model import Draw
from drawsguard.settings import get_settings
from drawsguard.warehouse.adoption import CutOverAwaitedError
from drawsguard.warehouse.migrations import load
from drawsguard.warehouse.runner import StatementRunner
from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator
from operators.operations.warehouse_schema_operator import WarehouseSchemaOperator
from tests.integration.draws.history.legacy_tables import FEATURES, create_draws, insert, row
from tests.integration.draws_warehouse import rows
from tests.integration.sync_support import sync

pytestmark = pytest.mark.integration

T0 = datetime(2024, 12, 20, tzinfo=UTC)
STEP = timedelta(hours=12)
COUNT = 40  # 20 days over two months
SPAN = {"from": T0.isoformat(), "to": (T0 + COUNT * STEP).isoformat()}
SOUND = [row(1000 + index, T0 + index * STEP) for index in range(COUNT)]
CORRECTED = row(1003, T0 + 3 * STEP, numbers=[7, 2, 3], sum_value=12, updated_at=T0 + 4 * STEP)
#: What the present tables refuse or nobody may use, by the fault that is expected.
FAULTY = {
    "period_missing": [row(1005, T0 + 5 * STEP, period=None)],
    "time_missing": [row(1006, T0 + 6 * STEP, timestamp=None)],
    "time_invalid": [row(1007, T0 + 7 * STEP, timestamp=datetime(1970, 1, 1, tzinfo=UTC))],
    "created_at_missing": [row(1008, T0 + 8 * STEP, created_at=None)] * 2 + [row(1009, T0, created_at=None)],
    "number_invalid": [row(1010, T0, numbers=[1, 2]), row(1011, T0, numbers=[1, 2, 13], sum_value=16)],
    "sum_mismatch": [row(1012, T0, sum_value=7), row(1013, T0, sum_value=None)],
    "big_small_mismatch": [row(1014, T0, big_small="big"), row(1014, T0, big_small=None)],
    "odd_even_mismatch": [row(1015, T0, odd_even="odd"), row(1015, T0, odd_even=None)],
}
FAULTS = {fault: len(found) for fault, found in FAULTY.items()}


@pytest.fixture
def client(stack: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Datasets with the tables of old, before any migration."""
    stack.require("bigquery")
    suffix = uuid.uuid4().hex[:8]
    for dataset in ("source", "target", "monitor"):
        monkeypatch.setenv(f"DRAWSGUARD_{dataset.upper()}_DATASET", f"adopt_{dataset}_{suffix}")
    get_settings.cache_clear()
    settings = get_settings()
    client = Client(project=settings.project, credentials=AnonymousCredentials(), location=settings.location)
    for side, dataset in (("source", settings.source_dataset), ("target", settings.target_dataset)):
        client.query(f"CREATE SCHEMA `{settings.project}.{dataset}`").result()
        create_draws(client, side)
        faulty = [one for found in FAULTY.values() for one in found]
        insert(client, side, [*SOUND, SOUND[1], CORRECTED, *faulty])
    features = settings.table("target", "draws_14w")
    client.query(f"CREATE TABLE {features} ({FEATURES})").result()
    values = f"(1000, TIMESTAMP '{T0.isoformat()}', 1, 2, 3, 6, {', '.join(['NULL'] * 7)})"
    client.query(f"INSERT INTO {features} VALUES {values}").result()
    yield client
    for name in (settings.source_dataset, settings.target_dataset, settings.monitor_dataset):
        client.delete_dataset(name, delete_contents=True, not_found_ok=True)
    get_settings.cache_clear()


def schema() -> list[str]:
    """Run warehouse_schema and return what it applied."""
    run = SimpleNamespace(run_id="manual__adoption")
    return WarehouseSchemaOperator(task_id="migrate").execute({"params": {"dry_run": False}, "ti": run})


def recorded(client: Client) -> set[str]:
    """Return the names of the files that are in place."""
    settings = get_settings()
    if settings.monitor_dataset not in {dataset.dataset_id for dataset in client.list_datasets()}:
        return set()
    return {one["name"] for one in rows(client, f"SELECT name FROM {settings.table('monitor', 'schema_migrations')}")}


def awaited_step(client: Client) -> tuple[str, set[str]]:
    """Run warehouse_schema while a cut-over is awaited; return what its failure says, and what it applied."""
    before = recorded(client)
    with pytest.raises(AirflowFailException) as caught:
        schema()
    return str(caught.value), recorded(client) - before


def migration(client: Client, side: Side) -> HistoryMigration:
    return HistoryMigration(StatementRunner(client, "test", "test"), side, "run", lambda: datetime.now(UTC))


def cut_over(client: Client, side: Side) -> None:
    moved = migration(client, side)
    for month in moved.prepare():
        moved.copy(month)
    moved.cut_over()


def content(client: Client, side: str, table: str) -> list[str]:
    """Return the draws of a table as sorted texts."""
    columns = "period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at"
    bound = "" if table.endswith("_unpartitioned") else "WHERE timestamp >= TIMESTAMP '2000-01-01'"
    found = rows(client, f"SELECT {columns} FROM {get_settings().table(side, table)} {bound}")
    return sorted(json.dumps(one, default=str) for one in found)


def as_text(found: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(one, default=str) for one in found)


def collect(client: Client) -> int:
    moment = T0 + COUNT * STEP
    draw = Draw.derive(1000 + COUNT, moment, (1, 2, 3), moment)
    return SourceRepository(client, "draw_collect", "collect").insert_draws([draw], moment)


def refresh_features() -> None:
    run = SimpleNamespace(run_id="manual__adoption", try_number=1)
    FeatureRefreshOperator(task_id="refresh").execute({"params": {}, "ti": run})


def test_existing_tables_are_adopted_in_order_and_nothing_is_lost(client: Client) -> None:
    settings = get_settings()
    # 1. Tables and functions are made; what stands on a legacy table waits, and the next step is named.
    failure, applied = awaited_step(client)
    assert "draw_history_migration with side=source" in failure
    assert f"{settings.target_dataset}.draws_14w" in failure
    waiting = failure.split("wait for it: ")[1].rstrip(".").split(", ")
    assert sorted([*applied, *waiting]) == sorted(one.name for one in load())
    assert {"V002__draws.sql", "R__010_draw_version.sql", "R__020_draw_fault.sql"} <= applied
    for number in ("100", "110", "140", "150", "155", "200", "210", "310", "320", "330"):
        assert any(name.startswith(f"R__{number}_") for name in waiting), number
    assert awaited_step(client) == (failure, set()), "a second run changes nothing"

    # The writers say what is awaited.
    with pytest.raises(CutOverAwaitedError, match="side=source") as refused:
        collect(client)
    assert refused.value.permanent
    with pytest.raises(CutOverAwaitedError, match="cut-over is awaited"):
        sync(**SPAN)
    with pytest.raises(CutOverAwaitedError, match="cut-over is awaited"):
        refresh_features()

    # 2. The source, then the target.
    cut_over(client, "source")
    failure, applied = awaited_step(client)
    assert "side=target" in failure
    assert f"{settings.source_dataset}.draws" not in failure
    assert "R__100_draws_dedup_v.sql" in applied
    assert collect(client) == 1
    with pytest.raises(CutOverAwaitedError, match="side=target"):
        sync(**SPAN)
    cut_over(client, "target")

    # 3. The views; afterwards there is nothing left to do.
    assert "R__150_draws_hourly_mv.sql" in schema()
    assert schema() == []
    assert recorded(client) == {one.name for one in load()}
    statistics = settings.table("target", "draws_hourly_mv")
    assert rows(client, f"SELECT SUM(draws) AS n FROM {statistics}") == [{"n": COUNT + 1}]
    freshness = rows(client, f"SELECT table_name FROM {settings.table('monitor', 'cloud_freshness_v')}")
    assert len(freshness) == 3

    # Nothing is lost: every row is in the table, set aside with its fault, or an exact copy; the old tables stay.
    versions = as_text([*SOUND, CORRECTED])
    assert content(client, "target", "draws") == versions
    assert len(content(client, "source", "draws")) == len(versions) + 1, "the draw that was collected meanwhile, too"
    quarantine = rows(client, f"SELECT source, reason, raw FROM {settings.table('source', 'draws_quarantine')}")
    for side in ("source", "target"):
        assert len(content(client, side, "draws_unpartitioned")) == len(SOUND) + 2 + sum(FAULTS.values())
        assert migration(client, side).faults() == FAULTS
        name = f"history {getattr(settings, f'{side}_dataset')}.draws"
        kept = Counter(one["reason"] for one in quarantine if one["source"] == name)
        assert kept == {**FAULTS, "created_at_missing": 2}, "two equal rows are one, with their number"
    nameless = [json.loads(one["raw"]) for one in quarantine if one["reason"] == "period_missing"]
    assert [(one["period"], one["numbers"]) for one in nameless] == [(None, [1, 2, 3])] * 2
    old_features = rows(client, f"SELECT issue FROM {settings.table('target', 'draws_14w_unpartitioned')}")
    assert old_features == [{"issue": 1000}]

    # Both writers work; the features are computed from the draws.
    sync(**SPAN)
    refresh_features()
    features = settings.table("target", "draws_14w")
    issues = rows(client, f"SELECT COUNT(DISTINCT issue) AS n FROM {features} WHERE ts_utc >= TIMESTAMP '2000-01-01'")
    assert issues == [{"n": COUNT}]


def test_a_second_migration_changes_nothing(client: Client) -> None:
    awaited_step(client)
    for side in ("source", "target"):
        cut_over(client, side)  # type: ignore[arg-type]
    schema()
    tables = [(side, table) for side in ("source", "target") for table in ("draws", "draws_unpartitioned")]
    before = [content(client, *one) for one in tables]
    aside = rows(client, f"SELECT row_id FROM {get_settings().table('source', 'draws_quarantine')} ORDER BY row_id")
    for side in ("source", "target"):
        moved = migration(client, side)  # type: ignore[arg-type]
        assert moved.is_done()
        assert moved.prepare() == []
        assert moved.cut_over() == []
    assert schema() == []
    assert [content(client, *one) for one in tables] == before
    assert aside == rows(
        client, f"SELECT row_id FROM {get_settings().table('source', 'draws_quarantine')} ORDER BY row_id"
    )


def test_a_table_of_the_partitioned_name_from_before_is_not_filled(client: Client) -> None:
    """The plan of the seeds creates it without a column for the time of writing."""
    awaited_step(client)
    name = get_settings().table("source", "draws_partitioned")
    client.query(f"CREATE TABLE {name} (period INT64, timestamp TIMESTAMP) PARTITION BY DATE(timestamp)").result()
    with pytest.raises(MigrationDiffersError, match="draws_partitioned was there before"):
        migration(client, "source").prepare()
