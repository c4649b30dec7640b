"""``make audit``: a known weakness fails it, and so does a package that nobody could say anything about."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from drawsguard.settings import REPOSITORY

AUDITED = ("six", "tabulate")
WEAK = {
    "vulns": [
        {
            "id": "TEST-2025-1",
            "summary": "reads what it must not",
            "affected": [{"package": {"name": "six", "ecosystem": "PyPI"}, "ranges": []}],
        }
    ]
}
SOUND: dict[str, Any] = {}


@pytest.fixture
def advisories() -> Iterator[dict[str, Any]]:
    """A service with OSV's interface: answers a package's name with what is put in; no entry is no answer (503)."""
    answers: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = answers.get(question["package"]["name"])
            body = json.dumps(answer).encode()
            self.send_response(503 if answer is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """The audit's own output says enough."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answers["address"] = f"http://127.0.0.1:{server.server_port}"
    yield answers
    server.shutdown()
    server.server_close()


def audit(tmp_path: Path, address: str) -> tuple[int, str]:
    """Return exit code and output of the audit of a lock with the entries of ``AUDITED`` in ours."""
    text = (REPOSITORY / "requirements.lock").read_text("utf-8")
    entries = [re.search(rf"^{name}==.*?(?=^    # via|^[a-z])", text, re.MULTILINE | re.DOTALL) for name in AUDITED]
    lock = tmp_path / "requirements.lock"
    lock.write_text("".join(entry[0] for entry in entries if entry), encoding="utf-8")
    done = subprocess.run(
        ["local/audit/run.sh", str(lock)], cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False,
        env=os.environ | {"ADVISORIES": address, "LICENCES": str(tmp_path / "licences.csv")},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_what_is_sound_passes_and_its_licences_are_listed(tmp_path: Path, advisories: dict[str, Any]) -> None:
    advisories.update(six=SOUND, tabulate=SOUND)
    code, output = audit(tmp_path, advisories["address"])
    assert code == 0, output
    assert "no known weakness" in output
    listed = (tmp_path / "licences.csv").read_text("utf-8")
    assert [name for name in AUDITED if f'"{name}"' not in listed] == []


def test_a_known_weakness_fails_with_its_number_and_what_to_do(tmp_path: Path, advisories: dict[str, Any]) -> None:
    advisories.update(six=WEAK, tabulate=SOUND)
    code, output = audit(tmp_path, advisories["address"])
    assert code != 0
    assert "TEST-2025-1" in output
    assert "raise the version in requirements.txt" in output


def test_a_package_without_an_answer_is_no_sound_package(tmp_path: Path, advisories: dict[str, Any]) -> None:
    advisories.update(tabulate=SOUND)
    code, output = audit(tmp_path, advisories["address"])
    assert code != 0
    assert "NOT audited" in output
    assert "no known weakness" not in output
    # The package index says it otherwise: what it does not know is skipped, and passes unless the audit is strict.
    assert 'pip-audit" --strict ' in (REPOSITORY / "local" / "audit" / "run.sh").read_text("utf-8")
