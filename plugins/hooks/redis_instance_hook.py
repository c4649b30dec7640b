"""Connections to the Redis instances that keep points."""

from __future__ import annotations

from airflow.providers.redis.hooks.redis import RedisHook

from drawsguard.points.cleanup.instance import RedisInstance


class RedisInstanceHook(RedisHook):
    """The provider's hook for an instance of ``include/config/clusters.yaml``, a single server or a Redis Cluster.

    :param instance: the instance's name, e.g. ``evt-001-redis``. Its connection has the same name with underscores;
        a Redis Cluster says ``{"cluster": true}`` in the connection's extra.
    """

    def __init__(self, instance: str) -> None:
        super().__init__(redis_conn_id=instance.replace("-", "_"))
        self.instance = instance

    def get_instance(self) -> RedisInstance:
        """Return the instance; it connects when it is first used."""
        return RedisInstance(self.instance, self.get_conn)
