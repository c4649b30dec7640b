"""Dead letters over the real Pub/Sub protocol and the BigQuery emulator: failed, replayed, acknowledged, set aside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from google.api_core.exceptions import BadRequest, GoogleAPIError, ServiceUnavailable
from google.cloud.bigquery import Client

from drawsguard.draws.model import Draw
from drawsguard.draws.replay.dead_letter import DeadLetter
from drawsguard.draws.replay.resync import resync
from drawsguard.draws.window import SyncRequest, Window
from drawsguard.settings import get_settings
from hooks.dead_letter_hook import SUBSCRIPTION, DeadLetterQueue
from notifiers.dead_letter import publish_dead_letter
from operators.draws.replay.dead_letter_replay_operator import DeadLetterReplayOperator
from operators.draws.replay.dead_letter_topic_operator import DeadLetterTopicOperator
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate
from tests.integration.sync_support import collect, target_rows

pytestmark = pytest.mark.integration

T0 = datetime(2025, 10, 3, 1, tzinfo=UTC)
INTERVAL = Window(T0, T0 + timedelta(minutes=5))
NAMES = {"dag_id": "draw_sync", "task_id": "sync", "run_id": "scheduled__1", "try_number": 4, "job_id": None}


@pytest.fixture(scope="module")
def warehouse(stack: Any) -> Iterator[Client]:
    stack.require("pubsub")
    with draws_warehouse(stack) as client:
        DeadLetterTopicOperator(task_id="topic").execute({"params": {"dry_run": False}})
        yield client


@pytest.fixture
def client(warehouse: Client) -> Client:
    truncate(warehouse, ("source", "draws"), ("target", "draws"), ("monitor", "sync_log"), ("monitor", "dead_letters"))
    queue = DeadLetterQueue()
    while waiting := queue.pull():
        queue.acknowledge([message.ack_id for message in waiting])
    return warehouse


def letter(
    error: Exception | None = None, *, failed_at: datetime | None = None, interval: Window = INTERVAL
) -> DeadLetter:
    error = error or ServiceUnavailable("BigQuery was down")
    return DeadLetter.of(error, SyncRequest(interval, "interval"), failed_at=failed_at or datetime.now(UTC), **NAMES)


def draws(count: int = 3) -> list[Draw]:
    return [
        Draw.derive(1000 + n, T0 + timedelta(seconds=60 * n), (n, 2, 3), T0 + timedelta(minutes=4))
        for n in range(count)
    ]


def replay() -> dict[str, Any]:
    context = {"ti": SimpleNamespace(run_id="replay", try_number=1), "params": {}}
    return DeadLetterReplayOperator(task_id="replay").execute(context)


def ledger(client: Client) -> list[dict[str, Any]]:
    table = get_settings().table("monitor", "dead_letters")
    return rows(client, f"SELECT status, attempts, reason, message FROM {table} ORDER BY interval_start")


def waiting() -> int:
    queue = DeadLetterQueue()
    found = queue.pull()
    queue.give_back([message.ack_id for message in found]) if found else None
    return len(found)


def test_a_failed_interval_is_replayed_once_and_acknowledged(client: Client) -> None:
    collect(client, draws())
    DeadLetterQueue().publish(letter())
    DeadLetterQueue().publish(letter())
    assert waiting() == 2
    report = replay()
    assert (report["replayed"], report["waiting"]) == (1, 0)
    assert {row.period for row in target_rows(client)} == {1000, 1001, 1002}
    assert ledger(client)[0]["status"] == "replayed"
    assert waiting() == 0
    logged = rows(client, f"SELECT dag_id, status FROM {get_settings().table('monitor', 'sync_log')}")
    assert [row["status"] for row in logged] == ["success"]


def test_a_letter_delivered_again_after_its_replay_changes_nothing(client: Client) -> None:
    """The worker died between the commit and the acknowledgement."""
    collect(client, draws())
    again = letter()
    DeadLetterQueue().publish(again)
    replay()
    before = target_rows(client)
    DeadLetterQueue().publish(again)
    assert replay()["replayed"] == 0
    assert waiting() == 0
    assert target_rows(client) == before


def test_an_interval_that_fails_again_later_is_opened_again(client: Client) -> None:
    collect(client, draws())
    DeadLetterQueue().publish(letter())
    replay()
    DeadLetterQueue().publish(letter(failed_at=datetime.now(UTC) + timedelta(seconds=1)))
    assert waiting() == 1
    report = replay()
    assert report["replayed"] + report["waiting"] == 1


def test_a_permanent_error_is_set_aside_with_its_reason(client: Client) -> None:
    DeadLetterQueue().publish(letter(BadRequest("Syntax error: Expected end of input")))
    with pytest.raises(AirflowFailException, match="Syntax error"):
        replay()
    (row,) = ledger(client)
    assert (row["status"], row["attempts"], row["reason"]) == ("set_aside", 0, "BadRequest")
    assert waiting() == 0
    view = get_settings().table("monitor", "dead_letter_depth_v")
    assert rows(client, f"SELECT waiting, set_aside FROM {view}") == [{"waiting": 0, "set_aside": 1}]


def test_attempts_are_capped_and_wait_between(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_args: Any, **_names: Any) -> int:
        raise ServiceUnavailable("still down")

    monkeypatch.setattr("operators.draws.replay.dead_letter_replay_operator.resync", down)
    DeadLetterQueue().publish(letter())
    with pytest.raises(AirflowFailException, match=r"1 intervals failed again .*still down"):
        replay()
    second = replay()
    assert (second["failed"], second["waiting"]) == (0, 1), "the next attempt is not due yet"
    assert second["oldest_age_seconds"] > 0
    assert waiting() == 1
    table = get_settings().table("monitor", "dead_letters")
    cap = get_settings().dead_letter_max_attempts
    client.query(f"UPDATE {table} SET attempts = {cap}, next_attempt_at = TIMESTAMP '2000-01-01' WHERE TRUE").result()
    with pytest.raises(AirflowFailException, match=f"{cap} of {cap} replays failed"):
        replay()
    assert ledger(client)[0]["status"] == "set_aside"
    assert waiting() == 0


def test_an_interval_that_fails_again_fails_the_run_after_the_others_were_replayed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(client, draws())

    def half(client: Client, request: SyncRequest, **names: Any) -> int:
        if request.interval == earlier:
            raise ServiceUnavailable("still down")
        return resync(client, request, **names)

    earlier = Window(T0 - timedelta(hours=2), T0 - timedelta(hours=2) + timedelta(minutes=5))
    monkeypatch.setattr("operators.draws.replay.dead_letter_replay_operator.resync", half)
    DeadLetterQueue().publish(letter(interval=earlier))
    DeadLetterQueue().publish(letter())
    with pytest.raises(AirflowFailException, match="1 others were replayed"):
        replay()
    assert [row["status"] for row in ledger(client)] == ["waiting", "replayed"]
    assert len(target_rows(client)) == 3
    assert waiting() == 1


def test_one_bad_letter_does_not_hold_up_the_others(client: Client) -> None:
    collect(client, draws())
    queue = DeadLetterQueue()
    topic = f"projects/{get_settings().project}/topics/data-sync-failures"
    queue._hook.get_conn().publish(topic, b"no letter").result()
    queue.publish(letter())
    with pytest.raises(AirflowFailException, match="not the record of a failed interval"):
        replay()
    assert sorted(row["status"] for row in ledger(client)) == ["replayed", "set_aside"]
    assert len(target_rows(client)) == 3
    assert waiting() == 0


def test_a_task_that_fails_for_good_publishes_its_interval(client: Client) -> None:
    context = {
        "ti": SimpleNamespace(dag_id="draw_sync", task_id="sync", run_id="r", try_number=4),
        "dag_run": SimpleNamespace(
            data_interval_start=INTERVAL.start, data_interval_end=INTERVAL.end, run_after=INTERVAL.end
        ),
        "task": SimpleNamespace(job_id="job-1"),
        "params": {"from": None, "to": None, "dry_run": False},
        "exception": ServiceUnavailable("down"),
    }
    publish_dead_letter(context)
    collect(client, draws())
    assert replay()["replayed"] == 1
    assert len(target_rows(client)) == 3


def test_a_dry_run_of_the_schema_sets_nothing_up() -> None:
    with pytest.raises(AirflowSkipException):
        DeadLetterTopicOperator(task_id="topic").execute({"params": {"dry_run": True}})


def test_letters_outlive_a_crash_of_pubsub(client: Client, stack: Any) -> None:
    collect(client, draws())
    DeadLetterQueue().publish(letter())
    stack.restart("pubsub")
    assert replay()["replayed"] == 1


def test_pubsub_down_is_an_error_within_a_minute_not_a_hang(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setattr("hooks.dead_letter_hook.PATIENCE", 2)
    with pytest.raises(GoogleAPIError):
        DeadLetterQueue().publish(letter())
    with pytest.raises(GoogleAPIError):
        DeadLetterQueue().pull()


def test_the_subscription_is_there() -> None:
    path = f"projects/{get_settings().project}/subscriptions/{SUBSCRIPTION}"
    found = DeadLetterQueue()._hook.subscriber_client.get_subscription(subscription=path)
    assert found.ack_deadline_seconds == 300
