"""The external watcher that tells people when Airflow itself is down."""

from __future__ import annotations

from collections.abc import Iterator

from drawsguard.preflight.model import Check, Finding, World, passed, warned

_CONNECTION = (
    "建立连接 heartbeat_default（README，Configuration），否则调度器或全部停止时无人知道。"
    "Make the connection heartbeat_default (README, Configuration): without it nobody is told when the scheduler, or "
    "everything, is down."
)


def takes_pings(world: World) -> Iterator[Finding]:
    """The watcher knows the check; what it is sent is no sign of life."""
    try:
        world.ping_watcher()
    except LookupError as error:
        yield warned(f"关闭 off: 没有 no {error}", _CONNECTION)
        return
    yield passed("OK")


CHECKS = (
    Check(
        "External watcher",
        "takes pings",
        "接收心跳 Takes pings",
        takes_pings,
        "检查连接 heartbeat_default 的地址与 UUID。Correct address and UUID of the connection heartbeat_default.",
    ),
)
