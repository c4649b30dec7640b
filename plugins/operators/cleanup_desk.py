"""What the cleanup operators share: the store and the plan of a batch as things are now."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
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


def plan_batch(batch_id: str, lifecycle: Lifecycle) -> TicketPlan:
    """Return the tickets that follow from a batch's structures and the points served right now.

    :raises hooks.nos_hook.NosError: when NOS does not answer: what is served cannot be told from what is not.
    """
    stored = lifecycle.structures(batch_id)
    living = living_points({structure.cluster for structure in stored})
    return plan_tickets(batch_id, stored, living, instances_by_cluster(), get_config())


def living_points(clusters: set[str]) -> LivingPoints:
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
    with NosHook(get_settings().nos_conn_id) as nos:

        def ask(eid: int) -> StoredStructure | None:
            try:
                return nos.structure(eid)
            except NosRefusedError as error:
                logger.warning("%s", error)
                return None

        return collect_living(served, ask, get_config().variable_classes)


def cleanup_folder(batch_id: str) -> Path:
    """Return the folder of a batch's cleanup files, which all workers share."""
    return points_servers.artifacts(batch_id) / "cleanup"
