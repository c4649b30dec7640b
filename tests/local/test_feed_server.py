"""The hook against the real feed server, healthy and broken."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
import time_machine

from drawsguard.draws.collect.feed import AnswerNotJsonError, FeedHttpError, FeedUnreachableError
from drawsguard.draws.draw_time import out_of_place
from hooks import draw_feed_hook
from hooks.draw_feed_hook import DrawFeedHook
from local.feed import server as feed_server
from local.feed.server import FeedServer, FeedState
from local.feed.simulator import NO_FAULTS

MINUTE = timedelta(minutes=1)


@pytest.fixture
def state(tmp_path: Path) -> FeedState:
    return FeedState.open(tmp_path, rates=NO_FAULTS)


@pytest.fixture
def address(state: FeedState, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = FeedServer(("127.0.0.1", 0), state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", address)
    yield address
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def hook(address: str) -> DrawFeedHook:
    return DrawFeedHook(retry_pause=0)


def since(state: FeedState) -> datetime:
    began = state.simulator.config.since
    assert began is not None
    return began


# --- the hook ---------------------------------------------------------------------------------------
def test_latest(hook: DrawFeedHook, state: FeedState) -> None:
    asked_at = datetime.now(UTC)
    answer = hook.latest(limit=7)
    assert (answer.received, len(answer.draws), answer.rejected) == (7, 7, ())
    assert abs(answer.polled_at - datetime.now(UTC)) < MINUTE
    # A draw may be published while it answers.
    truths = [
        {draw.period: draw.numbers for draw in list(state.simulator.truth(since(state), at, as_of=at))[-7:]}
        for at in (asked_at, answer.polled_at)
    ]
    assert {draw.period: draw.numbers for draw in answer.draws} in truths


def test_history_reads_every_page_once(hook: DrawFeedHook, state: FeedState) -> None:
    start, end = since(state), since(state) + timedelta(days=1)
    pages = list(hook.history(start, end, page_size=100))
    truth = [(draw.period, draw.timestamp) for draw in state.simulator.truth(start, end)]
    assert len(pages) == -(-len(truth) // 100)
    assert [(draw.period, draw.timestamp) for page in pages for draw in page.draws] == truth


def test_a_history_without_draws_is_one_empty_page(hook: DrawFeedHook, state: FeedState) -> None:
    (page,) = hook.history(since(state) - timedelta(days=2), since(state) - timedelta(days=1))
    assert page.received == 0


@pytest.mark.parametrize(("kind", "status"), [("error", 500), ("outage", 503)])
def test_a_transient_error_is_tried_again(hook: DrawFeedHook, state: FeedState, kind: str, status: int) -> None:
    state.add_fault(kind, None, draw_feed_hook.RETRIES)
    assert hook.latest().received == 100
    state.add_fault(kind, None, draw_feed_hook.RETRIES + 1)
    with pytest.raises(FeedHttpError, match=f"HTTP {status}") as raised:
        hook.latest()
    assert raised.value.http_status == status
    assert state.faults() == [], "one request more than there are faults would have succeeded"


@pytest.mark.parametrize("kind", ["garbage", "empty"])
def test_garbage_is_not_tried_again(hook: DrawFeedHook, state: FeedState, kind: str) -> None:
    state.add_fault(kind, None, 1)
    with pytest.raises(AnswerNotJsonError) as raised:
        hook.latest()
    assert raised.value.http_status == 200
    assert hook.latest().received == 100


def elsewhere(address: str, monkeypatch: pytest.MonkeyPatch, **paths: str) -> DrawFeedHook:
    """Return a client whose connection names other paths."""
    connection = {"conn_type": "http", "host": address, "extra": {"paths": paths}}
    monkeypatch.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", json.dumps(connection))
    return DrawFeedHook(retry_pause=0)


def test_a_client_error_is_not_tried_again(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FeedHttpError, match="HTTP 404"):
        elsewhere(address, monkeypatch, latest="/api/elsewhere.json").latest()


def test_the_connection_may_name_other_paths(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = elsewhere(address, monkeypatch, latest="/api/kj.json?behind=a-gateway", history="/api/elsewhere.json")
    assert moved.latest().received == 100
    with pytest.raises(FeedHttpError, match="HTTP 404"):
        list(moved.history(datetime(2025, 10, 3, tzinfo=UTC), datetime(2025, 10, 3, 1, tzinfo=UTC)))


def test_a_path_that_nobody_asks_for_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"has paths \['newest'\]; there are \['history', 'latest'\]"):
        elsewhere(address, monkeypatch, newest="/api/kj.json").latest()


def test_a_hanging_feed_is_given_up(hook: DrawFeedHook, state: FeedState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_feed_hook, "TIMEOUT", (1.0, 0.2))
    monkeypatch.setattr(feed_server, "HANG_SECONDS", 1)
    state.add_fault("hang", None, 9)
    with pytest.raises(FeedUnreachableError, match=r"No answer from .* after 3 attempts"):
        hook.latest()


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(FeedUnreachableError, match="draw_feed_default"):
            DrawFeedHook(retry_pause=0).latest()


def test_headers_and_scheme_come_from_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {
        "conn_type": "http",
        "host": "feed.example.com",
        "schema": "https",
        "extra": {"headers": {"X-Key": "value"}},
    }
    monkeypatch.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", json.dumps(connection))
    hook = DrawFeedHook()
    assert hook._base_url == "https://feed.example.com"
    assert hook.get_conn().headers["X-Key"] == "value"


# --- the server -------------------------------------------------------------------------------------
def get(address: str, path: str, **query: str) -> Any:
    return requests.get(address + path, params=query, timeout=5)


def test_truth_over_http_is_that_of_the_simulator(address: str, state: FeedState) -> None:
    start, end = since(state), since(state) + timedelta(hours=2)
    for as_of in ("", "final", end.isoformat()):
        query = {"from": start.isoformat(), "to": end.isoformat()} | ({"as_of": as_of} if as_of else {})
        rows = get(address, "/truth", **query).json()["data"]
        expected = [
            draw.period for draw in state.simulator.truth(start, end, None if as_of != end.isoformat() else end)
        ]
        assert [row["period"] for row in rows] == expected


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/nowhere", {}, 404),
        ("/api/history.json", {}, 400),
        ("/api/history.json", {"from": "2025-01-01T00:00:00", "to": "2025-01-02T00:00:00"}, 400),
        ("/api/kj.json", {"nbr": "many"}, 400),
        ("/truth", {"from": "yesterday", "to": "today"}, 400),
    ],
)
def test_bad_requests_are_told(address: str, path: str, query: dict[str, str], status: int) -> None:
    assert get(address, path, **query).status_code == status


def test_faults_are_put_in_force_shown_and_ended(address: str) -> None:
    fault = {"kind": "garbage", "seconds": 60}
    assert requests.post(address + "/faults", json=fault, timeout=5).status_code == 200
    assert [shown["kind"] for shown in get(address, "/faults").json()["faults"]] == ["garbage"]
    assert get(address, "/api/kj.json").text.startswith("<html>")
    assert get(address, "/health").status_code == 200, "faults befall the feed, not its health page"
    assert requests.delete(address + "/faults", timeout=5).status_code == 200
    assert get(address, "/api/kj.json").json()["message"] == "success"


@pytest.mark.parametrize("fault", [{"kind": "fire", "seconds": 1}, {"kind": "error"}, {}, []])
def test_a_fault_that_is_none_is_refused(address: str, fault: Any) -> None:
    assert requests.post(address + "/faults", json=fault, timeout=5).status_code == 400
    assert get(address, "/faults").json()["faults"] == []


def test_a_fault_ends_with_its_time(state: FeedState) -> None:
    state.add_fault("outage", 60, None)
    assert state.take_fault() == "outage"
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61)):
        assert state.take_fault() is None


def test_a_restart_tells_the_same_truth(tmp_path: Path) -> None:
    first = FeedState.open(tmp_path, seed=7, live_interval=20)
    first.add_fault("error", 600, None)
    again = FeedState.open(tmp_path, seed=8, live_interval=20, history_days=9)
    assert again.simulator.config == first.simulator.config
    assert again.clock == first.clock
    assert again.faults() == first.faults()


def test_another_interval_begins_an_era_and_keeps_the_past(tmp_path: Path) -> None:
    first = FeedState.open(tmp_path)
    assert first.simulator.config.eras == ()
    slow = FeedState.open(tmp_path, live_interval=20)
    (era,) = slow.simulator.config.eras
    past = since(first), era.start
    assert list(slow.simulator.draws(*past)) == list(first.simulator.draws(*past))
    fresh = list(slow.simulator.periods(era.start + MINUTE, era.start + 2 * MINUTE))
    assert len(fresh) == 3
    assert [era.interval_seconds for era in FeedState.open(tmp_path, live_interval=60).simulator.config.eras] == [
        20,
        60,
    ]


@pytest.mark.parametrize("seconds", range(0, 210, 7))
def test_an_era_keeps_its_interval_from_the_draw_before_it(tmp_path: Path, seconds: int) -> None:
    # Draws that are closer together than any cadence contradict each other, and one of them would not be collected.
    now = datetime(2026, 11, 30, 18, 40, tzinfo=UTC) + timedelta(seconds=seconds)
    state = FeedState.open(tmp_path, live_interval=15, start=now, rates=NO_FAULTS)
    drawn = [draw.timestamp for draw in state.simulator.draws(now - 10 * MINUTE, now + 10 * MINUTE)]
    assert min(later - earlier for earlier, later in pairwise(drawn)) == timedelta(seconds=15)
    assert out_of_place(dict(enumerate(drawn)), {}, timedelta(seconds=210)) == {}


def test_a_fast_clock(tmp_path: Path) -> None:
    start = datetime(2025, 10, 1, tzinfo=UTC)
    state = FeedState.open(tmp_path, start=start, speed=3600)
    before = state.clock.now()
    threading.Event().wait(0.2)
    assert start <= before
    assert state.clock.now() - before > timedelta(minutes=10)
