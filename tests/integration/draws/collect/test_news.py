"""From the feed to the business table at once: what is news, who hears of it, and what happens when nobody does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from airflow.sdk import Asset
from airflow.sdk.exceptions import TaskDeferred
from google.cloud.bigquery import Client

from drawsguard.draws.model import Draw
from drawsguard.draws.sync.target import SyncPlan
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from hooks.draw_feed_hook import DrawFeedHook
from local.feed.server import FeedServer, FeedState
from local.feed.simulator import NO_FAULTS
from operators.draws.collect.draw_collect_operator import DrawCollectOperator
from operators.draws.sync.draw_verify_operator import DrawVerifyOperator
from tests.integration.draws_warehouse import draws_warehouse, truncate
from tests.integration.sync_support import SLOT, collect, newest_versions, sync, sync_log, target_rows
from triggers.feed_news_trigger import FeedNewsTrigger

pytestmark = pytest.mark.integration

#: What the feed's clock shows, and the real one.
NOW = datetime(2025, 10, 4, 8, 32, 10, tzinfo=UTC)
#: The slot of NOW, which has not ended.
OPEN = Window(NOW - timedelta(minutes=2, seconds=10), NOW + timedelta(minutes=2, seconds=50))
CADENCE = timedelta(seconds=210)
SOURCE, TARGET = Asset("drawsguard.draws"), Asset("pc28.draws")


@pytest.fixture(scope="module")
def warehouse(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack) as client:
        yield client


@pytest.fixture
def client(warehouse: Client) -> Client:
    """The warehouse, emptied."""
    truncate(warehouse, ("source", "draws"), ("target", "draws"), ("monitor", "sync_log"), ("monitor", "collect_log"))
    return warehouse


@pytest.fixture
def feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedState]:
    """A feed whose clock stands still."""
    state = FeedState.open(tmp_path / "feed", rates=NO_FAULTS, start=NOW, speed=0)
    server = FeedServer(("127.0.0.1", 0), state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", f"http://127.0.0.1:{server.server_port}")
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


class Events(dict):
    """What a task's context takes events by; ``emitted`` are those of assets."""

    def __init__(self) -> None:
        self.emitted: list[str] = []

    def __getitem__(self, alias: Any) -> Any:
        return SimpleNamespace(add=lambda asset, **_: self.emitted.append(asset.name))


def context(events: Events) -> dict[str, Any]:
    return {"params": {}, "run_id": "scheduled__1", "ti": SimpleNamespace(try_number=1), "outlet_events": events}


def poll(events: Events) -> TaskDeferred | None:
    """Make the first poll of a run; return what it waits for, None when the run ended."""
    try:
        DrawCollectOperator(task_id="collect", news=SOURCE).execute(context(events))
    except TaskDeferred as parked:
        return parked
    return None


def poll_again(parked: TaskDeferred, events: Events) -> None:
    operator = DrawCollectOperator(task_id="collect", news=SOURCE)
    operator.resume_execution(parked.method_name, {**(parked.kwargs or {}), "event": True}, context(events))


def looks(trigger: FeedNewsTrigger) -> bool:
    """Let the triggerer wait for the trigger's event."""

    async def first() -> bool:
        async for event in trigger.run():
            return bool(event.payload)
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(asyncio.wait_for(first(), timeout=20))


def draw(index: int, digit: int = 1, *, corrected: int | None = None) -> Draw:
    """Draw number ``index``; number 0 is the newest at NOW."""
    drawn = NOW - timedelta(seconds=20) + index * CADENCE
    updated = None if corrected is None else drawn + timedelta(minutes=corrected)
    return Draw.derive(1000 + index, drawn, (digit, 2, 3), drawn + timedelta(seconds=5), updated)


# --- the poll ---------------------------------------------------------------------------------------------
def test_a_poll_that_has_written_draws_ends_the_run_and_is_announced_once(client: Client, feed: FeedState) -> None:
    events = Events()
    assert poll(events) is None
    assert events.emitted == ["drawsguard.draws"]
    assert poll(events) is not None, "the same draws are no news: it waits for others"
    assert events.emitted == ["drawsguard.draws"]


def test_a_run_that_hears_nothing_ends_quietly(client: Client, feed: FeedState) -> None:
    poll(Events())
    events = Events()
    parked = poll(events)
    assert parked is not None
    poll_again(parked, events)
    assert events.emitted == []


def test_while_it_waits_the_task_is_parked_and_cannot_stop_for_ever(client: Client, feed: FeedState) -> None:
    poll(Events())
    parked = poll(Events())
    assert parked is not None
    pause = get_settings().collect_poll_seconds
    wait = (parked.trigger.until - datetime.now(UTC)).total_seconds()
    assert pause - 5 < wait <= pause
    assert parked.timeout is not None
    assert parked.timeout > timedelta(seconds=pause), "a dead triggerer fails the task instead of stopping it"
    path, kwargs = parked.trigger.serialize()
    assert path == "triggers.feed_news_trigger.FeedNewsTrigger"
    assert FeedNewsTrigger(**kwargs).serialize() == (path, kwargs)


# --- the watch --------------------------------------------------------------------------------------------
def watch(known: str, seconds: float = 3.0) -> FeedNewsTrigger:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return FeedNewsTrigger("draw_feed_default", known, 0.1, until, seconds)


def test_the_watch_ends_at_once_when_the_feed_says_something_new(feed: FeedState) -> None:
    started = datetime.now(UTC)
    assert looks(watch("what was known", seconds=15)) is True
    assert datetime.now(UTC) - started < timedelta(seconds=10)


def test_the_watch_ends_without_news_when_its_time_is_up(feed: FeedState) -> None:
    known = DrawFeedHook().latest().digest
    assert looks(watch(known, seconds=1)) is False


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), -timedelta(minutes=10)])
def test_the_watch_ends_in_time_when_the_worker_has_another_clock(feed: FeedState, ahead: timedelta) -> None:
    """A triggerer that is behind would wait for ten minutes more, and the task would fail meanwhile."""
    known, started = DrawFeedHook().latest().digest, datetime.now(UTC)
    assert looks(FeedNewsTrigger("draw_feed_default", known, 0.1, datetime.now(UTC) + ahead, 1.0)) is False
    assert datetime.now(UTC) - started < timedelta(seconds=10)


def test_a_feed_that_fails_meanwhile_is_looked_at_again(feed: FeedState) -> None:
    feed.add_fault("garbage", None, 3)
    assert looks(watch("what was known", seconds=15)) is True


def test_a_watch_of_a_feed_that_stays_down_is_no_news(feed: FeedState) -> None:
    feed.add_fault("garbage", None, 1000)
    assert looks(watch("what was known", seconds=1)) is False, "the poll that follows fails, and says why"


# --- the sync ---------------------------------------------------------------------------------------------
@pytest.fixture
def now() -> Iterator[None]:
    """The clock of this process, at NOW."""
    with time_machine.travel(NOW):
        yield


def test_a_new_draw_is_synced_before_its_interval_ends(client: Client, now: None) -> None:
    collect(client, [draw(0)])
    plan = SyncPlan.from_json(sync(news=True))
    assert {row.period for row in target_rows(client)} == {1000}
    assert plan.window == Window(OPEN.start - timedelta(minutes=60), OPEN.end)
    assert sync_log(client) == [], "the record of the slot is that of its interval"


def test_news_that_comes_twice_or_for_nothing_changes_nothing(client: Client, now: None) -> None:
    collect(client, [draw(0)])
    answers = [sync(news=True), sync(news=True)]
    assert [answer["affected"] for answer in answers] == [1, 0]
    assert len(target_rows(client)) == 1


def test_a_failed_run_is_recorded_and_leaves_no_dead_letter(
    client: Client, now: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(client, [draw(0)])
    monkeypatch.setattr("drawsguard.warehouse.job_configuration.render", lambda _path: "MERGE nowhere")
    with pytest.raises(Exception, match=r"(?i)syntax|parse|invalid"):
        sync(news=True)
    (row,) = sync_log(client)
    assert (row["mode"], row["status"]) == ("news", "failed")
    assert (row["interval_start"], row["interval_end"]) == (OPEN.start, OPEN.end)


def test_news_that_comes_out_of_order_ends_in_the_newest_versions(client: Client, now: None) -> None:
    """The correction is heard of before the draw that it corrects, and an older draw after a newer one."""
    history = [draw(0), draw(-1, 5, corrected=1), draw(-1), draw(-2)]
    for version in history:
        collect(client, [version])
        sync(news=True)
    assert set(target_rows(client)) == newest_versions(history)


def test_news_that_nobody_hears_of_is_synced_by_the_schedule(client: Client, now: None) -> None:
    """The watch is dead, or the event was lost: the interval's run does not ask whether anything was announced."""
    draws = [draw(index) for index in range(-3, 1)]
    collect(client, draws)
    sync(OPEN)
    assert set(target_rows(client)) == newest_versions(draws)


def test_after_an_outage_the_first_news_catches_up(client: Client, now: None) -> None:
    draws = [draw(index) for index in range(-160, 1)]  # nine hours
    begin = OPEN.start - timedelta(hours=9)
    collect(client, draws)
    sync(Window(begin, begin + SLOT))
    sync(news=True)
    assert set(target_rows(client)) >= newest_versions(one for one in draws if one.timestamp >= begin)


def test_what_news_has_synced_moves_no_watermark_and_hides_no_interval(client: Client, now: None) -> None:
    begin = OPEN.start - timedelta(hours=3)
    sync(Window(begin, begin + SLOT))
    collect(client, [draw(0)])
    sync(news=True)
    assert SyncPlan.from_json(sync(OPEN)).window.start == begin + SLOT


def test_features_hear_of_a_sync_that_has_written_something(client: Client, now: None) -> None:
    collect(client, [draw(0)])
    events = Events()
    for _ in range(2):
        DrawVerifyOperator(task_id="verify", plan=sync(news=True), news=TARGET).execute(context(events))
    assert events.emitted == ["pc28.draws"], "and of none that has not"
