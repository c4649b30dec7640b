"""Collect the storage structures of the points that are still served: what a cleanup must not touch."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable

from drawsguard.points.cleanup.structure import Structure, StructureError, read_structure
from drawsguard.points.cleanup.template import VariableClasses
from drawsguard.points.cleanup.ticket import LivingPoints
from drawsguard.points.downline.structure_repository import Structure as StoredStructure

logger = logging.getLogger(__name__)


def collect_living(
    served: Iterable[tuple[int, str]],
    ask: Callable[[int], StoredStructure | None],
    classes: VariableClasses,
) -> LivingPoints:
    """Ask for the structure of every served point.

    :param served: pairs of eid and cluster, of both environments; repeated points are asked for once.
    :param ask: returns the structure of a point, or None when it cannot be obtained.
    :param classes: which bytes the templates' variables may hold.
    :returns: the known structures, and the points whose structure is unknown or unreadable by their cluster.
    """
    known: list[Structure] = []
    unknown: dict[str, list[int]] = defaultdict(list)
    clusters: dict[int, set[str]] = defaultdict(set)
    for eid, cluster in served:
        clusters[eid].add(cluster)
    for eid, named in sorted(clusters.items()):
        structure = _readable(ask(eid), classes)
        if structure:
            known.append(structure)
        else:
            for cluster in named:
                unknown[cluster].append(eid)
    return LivingPoints(tuple(known), dict(unknown))


def _readable(stored: StoredStructure | None, classes: VariableClasses) -> Structure | None:
    if stored is None:
        return None
    try:
        return read_structure(stored, classes)
    except StructureError as error:
        # Not fatal: the plan refuses every point that shares an instance with this one, and names it.
        logger.warning("%s", error)
        return None
