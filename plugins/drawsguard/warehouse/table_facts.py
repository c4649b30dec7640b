"""What BigQuery tells of a table free of charge: how many rows it has, when it changed last, and the rows of a day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from google.cloud.bigquery import DEFAULT_RETRY, Client

from drawsguard.settings import get_settings
from drawsguard.warehouse.limits import WATCH


@dataclass(frozen=True)
class TableFacts:
    """Metadata of a table.

    :param rows: without those in a streaming buffer.
    :param changed_at: last change (aware); None where the engine does not keep it.
    """

    rows: int
    changed_at: datetime | None


def table_facts(client: Client, dataset: str, name: str) -> TableFacts:
    """Return the metadata of a table.

    :param dataset: ``source``, ``target`` or ``monitor``.
    :raises google.api_core.exceptions.GoogleAPIError: when BigQuery refuses, or has no such table.
    """
    retry = DEFAULT_RETRY.with_timeout(WATCH.call_seconds)
    table = client.get_table(get_settings().table(dataset, name).strip("`"), retry=retry, timeout=WATCH.call_seconds)
    # An engine that does not keep it says the same for both.
    changed = None if table.modified == table.created else table.modified
    return TableFacts(table.num_rows or 0, changed)


def newest_change(client: Client, tables: Iterable[tuple[str, str]]) -> tuple[datetime, ...] | None:
    """Return when each of some tables changed last, to compare; None when one of them does not say."""
    changes = [table_facts(client, *table).changed_at for table in tables]
    known = tuple(change for change in changes if change is not None)
    return known if len(known) == len(changes) else None
