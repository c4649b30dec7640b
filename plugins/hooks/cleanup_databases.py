"""What the cleanup operators share: the cleanup's tables, and the current plan of a batch."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from drawsguard.points.cleanup.collision import share_an_instance
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.living import collect_living
from drawsguard.points.cleanup.standing import Standing, awaited, given_up, not_cleaned, standing_in
from drawsguard.points.cleanup.ticket import LivingPoints, TicketPlan, Unticketed, plan_tickets
from drawsguard.points.cleanup.ticket_repository import DBA_WITHDRAWN, TicketRepository, TicketStateError
from drawsguard.points.definitions import in_service, live_definitions, live_unlisted
from drawsguard.points.downline.observe import VERIFIED, downlined_points, first_observed
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.downline.structure_repository import Structure as StoredStructure
from drawsguard.points.environments import Environment, environments
from drawsguard.points.policy import get_policy
from drawsguard.points.review.batch_repository import Batch
from drawsguard.points.review.batch_state import BatchState, may_follow
from drawsguard.points.review.evidence import admitted_until
from drawsguard.points.telemetry.config import cluster_instances, points_config
from drawsguard.points.telemetry.evidence_days import evidence_days
from drawsguard.settings import get_settings
from hooks import points_databases
from hooks.nos_hook import NosHook, NosRefusedError

logger = logging.getLogger(__name__)

#: Structures are stored after this many answers: after a failed try they are not asked for again.
_ASKED_AT_ONCE = 500


@contextmanager
def cleanup_repositories() -> Iterator[tuple[TicketRepository, Repositories]]:
    """Open the cleanup's and the lifecycle's tables on one connection."""
    with points_databases.repositories() as repositories:
        tickets = TicketRepository(repositories.connection)
        yield tickets, repositories


def instances_by_cluster() -> dict[str, frozenset[str]]:
    """Return the Redis instances of each cluster."""
    return {cluster: frozenset(names) for cluster, names in cluster_instances().items()}


def plan_batch(batch_id: str, tickets: TicketRepository, repositories: Repositories) -> TicketPlan:
    """Return the tickets that follow from a batch's structures, its journals, and the points served now.

    Points whose tickets are done are on no other; a point that may be cleaned later than they gets a ticket of its own,
    and so do all points of a ticket of the DBA that is not what it was.

    :raises hooks.nos_hook.NosError: when NOS does not answer: served points cannot be distinguished from others.
    """
    done = tickets.done_points(batch_id)
    stored = [s for s in repositories.structures.of_batch(batch_id) if s.point_id not in done]
    kept = kept_points(batch_id, frozenset(structure.point_id for structure in stored), repositories)
    living = living_points({structure.cluster for structure in stored}, tickets)
    plan = plan_tickets(batch_id, stored, living, instances_by_cluster(), get_config(), kept)
    return tickets.numbered(batch_id, plan)


def require_due(batch: Batch, tickets: TicketRepository) -> None:
    """Refuse a batch that is not due any more: its turn comes after that of others, which take minutes each.

    :param batch: as it was just before.
    :raises TicketStateError: when it was halted, or is watched again.
    """
    if batch.batch_id not in tickets.due_batches(get_settings().business_timezone):
        raise TicketStateError(
            f"Batch {batch.batch_id} is {batch.state}, observed until {batch.observe_until} UTC"
            f"{f' and halted: {batch.halted_reason}' if batch.halted_at else ''}: it is not due for cleanup any more."
        )


def require_still_gone(batch_id: str, plan: TicketPlan, tickets: TicketRepository, repositories: Repositories) -> None:
    """Withdraw the DBA's tickets of points that came back while they were planned.

    A restore that ends before this look is seen here; one that ends later finds the tickets, and withdraws them itself.
    The pipeline's own are asked about again before anything is deleted.

    :raises TicketStateError: when there are any; none of them may be mailed.
    """
    theirs = {structure.eid for t in plan.tickets if t.executor == "dba" for structure in t.structures}
    if not theirs:
        return
    planned = {structure.eid for ticket in plan.tickets for structure in ticket.structures}
    # Of the whole batch: what another environment waits for keeps every point of it.
    kept = kept_points(batch_id, frozenset(planned.union(point.eid for point in plan.unticketed)), repositories)
    if back := sorted(theirs & kept.keys()):
        withdrawn = tickets.withdraw_points(batch_id, back)
        raise TicketStateError(
            f"{len(back)} points of batch {batch_id} came back while its tickets were made, e.g. {back[0]}: "
            f"{kept[back[0]]} Withdrawn: {withdrawn}. The next run of points_cleanup makes what follows then."
        )


def kept_points(batch_id: str, points: frozenset[int], repositories: Repositories) -> dict[int, str]:
    """Return which points of a batch are not cleaned as both environments are now, and why."""
    standings = _standings(batch_id, points, repositories)
    if isinstance(standings, str):
        return dict.fromkeys(points, standings)
    return not_cleaned(points, standings, downline_may_follow=_downline_may_follow(batch_id, repositories))


def given_up_points(batch_id: str, points: frozenset[int], repositories: Repositories) -> frozenset[int]:
    """Return which points of a batch it will never clean; none where it is not known since when it is observed."""
    standings = _standings(batch_id, points, repositories) if points else ""
    if isinstance(standings, str):
        return frozenset()
    return given_up(points, standings, downline_may_follow=_downline_may_follow(batch_id, repositories))


def split_points(batch_id: str, points: frozenset[int]) -> frozenset[int]:
    """Return which points of a batch are at -80 in one environment, and served in another."""
    if not points:
        return frozenset()
    down = points_databases.still_down(batch_id)
    found: frozenset[int] = frozenset()
    for name in environments():
        with points_databases.environment(name) as connection:
            served = in_service(connection, points)
            connection.rollback()
        found = found.union(*(served & ids for other, ids in down.items() if other != name))
    return found


def awaited_environments(batch_id: str, points: frozenset[int], repositories: Repositories) -> list[Environment]:
    """Return the environments where a batch has not taken its points out of service yet, and still may."""
    if not _downline_may_follow(batch_id, repositories):
        return []
    standings = _standings(batch_id, points, repositories)
    return [] if isinstance(standings, str) else list(awaited(standings))


def _downline_may_follow(batch_id: str, repositories: Repositories) -> bool:
    """Return whether a batch may still take points out of service: its state allows it, and the age of its evidence."""
    batch = repositories.batches.get(batch_id)
    last = admitted_until(batch.window_end, get_policy().evidence)
    return may_follow(batch.state, BatchState.DOWNLINING) and points_databases.business_today() <= last


def _standings(batch_id: str, points: frozenset[int], repositories: Repositories) -> list[Standing] | str:
    """Return how the points stand in each environment, or why nobody knows."""
    observed_from = repositories.batches.get(batch_id).observe_from
    if observed_from is None:
        return "该批次未被观察。The batch was never observed."
    # Not the release of a halt: a row that went down just before it was not observed for the whole time.
    events = repositories.audit.events(batch_id)
    began = first_observed(events, observed_from)
    if began is None:
        return "观察开始时间不明。Released, and no verification in the audit: since when it is observed is not known."
    # Also where no row was left to change: all its points were used just before, and it was verified like that.
    verified = {event["environment"] for event in events if event["event"] == VERIFIED}
    standings = []
    for environment in environments():
        with points_databases.environment(environment) as connection:
            standing = standing_in(connection, batch_id, environment, points, began)
        standings.append(standing._replace(begun=standing.begun or environment in verified))
    return standings


def is_settled(batch_id: str, tickets: TicketRepository, repositories: Repositories) -> bool:
    """Return whether each point of a batch is on a ticket that is done, or gets none for a reason that does not pass.

    A batch without a ticket that is done is settled only when all its points were given up, e.g. restored: where routes
    or structures alone keep it from a ticket, somebody has to look at them first.

    :raises hooks.nos_hook.NosError: when NOS does not answer: what follows now is not known.
    """
    plan = plan_batch(batch_id, tickets, repositories)
    if plan.tickets or not (plan.unticketed or tickets.done_points(batch_id)):
        return False
    return not held_points(batch_id, plan, tickets, repositories)


def held_points(
    batch_id: str, plan: TicketPlan, tickets: TicketRepository, repositories: Repositories
) -> list[Unticketed]:
    """Return the points that no ticket cleans and that keep a batch from its end, until people do something about them.

    :param plan: its tickets as they follow now; when they are done, a reason that does not pass holds it no more.
    """
    done = tickets.done_points(batch_id)
    planned = {structure.eid for ticket in plan.tickets for structure in ticket.structures}
    without = {point.eid: point for point in plan.unticketed}
    gone = given_up_points(batch_id, frozenset(without), repositories)
    held = [p for eid, p in without.items() if not (eid in gone or (p.lasting and (done or planned)))]
    unknown = downlined_points(repositories, batch_id) - planned - without.keys() - done
    return held + [Unticketed(eid, "", "没有存储结构。No storage structure is kept.") for eid in sorted(unknown)]


def require_no_use(repositories: Repositories, batch_id: str, observed_from: datetime) -> None:
    """Halt the batch when its points show signs of life, and withdraw what the DBA has in hand of it.

    :param observed_from: since when it is observed (naive UTC).
    :raises TicketStateError: when they do.
    """
    if signs := points_databases.signs_now(repositories, batch_id, observed_from):
        points = sorted({sign.point_id for sign in signs})
        reason = f"{len(points)} downlined points show signs of life: {points[:20]}"
        if repositories.observations.halt(batch_id, reason):
            repositories.audit.note(batch_id, "halted", "airflow", points=points)
        withdraw_from_dba(batch_id, repositories)
        raise TicketStateError(
            f"Batch {batch_id} is halted: {reason}. Its data stays; restore the points with points_restore, or have "
            "the batch released with points_release."
        )


def missing_evidence(repositories: Repositories) -> str | None:
    """Return the newest day whose usage evidence has to be there and is not, with its minutes; None: it is there.

    A complete observation needs no newer day, but a deletion does: since its end, too, a point may have been used.
    """
    expected = points_databases.evidence_expected_until()
    days = evidence_days(repositories.connection, expected, points_config().quality)
    return next(iter(days.missing(expected, expected)), None)


def require_evidence(repositories: Repositories) -> None:
    """Refuse to delete while nobody knows what was used since the last day that was pushed.

    :raises TicketStateError: naming the day, and what to do.
    """
    if day := missing_evidence(repositories):
        raise TicketStateError(
            f"The usage evidence of {day} is not there: whether the points were used is unknown, and their data stays. "
            "Have points_hive_aggregation and points_push run, then trigger points_cleanup again. If CMA never "
            "delivers that day, the cleanup goes on with the next one."
        )


def withdraw_from_dba(batch_id: str, repositories: Repositories) -> list[str]:
    """Withdraw the tickets that the DBA has in hand of a halted batch; return those that nobody may execute now."""
    tickets = TicketRepository(repositories.connection)
    before = {ticket.ticket_id for ticket in tickets.tickets(batch_id) if ticket.state == "handed_over"}
    withdrawn = tickets.withdraw_handed_over(batch_id)
    if new := sorted(before.intersection(withdrawn)):
        repositories.audit.note(batch_id, DBA_WITHDRAWN, "airflow", tickets=new)
    return withdrawn


def require_dba_may_have(ticket_id: str, tickets: TicketRepository, repositories: Repositories) -> None:
    """Refuse a ticket of the DBA whose points may not be cleaned, as things are now.

    :raises TicketStateError: when it is not in the DBA's hands, its batch is halted, used or not due, or points kept.
    """
    batch_id = tickets.handed_over(ticket_id).batch_id
    batch = repositories.batches.get(batch_id)
    if batch.halted_at is not None:
        withdraw_from_dba(batch_id, repositories)
        raise TicketStateError(f"Batch {batch_id} is halted: {batch.halted_reason}. Its data stays.")
    if batch.observe_from is None or batch_id not in tickets.due_batches(get_settings().business_timezone):
        raise TicketStateError(
            f"Batch {batch_id} is {batch.state} and observed until {batch.observe_until} UTC: it is not due for "
            "cleanup."
        )
    on = {point.point_id: point.ticket_id for point in tickets.results(batch_id)}
    points = frozenset(point for point, its in on.items() if its == ticket_id)
    # Of the whole batch: what another environment waits for keeps every point of it.
    kept = {p: why for p, why in kept_points(batch_id, frozenset(on), repositories).items() if p in points}
    if kept or not points:
        named = f"{min(kept)}: {kept[min(kept)]}" if kept else "it has no points"
        raise TicketStateError(f"{len(kept)} points of ticket {ticket_id} may not be cleaned, e.g. {named}")
    require_no_use(repositories, batch_id, batch.observe_from)


def living_points(clusters: set[str], tickets: TicketRepository) -> LivingPoints:
    """Return the points served in either environment that share a Redis instance with one of the clusters."""
    instances = instances_by_cluster()
    near = [cluster for cluster in clusters if cluster in instances]
    served: set[tuple[int, str]] = set()
    for environment in environments():
        with points_databases.environment(environment) as connection:
            living = {(definition.point_id, definition.cluster) for definition in live_definitions(connection)}
            living.update(live_unlisted(connection))
            served.update(
                (point, cluster)
                for point, cluster in living
                if any(share_an_instance(cluster, other, instances) for other in near)
            )
    known = tickets.living_structures(datetime.now(UTC) - timedelta(hours=get_config().living_hours))
    missing = sorted({eid for eid, _ in served} - known.keys())
    for start in range(0, len(missing), _ASKED_AT_ONCE):
        found = _ask(missing[start : start + _ASKED_AT_ONCE])
        tickets.save_living(found.values())
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
                # The plan refuses what could collide with this point, and names it.
                logger.warning("%s", error)
    return found


def cleanup_folder(batch_id: str) -> str:
    """Return the folder of a batch's cleanup files, below the root of the artifacts."""
    return f"{batch_id}/cleanup"
