"""Delivery through the real hook to servers that answer as the chat services and an SMTP server do."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.lark import NotifyLark
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from apprise.plugins.wecombot import NotifyWeComBot

from drawsguard.alerts.manager import NotTriedError
from drawsguard.alerts.message import Text
from drawsguard.monitoring.observation import Priority
from hooks.alert_channel import MOST_PARTS, Limit, pieces, refusal_in
from hooks.alert_delivery_hook import AlertDeliveryHook
from local.alerts.chats import SERVICES as ANSWERS
from local.alerts.chats import SLOW_SECONDS, Chats, serving

#: What each is called in a connection.
ADDRESSES = {
    "telegram": "tgram://123456789:abcdefghijklmnopqrstuvwxyz012345678/1001/?image=no",
    "dingtalk": "dingtalk://abcdef0123456789",
    "feishu": "feishu://abcdef0123456789",
    "lark": "lark://abcdef0123456789",
    "wecom": "wecombot://abcdef0123456789",
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?image=no",
}
SECRETS = ("abcdefghijklmnop", "abcdef0123456789", "TIiajkdnlazkcOXrIdevi7FQ")
SERVICES = list(ADDRESSES)

#: A text of a failed task: everything in it means something in some markup.
ODD = "'<' not supported by <EOF>, <urlopen error [Errno 111]> & more\n_under_ *star* [link](x) `tick` 期号\n# end"


@pytest.fixture
def chats(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chats]:
    chats = Chats()
    server = serving(chats)
    base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"{base}/telegram/bot")
    monkeypatch.setattr(NotifyDingTalk, "notify_url", f"{base}/dingtalk/robot/send?access_token={{token}}")
    monkeypatch.setattr(NotifyFeishu, "notify_url", f"{base}/feishu/hook/{{token}}/")
    monkeypatch.setattr(NotifyLark, "notify_url", f"{base}/lark/hook/")
    monkeypatch.setattr(NotifyWeComBot, "notify_url", f"{base}/wecom/send?key={{key}}")
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{base}/slack/services", raising=True)
    yield chats
    server.shutdown()


def hook(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> AlertDeliveryHook:
    config = [{"path": address} for address in addresses]
    monkeypatch.setenv(
        "AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps({"conn_type": "apprise", "extra": {"config": config}})
    )
    return AlertDeliveryHook("apprise_default")


def text(body: str = ODD, title: str = "[P0] 同步停止 <draw_sync> a_b") -> Text:
    return Text(title, body, Priority.P0)


@pytest.mark.parametrize("service", SERVICES)
def test_a_text_arrives_as_it_is(chats: Chats, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    taken, problems = hook(monkeypatch, ADDRESSES[service]).send(text())
    assert problems == []
    assert len(taken) == 1
    (shown,) = chats.texts(service)
    assert "[P0] 同步停止 <draw_sync> a_b" in shown
    for line in ODD.split("\n"):
        assert line in shown.replace("\r\n", "\n").split("\n")


@pytest.mark.parametrize("mood", ["refuse", "limit", "nonsense", "hang up"])
@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_does_not_take_is_not_delivered(
    chats: Chats, monkeypatch: pytest.MonkeyPatch, service: str, mood: str
) -> None:
    """HTTP 200 is no acceptance; the reason is told, without the token; the next try may succeed."""
    delivery = hook(monkeypatch, ADDRESSES[service])
    chats.mood = mood
    taken, problems = delivery.send(text())
    assert (taken, len(problems)) == ([], 1)
    assert not any(secret in problems[0] for secret in SECRETS), problems
    reasons = {"dingtalk": ("310000", "130101"), "feishu": ("19024", "11232"), "lark": ("19024", "11232"),
               "wecom": ("93000", "45009"), "telegram": ("chat not found", "429"), "slack": ("403", "429")}  # fmt: skip
    if mood in ("refuse", "limit"):
        assert reasons[service][mood == "limit"] in problems[0]
    chats.mood = "accept"
    assert delivery.send(text())[1] == []
    assert len(chats.texts(service)) == 1


def test_a_slow_service_keeps_no_other_waiting_for_ever(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Chats(mood="slow")
    server = serving(slow)
    monkeypatch.setattr(NotifyFeishu, "notify_url", f"http://127.0.0.1:{server.server_port}/feishu/hook/{{token}}/")
    started = time.monotonic()
    taken, problems = hook(monkeypatch, ADDRESSES["feishu"], "nonsense://x", ADDRESSES["wecom"]).send(text())
    assert time.monotonic() - started < SLOW_SECONDS
    assert [name.split(":")[0] for name in taken] == ["wecombot"]
    assert len(problems) == 2
    assert "Timeout" in problems[0]
    assert "nonsense://" in problems[1]
    server.shutdown()


def test_a_channel_that_hangs_is_tried_once_in_a_round(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten texts to a hanging channel took longer than the monitor's task may."""
    slow = Chats(mood="slow")
    server = serving(slow)
    monkeypatch.setattr(NotifyFeishu, "notify_url", f"http://127.0.0.1:{server.server_port}/feishu/hook/{{token}}/")
    delivery = hook(monkeypatch, ADDRESSES["feishu"], ADDRESSES["wecom"])
    started = time.monotonic()
    answers = [delivery.send(text()) for _ in range(3)]
    assert time.monotonic() - started < SLOW_SECONDS
    assert slow.calls == 1
    assert [len(taken) for taken, _ in answers] == [1, 1, 1], "the other channel gets every text"
    assert [problems[0].split(":")[0] for _, problems in answers] == ["feishu"] * 3, "what was not tried is not taken"
    assert len(hook(monkeypatch, ADDRESSES["feishu"]).send(text())[1]) == 1
    assert slow.calls == 2, "the next round tries it again"
    server.shutdown()


def test_nothing_is_said_of_a_text_for_which_no_channel_was_tried(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel of Apprise's own, which says in its log only that it got no answer."""
    slow = Chats(mood="slow")
    server = serving(slow)
    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{server.server_port}/slack/services")
    delivery = hook(monkeypatch, ADDRESSES["slack"])
    assert len(delivery.send(text())[1]) == 1
    with pytest.raises(NotTriedError, match="no answer in time"):
        delivery.send(text())
    assert slow.calls == 1
    server.shutdown()


def test_a_channel_that_closes_the_connection_does_not_hang(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = hook(monkeypatch, ADDRESSES["slack"])
    chats.mood = "hang up"
    for _ in range(2):
        assert len(delivery.send(text())[1]) == 1
    assert chats.calls == 2


def test_what_apprise_says_to_find_its_errors_stays_out_of_the_log(
    chats: Chats, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds whole addresses."""
    caplog.set_level(logging.INFO)
    delivery = hook(monkeypatch, ADDRESSES["slack"])
    for mood in ("refuse", "accept"):
        chats.mood = mood
        delivery.send(text())
    assert {record.levelname for record in caplog.records if record.name == "apprise"} == {"WARNING", "INFO"}
    assert not any(secret in caplog.text for secret in SECRETS)


def test_a_channel_that_refuses_at_once_is_tried_with_each_text(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = hook(monkeypatch, ADDRESSES["lark"])
    chats.mood = "refuse"
    assert [len(delivery.send(text())[1]) for _ in range(2)] == [1, 1]
    assert chats.calls == 2


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("length", [9_686, 60_000])
def test_a_long_text_arrives_in_parts_or_is_cut_with_a_link(
    chats: Chats, monkeypatch: pytest.MonkeyPatch, service: str, length: int
) -> None:
    """Trouble from the field: a bundle of 13 alerts, 9,686 characters, was refused at each try."""
    lines = [f"{n:04} 第{n}行 <tag> & _x_ 采集停止：源表超过三期未更新" for n in range(length // 35)]
    taken, problems = hook(monkeypatch, ADDRESSES[service]).send(text("\n".join(lines)))
    assert problems == []
    assert len(taken) == 1
    shown = chats.texts(service)
    assert 1 <= len(shown) <= MOST_PARTS
    found = [line for part in shown for line in part.replace("\r\n", "\n").split("\n") if line[:4].isdigit()]
    assert found == lines[: len(found)]
    assert found == lines or "/operations/alerts" in shown[-1]
    assert all("[P0] 同步停止" in part for part in shown)


def test_a_part_that_is_refused_is_a_refusal(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = hook(monkeypatch, ADDRESSES["wecom"])
    answer = ANSWERS["wecom"]
    monkeypatch.setitem(ANSWERS, "wecom", lambda payload, _: answer(payload, "limit" if chats.calls > 1 else "accept"))
    taken, problems = delivery.send(text("第一行\n" * 400))
    assert taken == []
    assert "45009" in problems[0]


@pytest.mark.parametrize("most", [7, 20, 1000])
def test_pieces_lose_nothing(most: int) -> None:
    body = "一二三四五六七八九十 ab\n\n" + "x" * 45 + "\n末行😀😀😀"
    limit = Limit(most, lambda piece: len(piece.encode()))
    found = list(pieces(body, limit))
    assert all(0 < limit.measure(piece) <= most for piece in found)
    assert "".join(found).replace("\n", "") == body.replace("\n", "")


@pytest.mark.parametrize(
    ("status", "body", "taken"),
    [
        (200, '{"errcode": 0, "errmsg": "ok"}', True),
        (200, '{"errcode": "0"}', True),
        (200, '{"errcode": 310000, "errmsg": "no"}', False),
        (200, '{"errcode": null}', False),
        (200, '{"errcode": false}', False),
        (200, "{}", False),
        (200, "[]", False),
        (200, "", False),
        (200, "ok", False),
        (302, '{"errcode": 0}', False),
        (500, '{"errcode": 0}', False),
    ],
)
def test_only_an_answer_that_says_so_is_an_acceptance(status: int, body: str, taken: bool) -> None:
    assert (refusal_in(status, body, ("errcode",)) == "") is taken


# --- mail -------------------------------------------------------------------------------------------------------
class Mailbox:
    """An SMTP server's decisions: what it answers to a recipient and to a message."""

    def __init__(self) -> None:
        self.recipient, self.message, self.pause = "250 OK", "250 OK", 0.0
        self.mails: list[Any] = []
        self.asked = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.asked += 1
        await asyncio.sleep(self.pause)
        if self.message.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.message


@pytest.fixture
def mailbox(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[tuple[Mailbox, AlertDeliveryHook]]:
    box = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    seconds = getattr(request, "param", 2)  # until a server that says nothing hangs
    address = f"mailto://127.0.0.1:{port}/?from=a@example.com&to=b@example.com&cto={seconds}&rto=1"
    yield box, hook(monkeypatch, address)
    controller.stop()


def test_a_mail_holds_the_text_as_it_is(mailbox: tuple[Mailbox, AlertDeliveryHook]) -> None:
    box, delivery = mailbox
    assert delivery.send(text())[1] == []
    (mail,) = box.mails
    shown = mail.get_body(("plain",)).get_content()
    for line in ODD.split("\n"):
        assert line in shown.replace("\r\n", "\n").split("\n")


@pytest.mark.parametrize(
    ("recipient", "message", "reason"),
    [("550 no such user", "250 OK", "550"), ("452 too many", "250 OK", "452"), ("250 OK", "421 closing", "421"),
     ("250 OK", "552 message too large", "552")],
)  # fmt: skip
def test_a_refused_mail_is_not_delivered(
    mailbox: tuple[Mailbox, AlertDeliveryHook], recipient: str, message: str, reason: str
) -> None:
    box, delivery = mailbox
    box.recipient, box.message = recipient, message
    taken, problems = delivery.send(text())
    assert (taken, len(problems), box.mails) == ([], 1, []), reason


def test_a_mail_server_that_says_nothing_is_not_waited_for(mailbox: tuple[Mailbox, AlertDeliveryHook]) -> None:
    box, delivery = mailbox
    box.pause = SLOW_SECONDS
    started = time.monotonic()
    taken, problems = delivery.send(text())
    assert (taken, len(problems)) == ([], 1)
    assert time.monotonic() - started < SLOW_SECONDS
    with pytest.raises(NotTriedError):
        delivery.send(text())


@pytest.mark.parametrize("mailbox", [10], indirect=True)
def test_a_mail_server_that_thinks_before_it_refuses_does_not_hang(mailbox: tuple[Mailbox, AlertDeliveryHook]) -> None:
    """Two of three recipients got each text again, and the other texts nobody."""
    box, delivery = mailbox
    box.pause, box.message = 1.5, "552 message too large"
    for _ in range(2):
        assert len(delivery.send(text())[1]) == 1
    assert box.asked == 2
