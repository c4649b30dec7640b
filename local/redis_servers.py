"""Real Redis servers for tests: a single one, and clusters with replicas, on private ports."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import redis
from redis.cluster import ClusterNode, RedisCluster


def wait_for(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait until ``condition`` is true; an error counts as not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.RedisError, OSError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def free_port() -> int:
    """Return a port that is free, with the port 10000 above it (the cluster bus)."""
    while True:
        with socket.socket() as probe, socket.socket() as bus:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + 10_000))
                return port


class Server:
    """One redis-server process with a folder of its own."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))
        self._options = options
        self.process = self._start()

    def start(self) -> None:
        """Start the server again, with what it kept on disk."""
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        process = subprocess.Popen(
            [*command, "--save", "", *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with contextlib.closing(redis.Redis(port=self.port)) as client:
            wait_for(client.ping, f"redis-server on port {self.port}")
        return process

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class Cluster:
    """A Redis Cluster of three masters, each with a replica when asked for."""

    def __init__(self, *, replicas: int = 0) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--appendonly", "yes")
        self.servers = [Server(*options) for _ in range(3 * (1 + replicas))]
        addresses = [f"127.0.0.1:{server.port}" for server in self.servers]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", str(replicas), "--cluster-yes"],
            check=True,
            capture_output=True,
        )
        for server in self.servers:
            with contextlib.closing(redis.Redis(port=server.port, decode_responses=True)) as client:
                wait_for(partial(_joined, client), f"cluster node {server.port}")

    def client(self) -> RedisCluster:
        return RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", server.port) for server in self.servers])

    def close(self) -> None:
        for server in self.servers:
            server.close()


def _joined(client: redis.Redis) -> bool:
    """Whether a node serves its cluster; a replica that never had its master's data could not take over."""
    in_step = client.info("replication").get("master_link_status", "up") == "up"
    return in_step and client.cluster("info")["cluster_state"] == "ok"
