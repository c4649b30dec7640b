"""How much a ticket will delete, estimated from a part of the key space; nothing is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from redis.exceptions import RedisError

from drawsguard.points.cleanup.automaton import TemplateAutomaton
from drawsguard.points.cleanup.config import EstimateSettings
from drawsguard.points.cleanup.instance import ELSEWHERE, Master, RedisInstance
from drawsguard.points.cleanup.progress import scanned_fraction
from drawsguard.points.cleanup.structure import Structure
from drawsguard.points.cleanup.template import covering_glob

#: Keys per SCAN call of an estimate.
SCAN_COUNT = 1000


class Estimate(NamedTuple):
    """What is known about a point's data on some instances.

    :param keys: estimated number of keys.
    :param size: estimated memory (bytes).
    :param sampled: keys that were examined.
    :param without_ttl: of these, keys that never expire.
    """

    keys: int
    size: int
    sampled: int
    without_ttl: int

    def __add__(self, other: object) -> Estimate:
        if not isinstance(other, Estimate):
            return NotImplemented
        return Estimate(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def estimate_points(
    structures: Sequence[Structure], instances: Iterable[RedisInstance], settings: EstimateSettings
) -> dict[int, Estimate]:
    """Estimate keys and memory of points from the first SCAN calls on each master.

    SCAN walks the hash table, so the keys of its first calls are a random sample. A small key space is read whole.

    :param structures: the points' storage structures.
    :param instances: where their keys are.
    :param settings: how much is read.
    :returns: an estimate for every point, zero when no key of it was found.
    """
    totals = {structure.eid: Estimate(0, 0, 0, 0) for structure in structures}
    if not structures:
        return totals
    automaton = TemplateAutomaton((structure.key, structure.eid) for structure in structures)
    glob = covering_glob([structure.key for structure in structures])
    for instance in instances:
        for master in instance.masters():
            for eid, estimate in _estimate_master(master, automaton, glob, settings).items():
                totals[eid] += estimate
    return totals


def _estimate_master(
    master: Master, automaton: TemplateAutomaton[int], glob: bytes, settings: EstimateSettings
) -> dict[int, Estimate]:
    found: Counter[int] = Counter()
    examples: dict[int, list[bytes]] = defaultdict(list)
    cursor = 0
    for _ in range(settings.scan_calls):
        position, keys = master.client.execute_command("SCAN", cursor, "MATCH", glob, "COUNT", SCAN_COUNT)
        cursor = int(position)
        for key in keys:
            for eid in automaton.match(key):
                found[eid] += 1
                if len(examples[eid]) < settings.memory_samples:
                    examples[eid].append(key)
        if cursor == 0:
            break
    fraction = scanned_fraction(cursor) or 1.0
    result = {}
    for eid, number in found.items():
        pipeline = master.client.pipeline(transaction=False)
        for key in examples[eid]:
            pipeline.memory_usage(key)
            pipeline.pttl(key)
        answers = pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, RedisError) and not isinstance(answer, ELSEWHERE):
                raise answer
        # Gone meanwhile (None, -2), or on its way to another master: not examined.
        sizes = [size for size in answers[::2] if isinstance(size, int)]
        lives = [life for life in answers[1::2] if isinstance(life, int) and life != -2]
        keys_estimated = round(number / fraction)
        average = sum(sizes) / len(sizes) if sizes else 0
        result[eid] = Estimate(keys_estimated, round(keys_estimated * average), len(lives), lives.count(-1))
    return result
