"""A NOS service on the line protocol, with injectable faults.

usage: python -m local.nos.server --host HOST --port PORT --state DIR

Without instructions it describes every point it is asked for, by a rule that depends on the id only. The file
``DIR/faults.json`` maps point ids to faults and is read again for every question: ``{"1024": ["garbage", "half"]}``
uses up one fault a question, and the last one stays: error, garbage, wrong_point, no_json, half, nothing, hang, none.
"""

from __future__ import annotations

import argparse
import json
import socketserver
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any


def describe(point_id: int, clusters: dict[str, str]) -> dict[str, Any]:
    """Return the structure of a point: exact keys, key patterns, or hashes with a pattern in key and field."""
    cluster = clusters.get(str(point_id), "redis_evt_A")
    shape = point_id % 4
    if shape == 0:
        return {"cluster": cluster, "type": "string", "key": f"evt:total:{point_id}", "field": None}
    if shape == 1:
        return {"cluster": cluster, "type": "string", "key": f"evt:{{user}}:{point_id}", "field": None}
    if shape == 2:
        return {"cluster": cluster, "type": "hash", "key": f"evt:day:{point_id}:{{day}}", "field": None}
    return {"cluster": cluster, "type": "hash", "key": "evt:user:{user}", "field": f"{point_id}:{{day}}"}


class NosServer(socketserver.ThreadingTCPServer):
    """The service; ``state`` holds ``faults.json`` and ``clusters.json`` (point id → cluster)."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], state: Path) -> None:
        super().__init__(address, _Handler)
        self.state = state
        self.asked: Counter[int] = Counter()
        self.connections = 0
        self.lock = threading.Lock()
        self._files: dict[str, tuple[int, dict[str, Any]]] = {}

    def fault(self, point_id: int) -> str | None:
        """Return the fault to inject into this answer, if any."""
        with self.lock:
            faults = self._read("faults.json").get(str(point_id), [])
            number = self.asked[point_id]
            self.asked[point_id] += 1
        return faults[min(number, len(faults) - 1)] if faults else None

    def answer(self, point_id: int) -> str:
        """Return the OK line of a point."""
        return f"OK {point_id} {json.dumps(describe(point_id, self._read('clusters.json')))}"

    def _read(self, name: str) -> dict[str, Any]:
        """Return a file's content, parsed again only when it has changed: thousands of points are asked for."""
        path = self.state / name
        if not path.exists():
            return {}
        changed = path.stat().st_mtime_ns
        known = self._files.get(name)
        if known is None or known[0] != changed:
            known = self._files[name] = (changed, json.loads(path.read_text()))
        return known[1]


class _Handler(socketserver.StreamRequestHandler):
    server: NosServer

    def handle(self) -> None:
        with self.server.lock:
            self.server.connections += 1
        for line in self.rfile:
            verb, _, number = line.decode("utf-8", "replace").strip().partition(" ")
            if verb != "QUERYSTRUCT" or not number.isdigit():
                self._send("ERR 0 BAD_REQUEST expected QUERYSTRUCT <point id>\n")
            elif not self._reply(int(number)):
                return

    def _reply(self, point_id: int) -> bool:
        """Answer, or inject the fault; False closes the connection."""
        answer = self.server.answer(point_id)
        match self.server.fault(point_id):
            case "error":
                self._send(f"ERR {point_id} NOT_FOUND no such point\n")
            case "garbage":
                self._send("\x00\x01 not a line of ours \ufffd\n")
            case "wrong_point":
                self._send(self.server.answer(point_id + 1) + "\n")
            case "no_json":
                self._send(f"OK {point_id} {{not json\n")
            case "half":
                self._send(answer[: len(answer) // 2])
                return False
            case "nothing":
                return False
            case "hang":
                time.sleep(60)
                return False
            case _:
                self._send(answer + "\n")
        return True

    def _send(self, text: str) -> None:
        self.wfile.write(text.encode())
        self.wfile.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    options = parser.parse_args()
    with NosServer((options.host, options.port), options.state) as server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
