"""Pub/Sub: the topic and the subscription that failed sync intervals wait in."""

from __future__ import annotations

from collections.abc import Iterator

from google.api_core.exceptions import GoogleAPICallError, MethodNotImplemented, NotFound

from drawsguard.preflight.model import Check, Finding, World, failed, passed, warned
from drawsguard.preflight.run import cause

#: A replay takes its time; a shorter deadline delivers a letter twice (seconds).
SHORTEST_DEADLINE = 60

_ROLES = (
    "开启 Pub/Sub API，授予 roles/pubsub.editor（建立）或 publisher + subscriber。Enable the Pub/Sub API and grant "
    "roles/pubsub.editor (to create them), or publisher and subscriber."
)
_CREATE = "触发 DAG warehouse_schema，它会建立。Trigger the DAG warehouse_schema: it creates them."


def topic(world: World) -> Iterator[Finding]:
    """The topic exists."""
    try:
        yield passed(world.pubsub().topic())
    except NotFound as error:
        yield failed(cause(error), _CREATE)


def subscription(world: World) -> Iterator[Finding]:
    """The subscription exists, reads this topic, and waits long enough."""
    queue = world.pubsub()
    try:
        read, deadline = queue.subscription()
    except NotFound as error:
        yield failed(cause(error), f"没有订阅的消息会丢失。Messages without a subscription are lost. {_CREATE}")
        return
    wanted = queue.topic()
    if read != wanted:
        yield failed(f"订阅的是 it reads {read}，应为 expected {wanted}", f"删除该订阅后：Delete it, then: {_CREATE}")
    elif deadline < SHORTEST_DEADLINE:
        yield failed(
            f"ack deadline {deadline} s",
            f"改为 {SHORTEST_DEADLINE} 秒以上。"
            f"Raise it to {SHORTEST_DEADLINE} s or more: letters would be replayed twice.",
        )
    else:
        yield passed(f"{read}, ack deadline {deadline} s")


def rights(world: World) -> Iterator[Finding]:
    """The account may publish and consume."""
    try:
        missing = world.pubsub().missing_rights()
    except MethodNotImplemented as error:
        yield warned(cause(error), "模拟器没有权限。The emulator knows no rights.")
        return
    except GoogleAPICallError as error:
        yield failed(cause(error), _ROLES)
        return
    yield failed(f"缺少 missing {', '.join(missing)}", _ROLES) if missing else passed("publish, consume")


CHECKS = (
    Check("Pub/Sub", "topic", "主题 Topic", topic, _ROLES),
    Check("Pub/Sub", "subscription", "订阅 Subscription", subscription, _ROLES),
    Check("Pub/Sub", "rights", "权限 Rights", rights, _ROLES),
)
