"""Plan a restore: give downlined rows of a batch back the status that the journal recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from drawsguard.points import definitions
from drawsguard.points.definitions import DOWNLINED, Kind
from drawsguard.points.downline.journal import Entry, Journal, PlannedRow
from drawsguard.points.downline.plan import Difference, Plan, PlanRefusedError
from drawsguard.points.environments import Environment


def plan_restore(
    connection: Any,
    journal: Journal,
    batch_id: str,
    environment: Environment,
    points: frozenset[int] | None = None,
) -> Plan:
    """Plan to restore some points of a batch, or the whole batch; rows that are restored already are its done rows.

    What another batch took out of service later is that batch's: this one's journal says what the row was before both.
    A tag is restored with the first of its points: it was taken offline because none was left.

    :param points: point ids; None means every row that the batch downlined here.
    :raises PlanRefusedError: when the batch never downlined an id here, or anything.
    """
    definitions.require_rollback(connection)
    entries = journal.entries()
    known = {entry.row.row_id for entry in entries if entry.row.kind == "point"}
    if not known:
        raise PlanRefusedError(f"Batch {batch_id} has downlined nothing on the {environment}. Check the batch.")
    if points is not None and (unknown := sorted(points - known)):
        raise PlanRefusedError(
            f"Points {unknown[:20]} were never downlined by batch {batch_id} on the {environment}. Nothing was "
            "touched. Check the batch and the ids."
        )
    downlined = sorted(entry.row for entry in entries if entry.state == "downlined")
    done = {entry.row for entry in entries if entry.state == "restored"}
    if points is not None:
        members = {(tag.table, tag.tag_id): tag.members for tag in definitions.read_tags(connection)}

        def wanted(row: PlannedRow) -> bool:
            if row.kind == "point":
                return row.row_id in points
            return bool(members.get((row.table, row.row_id), frozenset()) & points)

        downlined = [row for row in downlined if wanted(row)]
        done = {row for row in done if wanted(row)}
    elsewhere = journal.taken_later()
    rows: list[PlannedRow] = []
    differences: list[Difference] = []
    places: list[tuple[Kind, str]] = sorted({(row.kind, row.table) for row in downlined})
    for kind, table in places:
        mine = [row for row in downlined if row.table == table]
        found = definitions.rows_of_ids(connection, table, kind, {row.row_id for row in mine}, downlined=True)
        left = Counter((row.row_id, row.identity) for row in found)
        times = {(row.row_id, row.identity): row.last_modify_time for row in found}
        for row in mine:
            key = (row.row_id, row.identity)
            if other := elsewhere.get((kind, table, row.row_id)):
                reason = f"was put back, and taken out of service later by batch {other}: restore that batch"
                differences.append(Difference(kind, row.row_id, table, reason))
                continue
            if left[key] < 1:
                reason = f"is no longer at {DOWNLINED}, or was edited: not restored"
                differences.append(Difference(kind, row.row_id, table, reason))
                continue
            left[key] -= 1
            rows.append(row)
            if times[key] != row.last_modify_time:
                reason = f"last_modify_time is {times[key]}, goes back to {row.last_modify_time}"
                differences.append(Difference(kind, row.row_id, table, reason))
    connection.rollback()
    planned = tuple(sorted({*rows, *done}))
    return Plan(batch_id, environment, "restore", planned, tuple(differences), frozenset(done))


def still_downlined(connection: Any, journal: Journal, entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries of a batch whose rows are at -80 now, and were not restored.

    A row that somebody put back by hand, or deleted, stays ``downlined`` in the journal, and no restore plans it; one
    that another batch took out of service later is that batch's. An edited row counts while its id is not in service
    there, and a row that was moved to another table while its id is in service nowhere: it may still be cleaned.
    """
    elsewhere = journal.taken_later()
    mine = [e for e in entries if e.state == "downlined" and (e.row.kind, e.row.table, e.row.row_id) not in elsewhere]
    found = []
    places: list[tuple[Kind, str]] = sorted({(entry.row.kind, entry.row.table) for entry in mine})
    points = {entry.row.row_id for entry in mine if entry.row.kind == "point"}
    moved: dict[Kind, set[int]] = {"point": _down_everywhere(connection, points), "tag": set()}
    for kind, table in places:
        here = [entry for entry in mine if (entry.row.kind, entry.row.table) == (kind, table)]
        ids = {entry.row.row_id for entry in here}
        dead = definitions.rows_if_there(connection, table, kind, ids, downlined=True)
        exact = {(row.row_id, row.identity) for row in dead}
        edited = {row.row_id for row in dead} - {
            row.row_id for row in definitions.rows_if_there(connection, table, kind, ids)
        }
        found += [e for e in here if e.row.row_id in edited | moved[kind] or (e.row.row_id, e.row.identity) in exact]
    connection.rollback()
    return found


def _down_everywhere(connection: Any, points: set[int]) -> set[int]:
    """Return the points with a row at -80 in any definition table, and in service in none."""
    dead: set[int] = set()
    for table in definitions.tables(connection, "point") if points else ():
        dead.update(row.row_id for row in definitions.rows_of_ids(connection, table, "point", points, downlined=True))
    return dead - definitions.in_service(connection, points)
