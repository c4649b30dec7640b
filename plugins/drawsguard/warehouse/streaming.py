"""Rows that are streamed into the logs of the monitoring dataset, and the ids by which a repetition is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from google.cloud.bigquery import DEFAULT_RETRY, Client

from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import CLIENT_ERRORS, StatementError
from drawsguard.warehouse.limits import WATCH


def stable_id(*parts: object) -> str:
    """Return a short id that depends on the parts alone, so that a repeated write meets its first self."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]


def stream(client: Client, table: str, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
    """Stream rows into a log of the monitoring dataset: they can be read within seconds, and no job is billed.

    A row that is sent again within a minute or so is not added again, by BigQuery's best effort; who counts rows counts
    distinct keys. BigQuery may refuse to change streamed rows for 90 minutes: nothing updates or deletes those of
    these tables, and their partitions expire by themselves.

    :param keys: the columns that name a row.
    :raises StatementError: when a row is refused, or BigQuery does not answer in time.
    """
    if not rows:
        return
    statement = f"stream into {table}"
    try:
        refused = client.insert_rows_json(
            get_settings().table("monitor", table).strip("`"),
            [json.loads(json.dumps(row, default=as_json)) for row in rows],
            row_ids=[stable_id(*(row[key] for key in keys)) for row in rows],
            retry=DEFAULT_RETRY.with_timeout(WATCH.statement_seconds),
            timeout=WATCH.call_seconds,
        )
    except CLIENT_ERRORS as error:
        raise StatementError.of(error, statement, None, "its attempts") from error
    if refused:
        raise StatementError(
            f"{statement}: BigQuery refused {len(refused)} of {len(rows)} rows, the first because of "
            f"{refused[0]['errors']}. Compare the columns of the table with its migration, then run it again.",
            statement=statement,
            reason="RowsRefused",
            permanent=True,
        )


def as_json(value: Any) -> str:
    """Return what JSON has no type for as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
