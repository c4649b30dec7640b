"""Cleanup of 10 million keys of which 1 % match: speed against redis-cli, and what a client of the server notices.

``make bench BENCH=redis_cleanup``. Needs redis-server, redis-cli and about 1.5 GB of memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.instance import RedisInstance
from drawsguard.points.cleanup.ledger import Checkpoint, Counts, Scan
from drawsguard.points.cleanup.structure import read_structure
from drawsguard.points.cleanup.sweep import Sweep, SweepStoppedError
from drawsguard.points.cleanup.throttle import Throttle
from drawsguard.points.cleanup.ticket import Ticket
from drawsguard.points.downline.structure_repository import Structure
from local.memory_ledger import MemoryLedger
from local.redis_servers import Server

KEYS = int(os.environ.get("BENCH_REDIS_KEYS", "10000000"))
MATCHING = KEYS // 100
#: How long a client is watched in each state (seconds), and how often it asks (per second).
WATCH_SECONDS, ASKS_PER_SECOND = 15, 500

_CLIENT = """
import json, sys, time, redis
client = redis.Redis(port=int(sys.argv[1]))
seconds, rate = float(sys.argv[2]), float(sys.argv[3])
latencies, end, due = [], time.perf_counter() + seconds, time.perf_counter()
while due < end:
    time.sleep(max(0, due - time.perf_counter()))
    begun = time.perf_counter()
    client.get("keep:42")
    latencies.append(time.perf_counter() - begun)
    due += 1 / rate
latencies.sort()
print(json.dumps({"p50": latencies[len(latencies) // 2], "p99": latencies[int(len(latencies) * 0.99)]}))
"""


class TimedLedger(MemoryLedger):
    """Records when the deleting pass was complete."""

    deleted_at: float | None = None

    def record(self, scan: Scan, checkpoint: Checkpoint | None, counts: Any) -> None:
        super().record(scan, checkpoint, counts)
        if scan.phase == "delete" and checkpoint and checkpoint.done:
            self.deleted_at = time.perf_counter()


def run() -> list[dict[str, Any]]:
    """Return one row a measurement: name, ours, alternative, ratio, unit, what."""
    server = Server("--enable-debug-command", "local")
    try:
        client = redis.Redis(port=server.port, socket_timeout=300)
        client.execute_command("DEBUG", "POPULATE", KEYS - MATCHING, "keep")
        return [_speed(server, client), _latency(server, client)]
    finally:
        server.close()


def _speed(server: Server, client: redis.Redis) -> dict[str, Any]:
    _fill(client)
    ledger = TimedLedger()
    begun = time.perf_counter()
    _sweep(server, ledger).run()
    whole = time.perf_counter() - begun
    assert ledger.deleted_at is not None
    ours = ledger.deleted_at - begun
    assert client.dbsize() == KEYS - MATCHING
    assert ledger.total() == {1: Counts(MATCHING, MATCHING)}
    _fill(client)
    begun = time.perf_counter()
    port = str(server.port)
    subprocess.run(  # noqa: S602 - the pipeline people type, of constants
        f"redis-cli -p {port} --scan --pattern 'old:*' | xargs -n 500 redis-cli -p {port} UNLINK >/dev/null",
        shell=True,
        check=True,
    )
    alternative = time.perf_counter() - begun
    assert client.dbsize() == KEYS - MATCHING
    return {
        "name": "scan_unlink_vs_cli",
        "ours": round(KEYS / ours),
        "alternative": round(KEYS / alternative),
        "ratio": round(alternative / ours, 2),
        "unit": "keys examined/s",
        "what": (
            f"{KEYS} keys, {MATCHING} match; ours unthrottled, with type checks, counts and samples, {ours:.1f} s "
            f"(with the confirming scan {whole:.1f} s); alternative redis-cli --scan | xargs -n 500 redis-cli UNLINK, "
            f"{alternative:.1f} s"
        ),
    }


def _latency(server: Server, client: redis.Redis) -> dict[str, Any]:
    pace = get_config().sweep
    calm = _watch(server)
    with _sweeping(server, client, None):
        unthrottled = _watch(server)
    with _sweeping(server, client, Throttle(pace.keys_per_second, pace.deletes_per_second, pace.max_latency_ms)):
        throttled = _watch(server)
    return {
        "name": "client_p99_under_cleanup",
        "ours": round(throttled["p99"], 3),
        "alternative": round(unthrottled["p99"], 3),
        "ratio": round(unthrottled["p99"] / throttled["p99"], 2),
        "unit": "ms (p99 of GET)",
        "what": (
            f"a client's GET at {ASKS_PER_SECOND}/s while {KEYS} keys are cleaned; ours throttled as configured "
            f"({pace.keys_per_second:.0f} keys/s), alternative not throttled; without cleanup p99 "
            f"{calm['p99']:.3f} ms, p50 {calm['p50']:.3f} ms"
        ),
    }


def _fill(client: redis.Redis) -> None:
    client.execute_command("DEBUG", "POPULATE", MATCHING, "old")


def _sweep(server: Server, ledger: MemoryLedger, **options: Any) -> Sweep:
    config = get_config()
    stored = Structure(1, "redis_flag", "string", "old:{user}", None)
    ticket = Ticket(
        "bench", "redis_flag", config.routes[2], ("bench",), (read_structure(stored, config.variable_classes),)
    )
    instance = RedisInstance("bench", lambda: redis.Redis(port=server.port))
    return Sweep(ticket, [instance], ledger, config.sweep, config.samples, **options)


@contextmanager
def _sweeping(server: Server, client: redis.Redis, throttle: Throttle | None) -> Iterator[None]:
    """Keep a sweep going in a process of its own while the body runs."""
    _fill(client)
    child = os.fork()
    if child == 0:
        deadline = time.monotonic() + WATCH_SECONDS + 5
        try:
            while time.monotonic() < deadline:
                _sweep(server, MemoryLedger(), throttle=throttle, should_stop=lambda: time.monotonic() > deadline).run()
        except SweepStoppedError:
            os._exit(0)
        finally:
            os._exit(1)
    time.sleep(1)
    try:
        yield
    finally:
        os.waitpid(child, 0)


def _watch(server: Server) -> dict[str, float]:
    """Return p50 and p99 of a client in its own process (milliseconds)."""
    command = [sys.executable, "-c", _CLIENT, str(server.port), str(WATCH_SECONDS), str(ASKS_PER_SECOND)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return {name: seconds * 1000 for name, seconds in json.loads(answer.stdout).items()}
