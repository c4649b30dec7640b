"""What the stack's small HTTP servers share: how they read and answer, where they bind, their command line."""

from __future__ import annotations

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Answers(BaseHTTPRequestHandler):
    """Reads a body, sends an answer; logs nothing: what matters is kept, and probes come all the time."""

    def read(self) -> bytes:
        """Return the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, content: Any, kind: str = "application/json") -> None:
        """Send an answer.

        :param content: bytes as they are, anything else as JSON.
        """
        body = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""


class Kept:
    """Entries in a file, a line of JSON each; threads may add and read at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()

    def add(self, *entries: dict[str, Any]) -> None:
        """Write entries behind the others."""
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)

    def all(self) -> list[dict[str, Any]]:
        """Return every entry, the oldest first."""
        with self._lock:
            text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]


def bind(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """Return a server that is bound but not yet serving; port 0 takes a free one."""
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    return server


def command_line(description: str | None, state: str) -> argparse.ArgumentParser:
    """Return a parser of host, port and state folder.

    :param state: what the folder keeps.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help=f"folder that keeps {state}")
    return parser
