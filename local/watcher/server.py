"""An external watcher that speaks the ping protocol of healthchecks.io, for one check: the embedded stack's own.

``GET``, ``HEAD`` or ``POST`` of ``/<uuid>``, and of ``/start``, ``/fail``, ``/log`` or an exit status below it: OK.
``GET /api/v3/checks/`` shows the check, ``GET /api/v3/checks/<uuid>/flips/`` its changes between up and down. When
pings stay away for longer than period and grace together, it mails people, past everything that it watches; and again
when they are back.
"""

from __future__ import annotations

import smtplib
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.serving import Answers, Kept, bind, command_line
from local.watcher.check import Check

NAME = "Airflow of the embedded stack"
#: How often lateness is looked at (seconds).
PACE = 1.0


def now() -> datetime:
    return datetime.now(UTC)


class Watcher:
    """The check, its changes of state (kept in a file), and who is told.

    :param tell: called with a subject and a text at each change.
    """

    def __init__(self, check: Check, state: Path, tell: Callable[[str, str], None]) -> None:
        self._check, self._tell = check, tell
        self._kept = Kept(state / "flips.jsonl")
        self._up: bool | None = None
        self._lock = threading.Lock()

    def ping(self, signal: str) -> None:
        """Take a ping and see what follows from it."""
        with self._lock:
            self._check = self._check.after(signal, now())
        self.look()

    def look(self) -> None:
        """Tell people when the check went down or up since the last look."""
        with self._lock:
            status = self._check.status(now())
            if status == "new" or (status != "down") == self._up:
                return
            first, self._up = self._up is None, status != "down"
            self._kept.add({"timestamp": now().isoformat(), "up": int(self._up)})
            last = self._check.last_ping
        if first and self._up:
            return  # the first ping is no news
        word = "UP" if self._up else "DOWN"
        self._tell(f"{word} | {NAME}", f"{NAME} is {word}. Last ping: {last.isoformat() if last else 'never'}.")

    def to_json(self) -> dict[str, Any]:
        """Return the check as the management API shows it."""
        return self._check.to_json(NAME, now())

    def flips(self) -> list[dict[str, Any]]:
        """Return the changes of state, the newest first."""
        return self._kept.all()[::-1]

    def watch(self, stop: threading.Event) -> None:
        """Look until told to stop."""
        while not stop.wait(PACE):
            self.look()


def signal_of(path: str, check: str) -> str | None:
    """Return what a path signals, None when it is no ping of this check."""
    parts = path.split("?", 1)[0].strip("/").split("/")
    if parts[0] != check or len(parts) > 2:
        return None
    if len(parts) == 1:
        return "success"
    word = parts[1]
    if word.isdecimal() and int(word) < 256:
        return "success" if int(word) == 0 else "fail"
    return word if word in ("start", "fail", "log") else None


def make_server(host: str, port: int, check_id: str, watcher: Watcher) -> ThreadingHTTPServer:
    """Return a server that is bound but not yet serving; port 0 takes a free one.

    :param check_id: the check's UUID.
    """
    check_id = str(uuid.UUID(check_id))

    class Handler(Answers):
        """Its addresses hold the check's UUID, which is a secret."""

        def _ping(self) -> None:
            self.read()
            signal = signal_of(self.path, check_id)
            if signal is None:
                self.answer(404, b"not found", "text/plain")
                return
            watcher.ping(signal)
            self.answer(200, b"OK", "text/plain")

        def do_GET(self) -> None:
            if self.path == "/health":
                self.answer(200, b"OK", "text/plain")
            elif self.path == "/api/v3/checks/":
                self.answer(200, {"checks": [watcher.to_json()]})
            elif self.path == f"/api/v3/checks/{check_id}/flips/":
                self.answer(200, {"flips": watcher.flips()})
            else:
                self._ping()

        do_HEAD = do_POST = _ping

    return bind(host, port, Handler)


def mailer(host: str, port: int, to: str) -> Callable[[str, str], None]:
    """Return what mails people, on a way of its own; a server that is down is said and stops nothing."""

    def tell(subject: str, text: str) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "watcher@example.com", to, subject
        mail.set_content(text)
        try:
            with smtplib.SMTP(host, port, timeout=10) as server:
                server.send_message(mail)
        except OSError as error:
            print(f"{subject!r} could not be mailed: {error}", flush=True)

    return tell


def main() -> None:
    """Serve until interrupted."""
    parser = command_line(__doc__, "the changes of state")
    parser.add_argument("--check", required=True, help="UUID of the check")
    parser.add_argument("--period", type=float, default=60, help="seconds between two pings")
    parser.add_argument("--grace", type=float, default=120, help="seconds that a ping may be late")
    parser.add_argument("--smtp", required=True, help="host:port of the mail server")
    parser.add_argument("--to", default="platform-oncall@example.com")
    options = parser.parse_args()
    smtp_host, smtp_port = options.smtp.rsplit(":", 1)
    check = Check(timedelta(seconds=options.period), timedelta(seconds=options.grace))
    watcher = Watcher(check, options.state, mailer(smtp_host, int(smtp_port), options.to))
    threading.Thread(target=watcher.watch, args=(threading.Event(),), daemon=True).start()
    make_server(options.host, options.port, options.check, watcher).serve_forever()


if __name__ == "__main__":
    main()
