"""The present time as BigQuery has it, read off the header ``Date`` of answers that are asked for anyway."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from google.cloud.bigquery import Client

#: The header states whole seconds, a server may look at its clock once a second only, and the answer was on its way.
LEEWAY = timedelta(seconds=5)


class EngineClock:
    """The worker's clock, as far as BigQuery's answers to a client do not say that it is wrong.

    Stamps, and what is decided by them, have one clock then, whichever worker it is done on. Before the first answer
    the worker's is believed.
    """

    def __init__(self, client: Client) -> None:
        #: BigQuery's time when `time.monotonic` was zero, at least.
        self._zero: datetime | None = None
        # There is no public way to the headers; what is no session of requests tells no time.
        session = getattr(client, "_http", None)
        if isinstance(session, requests.Session):
            session.hooks["response"].append(self._hear)

    def now(self) -> datetime:
        """Return the present time (aware)."""
        worker = datetime.now(UTC)
        if self._zero is None:
            return worker
        least = self._zero + timedelta(seconds=time.monotonic())
        return min(max(worker, least), least + LEEWAY)

    def _hear(self, response: requests.Response, *_args: Any, **_of: Any) -> None:
        # A refusal may come from a proxy, which has a clock of its own.
        if not response.ok:
            return
        try:
            stated = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return
        if stated.tzinfo is None:  # "-0000": of no zone
            return
        # What was long on its way states an old time.
        zero = stated - timedelta(seconds=time.monotonic())
        self._zero = zero if self._zero is None else max(self._zero, zero)
