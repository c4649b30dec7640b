"""A Redis instance as the cleanup sees it: the masters that hold its keys, whether it is one server or a cluster."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.retry import Retry

#: What a server answers for a key that lives on another master now.
ELSEWHERE = (redis_errors.AskError, redis_errors.MovedError)


@dataclass(frozen=True)
class Master:
    """One server that accepts writes.

    :param name: ``host:port``.
    :param identity: changes when the process, its slots or its place in the cluster change; a SCAN cursor is only valid
        within one identity, since a restarted server hashes its keys differently.
    :param client: connection to exactly this server; it never repeats commands, so that a deletion whose
        answer was lost is noticed and not miscounted.
    :param slots: its hash slots; None when it holds every key.
    :param moving: slots whose keys are on their way to or from it: some of their keys are here, some elsewhere.
    """

    name: str
    identity: str
    client: Redis = field(compare=False, repr=False)
    slots: frozenset[int] | None = field(compare=False, repr=False)
    moving: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    def owns(self, key: bytes) -> bool:
        """Whether this master holds ``key``."""
        return self.slots is None or key_slot(key) in self.slots

    @property
    def used_memory(self) -> int:
        """Memory in use on the server (bytes)."""
        return int(self.client.info("memory")["used_memory"])


class RedisInstance:
    """A named Redis server or cluster.

    :param name: the instance's name, e.g. ``evt-001-redis``.
    :param connect: makes the client; called once, when first needed.
    """

    def __init__(self, name: str, connect: Callable[[], Redis | RedisCluster]) -> None:
        self.name = name
        self._connect = connect
        self._client: Redis | RedisCluster | None = None

    def masters(self) -> list[Master]:
        """Return the present masters, which together hold every key.

        :raises redis.exceptions.ClusterDownError: when slots have no master: keys could be overlooked.
        :raises redis.exceptions.TryAgainError: when two servers claim the same slot: they do not agree yet.
        :raises redis.exceptions.ReadOnlyError: when a server turns out to be a replica.
        :raises redis.exceptions.ConnectionError: when a server does not answer.
        """
        try:
            if self._client is None:
                self._client = self._connect()
            if isinstance(self._client, RedisCluster):
                self._client.nodes_manager.initialize()
        except redis_errors.RedisClusterException as error:
            raise redis_errors.ConnectionError(f"Redis Cluster {self.name} cannot be reached: {error}") from error
        if isinstance(self._client, RedisCluster):
            return self._cluster_masters(self._client)
        connection = self._client.get_connection_kwargs()
        return [_master(f"{connection.get('host')}:{connection.get('port')}", self._client, clustered=False)]

    def _cluster_masters(self, cluster: RedisCluster) -> list[Master]:
        names = sorted({nodes[0].name for nodes in cluster.nodes_manager.slots_cache.values() if nodes})
        # One node's map can lag behind; which slots a server holds is asked of the server itself.
        masters = [
            _master(name, cluster.get_redis_connection(cluster.get_node(node_name=name)), clustered=True)
            for name in names
        ]
        owners = Counter(slot for master in masters for slot in master.slots or ())
        if len(owners) != REDIS_CLUSTER_HASH_SLOTS:
            raise redis_errors.ClusterDownError(
                f"Redis Cluster {self.name}: {REDIS_CLUSTER_HASH_SLOTS - len(owners)} slots have no master, so their "
                "keys would be overlooked; repair the cluster and run again."
            )
        if claimed := sorted(slot for slot, number in owners.items() if number > 1):
            raise redis_errors.TryAgainError(
                f"Redis Cluster {self.name}: two masters claim {len(claimed)} slots, e.g. {claimed[0]}; waiting until "
                "they agree."
            )
        return masters


def _master(name: str, client: Redis, *, clustered: bool) -> Master:
    client.set_retry(Retry(NoBackoff(), 0))
    info = client.info()
    if info["role"] != "master":
        raise redis_errors.ReadOnlyError(
            f"Redis server {name} is a {info['role']}, not a master; waiting for the new master."
        )
    if not clustered:
        return Master(name, _identity(info["run_id"], "all"), client, None)
    own = _own_line(client)
    slots = _slots(own)
    # The epoch grows when a slot arrives: one that went away and came back meanwhile is noticed.
    identity = _identity(info["run_id"], own["epoch"], ",".join(map(str, sorted(slots))))
    moving = frozenset(int(migration["slot"]) for migration in own["migrations"])
    return Master(name, identity, client, slots, moving)


def _own_line(client: Redis) -> dict[str, Any]:
    """Return what a cluster's node says of itself: epoch, slots, and migrations that are not finished."""
    nodes: dict[str, dict[str, Any]] = client.execute_command("CLUSTER NODES")
    return next(node for node in nodes.values() if "myself" in node["flags"].split(","))


def _slots(node: dict[str, Any]) -> frozenset[int]:
    ranges = ((int(bounds[0]), int(bounds[-1])) for bounds in node["slots"])
    return frozenset(slot for first, last in ranges for slot in range(first, last + 1))


def _identity(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]
