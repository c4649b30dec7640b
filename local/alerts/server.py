"""The alert sink: accepts what Apprise posts (json://), keeps it, and shows it on GET /messages.

``POST /refuse {"count": n}`` makes it refuse the next n messages, as a chat service over its rate limit does.
"""

from __future__ import annotations

import argparse
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def make_server(host: str, port: int, folder: Path) -> ThreadingHTTPServer:
    """Return a server that is bound but not yet serving; port 0 takes a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "messages.jsonl"
    lock = threading.Lock()
    refusals = [0]

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, content: Any) -> None:
            body = json.dumps(content, ensure_ascii=False).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            if self.path == "/health":
                self._answer(200, {"status": "ok"})
                return
            lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
            self._answer(200, [json.loads(line) for line in lines])

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            with lock:
                if self.path == "/refuse":
                    refusals[0] = int(message["count"])
                    self._answer(200, message)
                elif refusals[0] > 0:
                    refusals[0] -= 1
                    self._answer(429, {"error": "too many messages"})
                else:
                    entry = {"at": datetime.now(UTC).isoformat(), **message}
                    with kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
                    self._answer(200, {"status": "taken"})

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """The messages are kept; a line each on the console says nothing more."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    return server


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps the messages")
    options = parser.parse_args()
    make_server(options.host, options.port, options.state).serve_forever()


if __name__ == "__main__":
    main()
