"""The channels of alerts: each address is understood, every priority and team has one; a message only when "
"asked for."""

from __future__ import annotations

from collections.abc import Iterator

from drawsguard.monitoring.observation import Priority
from drawsguard.preflight.model import Check, Finding, World, failed, passed, warned

_CONNECTION = (
    "检查连接 apprise_default 的 extra（README，Configuration）。"
    "Correct the extra of apprise_default (README, Configuration)."
)
_TITLE = "上线检查测试 Preflight test"
_BODY = "这是一条测试消息，无需处理。This is a test message; nothing is to be done."


def configured(world: World) -> Iterator[Finding]:
    """Every address is one that Apprise knows, and no priority is left without a channel."""
    channels = world.channels()
    priorities = {priority.value for priority in Priority}
    if not channels:
        yield failed("没有通道 no channel", _CONNECTION)
        return
    for priority in sorted(priorities):
        if not any(
            "escalation" not in channel.tags and (not channel.tags & priorities or priority in channel.tags)
            for channel in channels
        ):
            yield failed(f"{priority} 没有通道 has no channel", _CONNECTION)
    if all("mail" in channel.tags for channel in channels):
        yield warned(
            "只有邮件通道 mail is the only channel",
            "加一个聊天通道：邮件服务器故障时告警也要到达。"
            "Add a chat: alerts must arrive when the mail server is down.",
        )
    if not any("escalation" in channel.tags for channel in channels):
        yield warned(
            "没有第二接收人 no second recipient",
            "给一个通道加标签 escalation：无人接手的 P0 会升级到那里。"
            "Tag a channel `escalation`: a P0 that nobody acknowledges goes there as well.",
        )
    yield passed(f"{len(channels)} 个通道 channels: {', '.join(channel.name for channel in channels)}")


def delivery(world: World) -> Iterator[Finding]:
    """Each channel takes a message, when that was asked for."""
    for channel in world.channels():
        if not world.sends_messages:
            yield warned(
                f"{channel.name}: 未发送 nothing was sent",
                "加参数 test_message（命令行 SEND=1）再查一次。"
                "Check once more with the param test_message (SEND=1 on the "
                "command line).",
            )
        elif problem := channel.send(_TITLE, _BODY):
            yield failed(f"{channel.name}: {problem}", _CONNECTION)
        else:
            yield passed(f"{channel.name}: 已送达 accepted")


CHECKS = (
    Check("Alerts", "configured", "告警通道 Channels", configured, _CONNECTION),
    Check("Alerts", "delivery", "送达 Delivery", delivery, _CONNECTION, seconds=60),
)
