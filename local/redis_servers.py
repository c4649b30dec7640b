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
from typing import Any

import redis
from redis import Redis
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
            port: int = probe.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + 10_000))
                return port


class Server:
    """One redis-server process with its own folder."""

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
    """A Redis Cluster of three masters, each with a replica when asked for.

    :param node_timeout_ms: after which a node that does not answer is replaced (milliseconds). Short where one is ended
        on purpose; else no node is given up that only waits for the processor.
    """

    def __init__(self, *, replicas: int = 0, node_timeout_ms: int = 15_000) -> None:
        # A replica gets its master's data at once; by default the master waits five seconds for more replicas.
        quick = (
            "--cluster-node-timeout",
            str(node_timeout_ms),
            "--repl-diskless-sync-delay",
            "0",
            "--appendfsync",
            "no",
        )
        options = ("--cluster-enabled", "yes", "--appendonly", "yes", *quick)
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

    def node(self, port: int) -> Redis:
        """Return a connection to exactly one of the servers."""
        return Redis(port=port)

    def owner(self, slot: int) -> int:
        """Return the port of the master that serves ``slot``."""
        with contextlib.closing(self.client()) as client:
            return int(client.nodes_manager.slots_cache[slot][0].port)

    def masters(self) -> list[int]:
        """Return the ports of the servers that run and are masters."""
        running = [server.port for server in self.servers if server.process.poll() is None]
        return [port for port in running if self._role(port) == "master"]

    def keys(self) -> set[bytes]:
        """Return every key that any master holds, wherever the cluster looks for it."""
        found: set[bytes] = set()
        for port in self.masters():
            with contextlib.closing(self.node(port)) as client:
                found.update(client.scan_iter())
        return found

    def close(self) -> None:
        for server in self.servers:
            server.close()

    def _role(self, port: int) -> str:
        with contextlib.closing(self.node(port)) as client:
            return str(client.info("replication")["role"])


class Migration:
    """A slot on its way from its master to another, step by step as redis-cli moves it.

    :param cluster: the cluster.
    :param slot: the slot.
    :param target: port of the master that gets it.
    """

    def __init__(self, cluster: Cluster, slot: int, target: int) -> None:
        self._cluster, self._slot = cluster, slot
        source = cluster.owner(slot)
        self._ports = {"source": source, "target": target}
        self._ids = {role: self._ask(role, "CLUSTER MYID").decode() for role in self._ports}

    def open(self) -> Migration:
        """Announce the move: from now on the slot's keys are in two places."""
        self._ask("target", "CLUSTER SETSLOT", self._slot, "IMPORTING", self._ids["source"])
        self._ask("source", "CLUSTER SETSLOT", self._slot, "MIGRATING", self._ids["target"])
        return self

    def send(self, *keys: bytes) -> Migration:
        """Move some keys, or all that the source has."""
        keys = keys or tuple(self._ask("source", "CLUSTER GETKEYSINSLOT", self._slot, 1_000_000))
        if keys:
            self._ask("source", "MIGRATE", "127.0.0.1", self._ports["target"], "", 0, 5000, "KEYS", *keys)
        return self

    def close(self) -> Migration:
        """Give the slot to the target, and wait until every master knows."""
        target = self._ports["target"]
        for port in [target, *(port for port in self._cluster.masters() if port != target)]:
            self._send(port, "CLUSTER SETSLOT", self._slot, "NODE", self._ids["target"])
        wait_for(lambda: self._cluster.owner(self._slot) == self._ports["target"], f"slot {self._slot} to have moved")
        return self

    def _ask(self, role: str, *command: Any) -> Any:
        return self._send(self._ports[role], *command)

    def _send(self, port: int, *command: Any) -> Any:
        with contextlib.closing(self._cluster.node(port)) as client:
            return client.execute_command(*command, NEVER_DECODE=True)


def _joined(client: redis.Redis) -> bool:
    """Whether a node serves its cluster; a replica that never had its master's data could not take over."""
    in_step = client.info("replication").get("master_link_status", "up") == "up"
    return in_step and bool(client.cluster("info")["cluster_state"] == "ok")
