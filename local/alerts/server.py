"""The alert sink: accepts what Apprise posts (json://), keeps it, and shows it on GET /messages.

``POST /refuse {"count": n}`` makes it refuse the next n messages, as a chat service over its rate limit does.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path

from local.serving import Answers, Kept, bind, command_line


def make_server(host: str, port: int, folder: Path) -> ThreadingHTTPServer:
    """Return a server that is bound but not yet serving; port 0 takes a free one."""
    kept = Kept(folder / "messages.jsonl")
    lock = threading.Lock()
    refusals = [0]

    class Handler(Answers):
        def do_GET(self) -> None:
            self.answer(200, {"status": "ok"} if self.path == "/health" else kept.all())

        def do_POST(self) -> None:
            message = json.loads(self.read() or b"{}")
            with lock:
                if self.path == "/refuse":
                    refusals[0] = int(message["count"])
                    self.answer(200, message)
                elif refusals[0] > 0:
                    refusals[0] -= 1
                    self.answer(429, {"error": "too many messages"})
                else:
                    kept.add({"at": datetime.now(UTC).isoformat(), **message})
                    self.answer(200, {"status": "taken"})

    return bind(host, port, Handler)


def main() -> None:
    """Serve until interrupted."""
    options = command_line(__doc__, "the messages").parse_args()
    make_server(options.host, options.port, options.state).serve_forever()


if __name__ == "__main__":
    main()
