"""One channel of alerts: what it can hold, and whether it took a message, judged by its answer.

A chat service may answer HTTP 200 and refuse in the body (``{"errcode": 310000}``). Apprise judges DingTalk, Feishu,
Lark, WeCom and Telegram by the status alone, so their texts are posted here, as plain text, with the address and the
signature that Apprise made. Every other channel is Apprise's own. What is longer than a channel takes goes in parts;
what would be a flood is cut, and says where the rest is.
"""

from __future__ import annotations

import html
import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import apprise
import requests
from apprise.logger import logger as apprise_logger
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.email import NotifyEmail
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.lark import NotifyLark
from apprise.plugins.telegram import NotifyTelegram
from apprise.plugins.wecombot import NotifyWeComBot

from drawsguard.alerts.message import Text
from drawsguard.mail import subject_line
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import get_settings

#: Parts of one message; what is longer is cut.
MOST_PARTS = 5

#: Room for the title and the number of the part.
TITLE_ROOM = 200

KINDS = {
    Priority.P0: apprise.NotifyType.FAILURE,
    Priority.P1: apprise.NotifyType.WARNING,
    Priority.P2: apprise.NotifyType.INFO,
}

Channel = apprise.NotifyBase


class Answer(NamedTuple):
    """What became of a text.

    :param problem: why it was not taken as a whole; empty when it was.
    :param hung: whether it was no refusal: no answer came in time.
    """

    problem: str = ""
    hung: bool = False


@dataclass(frozen=True)
class Limit:
    """How much one message of a service holds, in what it counts in."""

    most: int
    measure: Callable[[str], int]


def _bytes(text: str) -> int:
    return len(text.encode())


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@dataclass(frozen=True)
class Bot:
    """A chat's interface for bots: where and what to post, and what its answer has to say.

    ``codes`` are keys of the answer: one has to be there, and all that are there have to be ``good``.
    """

    requests: Callable[[Any, str], list[dict[str, Any]]]
    codes: tuple[str, ...]
    limit: Limit
    good: int | bool = 0


def _dingtalk(channel: Any, text: str) -> list[dict[str, Any]]:
    signed = dict(zip(("timestamp", "sign"), channel.get_signature(), strict=True)) if channel.secret else {}
    content = {"msgtype": "text", "text": {"content": text}, "at": {"atMobiles": channel.targets, "isAtAll": False}}
    return [{"url": channel.notify_url.format(token=channel.token), "params": signed, "content": content}]


def _feishu(channel: Any, text: str) -> list[dict[str, Any]]:
    content = {"msg_type": "text", "content": {"text": text}}
    return [{"url": channel.notify_url.format(token=channel.token), "content": content}]


def _lark(channel: Any, text: str) -> list[dict[str, Any]]:
    return [{"url": channel.webhook_url, "content": {"msg_type": "text", "content": {"text": text}}}]


def _wecom(channel: Any, text: str) -> list[dict[str, Any]]:
    return [{"url": channel.api_url, "content": {"msgtype": "text", "text": {"content": text}}}]


def _telegram(channel: Any, text: str) -> list[dict[str, Any]]:
    options = {"disable_notification": channel.silent, "disable_web_page_preview": not channel.preview}
    return [
        {
            "url": f"{channel.notify_url}{channel.bot_token}/sendMessage",
            "content": {"chat_id": chat, "text": text, **options, **({"message_thread_id": topic} if topic else {})},
        }
        for chat, topic in channel.targets
    ]


#: Services whose answer says in its body whether they took a message.
BOTS: dict[type[Channel], Bot] = {
    NotifyDingTalk: Bot(_dingtalk, ("errcode",), Limit(18_000, _bytes)),
    NotifyFeishu: Bot(_feishu, ("code", "StatusCode"), Limit(18_000, _bytes)),
    NotifyLark: Bot(_lark, ("code", "StatusCode"), Limit(18_000, _bytes)),
    NotifyWeComBot: Bot(_wecom, ("errcode",), Limit(2_048, _bytes)),
    NotifyTelegram: Bot(_telegram, ("ok",), Limit(4_096, _utf16_units), good=True),
}


def name_of(channel: Channel) -> str:
    """Return a channel's address without its secrets."""
    return str(channel.url(privacy=True)).split("?", 1)[0]


def deliver(channel: Channel, text: Text) -> Answer:
    """Send a text to a channel; whatever a library raises is an answer."""
    bot = next((bot for kind, bot in BOTS.items() if isinstance(channel, kind)), None)
    try:
        if isinstance(channel, NotifyEmail):
            body, form = (text.html, apprise.NotifyFormat.HTML) if text.html else (text.body, apprise.NotifyFormat.TEXT)
            return _notify(channel, text, title=subject_line(text.title), body=body, body_format=form)
        for title, body in _parts(channel, text, bot):
            if bot:
                answer = _post(channel, bot, f"{title}\n{body}")
            else:
                answer = _notify(channel, text, title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
            if answer.problem:
                return answer
    except Exception as error:  # noqa: BLE001 - whatever a library raises, the other channels get the alert
        return Answer(f"{type(error).__name__}: {error}", _timed_out(error))
    return Answer()


def _timed_out(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is that no answer came in time, or that a name was not found."""
    while error is not None:
        if isinstance(error, TimeoutError | requests.Timeout | socket.gaierror):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _timeouts() -> Iterator[list[BaseException]]:
    """Collect the timeouts that Apprise swallows: each is handled while it writes a line of its log about it.

    For mail that is a debug line. Those hold whole addresses, and so are kept from every handler.
    """
    found: list[BaseException] = []
    level, shown = apprise_logger.level, apprise_logger.getEffectiveLevel()

    def note(record: logging.LogRecord) -> bool:
        error = sys.exc_info()[1]
        if error is not None and _timed_out(error):
            found.append(error)
        return record.levelno >= shown

    apprise_logger.setLevel(min(shown, logging.DEBUG))
    apprise_logger.addFilter(note)
    try:
        yield found
    finally:
        apprise_logger.removeFilter(note)
        apprise_logger.setLevel(level)


def _notify(channel: Channel, text: Text, **message: Any) -> Answer:
    with apprise.LogCapture(level=logging.WARNING) as captured, _timeouts() as timeouts:
        accepted = channel.notify(notify_type=KINDS[text.priority], **message)
        said = captured.getvalue().strip().splitlines()
    return Answer() if accepted else Answer(said[-1] if said else "refused without a reason", bool(timeouts))


def _post(channel: Any, bot: Bot, text: str) -> Answer:
    """Post a text to every chat of a channel; it is taken when all have taken it."""
    posts = bot.requests(channel, text)
    problems, hung = [] if posts else ["the address names no chat"], False
    for post in posts:
        channel.throttle()
        try:
            answer = requests.post(
                post["url"],
                params=post.get("params"),
                data=json.dumps(post["content"], ensure_ascii=False).encode(),
                headers={"User-Agent": channel.app_id, "Content-Type": "application/json; charset=utf-8"},
                verify=channel.verify_certificate,
                timeout=channel.request_timeout,
            )
        except requests.RequestException as error:
            problems.append(f"no answer: {type(error).__name__}")  # its text holds the address, and so the token
            hung = hung or _timed_out(error)
        else:
            problems.append(refusal_in(answer.status_code, answer.text, bot.codes, bot.good))
    return Answer("; ".join(filter(None, problems)), hung)


def refusal_in(status: int, body: str, codes: tuple[str, ...], good: int | bool = 0) -> str:
    """Return why an answer is no acceptance, or nothing: what does not say that it accepted has not.

    :param codes: keys of the answer of which one has to be there, and all that are there have to be ``good``.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    given = {key: answer[key] for key in codes if key in answer} if isinstance(answer, dict) else {}
    if status == requests.codes.ok and given and all(repr(code).strip("'") == repr(good) for code in given.values()):
        return ""
    said = [answer.get(key) for key in ("errmsg", "msg", "description")] if isinstance(answer, dict) else [body[:80]]
    why = next(filter(None, said), "")
    stated = ", ".join(f"{key} {code}" for key, code in given.items())
    return " ".join(filter(None, (f"HTTP {status}", stated, str(why)[:200])))


def _parts(channel: Channel, text: Text, bot: Bot | None) -> Iterator[tuple[str, str]]:
    """Yield title and body of each message."""
    # What Apprise itself sends may grow when it escapes it.
    limit = bot.limit if bot else Limit(channel.body_maxlen, lambda piece: len(html.escape(piece)))
    room = Limit(limit.most - TITLE_ROOM - min(limit.measure(text.title), limit.most // 4), limit.measure)
    title = next(pieces(text.title, Limit(max(limit.most // 4, 1), limit.measure)), "")
    bodies = list(pieces(text.body, room))
    if len(bodies) > MOST_PARTS:
        where = f"{get_settings().ui_base_url}/operations/alerts"
        bodies = [*bodies[: MOST_PARTS - 1], f"……其余 {len(bodies) - MOST_PARTS + 1} 段未发送，见 The rest: {where}"]
    for number, body in enumerate(bodies, 1):
        yield (f"{title} ({number}/{len(bodies)})" if len(bodies) > 1 else title), body


def pieces(text: str, limit: Limit) -> Iterator[str]:
    """Yield a text in pieces that the limit allows: whole lines where they fit, and nothing is lost but line ends."""
    piece = ""
    for line in text.split("\n"):
        longer = f"{piece}\n{line}" if piece else line
        if limit.measure(longer) <= limit.most:
            piece = longer
            continue
        if piece:
            yield piece
        *whole, piece = _cut(line, limit)
        yield from whole
    if piece:
        yield piece


def _cut(line: str, limit: Limit) -> list[str]:
    """Return a line in pieces of at most the limit, cut between characters; at least one."""
    cut: list[str] = []
    piece: list[str] = []
    size = 0
    for character in line:
        width = limit.measure(character)
        if size + width > limit.most:
            cut.append("".join(piece))
            piece, size = [], 0
        piece.append(character)
        size += width
    return [*cut, "".join(piece)]
