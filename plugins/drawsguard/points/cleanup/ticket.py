"""Cleanup tickets: every point of a batch is on exactly one of them, or listed as without a ticket, with the reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType

from drawsguard.points.cleanup.collision import find_collisions, share_an_instance
from drawsguard.points.cleanup.config import CleanupConfig, Executor, RouteRule
from drawsguard.points.cleanup.structure import Structure, StructureError, read_structure
from drawsguard.points.digest import digest_of
from drawsguard.points.downline.structure_repository import Structure as StoredStructure
from drawsguard.refusal import RefusedError

#: What no line of a command can hold.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class TicketError(RefusedError, ValueError):
    """The tickets of a batch cannot be made or changed since they were; the message says which and why."""


@dataclass(frozen=True)
class Unticketed:
    """A point that gets no ticket.

    :param eid: the point's id.
    :param cluster: its cluster.
    :param reason: why, Chinese first, then English.
    :param lasting: whether it stays so until people change it, as the structure or the routes; False: it may pass, and
        the point may get a ticket another day.
    """

    eid: int
    cluster: str
    reason: str
    lasting: bool = False


@dataclass(frozen=True)
class Ticket:
    """Points of one batch, cluster and class that are cleaned together.

    :param batch_id: the downline batch.
    :param cluster: the points' cluster.
    :param rule: the routing rule that grouped them.
    :param instances: the Redis instances to clean, by name.
    :param structures: the points' storage structures, by eid.
    :param number: the first of its batch, cluster and class that it may have; see `TicketRepository.numbered`.
    """

    batch_id: str
    cluster: str
    rule: RouteRule
    instances: tuple[str, ...]
    structures: tuple[Structure, ...]
    number: int = 1

    @property
    def ticket_id(self) -> str:
        """Unique name; what the DBA does has one for each digest."""
        name = f"{self.batch_id}/{self.cluster}/{self.rule.name}"
        return name if self.number == 1 else f"{name}/{self.number}"

    @property
    def executor(self) -> Executor:
        """``own`` when the pipeline executes it after approval, ``dba`` when it is handed over."""
        return self.rule.executor

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides what is deleted; an approval is valid for one digest."""
        content = {
            "batch": self.batch_id,
            "cluster": self.cluster,
            "executor": self.executor,
            "instances": self.instances,
            "points": [
                [
                    structure.eid,
                    structure.redis_type,
                    structure.key.text,
                    structure.key.extended_regex,
                    structure.field and structure.field.text,
                    structure.field and structure.field.extended_regex,
                ]
                for structure in self.structures
            ],
        }
        return digest_of([content])


@dataclass(frozen=True)
class TicketPlan:
    """The tickets of a batch, and the points that have none."""

    tickets: tuple[Ticket, ...]
    unticketed: tuple[Unticketed, ...]

    def ticket(self, ticket_id: str) -> Ticket:
        """Return the ticket with this id.

        :raises TicketError: when the batch has no such ticket (any more).
        """
        for ticket in self.tickets:
            if ticket.ticket_id == ticket_id:
                return ticket
        raise TicketError(f"Ticket {ticket_id} does not follow from the batch's structures; make the tickets again.")

    def without(self, tickets: Set[str], reason: str) -> TicketPlan:
        """Return the plan without some of its tickets, whose points have none for a reason that passes.

        :param reason: Chinese first, then English.
        """
        left = [
            Unticketed(structure.eid, structure.cluster, reason)
            for ticket in self.tickets
            if ticket.ticket_id in tickets
            for structure in ticket.structures
        ]
        return TicketPlan(
            tuple(ticket for ticket in self.tickets if ticket.ticket_id not in tickets),
            tuple(sorted([*self.unticketed, *left], key=lambda point: point.eid)),
        )


@dataclass(frozen=True)
class LivingPoints:
    """The points that are still served, as far as their storage structures are known.

    :param structures: the known structures.
    :param unknown: ids whose structure is not known, by cluster: nothing can be proved about their instances.
    """

    structures: tuple[Structure, ...]
    unknown: Mapping[str, Sequence[int]]

    @property
    def eids(self) -> frozenset[int]:
        """The ids of all points that are served."""
        known = {structure.eid for structure in self.structures}
        return frozenset(known.union(*self.unknown.values()))


def plan_tickets(
    batch_id: str,
    points: Iterable[StoredStructure],
    living: LivingPoints,
    instances: Mapping[str, frozenset[str]],
    config: CleanupConfig,
    kept: Mapping[int, str] = MappingProxyType({}),
) -> TicketPlan:
    """Put every point of a batch on one ticket, or on the list of those without a ticket.

    :param batch_id: the batch.
    :param points: the storage structures kept when the batch was downlined.
    :param living: the points still served.
    :param instances: the Redis instances of each cluster.
    :param config: routing rules and variable classes.
    :param kept: why points are not cleaned, by eid, e.g. because the batch did not take them out of service.
    :raises TicketError: when an eid occurs twice: it would be on two tickets.
    """
    points = list(points)
    repeated = sorted(eid for eid, times in Counter(point.point_id for point in points).items() if times > 1)
    if repeated:
        raise TicketError(f"Batch {batch_id}: points {repeated} have more than one structure; keep one each.")
    routed: list[tuple[Structure, RouteRule]] = []
    unticketed: list[Unticketed] = []
    for point in points:
        reason = kept.get(point.point_id)
        outcome = (
            Unticketed(point.point_id, point.cluster, reason)
            if reason
            else _route(point, living.eids, instances, config)
        )
        if isinstance(outcome, Unticketed):
            unticketed.append(outcome)
        else:
            routed.append(outcome)
    blocked = _blocked([structure for structure, _ in routed], living, instances)
    groups: dict[tuple[str, str], list[Structure]] = {}
    rules = {rule.name: rule for rule in config.routes}
    for structure, rule in routed:
        if structure.eid in blocked:
            unticketed.append(Unticketed(structure.eid, structure.cluster, blocked[structure.eid]))
        else:
            groups.setdefault((structure.cluster, rule.name), []).append(structure)
    tickets = tuple(
        Ticket(
            batch_id,
            cluster,
            rules[name],
            tuple(sorted(instances[cluster])),
            tuple(sorted(structures, key=lambda structure: structure.eid)),
        )
        for (cluster, name), structures in sorted(groups.items())
    )
    return TicketPlan(tickets, tuple(sorted(unticketed, key=lambda point: point.eid)))


def _route(
    point: StoredStructure, served: Set[int], instances: Mapping[str, frozenset[str]], config: CleanupConfig
) -> tuple[Structure, RouteRule] | Unticketed:
    eid, cluster = point.point_id, point.cluster
    if eid in served:
        return Unticketed(eid, cluster, "该积分又在使用(已恢复)。The point is served (again); it is not cleaned.")
    try:
        structure = read_structure(point, config.variable_classes, minimum_literal_bytes=config.minimum_literal_bytes)
    except StructureError as error:
        return Unticketed(eid, cluster, f"存储结构不可用。The storage structure cannot be used: {error}", lasting=True)
    if _CONTROL.search(point.key_template + (point.field_template or "")):
        # A line break would make two patterns of one in the DBA's command, and delete what belongs to others.
        return Unticketed(
            eid,
            cluster,
            "存储结构含控制字符，须人工处理。Its storage structure has a control character: by hand only.",
            lasting=True,
        )
    if not instances.get(cluster):
        return Unticketed(eid, cluster, f"集群 {cluster} 没有实例。Cluster {cluster!r} has no known Redis instance.")
    for rule in config.routes:
        if (
            cluster in rule.clusters
            and (rule.key is None or structure.key_match in rule.key)
            and (rule.field is None or structure.field_match in rule.field)
        ):
            return structure, rule
    return Unticketed(
        eid, cluster, f"没有适用于集群 {cluster} 的工单规则。No routing rule fits cluster {cluster!r}.", lasting=True
    )


def _blocked(
    dead: Sequence[Structure], living: LivingPoints, instances: Mapping[str, frozenset[str]]
) -> dict[int, str]:
    """Return why cleaning a point would endanger a served one, by eid."""
    reasons = {
        eid: "会删除仍在使用的积分。Its keys may belong to points that are still served: " + _names(eids) + "."
        for eid, eids in find_collisions(dead, living.structures, instances).items()
    }
    for structure in dead:
        unknown = sorted(
            eid
            for cluster, eids in living.unknown.items()
            if share_an_instance(cluster, structure.cluster, instances)
            for eid in eids
        )
        if unknown:
            reasons.setdefault(
                structure.eid,
                "同一实例上有存储结构未知的在用积分。Points still served on the same Redis instances have no known "
                f"storage structure: {_names(unknown)}; ask NOS for them first.",
            )
    return reasons


def _names(eids: Sequence[int], limit: int = 10) -> str:
    shown = ", ".join(str(eid) for eid in eids[:limit])
    return f"{shown} … ({len(eids)})" if len(eids) > limit else shown
