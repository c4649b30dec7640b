"""The embedded Pub/Sub through Airflow's hook and Google's client: the protocol, leases, persistence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.providers.google.cloud.hooks.pubsub import PubSubException, PubSubHook

from local.pubsub.server import start_grpc
from local.pubsub.store import Store

TOPIC, SUBSCRIPTION, PROJECT = "data-sync-failures", "data-sync-failures-replay", "wprojectl"
PATH = f"projects/{PROJECT}/subscriptions/{SUBSCRIPTION}"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return Store(tmp_path, clock)


@pytest.fixture
def hook(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSubHook]:
    server, port = start_grpc(store, "127.0.0.1:0")
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
    monkeypatch.setitem(
        os.environ,
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT",
        '{"conn_type": "google_cloud_platform", "extra": {"project": "wprojectl", "is_anonymous": true}}',
    )
    hook = PubSubHook()
    hook.create_topic(topic=TOPIC, project_id=PROJECT)
    hook.create_subscription(topic=TOPIC, project_id=PROJECT, subscription=SUBSCRIPTION, ack_deadline_secs=30)
    yield hook
    server.stop(None).wait()


def publish(hook: PubSubHook, *texts: str) -> None:
    hook.publish(
        topic=TOPIC,
        messages=[{"data": text.encode(), "attributes": {"kind": "test"}} for text in texts],
        project_id=PROJECT,
    )


def pull(hook: PubSubHook, count: int = 10) -> dict[str, str]:
    """Return the texts handed out, by ack id."""
    messages = hook.pull(subscription=SUBSCRIPTION, max_messages=count, project_id=PROJECT, return_immediately=True)
    return {message.ack_id: message.message.data.decode() for message in messages}


def test_published_messages_are_pulled_once_and_gone_after_the_acknowledgement(hook: PubSubHook, clock: Clock) -> None:
    publish(hook, "first", "second")
    leased = pull(hook)
    assert list(leased.values()) == ["first", "second"]
    assert pull(hook) == {}, "a leased message is not handed out again"
    hook.acknowledge(subscription=SUBSCRIPTION, project_id=PROJECT, ack_ids=list(leased))
    clock.now += 3600
    assert pull(hook) == {}


def test_an_unacknowledged_message_comes_back_after_its_deadline(hook: PubSubHook, clock: Clock) -> None:
    publish(hook, "again")
    (first,) = pull(hook)
    clock.now += 31
    (second,) = pull(hook)
    assert second != first
    hook.acknowledge(subscription=SUBSCRIPTION, project_id=PROJECT, ack_ids=[first])
    clock.now += 31
    assert list(pull(hook).values()) == ["again"], "an ack id whose lease has ended acknowledges nothing"


def test_a_lease_can_be_extended_and_given_back(hook: PubSubHook, clock: Clock) -> None:
    publish(hook, "long work")
    (ack_id,) = pull(hook)
    client = hook.subscriber_client
    client.modify_ack_deadline(request={"subscription": PATH, "ack_ids": [ack_id], "ack_deadline_seconds": 600})
    clock.now += 500
    assert pull(hook) == {}
    client.modify_ack_deadline(request={"subscription": PATH, "ack_ids": [ack_id], "ack_deadline_seconds": 0})
    assert list(pull(hook).values()) == ["long work"]


def test_without_a_subscription_a_message_is_lost(hook: PubSubHook) -> None:
    hook.delete_subscription(subscription=SUBSCRIPTION, project_id=PROJECT)
    publish(hook, "nobody listens")
    hook.create_subscription(topic=TOPIC, project_id=PROJECT, subscription=SUBSCRIPTION)
    assert pull(hook) == {}


def test_everything_survives_a_restart(hook: PubSubHook, store: Store, tmp_path: Path, clock: Clock) -> None:
    publish(hook, "kept")
    reopened = Store(tmp_path, clock)
    assert reopened.depth() == {PATH: 1}
    assert len(reopened.pull(PATH, 10)) == 1


def test_seek_replays_what_was_acknowledged(hook: PubSubHook, clock: Clock) -> None:
    from datetime import UTC, datetime

    publish(hook, "replayed")
    hook.acknowledge(subscription=SUBSCRIPTION, project_id=PROJECT, ack_ids=list(pull(hook)))
    earlier = datetime.fromtimestamp(clock.now - 60, UTC)
    hook.subscriber_client.seek(request={"subscription": PATH, "time": earlier})
    assert list(pull(hook).values()) == ["replayed"]


def test_creating_twice_is_harmless_and_refused_when_asked(hook: PubSubHook) -> None:
    hook.create_topic(topic=TOPIC, project_id=PROJECT)
    with pytest.raises(PubSubException, match="already exists"):
        hook.create_topic(topic=TOPIC, project_id=PROJECT, fail_if_exists=True)
    hook.create_subscription(topic=TOPIC, project_id=PROJECT, subscription=SUBSCRIPTION)


def test_what_does_not_exist_is_named(hook: PubSubHook) -> None:
    with pytest.raises(PubSubException, match="no-such-topic"):
        hook.publish(topic="no-such-topic", messages=[{"data": b"x"}], project_id=PROJECT)
    with pytest.raises(PubSubException, match="no-such-subscription"):
        hook.pull(subscription="no-such-subscription", max_messages=1, project_id=PROJECT)
