"""A Redis instance as the cleanup sees it: the masters that hold its keys, whether it is one server or a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby

from redis import Redis
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.retry import Retry


@dataclass(frozen=True)
class Master:
    """One server that accepts writes.

    :param name: ``host:port``.
    :param identity: changes when the process or its slots change; a SCAN cursor is only valid within one identity,
        since a restarted server hashes its keys differently.
    :param client: connection to exactly this server; commands are never repeated by it, so that a deletion whose
        answer was lost is noticed and not counted wrongly.
    :param slots: its hash slots; None when it holds every key.
    """

    name: str
    identity: str
    client: Redis = field(compare=False, repr=False)
    slots: frozenset[int] | None = field(compare=False, repr=False)

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
        return [_master(f"{connection.get('host')}:{connection.get('port')}", self._client, None)]

    def _cluster_masters(self, cluster: RedisCluster) -> list[Master]:
        owners = [(nodes[0].name, slot) for slot, nodes in sorted(cluster.nodes_manager.slots_cache.items()) if nodes]
        if len(owners) != REDIS_CLUSTER_HASH_SLOTS:
            raise redis_errors.ClusterDownError(
                f"Redis Cluster {self.name}: {REDIS_CLUSTER_HASH_SLOTS - len(owners)} slots have no master, so their "
                "keys would be overlooked; repair the cluster and run again."
            )
        masters = []
        for name, group in groupby(sorted(owners), key=lambda owner: owner[0]):
            node = cluster.get_node(node_name=name)
            masters.append(_master(name, cluster.get_redis_connection(node), frozenset(slot for _, slot in group)))
        return masters


def _master(name: str, client: Redis, slots: frozenset[int] | None) -> Master:
    client.set_retry(Retry(NoBackoff(), 0))
    info = client.info()
    if info["role"] != "master":
        raise redis_errors.ReadOnlyError(
            f"Redis server {name} is a {info['role']}, not a master; waiting for the new master."
        )
    return Master(name, _identity(info["run_id"], slots), client, slots)


def _identity(run_id: str, slots: Iterable[int] | None) -> str:
    slot_text = "all" if slots is None else ",".join(map(str, sorted(slots)))
    return hashlib.sha256(f"{run_id}/{slot_text}".encode()).hexdigest()[:32]
