"""The points of a world: their definitions in both environments, how they are used, and their keys in Redis."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from drawsguard.points.telemetry.config import cluster_instances
from local.golden.dataset import Environment, PointRow, TagRow
from local.nos.server import describe

Habit = Literal["in use", "read", "written", "unused"]

OLD = datetime.fromisoformat("2021-03-04 05:06:07")
TABLES = tuple(f"define_{kind}_{suffix}" for kind in ("nosdata", "nostag") for suffix in ("general", "mqzdr", "flag"))

#: First id and cluster of the points of each kind; eight of each may become candidates, and two are in use every day.
_FAMILIES = (
    (100, "define_nosdata_general", "redis_evt_A"),
    (120, "define_nosdata_general", "redis_evt_AA"),
    (140, "define_nosdata_general", "redis_evt_old"),
    (200, "define_nosdata_mqzdr", "redis_mq"),
    (300, "define_nosdata_flag", "redis_flag"),
)
#: Rows that keep a plan below the cap of percent of a table; their cluster shares no Redis instance with the others.
_FILLERS = 60
FIRST_FILLER = 900_000

Place = tuple[str, bytes, bytes | None]


@dataclass
class Definitions:
    """What a world is made of.

    :param habits: how each point was used until the year begins.
    :param tags: members of each tag, in either environment.
    :param keys: instance, key and field (None: the whole key) → the point that it belongs to; None: nobody's of ours.
    """

    intranet: Environment
    extranet: Environment
    habits: dict[int, Habit]
    clusters: dict[int, str]
    tags: dict[int, frozenset[int]]
    keys: dict[Place, int | None]

    def describe(self, point: int) -> str:
        """Return what NOS says of a point."""
        return json.dumps(structure_of(point, self.clusters.get(point, "redis_fish")))


def structure_of(point: int, cluster: str) -> dict[str, str | None]:
    """Return a point's structure: `local.nos.server.describe`, but for two whose keys could be equal."""
    if point % 20 == 9:  # a family's point that is in use
        return {"cluster": cluster, "type": "string", "key": "evt:same:{day}", "field": None}
    if point % 20 == 8:  # and one that may become a candidate: cleaning it would delete the other's keys
        return {"cluster": cluster, "type": "string", "key": "evt:same:{user}", "field": None}
    return describe(point, {str(point): cluster})


def make(rng: random.Random) -> Definitions:
    """Return a world's definitions: chosen by ``rng``."""
    made = Definitions(Environment(), Environment(), {}, {}, {}, {})
    for first, table, cluster in _FAMILIES:
        for number in range(first, first + 10):
            habits: list[Habit] = ["unused", "unused", "unused", "read", "written"]
            made.habits[number] = "in use" if number % 10 in (0, 9) else rng.choice(habits)
            made.clusters[number] = cluster
            _define(made, rng, table, number)
    for table in TABLES[:3]:
        for number in range(FIRST_FILLER, FIRST_FILLER + _FILLERS):
            for environment in (made.intranet, made.extranet):
                environment.points[table].append(_row(number, "redis_fish", 1))
    _tags(made, rng)
    for point in made.habits:
        _keys(made, rng, point)
    return made


def _row(number: int, cluster: str, status: int, description: str | None = None) -> PointRow:
    text = description or f"积分 {number}"
    return PointRow(number, status, "chenwei", "a", "b", text, "evt", "normal", cluster, None, OLD, OLD)


def _define(made: Definitions, rng: random.Random, table: str, number: int) -> None:
    """Define a point: some have two rows, some are missing or out of service on the extranet."""
    rows = [_row(number, made.clusters[number], rng.choice([1, 1, 2]))]
    if rng.random() < 0.15:
        rows.append(_row(number, made.clusters[number], 3, rng.choice([None, "第二行"])))
    made.intranet.points[table] += rows
    if made.habits[number] == "in use" or rng.random() < 0.8:
        down = made.habits[number] != "in use" and rng.random() < 0.1
        status = rng.choice([0, -80]) if down else None
        made.extranet.points[table] += [row if status is None else row._replace(status=status) for row in rows]


def _tags(made: Definitions, rng: random.Random) -> None:
    members: dict[int, set[int]] = {}
    points = sorted(point for point, habit in made.habits.items() if habit != "in use")
    for number in range(501, 511):
        inside = rng.sample(points, rng.choice([1, 2, 3]))
        outside = inside if rng.random() < 0.6 else rng.sample(points, rng.choice([1, 2]))
        where = rng.choice(["both", "both", "both", "intranet", "extranet"])
        suffix = rng.choice(TABLES[3:])
        if where != "extranet":
            made.intranet.tags[suffix].append(_tag(number, inside))
            members.setdefault(number, set()).update(inside)
        if where != "intranet":
            made.extranet.tags[suffix].append(_tag(number, outside))
            members.setdefault(number, set()).update(outside)
    for table in TABLES[3:]:
        for environment in (made.intranet, made.extranet):
            environment.tags[table] += [_tag(FIRST_FILLER + n, [FIRST_FILLER + n]) for n in range(_FILLERS)]
    made.tags = {number: frozenset(found) for number, found in members.items()}


def _tag(number: int, members: list[int]) -> TagRow:
    return TagRow(number, 1, f"积分域 {number}", "liuyang", ",".join(map(str, sorted(members))), OLD)


def _keys(made: Definitions, rng: random.Random, point: int) -> None:
    """Give a point keys on each instance of its cluster, and put keys beside them that only look like its own."""
    structure = structure_of(point, made.clusters[point])
    key, field = str(structure["key"]), structure["field"]
    days = [f"2024-0{month}-1{rng.randrange(10)}" for month in (1, 2, 3)]
    users = [str(rng.randrange(10**6)) for _ in range(3)]
    for instance in cluster_instances()[made.clusters[point]]:
        for user, day in zip(users, days, strict=True):
            # The two points whose keys could be equal have some that are the one's only.
            name = key.replace("{user}", user).replace("{day}", day)
            owned = field.replace("{day}", day).encode() if field else None
            made.keys[instance, name.encode(), owned] = point
        made.keys[instance, f"evt:user{point}:{point}0".encode(), None] = None
        made.keys[instance, f"evt:{users[0]}:{point}:x".encode(), None] = None
