"""Redis: each instance of ``include/config/clusters.yaml``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

from redis import Redis
from redis import exceptions as redis_errors
from redis.cluster import RedisCluster

from drawsguard.points.cleanup.config import get_config
from drawsguard.points.telemetry.config import cluster_instances
from drawsguard.preflight.model import Check, Finding, World, failed, passed, warned
from drawsguard.preflight.run import cause

#: UNLINK and MEMORY USAGE came with this version.
OLDEST = (4, 0)

#: What a sweep sends. Each is tried on a key that does not exist, so that nothing changes.
_KEY, _FIELD = "<key>", "field"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("SCAN", "0", "COUNT", "1"),
    ("TYPE", _KEY),
    ("MEMORY", "USAGE", _KEY),
    ("PTTL", _KEY),
    ("DUMP", _KEY),
    ("HEXISTS", _KEY, _FIELD),
    ("HSCAN", _KEY, "0"),
    ("HSTRLEN", _KEY, _FIELD),
    ("HGET", _KEY, _FIELD),
    ("DBSIZE",),
    ("UNLINK", _KEY),
    ("HDEL", _KEY, _FIELD),
)

_CONNECTION = (
    "检查连接（名称为实例名、下划线）的主机、端口、用户、密码。Correct the connection (the instance's name with "
    "underscores): host, port, user, password."
)


def swept_instances() -> frozenset[str]:
    """Return the instances of the clusters that the pipeline itself cleans."""
    own = {cluster for route in get_config().routes if route.executor == "own" for cluster in route.clusters}
    return frozenset(name for cluster, names in cluster_instances().items() if cluster in own for name in names)


def answers(world: World, instance: str) -> Iterator[Finding]:
    """The instance answers."""
    masters = _masters(world.redis(instance))
    for _, master in masters:
        master.ping()
    yield passed(", ".join(name for name, _ in masters))


def answers_if_there(world: World, instance: str) -> Iterator[Finding]:
    """An instance that nothing here cleans answers; it may also be missing."""
    try:
        yield from answers(world, instance)
    except Exception as error:  # noqa: BLE001 - a missing connection as well
        yield warned(
            cause(error),
            "不由本流程清理，可以没有；否则改正连接。"
            "Nothing here cleans it, so it may be missing; else correct the connection.",
        )


def kind(world: World, instance: str) -> Iterator[Finding]:
    """Version, single server or cluster as the connection says, and a master."""
    client = world.redis(instance)
    as_cluster = isinstance(client, RedisCluster)
    for name, master in _masters(client):
        info: Any = master.info()
        version = str(info["redis_version"])
        clustered = bool(info.get("cluster_enabled"))
        if tuple(map(int, version.split(".")[:2])) < OLDEST:
            yield failed(
                f"{name}: Redis {version}", "没有 UNLINK：升级到 4.0 以上。It has no UNLINK: upgrade to 4.0 or above."
            )
        elif clustered != as_cluster:
            yield failed(
                f"{name}: {'集群 a cluster' if clustered else '单机 a single server'}",
                f'连接 extra 应为 {{"cluster": {str(clustered).lower()}}}：否则会漏掉键。'
                "The extra of the connection must say so, or keys are overlooked.",
            )
        elif info["role"] != "master":
            yield failed(f"{name}: {info['role']}", "改连主节点。Connect to the master.")
        else:
            yield passed(f"{name}: {version}, {'集群 cluster' if clustered else '单机 single server'}")


def rights(world: World, instance: str) -> Iterator[Finding]:
    """The user may send what a sweep sends."""
    refused: dict[str, str] = {}
    key = f"preflight:{uuid.uuid4().hex}"
    client = world.redis(instance)
    for command in COMMANDS:
        words = [key if word == _KEY else word for word in command]
        name = " ".join(command[:2]) if command[0] == "MEMORY" else command[0]
        try:
            # A cluster's key may lie on any master: the cluster's own client finds it.
            target = client if _KEY in command else _masters(client)[0][1]
            target.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py has no type for it
        except redis_errors.ResponseError as error:  # NoPermissionError is one
            refused[name] = str(error)
    if not refused:
        yield passed(", ".join(command[0] for command in COMMANDS))
        return
    by_key = [name for name, said in refused.items() if "key" in said.casefold() and "command" not in said.casefold()]
    if len(by_key) == len(refused):
        yield warned(
            f"键被 ACL 限制 keys are restricted: {', '.join(by_key)}",
            "确认 ACL 允许待清理的键。Make sure that the ACL allows the keys to be cleaned.",
        )
    else:
        yield failed(
            "; ".join(f"{name}: {said}" for name, said in refused.items()),
            f"ACL SETUSER … {' '.join(f'+{name.split()[0].lower()}' for name in refused)}",
        )


def _masters(client: Redis | RedisCluster) -> list[tuple[str, Redis]]:
    if isinstance(client, RedisCluster):
        return [(node.name, client.get_redis_connection(node)) for node in client.get_primaries()]
    connection = client.get_connection_kwargs()
    return [(f"{connection.get('host')}:{connection.get('port')}", client)]


def _checks_of(instance: str) -> list[Check]:
    part = f"Redis {instance}"
    if instance not in swept_instances():
        look = partial(answers_if_there, instance=instance)
        return [Check(part, "answers", "可连接 Answers", look, _CONNECTION)]
    return [
        Check(part, "answers", "可连接 Answers", partial(answers, instance=instance), _CONNECTION),
        Check(part, "kind", "版本与形态 Version and kind", partial(kind, instance=instance), _CONNECTION),
        Check(part, "rights", "命令权限 Commands", partial(rights, instance=instance), _CONNECTION),
    ]


def instances() -> list[str]:
    """Return every instance, each once."""
    return sorted({name for names in cluster_instances().values() for name in names})


CHECKS = tuple(check for instance in instances() for check in _checks_of(instance))
