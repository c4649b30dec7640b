"""Tables from before this repository: draws of both sides and their features, unpartitioned, all columns nullable."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from google.cloud.bigquery import Client

from drawsguard.settings import get_settings

DRAWS = (
    "period INT64, timestamp TIMESTAMP, numbers ARRAY<INT64>, sum_value INT64, big_small STRING, odd_even STRING, "
    "created_at TIMESTAMP, updated_at TIMESTAMP"
)
FEATURES = (
    "issue INT64, ts_utc TIMESTAMP, a INT64, b INT64, c INT64, sum INT64, lag_1_sum INT64, lag_2_sum INT64, "
    "lag_3_sum INT64, rolling_avg_3 FLOAT64, rolling_std_3 FLOAT64, big_count_3 INT64, odd_count_3 INT64"
)


def create_draws(client: Client, side: str) -> None:
    """Put an empty legacy table in the place of a side's draws."""
    table = get_settings().table(side, "draws")
    client.query(f"DROP TABLE IF EXISTS {table}").result()
    client.query(f"CREATE TABLE {table} ({DRAWS})").result()


def row(period: int, drawn_at: datetime, /, **changed: Any) -> dict[str, Any]:
    """Return a sound row of the draw 1+2+3, with some columns changed."""
    return {
        "period": period, "timestamp": drawn_at, "numbers": [1, 2, 3], "sum_value": 6, "big_small": "small",
        "odd_even": "even", "created_at": drawn_at, "updated_at": None,
    } | changed  # fmt: skip


def insert(client: Client, side: str, rows: Iterable[dict[str, Any]]) -> None:
    """Append rows as the old writers did."""
    values = ", ".join(f"({', '.join(map(_literal, one.values()))})" for one in rows)
    client.query(f"INSERT INTO {get_settings().table(side, 'draws')} VALUES {values}").result()


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat()}'"
    return repr(value)
