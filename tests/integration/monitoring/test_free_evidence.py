"""What the engine tells without a query: the monitor relies on it to know that a view would say the same again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.monitoring.news import WATCHED
from drawsguard.settings import get_settings
from drawsguard.warehouse.partitions import rows_of_day
from drawsguard.warehouse.table_facts import newest_change, table_facts
from tests.integration.draws_warehouse import draws_warehouse, truncate

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
COLUMNS = {"period": "INT64", "timestamp": "TIMESTAMP", "numbers": "INT64[]"}


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, "V041__check_log") as client:
        yield client


def insert(client: Client, period: int, at: datetime) -> None:
    statement = (
        f"INSERT INTO {get_settings().table('source', 'draws')} "
        "(period, timestamp, numbers, sum_value, big_small, odd_even, created_at, ingested_at) "
        f"VALUES ({period}, TIMESTAMP '{at:%F %T}+00', [8, 8, 4], 20, 'big', 'even', "
        f"TIMESTAMP '{at:%F %T}+00', TIMESTAMP '{at:%F %T}+00')"
    )
    client.query(statement).result()


def test_each_change_shows_in_the_metadata(client: Client) -> None:
    seen = []
    truncate(client, ("source", "draws"))
    seen.append(table_facts(client, "source", "draws"))
    for period in (1, 2):
        insert(client, period, NOON)
        seen.append(table_facts(client, "source", "draws"))
    client.query(f"DELETE FROM {get_settings().table('source', 'draws')} WHERE period = 1").result()
    seen.append(table_facts(client, "source", "draws"))
    client.query(f"UPDATE {get_settings().table('source', 'draws')} SET sum_value = 20 WHERE period = 2").result()
    seen.append(table_facts(client, "source", "draws"))
    assert [facts.rows for facts in seen] == [0, 1, 2, 1, 1]
    changes = [facts.changed_at for facts in seen if facts.changed_at is not None]
    assert len(set(changes)) == len(seen)
    assert changes == sorted(changes)


def test_reading_is_no_change(client: Client) -> None:
    insert(client, 3, NOON)
    before = newest_change(client, [("source", "draws")])
    client.query(f"SELECT COUNT(*) FROM {get_settings().table('source', 'draws')}").result()
    assert before is not None
    assert newest_change(client, [("source", "draws")]) == before


def test_the_rows_of_a_day_are_listed(client: Client) -> None:
    truncate(client, ("source", "draws"))
    midnight = datetime(2026, 3, 4, tzinfo=UTC)
    for period, at in ((1, midnight - timedelta(seconds=1)), (2, midnight), (3, midnight + timedelta(days=1))):
        insert(client, period, at)
    (row,) = rows_of_day(client, "source", "draws", date(2026, 3, 4), COLUMNS)
    assert row == {"period": 2, "timestamp": midnight, "numbers": [8, 8, 4]}
    assert rows_of_day(client, "source", "draws", date(2026, 3, 9), COLUMNS) == []


def test_a_streamed_row_with_a_known_id_is_not_added_again(client: Client) -> None:
    table = get_settings().table("monitor", "collect_log").strip("`")
    row = {"dag_id": "d", "task_id": "t", "run_id": "r", "try_number": 1, "poll_number": 1, "seconds": 0.5,
           "polled_at": NOON.isoformat(), "status": "success"}  # fmt: skip
    for insert_id in ("a", "a", "b"):
        assert client.insert_rows_json(table, [row], row_ids=[insert_id]) == []
    assert table_facts(client, "monitor", "collect_log").rows == 2


def test_every_table_that_is_news_for_a_view_exists(client: Client) -> None:
    for table in {table for watched in WATCHED.values() for table in watched.tables}:
        assert table_facts(client, *table).rows >= 0
