"""Classifying a million points by three million metric rows: one pass over flat arrays, against nested dictionaries."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from drawsguard.points.definitions import Definition
from drawsguard.points.policy import get_policy
from drawsguard.points.review.classify import classify
from drawsguard.points.review.usage import MetricRow, UsageIndex
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.oper_type import parser

POINTS, METRICS, TAGS = 1_000_000, 3_000_000, 20_000
START = datetime.fromisoformat("2024-02-02")
SEEN = datetime.fromisoformat("2024-07-01 12:00")
OLD = datetime.fromisoformat("2021-01-01")
CLUSTERS = ("redis_mq", "redis_evt_A", "redis_evt_old", "redis_evt_AA", "redis_flag")


def metrics(number: int, points: int) -> Iterator[MetricRow]:
    """Yield metric rows over three quarters of the points; one in fifty is a tag's."""
    for row in range(number):
        operation = "que" if row % 2 else "upd"
        if row % 50 == 0:
            yield f"{operation}_tag_{row // 50 % TAGS}", SEEN, row % 90
        else:
            yield f"{operation}_eid_{row * 7 % (points * 3 // 4)}", SEEN - timedelta(minutes=row % 100_000), 1 + row % 9


def definitions(points: int) -> Iterator[Definition]:
    """Yield live definition rows as the server streams them."""
    for number in range(points):
        cluster = CLUSTERS[number % 5]
        text = f"积分 {number} 的说明"
        yield Definition(
            "define_nosdata_general", number, 1, "chenwei", "a", "b", text, "normal", cluster, "", OLD, OLD
        )


def members(points: int) -> dict[int, range]:
    """Return twenty points of each tag."""
    return {tag: range(tag * 20 % points, tag * 20 % points + 20) for tag in range(TAGS)}


def ours(points: int, rows: int) -> int:
    """Classify as the usage report does; returns the number of candidates."""
    usage = UsageIndex(parser(points_config().oper_type_pattern), START)
    usage.add(metrics(rows, points))
    usage.spread_tags(members(points))
    return len(classify(definitions(points), usage, get_policy().selection, START).candidates)


def nested_dictionaries(points: int, rows: int) -> int:
    """Classify with a dictionary of dictionaries per point, a tag's members visited for each of its rows."""
    parse, tags, rules = parser(points_config().oper_type_pattern), members(points), get_policy().selection
    usage: dict[int, dict[str, Any]] = {}

    def entry(point: int) -> dict[str, Any]:
        empty = {"count": 0, "last_time": None, "last_time_by_tag": None}
        blank = ("people", "lv1", "lv2", "description", "table", "modeltype", "cluster", "last_modify_time")
        return usage.setdefault(point, {"que": dict(empty), "upd": dict(empty)} | dict.fromkeys(blank))

    for oper_type, seen, count in metrics(rows, points):
        parsed = parse(oper_type)
        if parsed is None or seen < START or not count:
            continue
        field = "last_time" if parsed.kind == "eid" else "last_time_by_tag"
        for point in (parsed.number,) if parsed.kind == "eid" else tags[parsed.number]:
            use = entry(point)[parsed.operation]
            use["count"] += count
            use[field] = max(use[field] or seen, seen)
    found = 0
    for row in definitions(points):
        values = entry(row.point_id)
        values.update(people=row.people, description=row.description, cluster=row.cluster, modeltype=row.modeltype)
        both = values["que"]["count"] and values["upd"]["count"]
        young = row.created_time is None or row.created_time >= START
        found += not both and not young and row.cluster in rules.clusters and row.modeltype in rules.modeltypes
    return found


WAYS: dict[str, Callable[[int, int], int]] = {"ours": ours, "alternative": nested_dictionaries}


def _measure(way: str, points: int, rows: int) -> tuple[float, float, int]:
    """Run one way in a process of its own; returns processor seconds, peak memory (GiB) and candidates."""
    command = [sys.executable, "-m", "benchmarks.classify", way, str(points), str(rows)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    elapsed, peak, found = output.split()
    return float(elapsed), float(peak), int(found)


def run(points: int = POINTS, rows: int = METRICS) -> list[dict[str, Any]]:
    """Measure both ways; they must find the same number of candidates."""
    seconds, memory, found = _measure("ours", points, rows)
    other_seconds, other_memory, other_found = _measure("alternative", points, rows)
    assert found == other_found, f"{found} candidates, the alternative finds {other_found}"
    assert seconds <= 120, f"{seconds:.0f} s, limit 120 s"
    assert memory <= 1.5, f"{memory:.2f} GiB, limit 1.5 GiB"
    return [
        {
            "name": "classify_1m",
            "ours": round(seconds, 2),
            "alternative": round(other_seconds, 2),
            "ratio": round(other_seconds / seconds, 2),
            "unit": "s",
            "what": (
                f"Classify {points:,} points by {rows:,} metric rows, processor time; peak {memory:.2f} GiB. "
                f"Alternative: a dictionary of dictionaries a point, {other_memory:.2f} GiB. {found:,} candidates."
            ),
        }
    ]


if __name__ == "__main__":
    chosen, number_of_points, number_of_rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    began = time.process_time()
    candidates = WAYS[chosen](number_of_points, number_of_rows)
    print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, candidates)
