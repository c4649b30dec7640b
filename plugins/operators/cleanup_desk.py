"""What the cleanup operators share: the store and the plan of a batch as things are now."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drawsguard.points.cleanup.collision import share_an_instance
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.living import collect_living
from drawsguard.points.cleanup.store import CleanupStore
from drawsguard.points.cleanup.ticket import LivingPoints, TicketPlan, plan_tickets
from drawsguard.points.definitions import live_definitions
from drawsguard.points.journal import ENVIRONMENTS
from drawsguard.points.lifecycle import Lifecycle
from drawsguard.points.lifecycle import Structure as StoredStructure
from drawsguard.points.telemetry_config import cluster_instances
from drawsguard.settings import get_settings
from hooks.nos_hook import NosHook, NosRefusedError
from operators import points_servers

logger = logging.getLogger(__name__)

#: Structures are kept after each so many answers: a try that fails does not ask for them again.
_ASKED_AT_ONCE = 500


@contextmanager
def desk() -> Iterator[tuple[CleanupStore, Lifecycle]]:
    """Open the cleanup's and the lifecycle's tables on one connection, and create what is missing of them."""
    with points_servers.lifecycle() as lifecycle:
        store = CleanupStore(lifecycle.connection)
        store.migrate()
        yield store, lifecycle


def instances_by_cluster() -> dict[str, frozenset[str]]:
    """Return the Redis instances of each cluster."""
    return {cluster: frozenset(names) for cluster, names in cluster_instances().items()}


def plan_batch(batch_id: str, store: CleanupStore, lifecycle: Lifecycle) -> TicketPlan:
    """Return the tickets that follow from a batch's structures and the points served right now.

    :raises hooks.nos_hook.NosError: when NOS does not answer: what is served cannot be told from what is not.
    """
    stored = lifecycle.structures(batch_id)
    living = living_points({structure.cluster for structure in stored}, store)
    return plan_tickets(batch_id, stored, living, instances_by_cluster(), get_config())


def living_points(clusters: set[str], store: CleanupStore) -> LivingPoints:
    """Return the points served in either environment that share a Redis instance with one of the clusters."""
    instances = instances_by_cluster()
    near = [cluster for cluster in clusters if cluster in instances]
    served: set[tuple[int, str]] = set()
    for environment in ENVIRONMENTS:
        with points_servers.environment(environment) as connection:
            served.update(
                (definition.point_id, definition.cluster)
                for definition in live_definitions(connection)
                if any(share_an_instance(definition.cluster, cluster, instances) for cluster in near)
            )
    known = store.living_structures(datetime.now(UTC) - timedelta(hours=get_config().living_hours))
    missing = sorted({eid for eid, _ in served} - known.keys())
    for start in range(0, len(missing), _ASKED_AT_ONCE):
        found = _ask(missing[start : start + _ASKED_AT_ONCE])
        store.save_living(found.values())
        known |= found
    return collect_living(served, known.get, get_config().variable_classes)


def _ask(points: list[int]) -> dict[int, StoredStructure]:
    """Return the structures that NOS has of some points, over one connection."""
    found = {}
    with NosHook(get_settings().nos_conn_id) as nos:
        for eid in points:
            try:
                found[eid] = nos.structure(eid)
            except NosRefusedError as error:
                # The plan refuses what could meet this point, and names it.
                logger.warning("%s", error)
    return found


def cleanup_folder(batch_id: str) -> Path:
    """Return the folder of a batch's cleanup files, which all workers share."""
    return points_servers.artifacts(batch_id) / "cleanup"
