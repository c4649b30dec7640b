"""What the monitor can know without a query: BigQuery's metadata and listed rows, and Cloud Logging's entries."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from time import monotonic
from typing import Any

from google.cloud.bigquery import Client

from drawsguard.monitoring.news import Row, ServiceError, TableName
from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import CLIENT_ERRORS
from drawsguard.warehouse.partitions import rows_of_day
from drawsguard.warehouse.table_facts import TableFacts, table_facts
from hooks.google_identity_hook import GoogleIdentityHook

log = logging.getLogger(__name__)

#: Calls that say nothing of a service's work. As in R__350_cloudrun_invocation_v.sql; a test keeps the two equal.
HEALTH_CALLS = "/health([/?]|$)"

#: More entries of errors are not told apart.
MOST_ENTRIES = 1000

#: A search that takes longer, in pages or seconds, is given up: the round has to go on.
MOST_PAGES, LONGEST_SEARCH = 5, 10


class FreeEvidence:
    """The evidence of one round; metadata of a table are asked for once.

    Methods raise `google.api_core.exceptions.GoogleAPIError` and what else the client raises when it gets no answer.

    :param hook: whose connection may read the log (``logging.logEntries.list``).
    """

    def __init__(self, client: Client, hook: GoogleIdentityHook) -> None:
        self._client, self._hook = client, hook
        self._facts: dict[TableName, TableFacts] = {}

    def _of(self, table: TableName) -> TableFacts:
        if table not in self._facts:
            self._facts[table] = table_facts(self._client, *table)
        return self._facts[table]

    def rows(self, table: TableName) -> int:
        """Return how many rows a table has."""
        return self._of(table).rows

    def changed_at(self, table: TableName) -> datetime | None:
        """Return when a table changed last (aware); None when the engine does not say."""
        return self._of(table).changed_at

    def of_day(self, table: TableName, day: date, columns: Mapping[str, str]) -> Sequence[Row]:
        """Return the rows of a table's partition of a day (UTC)."""
        return rows_of_day(self._client, *table, day, columns)

    def service_errors(self, since: datetime, services: frozenset[str]) -> Mapping[str, ServiceError] | None:
        """Return each logged 5xx answer of these Cloud Run services by its id; None when the log cannot be read.

        Others of the project may err as much as they like. None is to a health call.
        """
        if not services:
            return {}
        names = " OR ".join(json.dumps(name) for name in sorted(services))
        entries = self._entries(
            # Naming the log keeps the search out of what the services print.
            f'log_id("run.googleapis.com/requests") AND resource.type="cloud_run_revision" '
            f"AND resource.labels.service_name=({names}) AND httpRequest.status>=500 "
            f'AND NOT httpRequest.requestUrl=~"{HEALTH_CALLS}" AND timestamp>="{since.isoformat()}"'
        )
        if entries is None:
            return None
        return {
            entry["insertId"]: ServiceError(
                entry["resource"]["labels"]["service_name"], datetime.fromisoformat(entry["timestamp"])
            )
            for entry in entries
        }

    def _entries(self, which: str) -> list[dict[str, Any]] | None:
        """Return the log's entries, None when it cannot be read to the end.

        A page that says how to go on, with or without entries, only says that the search had no time for more.
        """
        settings, ends = get_settings(), monotonic() + LONGEST_SEARCH
        request: dict[str, Any] = {
            "resourceNames": [f"projects/{settings.project}"],
            "filter": which,
            "orderBy": "timestamp desc",
            "pageSize": MOST_ENTRIES,
        }
        found: list[dict[str, Any]] = []
        for _ in range(MOST_PAGES):
            answer = self._hook.call("POST", f"{settings.logging_url}/v2/entries:list", request)
            if answer.status != 200:
                log.warning("The log of the services cannot be read (%s): their view is", answer.describe())
                return None
            found += answer.body.get("entries", [])
            request["pageToken"] = answer.body.get("nextPageToken")
            if not request["pageToken"]:
                return found
            if len(found) >= MOST_ENTRIES or monotonic() >= ends:
                break
        log.warning("The log of the services was not searched to its end (%d errors): their view is read", len(found))
        return None


def facts_of(client: Client) -> Callable[[str], tuple[int, datetime] | None]:
    """Return what tells rows and last change of a table of the monitoring dataset; None when that is not known."""

    def facts(name: str) -> tuple[int, datetime] | None:
        try:
            found = table_facts(client, "monitor", name)
        except CLIENT_ERRORS as error:
            log.warning("The metadata of %s cannot be had, so it is read: %s", name, error)
            return None
        return None if found.changed_at is None else (found.rows, found.changed_at)

    return facts
