"""Chat services as they answer bots: Telegram, DingTalk, Feishu, Lark, WeCom and Slack, for tests of the delivery.

What a service does next is set by `Chats.mood`: ``accept``; ``refuse``, as each refuses what it does not like (most of
them with HTTP 200); ``limit``, as each does over its rate; ``slow``, an answer that comes too late; ``hang up``, a
connection that is closed without one; ``nonsense``, a proxy's page with HTTP 200. Texts that are too long are refused
whatever the mood.
"""

from __future__ import annotations

import html
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: How late a slow answer is (seconds): longer than a channel waits.
SLOW_SECONDS = 30

Reply = tuple[int, Any, dict[str, str]]

_MARKUP = re.compile(r"<(/?)([a-zA-Z]+)[^>]*>")
_TELEGRAM_TAGS = {"b", "strong", "i", "em", "u", "s", "a", "code", "pre"}


@dataclass
class Chats:
    """The services, their mood, and the texts that each accepted, as a person reads them."""

    mood: str = "accept"
    taken: dict[str, list[str]] = field(default_factory=dict)
    calls: int = 0

    def texts(self, service: str) -> list[str]:
        """Return what a service accepted."""
        return self.taken.get(service, [])


def _telegram(payload: dict[str, Any], mood: str) -> tuple[Reply, str]:
    text = str(payload.get("text", ""))
    if mood == "limit":
        limited = {"description": "Too Many Requests: retry after 35", "parameters": {"retry_after": 35}}
        return (429, {"ok": False, "error_code": 429, **limited}, {"Retry-After": "35"}), ""
    if mood == "refuse":
        return (400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}, {}), ""
    if payload.get("parse_mode") == "HTML":
        for tag in _MARKUP.finditer(text):
            if tag[2].lower() not in _TELEGRAM_TAGS:
                why = f'Bad Request: can\'t parse entities: Unsupported start tag "{tag[2]}"'
                return (400, {"ok": False, "error_code": 400, "description": why}, {}), ""
        text = _MARKUP.sub("", text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    if len(text.encode("utf-16-le")) // 2 > 4096:
        return (400, {"ok": False, "error_code": 400, "description": "Bad Request: message is too long"}, {}), ""
    return (200, {"ok": True, "result": {"message_id": 1}}, {}), text


def _dingtalk(payload: dict[str, Any], mood: str) -> tuple[Reply, str]:
    text = payload.get("text", {}).get("content", "")
    if mood == "refuse":
        return (
            200,
            {"errcode": 310000, "errmsg": "keywords not in content"},
            {},
        ), ""
    if mood == "limit":
        return (200, {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}, {}), ""
    if len(text.encode()) > 20_000:
        return (200, {"errcode": 460101, "errmsg": "message too long, exceed 20000 bytes"}, {}), ""
    return (200, {"errcode": 0, "errmsg": "ok"}, {}), text


def _feishu(payload: dict[str, Any], mood: str) -> tuple[Reply, str]:
    text = payload.get("content", {}).get("text", "")
    if mood == "refuse":
        return (200, {"code": 19024, "data": {}, "msg": "Key Words Not Found"}, {}), ""
    if mood == "limit":
        return (
            200,
            {"code": 11232, "data": {}, "msg": "frequency limited psm[lark.oapi]"},
            {},
        ), ""
    if len(json.dumps(payload, ensure_ascii=False).encode()) > 20 * 1024:
        return (200, {"code": 9499, "msg": "too large request body"}, {}), ""
    return (200, {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}, {}), text


def _wecom(payload: dict[str, Any], mood: str) -> tuple[Reply, str]:
    text = payload.get("text", {}).get("content", "")
    if mood == "refuse":
        return (200, {"errcode": 93000, "errmsg": "invalid webhook url, hint: [1764]"}, {}), ""
    if mood == "limit":
        return (200, {"errcode": 45009, "errmsg": "api freq out of limit"}, {}), ""
    if len(text.encode()) > 2048:
        return (
            200,
            {"errcode": 40058, "errmsg": "text.content exceed max length 2048"},
            {},
        ), ""
    return (200, {"errcode": 0, "errmsg": "ok"}, {}), text


def _slack(payload: dict[str, Any], mood: str) -> tuple[Reply, str]:
    shown = [str(payload.get("text", ""))]
    shown += [f"{one.get('title', '')}\n{one.get('text', '')}" for one in payload.get("attachments", [])]
    text = html.unescape("\n".join(filter(None, shown)))
    if mood == "refuse":
        return (403, "invalid_token", {}), ""
    if mood == "limit":
        return (429, "rate_limited", {"Retry-After": "30"}), ""
    if len(text) > 40_000:
        return (400, "msg_too_long", {}), ""
    return (200, "ok", {}), text


#: First part of the path → service, and how it answers.
SERVICES: dict[str, Callable[[dict[str, Any], str], tuple[Reply, str]]] = {
    "telegram": _telegram, "dingtalk": _dingtalk, "feishu": _feishu, "lark": _feishu, "wecom": _wecom, "slack": _slack,
}  # fmt: skip


def make_server(chats: Chats, port: int = 0) -> ThreadingHTTPServer:
    """Return a server that is bound to the loopback but not yet serving: ``/<service>/…`` is that service."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            service = urlsplit(self.path).path.split("/")[1]
            payload = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            chats.calls += 1
            if chats.mood == "hang up":
                self.close_connection = True
                self.connection.close()
                return
            if chats.mood == "slow":
                time.sleep(SLOW_SECONDS)
            if chats.mood == "nonsense":
                self._send(200, "<html>Sign in to the network</html>", {})
                return
            reply, text = SERVICES[service](payload, chats.mood)
            if text:
                chats.taken.setdefault(service, []).append(text)
            self._send(*reply)

        def _send(self, status: int, content: Any, headers: dict[str, str]) -> None:
            body = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                """The client waits no longer."""

        def log_message(self, *_: Any) -> None:
            """The texts are kept; a line each on the console says nothing more."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server


def serving(chats: Chats) -> ThreadingHTTPServer:
    """Return a server that serves."""
    server = make_server(chats)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
