"""Which points of a batch may be cleaned: those that the batch took out of service and nobody touched since."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from drawsguard.points import definitions
from drawsguard.points.database import fetch
from drawsguard.points.definitions import DOWNLINED, Row
from drawsguard.points.downline.journal import Journal
from drawsguard.points.environments import Environment, journal_schema

#: Points bound into one statement.
_POINTS_PER_QUERY = 1000


class Standing(NamedTuple):
    """What one environment says about the points of a batch.

    :param environment: which one.
    :param downlined: points that the batch took out of service here and that are still as it left them.
    :param kept: why a point is not cleaned, by id; Chinese first, then English.
    :param taken: points that the batch took out of service here and did not restore, whoever changed them since.
    :param lost: of those that are kept, the ones that somebody else revived, took down again or changed since: no later
        day makes their rows what the batch left.
    :param untouched: points that are served here, and of which the batch never changed a row here.
    :param begun: whether the batch ever took a point out of service here, or was verified here.
    """

    environment: Environment
    downlined: frozenset[int]
    kept: Mapping[int, str]
    taken: frozenset[int] = frozenset()
    lost: frozenset[int] = frozenset()
    untouched: frozenset[int] = frozenset()
    begun: bool = True


def standing_in(
    connection: Any, batch_id: str, environment: Environment, points: frozenset[int], observed_from: datetime
) -> Standing:
    """Return how an environment's rows and journal stand, now.

    What this batch took out of service has to be as it was left, in every column. A row that was at -80 before is no
    obstacle, as long as it was so during the whole observation: no other batch, and nobody by hand, did it since.

    :param connection: a prepared connection to the environment.
    :param points: the points in question.
    :param observed_from: when the observation began that has ended (naive UTC).
    """
    left: dict[int, Counter[Row]] = defaultdict(Counter)
    changed_at: dict[int, datetime] = {}
    entries = [e for e in Journal(connection, batch_id, environment).entries() if e.row.kind == "point"]
    touched = {entry.row.row_id for entry in entries}
    for row, state, changed, _ in entries:
        if row.row_id in points and state == "downlined":
            left[row.row_id][Row(row.row_id, row.identity, DOWNLINED, row.last_modify_time, row.cluster)] += 1
            changed_at[row.row_id] = max(changed, changed_at.get(row.row_id, changed))
    served, dead = _rows(connection, points)
    unlisted = definitions.serving_unlisted(connection, points)
    since = dict.fromkeys(points, observed_from) | changed_at
    others = _other_batches(connection, batch_id, environment, since)
    began = observed_from.strftime("%Y-%m-%d %H:%M:%S")
    connection.rollback()
    kept: dict[int, str] = {}
    lost: set[int] = set()
    for point in sorted(points):
        if point in served:
            if point in touched:
                lost.add(point)
            kept[point] = f"在 {environment} 仍在服务。It is served on the {environment}; it is not cleaned."
        elif point in unlisted:
            kept[point] = (
                f"在 {environment} 的表 {unlisted[point]} 中仍有效，该表未在配置中列出。It is live in the table "
                f"{unlisted[point]} of the {environment}, which include/config/downline.yaml lists neither under "
                "tables.also nor under tables.left_alone; it is not cleaned."
            )
        elif point in others:
            lost.add(point)
            kept[point] = (
                f"在 {environment} 已由批次 {others[point]} 再次下线。Batch {others[point]} took it out of service on "
                f"the {environment} after this one: only that batch may clean it."
            )
        elif left[point] - dead[point] or any(row.last_modify_time >= began for row in dead[point] - left[point]):
            lost.add(point)
            kept[point] = (
                f"在 {environment} 的行与本批次下线时不同。Its rows on the {environment} are not as they were when its "
                f"observation began: {_counted(dead[point])} at {DOWNLINED}, {_counted(left[point])} left so by this "
                "batch. Somebody else changed it."
            )
        elif point in changed_at and changed_at[point] > observed_from:
            kept[point] = (
                f"在 {environment} 下线后未观察满期。It was taken out of service on the {environment} at "
                f"{changed_at[point]} UTC, after its observation began."
            )
    down = frozenset(changed_at)
    return Standing(environment, down - kept.keys(), kept, down, frozenset(lost), served - touched, bool(touched))


def not_cleaned(points: Iterable[int], standings: Iterable[Standing], *, downline_may_follow: bool) -> dict[int, str]:
    """Return why points of a batch are not cleaned, by id.

    :param points: the points in question.
    :param standings: how they stand in each environment; one that the batch took out of service in none is kept, too.
    :param downline_may_follow: whether the batch may still take points down: then no point is cleaned before.
    """
    standings = list(standings)
    down = frozenset[int]().union(*(standing.downlined for standing in standings))
    reasons = {
        point: "本批次没有下线该积分，或已恢复。This batch did not take it out of service, or it was restored."
        for point in points
        if point not in down
    }
    for standing in standings:
        reasons |= standing.kept
    for environment, ahead in awaited(standings).items():
        if downline_may_follow:
            # What is being cleaned takes no further point out of service: one ticket would end what may follow.
            waiting = (
                f"本批次尚未在 {environment} 下线，可用 points_downline 继续。The batch has not taken its points out "
                f"of service on the {environment} yet; points_downline goes on with it. Nothing is cleaned before."
            )
            reasons |= {point: waiting for point in points if point in ahead or point not in reasons}
        else:
            reasons |= {
                point: f"在 {environment} 仍在服务，本批次已不能下线；恢复该积分，或重新出报告。It is served on the "
                f"{environment}, and the batch can no longer take it out of service there: restore it, or make a new "
                "report. It is not cleaned."
                for point in points
                if point in ahead
            }
    return reasons


def awaited(standings: Iterable[Standing]) -> dict[Environment, frozenset[int]]:
    """Return the environments that a batch has not begun with, and its points that are served there.

    :param standings: how they stand in each environment. Points count that another one has at -80, as the batch left
        them there: the others are not cleaned whatever follows.
    """
    standings = list(standings)
    down = frozenset[int]().union(*(standing.downlined for standing in standings))
    waits = {standing.environment: standing.untouched & down for standing in standings if not standing.begun}
    return {environment: points for environment, points in waits.items() if points}


def given_up(points: Iterable[int], standings: Iterable[Standing], *, downline_may_follow: bool) -> frozenset[int]:
    """Return the points that a batch will never clean: restored, never taken down by it, or changed by somebody since.

    A reason that may pass, such as a table that nobody listed yet, gives no point up.

    :param points: the points in question.
    :param standings: how they stand in each environment.
    :param downline_may_follow: whether the batch may still take points down, e.g. in the other environment.
    """
    standings = list(standings)
    taken = frozenset[int]().union(*(standing.taken for standing in standings))
    lost = frozenset[int]().union(*(standing.lost for standing in standings))
    if not downline_may_follow:
        lost = lost.union(*(standing.untouched for standing in standings))
    return frozenset(point for point in points if point not in taken or point in lost)


def _rows(connection: Any, points: frozenset[int]) -> tuple[frozenset[int], Mapping[int, Counter[Row]]]:
    """Return the points with a row in service, and the rows at -80 of each."""
    served: set[int] = set()
    dead: dict[int, Counter[Row]] = defaultdict(Counter)
    for table in definitions.tables(connection, "point"):
        served.update(row.row_id for row in definitions.rows_of_ids(connection, table, "point", points))
        for row in definitions.rows_of_ids(connection, table, "point", points, downlined=True):
            dead[row.row_id][row] += 1
    return frozenset(served), dead


def _other_batches(
    connection: Any, batch_id: str, environment: Environment, since: Mapping[int, datetime]
) -> dict[int, str]:
    """Return which other batch took a point out of service after a moment (naive UTC, by id), by id."""
    found: dict[int, str] = {}
    points = sorted(since)
    for start in range(0, len(points), _POINTS_PER_QUERY):
        rows = fetch(
            connection,
            "downline/journal/of_points.sql",
            {
                "batch_id": batch_id,
                "environment": environment,
                "points": tuple(points[start : start + _POINTS_PER_QUERY]),
            },
            journal_schema=journal_schema(environment),
        )
        found |= {int(point): str(other) for point, other, at in rows if at >= since[int(point)]}
    return found


def _counted(rows: Counter[Row]) -> str:
    number = rows.total()
    return f"{number} row" if number == 1 else f"{number} rows"
