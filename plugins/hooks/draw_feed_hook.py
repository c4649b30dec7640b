"""The client of the PC28 draw feed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property

import requests
from airflow.sdk import BaseHook
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from drawsguard.draws.collect.feed import Answer, FeedError, FeedHttpError, FeedUnreachableError, parse_answer

LATEST_PATH = "/api/kj.json"
HISTORY_PATH = "/api/history.json"

#: Seconds to connect, and between two bytes of an answer.
TIMEOUT = (3.0, 5.0)

#: Further attempts after a connection that fails, a time-out, or one of the statuses below.
RETRIES = 2
TRANSIENT_STATUSES = (429, 500, 502, 503, 504)


class DrawFeedHook(BaseHook):
    """Reads the feed of an HTTP connection: host (or base URL), port, schema ``https``, headers in its extra.

    Every method raises a `drawsguard.draws.collect.feed.FeedError` when the feed gives no usable answer, after retries
    where trying again may help.

    :param feed_conn_id: the connection.
    :param retry_pause: seconds before the first retry; doubled before each further one.
    """

    default_conn_name = "draw_feed_default"

    def __init__(self, feed_conn_id: str = default_conn_name, retry_pause: float = 0.5) -> None:
        super().__init__()
        self.feed_conn_id = feed_conn_id
        self.retry_pause = retry_pause

    @cached_property
    def _base_url(self) -> str:
        connection = self.get_connection(self.feed_conn_id)
        host = connection.host or ""
        base = host if "://" in host else f"{connection.schema or 'http'}://{host}"
        return f"{base}:{connection.port}" if connection.port else base

    def get_conn(self) -> requests.Session:
        """Return a session that retries transient failures and carries the connection's headers."""
        retry = Retry(
            total=RETRIES,
            backoff_factor=self.retry_pause,
            status_forcelist=TRANSIENT_STATUSES,
            respect_retry_after_header=False,  # a poll must end before the next one is due
            raise_on_status=False,
        )
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        session.headers.update(self.get_connection(self.feed_conn_id).extra_dejson.get("headers", {}))
        return session

    @cached_property
    def _session(self) -> requests.Session:
        return self.get_conn()

    def latest(self, limit: int = 100) -> Answer:
        """Read the newest draws.

        :param limit: how many at most.
        """
        return self._get(LATEST_PATH, {"nbr": limit})

    def history(self, start: datetime, end: datetime, page_size: int = 1000) -> Iterator[Answer]:
        """Read the draws of ``[start, end)``, one page at a time, oldest first.

        :param start: aware, inclusive.
        :param end: aware, exclusive.
        :param page_size: draws per page.
        """
        page = pages = 1
        while page <= pages:
            span = {"from": start.astimezone(UTC).isoformat(), "to": end.astimezone(UTC).isoformat()}
            answer = self._get(HISTORY_PATH, {**span, "page": page, "size": page_size})
            yield answer
            # The end may be in the future, where draws are still being added: the last answer is the best.
            page, pages = page + 1, answer.pages

    def _get(self, path: str, query: dict[str, str | int]) -> Answer:
        url = f"{self._base_url}{path}"
        try:
            response = self._session.get(url, params=query, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise FeedUnreachableError(
                f"No answer from {url} after {RETRIES + 1} attempts of {TIMEOUT[1]:g} s: {error}. Check the feed and "
                f"the connection {self.feed_conn_id}."
            ) from error
        polled_at = datetime.now(UTC)
        response.encoding = "utf-8"
        if response.status_code != requests.codes.ok:
            raise FeedHttpError(
                f"{url} answered HTTP {response.status_code} {response.reason}.", response.text, response.status_code
            )
        try:
            return parse_answer(response.text, polled_at)
        except FeedError as error:
            error.http_status = response.status_code
            raise
