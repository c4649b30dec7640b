"""Plans: the exact rows that a downline or a restore would change. Making a plan changes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from drawsguard.points import definitions
from drawsguard.points.database import TimeText
from drawsguard.points.definitions import Kind, Membership, Row, Tag
from drawsguard.points.digest import digest_of
from drawsguard.points.downline.journal import Journal, PlannedRow
from drawsguard.points.environments import Environment
from drawsguard.points.policy import Caps
from drawsguard.refusal import RefusedError

Action = Literal["downline", "restore"]


#: Why rows of a batch that was begun are not planned: what people do meanwhile is left to them.
PUT_BACK = "is in service again since this batch's downline: somebody put it back; not taken out of service again"
BACK_ON_INTRANET = "is in service again on the intranet: somebody put it back; not taken out of service here"
NOT_BACKED_UP = (
    "changed since this batch's backup: no backup has it as it is now, and the one from before the change is kept; "
    "make a new report for it"
)


class PlanRefusedError(RefusedError, ValueError):
    """No plan may be made of this."""


class CapExceededError(PlanRefusedError):
    """The plan is larger than a cap allows; nothing was touched."""


class Difference(NamedTuple):
    """A row that is missing from the plan although it was expected, or the other way round, and why."""

    kind: Kind
    row_id: int
    table: str
    reason: str


class Expected(NamedTuple):
    """What the reviewer saw of a point; a point that differs now is not planned."""

    table: str
    cluster: str
    last_modify_time: str


@dataclass(frozen=True)
class Plan:
    """The rows that an approval covers, as they are (or were) before the change.

    ``done`` are those that an interrupted execution has changed already: they stay part of the plan, so the digest
    does not change while the plan is being carried out.
    """

    batch_id: str
    environment: Environment
    action: Action
    rows: tuple[PlannedRow, ...]
    differences: tuple[Difference, ...]
    done: frozenset[PlannedRow] = frozenset()

    @property
    def digest(self) -> str:
        """SHA-256 over batch, environment, action and every row."""
        head = [self.batch_id, self.environment, self.action]
        return digest_of([head, *[list(row) for row in self.rows]])

    @property
    def pending(self) -> tuple[PlannedRow, ...]:
        """The rows that are still to be changed."""
        return tuple(row for row in self.rows if row not in self.done)

    def points(self) -> frozenset[int]:
        """Return the ids of the planned points."""
        return frozenset(row.row_id for row in self.rows if row.kind == "point")

    def without(self, points: frozenset[int], reason: str, membership: Membership) -> Plan:
        """Return the plan without some points, and without every tag that therefore keeps a live member."""
        kept = self.points() - points
        tags = {(tag.table, tag.tag_id) for tag in membership.fully_within(kept)}
        rows: list[PlannedRow] = []
        out: list[PlannedRow] = []
        for row in self.rows:
            stays = row in self.done or (row.row_id in kept if row.kind == "point" else (row.table, row.row_id) in tags)
            (rows if stays else out).append(row)
        why = {"point": reason, "tag": "a point of the tag was removed"}
        removed = tuple(Difference(row.kind, row.row_id, row.table, why[row.kind]) for row in out)
        return replace(self, rows=tuple(rows), differences=self.differences + removed)

    def without_unsaved(self, unsaved: Iterable[PlannedRow], membership: Membership) -> Plan:
        """Return the plan without pending rows that no backup has as they are; see `without`."""
        points = {row.row_id for row in unsaved if row.kind == "point"}
        tags = {(row.table, row.row_id) for row in unsaved if row.kind == "tag"}
        plan = self.without(frozenset(points), NOT_BACKED_UP, membership) if points else self
        out = [row for row in plan.pending if row.kind == "tag" and (row.table, row.row_id) in tags]
        more = tuple(Difference(row.kind, row.row_id, row.table, NOT_BACKED_UP) for row in out)
        rows = tuple(row for row in plan.rows if row not in set(out))
        return replace(plan, rows=rows, differences=plan.differences + more)

    def counts(self) -> dict[str, Any]:
        """Return ``{points: {total, by_cluster, by_table}, tags: {total, by_cluster, by_table}}``."""
        return count(self.rows)

    def chunks(self, size: int) -> Iterator[tuple[Kind, str, list[PlannedRow]]]:
        """Yield the pending rows of one table at a time, at most ``size``, never splitting an id; points come first."""
        chunk: list[PlannedRow] = []
        for row in self.pending:
            same_table = chunk and (chunk[0].kind, chunk[0].table) == (row.kind, row.table)
            if chunk and (not same_table or (len(chunk) >= size and chunk[-1].row_id != row.row_id)):
                yield chunk[0].kind, chunk[0].table, chunk
                chunk = []
            chunk.append(row)
        if chunk:
            yield chunk[0].kind, chunk[0].table, chunk


def count(rows: Iterable[PlannedRow]) -> dict[str, Any]:
    """Count points and tags (not rows) of a plan or a result, in total, by cluster and by table."""
    seen: dict[Kind, dict[str, set[tuple[str, int]]]] = {
        kind: {"table": set(), "cluster": set()} for kind in ("point", "tag")
    }
    for row in rows:
        seen[row.kind]["table"].add((row.table, row.row_id))
        seen[row.kind]["cluster"].add((row.cluster, row.row_id))
    return {
        f"{kind}s": {
            "total": len({row_id for _, row_id in groups["table"]}) if kind == "point" else len(groups["table"]),
            "by_cluster": dict(sorted(Counter(name for name, _ in groups["cluster"] if name).items())),
            "by_table": dict(sorted(Counter(name for name, _ in groups["table"]).items())),
        }
        for kind, groups in seen.items()
    }


def numbered(rows: Iterable[tuple[Kind, str, Row]]) -> list[PlannedRow]:
    """Return rows as planned rows, sorted, with ordinals for those that are equal."""
    seen: Counter[tuple[str, int, str, int]] = Counter()
    planned = []
    for kind, table, row in sorted(rows):
        key = (table, row.row_id, row.identity, row.status)
        planned.append(
            PlannedRow(kind, table, row.row_id, row.identity, row.status, row.last_modify_time, row.cluster, seen[key])
        )
        seen[key] += 1
    return planned


def plan_downline(
    connection: Any,
    journal: Journal,
    batch_id: str,
    environment: Environment,
    points: frozenset[int],
    expected: Mapping[int, Expected] | None = None,
) -> tuple[Plan, Membership]:
    """Plan the downline of ``points`` in an environment, from its rows as they are now and the batch's journal.

    What the batch took out of service and somebody put back, by a restore or by hand, is not taken again.

    :param connection: a prepared connection to the environment.
    :param expected: what the reviewers saw; None where they saw another environment.
    :returns: the plan, and the environment's tags and live points with the batch's own rows counted as live.
    :raises DefinitionError: when a definition table cannot be read safely, or not be rolled back.
    """
    definitions.require_rollback(connection)
    entries = journal.entries()
    done = {entry.row for entry in entries if entry.state == "downlined"}
    restored = {(entry.row.kind, entry.row.row_id) for entry in entries if entry.state == "restored"}
    live = definitions.live_counts(connection)
    live_points = frozenset(point for ids in live.values() for point in ids)
    live_points |= {row.row_id for row in done if row.kind == "point"}
    dead_tags = {(row.table, row.row_id): row.old_status for row in done if row.kind == "tag"}
    tags = [
        tag._replace(status=dead_tags.get((tag.table, tag.tag_id), tag.status))
        for tag in definitions.read_tags(connection)
    ]
    membership = Membership(tags, live_points)

    found: list[tuple[Kind, str, Row]] = [
        ("point", table, row)
        for table, ids in live.items()
        for row in definitions.rows_of_ids(connection, table, "point", points.intersection(ids))
    ]
    differences, wanted = _compare(points, found, done, restored, expected)
    found = [item for item in found if item[2].row_id in wanted]
    for table, tag_ids in _by_table(membership.fully_within(frozenset(wanted))).items():
        again = {row_id for kind, row_id in restored if kind == "tag"}
        alive = definitions.rows_of_ids(connection, table, "tag", set(tag_ids) - again)
        back = {row.row_id for row in alive if (table, row.row_id) in dead_tags}
        differences += [Difference("tag", row_id, table, PUT_BACK) for row_id in sorted(back)]
        found += [("tag", table, row) for row in alive if row.row_id not in back]
    connection.rollback()  # reads only; the next transaction sees the next state
    rows = tuple(sorted({*numbered(found), *done}))
    return Plan(batch_id, environment, "downline", rows, tuple(differences), frozenset(done)), membership


def _compare(
    points: frozenset[int],
    found: list[tuple[Kind, str, Row]],
    done: set[PlannedRow],
    restored: set[tuple[Kind, int]],
    expected: Mapping[int, Expected] | None,
) -> tuple[list[Difference], set[int]]:
    """Return the differences of the points, and the points that may be planned."""
    differences: list[Difference] = []
    rows: dict[int, list[tuple[str, Row]]] = defaultdict(list)
    for _, table, row in found:
        rows[row.row_id].append((table, row))
    finished = {(row.row_id, row.table) for row in done if row.kind == "point"}
    begun = {point for point, _ in finished}
    wanted: set[int] = set()
    for point in sorted(points | begun):
        seen = expected.get(point) if expected is not None else None
        if ("point", point) in restored:
            differences.append(Difference("point", point, "", "was restored after this batch's downline"))
        elif back := sorted(table for table, _ in rows[point] if (point, table) in finished):
            differences.append(Difference("point", point, back[0], PUT_BACK))
        elif point in begun:
            wanted.add(point)
        elif not rows[point]:
            differences.append(Difference("point", point, seen.table if seen else "", "no longer has a live row"))
        elif seen and not any(_looks_like(seen, table, row) for table, row in rows[point]):
            table, row = rows[point][0]
            now = Expected(table, row.cluster, row.last_modify_time)
            reason = f"changed since the report: {tuple(seen)} is now {tuple(now)}"
            differences.append(Difference("point", point, table, reason))
        else:
            wanted.add(point)
    return differences, wanted


def _looks_like(seen: Expected, table: str, row: Row) -> bool:
    return (table, row.cluster, _as_shown(row.last_modify_time)) == tuple(seen)


def _as_shown(text: TimeText) -> str:
    """Return a time as the workbook has it: full seconds, and nothing for a date that no calendar has (0000-00-00)."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return ""
    return text.split(".")[0]


def _by_table(tags: Iterable[Tag]) -> dict[str, list[int]]:
    grouped: dict[str, list[int]] = defaultdict(list)
    for tag in tags:
        grouped[tag.table].append(tag.tag_id)
    return grouped


def check_caps(plan: Plan, live_rows: Mapping[str, int], caps: Caps) -> None:
    """Refuse a plan that is larger than the caps.

    :param live_rows: live rows of each table before the plan.
    :raises CapExceededError: with limit, found and total.
    """
    if len(plan.rows) > caps.rows:
        raise CapExceededError(
            f"Plan {plan.batch_id} ({plan.environment}) has {len(plan.rows)} rows, limit {caps.rows}. Nothing was "
            "touched. Split the batch, or raise caps.rows in include/config/downline.yaml by a reviewed change."
        )
    for table, number in Counter(row.table for row in plan.rows).items():
        total = live_rows.get(table, 0)
        if number > total * caps.percent / 100:
            raise CapExceededError(
                f"Plan {plan.batch_id} ({plan.environment}) has {number} rows of {table}, which has {total} live rows; "
                f"limit {caps.percent} %. Nothing was touched. Split the batch, or raise caps.percent in "
                "include/config/downline.yaml by a reviewed change."
            )


def live_rows_of(membership: Membership, live: Mapping[str, list[int]], done: Iterable[PlannedRow]) -> dict[str, int]:
    """Return the live rows of each table as they were before the plan: those alive now and those already done."""
    totals: Counter[str] = Counter({table: len(ids) for table, ids in live.items()})
    totals.update(tag.table for tag in membership.tags if tag.status > 0)
    totals.update(row.table for row in done if row.kind == "point")
    return dict(totals)


def explain_extranet(
    points: frozenset[int],
    tags: Iterable[tuple[str, int]],
    plan: Plan,
    there: Membership,
    here: Membership,
    statuses: Mapping[int, list[tuple[str, int]]],
) -> list[Difference]:
    """Explain, row by row, where the extranet plan differs from the intranet result.

    :param points: points downlined on the intranet.
    :param tags: (table, id) of the tags downlined on the intranet.
    :param plan: the extranet plan.
    :param there: tags and live points of the extranet.
    :param here: tags and live points of the intranet, the batch's own rows counted as live.
    :param statuses: what the extranet holds of the points that are not in its plan.
    """
    differences = []
    for point in sorted(points - plan.points()):
        held = statuses.get(point, [])
        places = ", ".join(f"{table} status {status}" for table, status in held)
        reason = f"no live row there: {places}" if held else "missing there"
        differences.append(Difference("point", point, held[0][0] if held else "", reason))
    planned = {(row.table, row.row_id) for row in plan.rows if row.kind == "tag"}
    known_there = {(tag.table, tag.tag_id): tag for tag in there.tags}
    known_here = {(tag.table, tag.tag_id): tag for tag in here.tags}
    expected = set(tags)
    differences += [
        Difference("tag", key[1], key[0], _why_not(known_there.get(key), there, plan.points(), "there"))
        for key in sorted(expected - planned)
    ]
    for key in sorted(planned - expected):
        reason = "only there: on the intranet " + _why_not(known_here.get(key), here, points, "here")
        differences.append(Difference("tag", key[1], key[0], reason))
    return differences


def _why_not(tag: Tag | None, membership: Membership, points: frozenset[int], place: str) -> str:
    if tag is None:
        return f"the tag is missing {place}"
    if tag.status <= 0:
        return f"the tag's status is {tag.status} {place}"
    living = tag.members & membership.live_points
    if not living:
        return f"the tag has no live member {place}"
    outside = sorted(living - points)
    return f"the tag has live members outside the batch {place}: {', '.join(map(str, outside[:10]))}"
