"""Read an environment's definition tables: define_nosdata_* (points) and define_nostag_* (tags)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from drawsguard.points.database import TimeText, fetch, stream
from drawsguard.points.policy import get_policy
from drawsguard.refusal import RefusedError
from drawsguard.settings import MYSQL_IDENTIFIER

Kind = Literal["point", "tag"]
Lock = Literal["yes", "no"]

#: The status of a downlined row.
DOWNLINED = -80
_HIGHEST_STATUS = 2**31 - 1
#: Ids bound into one statement.
_IDS_PER_QUERY = 1000

TABLE_PATTERNS: dict[Kind, str] = {"point": r"define\_nosdata\_%", "tag": r"define\_nostag\_%"}


class DefinitionError(RefusedError, ValueError):
    """A definition table holds something that cannot be read safely."""


class Definition(NamedTuple):
    """One live row (status > 0) of a define_nosdata_* table."""

    table: str
    point_id: int
    status: int
    people: str
    lv1: str
    lv2: str
    description: str
    modeltype: str
    cluster: str
    demand: str
    last_modify_time: datetime | None
    created_time: datetime | None


class Row(NamedTuple):
    """One row of a definition table, as rows are compared: its identity covers every other column."""

    row_id: int
    identity: str
    status: int
    last_modify_time: TimeText
    cluster: str


class Tag(NamedTuple):
    """One row of a define_nostag_* table."""

    table: str
    tag_id: int
    status: int
    members: frozenset[int]


@dataclass(frozen=True)
class Membership:
    """The tags of an environment and its live points."""

    tags: list[Tag]
    live_points: frozenset[int]

    def fully_within(self, points: frozenset[int]) -> list[Tag]:
        """Return the live tags that have live members, all of them in ``points``."""
        return [
            tag
            for tag in self.tags
            if tag.status > 0 and (living := tag.members & self.live_points) and living <= points
        ]


class Found(NamedTuple):
    """The tables of one kind: definitions with the storage engine of each, and what is left alone, each with why."""

    engines: dict[str, str]
    left_alone: dict[str, str]


def find_tables(connection: Any, kind: Kind) -> Found:
    """Return an environment's definition tables of one kind, and what only has a name like one.

    A view is none, and a table whose suffix is more than one word (a copy, a backup) is none unless it is configured.

    :raises DefinitionError: when there is none: the connection points to the wrong schema.
    """
    rules = get_policy().tables
    engines: dict[str, str] = {}
    left_alone: dict[str, str] = {}
    for name, table_type, engine in fetch(connection, "definitions/list_tables.sql", {"pattern": TABLE_PATTERNS[kind]}):
        suffix = str(name).split("_", 2)[2]
        if table_type != "BASE TABLE":
            left_alone[name] = "is a view"
        elif name in rules.left_alone:
            left_alone[name] = "is configured to be left alone"
        elif name in rules.also or re.fullmatch(rules.suffix, suffix):
            engines[name] = str(engine)
        else:
            left_alone[name] = f"has a suffix that does not match {rules.suffix}"
    if not engines:
        others = f" ({', '.join(f'{name} {why}' for name, why in left_alone.items())})" if left_alone else ""
        raise DefinitionError(
            f"The connection's schema has no table like {TABLE_PATTERNS[kind]}{others}: check the schema of the "
            "Airflow connection mysql_points_intranet or mysql_points_extranet, and tables in "
            "include/config/downline.yaml."
        )
    return Found(engines, left_alone)


def tables(connection: Any, kind: Kind) -> list[str]:
    """Return the names of an environment's definition tables of one kind; see `find_tables`."""
    return list(find_tables(connection, kind).engines)


def tables_left_alone(connection: Any) -> dict[str, str]:
    """Return what has a name like a definition table's and is none, each with why."""
    return {name: why for kind in TABLE_PATTERNS for name, why in find_tables(connection, kind).left_alone.items()}


def require_rollback(connection: Any) -> None:
    """Refuse definition tables whose changes cannot be rolled back: a chunk that fails would leave its rows changed.

    :raises DefinitionError: naming each.
    """
    for kind in TABLE_PATTERNS:
        for table, engine in find_tables(connection, kind).engines.items():
            if engine.casefold() != "innodb":
                raise DefinitionError(
                    f"Table {table} has the storage engine {engine}, which cannot roll back. Nothing was changed. "
                    f"ALTER TABLE {table} ENGINE = InnoDB, then run again."
                )


def identity_columns(connection: Any, table: str) -> list[str]:
    """Return the columns that a row's identity covers, in table order.

    :raises DefinitionError: naming a column that no statement can name.
    """
    return plain_names(
        table, [name for (name,) in fetch(connection, "definitions/list_columns.sql", {"table_name": table})]
    )


def plain_names(table: str, columns: list[str]) -> list[str]:
    """Return the names of a table's columns, each of which a statement can name.

    :raises DefinitionError: naming the first that is none.
    """
    for column in columns:
        if not re.fullmatch(MYSQL_IDENTIFIER, column):
            raise DefinitionError(
                f"Column {column!r} of {table} has a name that no statement can hold safely (letters of any script, "
                "digits, _ and $ can). Nothing was changed. Rename it, or leave the table alone "
                "(tables.left_alone in include/config/downline.yaml)."
            )
    return columns


def live_definitions(connection: Any) -> Iterator[Definition]:
    """Yield the live rows of every define_nosdata_* table."""
    for table in tables(connection, "point"):
        for point, status, *rest in stream(connection, "definitions/live_points.sql", table=table):
            people, lv1, lv2, description, modeltype, cluster, demand = (text or "" for text in rest[:-2])
            yield Definition(
                table,
                row_id(table, point),
                int(status),
                people,
                lv1,
                lv2,
                description,
                modeltype,
                cluster,
                demand,
                *rest[-2:],
            )


def read_tags(connection: Any) -> list[Tag]:
    """Return every tag with its members.

    :raises DefinitionError: naming the tag whose member list is not a list of ids.
    """
    return [
        Tag(table, row_id(table, tag), int(status), _members(table, tag, eids))
        for table in tables(connection, "tag")
        for tag, status, eids in fetch(connection, "definitions/tags.sql", table=table)
    ]


def members_by_tag(tags: Iterable[Tag]) -> dict[int, set[int]]:
    """Return the points of each tag id, whatever the tag's status; rows of the same id are joined.

    :param tags: of both environments, for use: it counts whichever environment's tag it comes through.
    """
    members: dict[int, set[int]] = defaultdict(set)
    for tag in tags:
        members[tag.tag_id] |= tag.members
    return dict(members)


def live_counts(connection: Any) -> dict[str, list[int]]:
    """Return the ids of the live rows of each define_nosdata_* table."""
    return {
        table: [row_id(table, point) for (point,) in stream(connection, "definitions/live_ids.sql", table=table)]
        for table in tables(connection, "point")
    }


def rows_of_ids(
    connection: Any,
    table: str,
    kind: Kind,
    ids: Iterable[int],
    *,
    downlined: bool = False,
    lock: Lock = "no",
) -> list[Row]:
    """Return the live rows (or, with ``downlined``, those at -80) of some ids, each with its identity.

    :param lock: ``yes`` keeps the rows locked until the transaction ends.
    """
    lowest, highest = (DOWNLINED, DOWNLINED) if downlined else (1, _HIGHEST_STATUS)
    columns = identity_columns(connection, table)
    wanted = sorted(set(ids))
    found: list[Row] = []
    for start in range(0, len(wanted), _IDS_PER_QUERY):
        part = tuple(wanted[start : start + _IDS_PER_QUERY])
        values = {"ids": part, "lowest": lowest, "highest": highest}
        rows = fetch(connection, "downline/rows_of_ids.sql", values, table=table, kind=kind, columns=columns, lock=lock)
        found += [
            Row(row_id(table, number), identity, int(status), text, cluster or "")
            for number, identity, status, text, cluster in rows
        ]
    return found


def status_of_ids(connection: Any, kind: Kind, ids: Iterable[int]) -> dict[int, list[tuple[str, int]]]:
    """Return, for each id, every (table, status) that the environment holds for it."""
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    wanted = sorted(set(ids))
    for table in tables(connection, kind):
        for start in range(0, len(wanted), _IDS_PER_QUERY):
            values = {"ids": tuple(wanted[start : start + _IDS_PER_QUERY])}
            for number, status in fetch(connection, "definitions/status_of_ids.sql", values, table=table):
                found[row_id(table, number)].append((table, int(status)))
    return dict(found)


def row_id(table: str, value: object) -> int:
    """Return the id of a row, which must be a whole number in its plain spelling.

    :raises DefinitionError: when it is none: what cannot be named cannot be taken out of service, or left alone.
    """
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,17}", value)):
        return int(value)
    raise DefinitionError(
        f"{table} has a row with the id {value!r}, expected a whole number. Nothing was changed. Correct the row, or "
        "leave the table alone (tables.left_alone in include/config/downline.yaml), then run again."
    )


def _members(table: str, tag: int, eids: str | None) -> frozenset[int]:
    try:
        return frozenset(int(part) for part in (eids or "").split(",") if part.strip())
    except ValueError as error:
        raise DefinitionError(
            f"{table}.eids of tag {tag} is {eids!r}, expected point ids separated by commas. It is unknown which "
            "points the tag serves: correct the row, then run again."
        ) from error
