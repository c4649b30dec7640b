"""Would cleaning a point touch a point that is still served? Decided on the patterns, before any key is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drawsguard.points.cleanup.automaton import TemplateAutomaton
from drawsguard.points.cleanup.structure import Structure
from drawsguard.points.cleanup.template import Template


def find_collisions(
    dead: Iterable[Structure], living: Iterable[Structure], instances: Mapping[str, frozenset[str]]
) -> dict[int, list[int]]:
    """Find the points whose cleanup could delete data of a living point.

    Two points collide when their clusters share a Redis instance and their keys can be equal; when both own only
    fields of a hash, their fields must be able to be equal as well. A key that is deleted whole collides with every
    point that has fields in it.

    :param dead: structures of the points to clean.
    :param living: structures of the points still served.
    :param instances: the Redis instances of each cluster; several clusters may share one.
    :returns: per point to clean that collides, the ids of the living points it would touch, in order.
    """
    dead, living = list(dead), list(living)
    dead_keys = TemplateAutomaton((structure.key, index) for index, structure in enumerate(dead))
    living_keys = TemplateAutomaton((structure.key, index) for index, structure in enumerate(living))
    collisions: dict[int, set[int]] = {}
    for mine, theirs in dead_keys.overlaps(living_keys):
        cleaned, served = dead[mine], living[theirs]
        if share_an_instance(served.cluster, cleaned.cluster, instances) and _fields_meet(cleaned.field, served.field):
            collisions.setdefault(cleaned.eid, set()).add(served.eid)
    return {eid: sorted(eids) for eid, eids in collisions.items()}


def share_an_instance(served: str, cleaned: str, instances: Mapping[str, frozenset[str]]) -> bool:
    """Return whether the served cluster has data on an instance of the cleaned one; an unlisted one may be on any."""
    return served not in instances or not instances[served].isdisjoint(instances[cleaned])


def _fields_meet(one: Template | None, other: Template | None) -> bool:
    if one is None or other is None:
        return True
    return bool(TemplateAutomaton([(one, 0)]).overlaps(TemplateAutomaton([(other, 0)])))
