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

#: Where the feed has its newest draws and its history, unless the connection's extra says otherwise.
PATHS = {"latest": "/api/kj.json", "history": "/api/history.json"}

#: Seconds to connect, and between two bytes of an answer.
TIMEOUT = (3.0, 5.0)

#: Further attempts after a connection that fails, a time-out, or one of the statuses below.
RETRIES = 2
TRANSIENT_STATUSES = (429, 500, 502, 503, 504)


#: Unusable pages in a row after which the feed is asked for no more of a history.
BAD_PAGES = 3


class DrawFeedHook(BaseHook):
    """Reads the feed of an HTTP connection: host (or base URL), port, schema ``https``; in its extra ``headers``, and
    ``paths`` where they differ from `PATHS`.

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

    @cached_property
    def _paths(self) -> dict[str, str]:
        own: dict[str, str] = self.get_connection(self.feed_conn_id).extra_dejson.get("paths", {})
        if unknown := own.keys() - PATHS.keys():
            raise ValueError(
                f"The extra of connection {self.feed_conn_id} has paths {sorted(unknown)}; there are {sorted(PATHS)}."
            )
        return PATHS | own

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
        return self._get(self._paths["latest"], {"nbr": limit})

    def history(self, start: datetime, end: datetime, page_size: int = 1000) -> Iterator[Answer]:
        """Read the draws of ``[start, end)``, one page at a time, oldest first.

        A page that is unusable keeps no other from being read: its error is raised at the end. A feed that does not
        answer at all, or refuses `BAD_PAGES` pages in a row, is asked no further.

        :param start: aware, inclusive.
        :param end: aware, exclusive.
        :param page_size: draws per page.
        """
        span = {"from": start.astimezone(UTC).isoformat(), "to": end.astimezone(UTC).isoformat()}
        page, bad, more = 1, 0, True
        pages: int | None = None
        failure: FeedError | None = None
        while more:
            try:
                answer = self._get(self._paths["history"], {**span, "page": page, "size": page_size})
            except FeedUnreachableError as error:
                raise failure or error from None
            except FeedError as error:
                self.log.warning("Page %s of the history from %s to %s: %s", page, span["from"], span["to"], error)
                failure, bad = failure or error, bad + 1
                more = bad < BAD_PAGES if pages is None else page < pages and bad < BAD_PAGES
            else:
                bad = 0
                yield answer
                # The end may be in the future, where draws are still being added: the last answer is the best.
                pages = answer.pages
                # A feed that names no number of pages has another one when this one is full.
                more = answer.received >= page_size if pages is None else page < pages
            page += 1
        if failure:
            raise failure

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
