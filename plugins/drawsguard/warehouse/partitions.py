"""What BigQuery tells of a table's partitions, and of the rows in one, free of charge and without a query.

`tabledata.list` takes one partition of a table as ``table$20261129``, and its partitions with the time of each one's
last change as ``table$__PARTITIONS_SUMMARY__`` (the client's own `Client.list_partitions` reads the same).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from google.cloud.bigquery import DEFAULT_RETRY, Client, SchemaField

from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import CLIENT_ERRORS
from drawsguard.warehouse.limits import WATCH
from drawsguard.warehouse.streaming import stable_id

log = logging.getLogger(__name__)

_SUMMARY = (SchemaField("partition_id", "STRING"), SchemaField("last_modified_time", "INTEGER"))

#: Partition id → time of its last change (milliseconds since the epoch, by BigQuery's clock).
Changes = Mapping[str, int]


def day_id(day: date) -> str:
    """Return the id of the daily partition that holds ``day`` (UTC)."""
    return f"{day:%Y%m%d}"


def stamp(changes: Changes) -> str:
    """Return what is another one when any of these partitions has changed, come or gone."""
    return stable_id(*(f"{each} {at}" for each, at in sorted(changes.items())))


def partition_changes(client: Client, dataset: str, name: str) -> Changes | None:
    """Return when each partition of a table changed last; None when that is not known, which is no failure.

    :param dataset: ``source``, ``target`` or ``monitor``.
    """
    try:
        rows = _list(client, dataset, f"{name}$__PARTITIONS_SUMMARY__", _SUMMARY)
        return {row["partition_id"]: int(row["last_modified_time"]) for row in rows}
    except (*CLIENT_ERRORS, ValueError, TypeError, KeyError) as error:
        log.info("The partitions of %s cannot be listed: %s", name, error)
        return None


def partition_rows(
    client: Client, dataset: str, name: str, ids: Iterable[str], fields: Sequence[SchemaField]
) -> list[dict[str, Any]] | None:
    """Return the rows of some partitions of a table; None when they cannot be listed, which is no failure.

    :param dataset: ``source``, ``target`` or ``monitor``.
    :param fields: columns to read, in the order of the table.
    """
    try:
        return [row for each in ids for row in _list(client, dataset, f"{name}${each}", fields)]
    except (*CLIENT_ERRORS, ValueError, TypeError, KeyError) as error:
        log.info("The rows of %s cannot be listed: %s", name, error)
        return None


def rows_of_day(client: Client, dataset: str, name: str, day: date, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of a table's partition of a day (UTC); none where there is no partition.

    Rows that were streamed lately may be missing: BigQuery keeps them apart before it knows their partition.

    :param dataset: ``source``, ``target`` or ``monitor``.
    :param columns: type of each column to list, e.g. ``INT64``; ``INT64[]`` is an array.
    :raises google.api_core.exceptions.GoogleAPIError: when BigQuery refuses, or has no such table.
    """
    fields = [
        SchemaField(column, kind.removesuffix("[]"), "REPEATED" if kind.endswith("[]") else "NULLABLE")
        for column, kind in columns.items()
    ]
    return _list(client, dataset, f"{name}${day_id(day)}", fields)


def whole_table(
    client: Client, dataset: str, name: str, fields: Sequence[SchemaField], most: int
) -> list[dict[str, Any]] | None:
    """Return the rows of a small table; None when it has more than ``most``, or they cannot be listed.

    :param dataset: ``source``, ``target`` or ``monitor``.
    :param fields: columns to read, in the order of the table.
    """
    try:
        rows = _list(client, dataset, name, fields, most + 1)
    except (*CLIENT_ERRORS, ValueError, TypeError, KeyError) as error:
        log.info("The rows of %s cannot be listed: %s", name, error)
        return None
    return None if len(rows) > most else rows


def _list(
    client: Client, dataset: str, name: str, fields: Sequence[SchemaField], most: int | None = None
) -> list[dict[str, Any]]:
    retry = DEFAULT_RETRY.with_timeout(WATCH.call_seconds)
    table = get_settings().table(dataset, name).strip("`")
    rows = client.list_rows(table, selected_fields=fields, max_results=most, retry=retry, timeout=WATCH.call_seconds)
    return [dict(row.items()) for row in rows]
