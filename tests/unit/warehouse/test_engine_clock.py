"""The time is BigQuery's as soon as it has answered, and nothing is asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from drawsguard.warehouse import engine_clock
from drawsguard.warehouse.engine_clock import LEEWAY, EngineClock

TABLE = b'{"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"}}'
SECOND = timedelta(seconds=1)


class BigQuery(BaseHTTPRequestHandler):
    """Answers each request for metadata, with a clock of its own."""

    ahead = timedelta()
    status, dates = 200, True

    def do_GET(self) -> None:
        self.send_response_only(self.status)
        if self.dates:
            self.send_header("Date", format_datetime(datetime.now(UTC) + self.ahead, usegmt=True))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(TABLE)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BigQuery)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    yield Client("p", AnonymousCredentials(), client_options={"api_endpoint": address})
    server.shutdown()


def difference(clock: EngineClock) -> timedelta:
    return clock.now() - datetime.now(UTC)


@pytest.mark.parametrize("ahead", [timedelta(hours=8), timedelta(minutes=20), -timedelta(minutes=20)])
def test_a_wrong_clock_is_corrected_by_the_first_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    """The header of a real client's answer, so that a client without it is noticed here."""
    monkeypatch.setattr(BigQuery, "ahead", -ahead)
    clock = EngineClock(client)
    assert abs(difference(clock)) < SECOND, "nothing is known yet"
    client.get_table("p.d.t")
    assert abs(difference(clock) + ahead) <= LEEWAY + SECOND


def test_a_right_clock_is_not_made_coarser(client: Client) -> None:
    clock = EngineClock(client)
    client.get_table("p.d.t")
    for _ in range(50):
        before, seen, after = datetime.now(UTC), clock.now(), datetime.now(UTC)
        assert before <= seen <= after


def test_an_answer_that_is_no_success_tells_no_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BigQuery, "ahead", timedelta(hours=8))
    monkeypatch.setattr(BigQuery, "status", 404)
    clock = EngineClock(client)
    with pytest.raises(Exception, match="404"):
        client.get_table("p.d.t")
    assert abs(difference(clock)) < SECOND, "a proxy's clock is nobody's"


def test_without_a_header_it_is_the_workers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BigQuery, "dates", False)
    clock = EngineClock(client)
    client.get_table("p.d.t")
    assert abs(difference(clock)) < SECOND
    assert abs(difference(EngineClock(SimpleNamespace(_http=None)))) < SECOND  # type: ignore[arg-type]


def test_an_old_answer_sets_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    session = requests.Session()
    clock = EngineClock(SimpleNamespace(_http=session))  # type: ignore[arg-type]
    now = datetime(2025, 10, 3, 10, tzinfo=UTC)
    monkeypatch.setattr(engine_clock.time, "monotonic", lambda: 0.0)
    for stated in (now, now - timedelta(minutes=1)):
        answer = requests.Response()
        answer.status_code = 200
        answer.headers["Date"] = format_datetime(stated, usegmt=True)
        (hear,) = session.hooks["response"]
        hear(answer)
    assert clock.now() == now + LEEWAY
