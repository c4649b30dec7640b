"""Read an environment's definition tables: define_nosdata_* (points) and define_nostag_* (tags)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
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
#: Characters of a cluster's name, as journal and plans keep it.
_LONGEST_CLUSTER = 64
#: Ids bound into one statement.
_IDS_PER_QUERY = 1000
#: MySQL's errors of a table that is there and cannot be read: no such column, no right, no such table behind a view,
#: columns in character sets that no text can join.
_UNREADABLE = frozenset({1054, 1142, 1143, 1146, 1267, 1271, 1356, 1370, 1449})

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


def serving_unlisted(connection: Any, points: frozenset[int]) -> dict[int, str]:
    """Return the points that may be served by what only has a name like a definition table's, each with that name.

    A live row, or a live tag, in a table that is left alone protects its point, unless the table is configured to be
    left alone: nobody has said that it is no definition table.

    :raises DefinitionError: naming a table that cannot be read: it is unknown which points it serves.
    """
    found: dict[int, str] = {}
    for table in _unlisted(connection, "point"):
        with _readable(table):
            for number, status in _rows_by_id(connection, table, points):
                if status > 0:
                    found.setdefault(number, table)
    for table in _unlisted(connection, "tag"):
        with _readable(table):
            for tag in _tags(connection, table):
                if tag.status > 0:
                    found |= {point: table for point in points & tag.members if point not in found}
    return found


def require_none_unlisted(connection: Any, points: frozenset[int]) -> None:
    """Refuse points that `serving_unlisted` finds.

    :raises DefinitionError: naming the tables, and points of each.
    """
    served: dict[str, list[int]] = defaultdict(list)
    for point, table in sorted(serving_unlisted(connection, points).items()):
        served[table].append(point)
    if served:
        tables_of = ", ".join(f"{table} ({len(ids)}, e.g. {ids[:5]})" for table, ids in sorted(served.items()))
        raise DefinitionError(
            f"Points have a live row or tag in tables whose names are like a definition table's: {tables_of}. Nothing "
            "was changed. Name each in include/config/downline.yaml, under tables.also if it is a definition table, "
            "else under tables.left_alone; then trigger a new run."
        )


def live_unlisted(connection: Any) -> Iterator[tuple[int, str]]:
    """Yield (point id, cluster) of each live row of the tables that `serving_unlisted` looks into.

    :raises DefinitionError: naming a table that cannot be read.
    """
    for table in _unlisted(connection, "point"):
        with _readable(table):
            for point, cluster in fetch(connection, "definitions/live_clusters.sql", table=table):
                yield row_id(table, point), str(cluster or "")


def _unlisted(connection: Any, kind: Kind) -> list[str]:
    return sorted(find_tables(connection, kind).left_alone.keys() - get_policy().tables.left_alone)


@contextmanager
def _readable(table: str) -> Iterator[None]:
    from MySQLdb import MySQLError

    try:
        yield
    except MySQLError as error:
        if error.args[:1] and error.args[0] in _UNREADABLE:
            raise DefinitionError(
                f"{table} has a name like a definition table's and cannot be read ({error.args[1]}), so it is unknown "
                "which points it serves. Nothing was changed. If it is none, name it under tables.left_alone in "
                "include/config/downline.yaml; then run again."
            ) from error
        raise


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


def identity_columns(connection: Any, table: str, schema: str | None = None) -> list[str]:
    """Return the columns that a row's identity covers, in table order.

    :param schema: where the table is; None: the connection's own.
    :raises DefinitionError: naming a column that no statement can name.
    """
    values = {"table_name": table, "table_schema": schema}
    return plain_names(table, [name for (name,) in fetch(connection, "definitions/list_columns.sql", values)])


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
        with _readable(table):
            for point, status, *rest in stream(connection, "definitions/live_points.sql", table=table):
                people, lv1, lv2, description, modeltype, cluster, demand = (text or "" for text in rest[:-2])
                number = row_id(table, point)
                yield Definition(
                    table,
                    number,
                    row_status(table, number, status),
                    people,
                    lv1,
                    lv2,
                    description,
                    modeltype,
                    cluster,
                    demand,
                    rest[-2],
                    _created(table, number, rest[-1]),
                )


def read_tags(connection: Any) -> list[Tag]:
    """Return every tag with its members.

    :raises DefinitionError: naming the tag whose member list is not a list of ids.
    """
    return [tag for table in tables(connection, "tag") for tag in _tags(connection, table)]


def _tags(connection: Any, table: str) -> list[Tag]:
    with _readable(table):
        rows = fetch(connection, "definitions/tags.sql", table=table)
    return [
        Tag(table, row_id(table, tag), row_status(table, tag, status), _members(table, tag, eids))
        for tag, status, eids in rows
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
    found = {}
    for table in tables(connection, "point"):
        with _readable(table):
            rows = stream(connection, "definitions/live_ids.sql", table=table)
            found[table] = [row_id(table, point) for (point,) in rows]
    return found


def in_service(connection: Any, points: Collection[int]) -> frozenset[int]:
    """Return which of some points have a live row in a definition table."""
    found = (rows_of_ids(connection, table, "point", points) for table in tables(connection, "point")) if points else ()
    return frozenset(row.row_id for rows in found for row in rows)


def rows_of_ids(
    connection: Any,
    table: str,
    kind: Kind,
    ids: Iterable[int],
    *,
    downlined: bool = False,
    lock: Lock = "no",
    schema: str | None = None,
) -> list[Row]:
    """Return the live rows (or, with ``downlined``, those at -80) of some ids, each with its identity.

    :param lock: ``yes`` keeps the rows locked until the transaction ends.
    :param schema: where the table is, for a backup; None: the connection's own.
    """
    lowest, highest = (DOWNLINED, DOWNLINED) if downlined else (1, _HIGHEST_STATUS)
    names: dict[str, Any] = {"table": table, "kind": kind, "lock": lock} | ({"schema": schema} if schema else {})
    names["columns"] = identity_columns(connection, table, schema)
    wanted = sorted(set(ids))
    found: list[Row] = []
    for start in range(0, len(wanted), _IDS_PER_QUERY):
        part = tuple(wanted[start : start + _IDS_PER_QUERY])
        values = {"ids": part, "lowest": lowest, "highest": highest}
        with _readable(table):
            rows = fetch(connection, "downline/rows_of_ids.sql", values, **names)
        found += [
            Row(
                row_id(table, number),
                identity,
                row_status(table, number, status),
                text,
                _cluster(table, number, cluster),
            )
            for number, identity, status, text, cluster in rows
        ]
    return found


def rows_if_there(connection: Any, table: str, kind: Kind, ids: Iterable[int], *, downlined: bool = False) -> list[Row]:
    """Return `rows_of_ids`; none of a table that was renamed or dropped, or that may not be read any more."""
    return rows_of_ids(connection, table, kind, ids, downlined=downlined) if identity_columns(connection, table) else []


def status_of_ids(connection: Any, kind: Kind, ids: Iterable[int]) -> dict[int, list[tuple[str, int]]]:
    """Return, for each id, every (table, status) that the environment holds for it."""
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    wanted = sorted(set(ids))
    for table in tables(connection, kind):
        for number, status in _rows_by_id(connection, table, wanted):
            found[number].append((table, status))
    return dict(found)


def _rows_by_id(connection: Any, table: str, ids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield (id, status) of the rows of some ids."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), _IDS_PER_QUERY):
        values = {"ids": tuple(wanted[start : start + _IDS_PER_QUERY])}
        for number, status in fetch(connection, "definitions/status_of_ids.sql", values, table=table):
            yield row_id(table, number), row_status(table, number, status)


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


def row_status(table: str, row: object, value: object) -> int:
    """Return the status of a row. NULL is 0: what has no status is not in service, as every statement here reads it.

    :raises DefinitionError: when it is no whole number.
    """
    if value is None:
        return 0
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value, re.ASCII):
        return int(value)
    if isinstance(value, (int, float, Decimal)) and value == int(value):
        return int(value)
    raise DefinitionError(
        f"{table}.status of {row} is {value!r}, expected a whole number. It is unknown whether the row is in service: "
        "correct it, then run again. Nothing was changed."
    )


def _cluster(table: str, row: object, value: str | None) -> str:
    if value and len(value) > _LONGEST_CLUSTER:
        raise DefinitionError(
            f"{table}.cluster of {row} has {len(value)} characters, at most {_LONGEST_CLUSTER} can be kept: "
            f"{value[:40]!r}… Correct the row, then run again. Nothing was changed."
        )
    return value or ""


def _created(table: str, row: int, value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time.min)
    raise DefinitionError(
        f"{table}.created_time of {row} is {value!r}, expected a date or a time. It is unknown how old the point is: "
        "correct the column, then run again. Nothing was changed."
    )


def _members(table: str, tag: int, eids: str | None) -> frozenset[int]:
    parts = [part.strip() for part in (eids or "").split(",")]
    # Python takes 1_1, -3 and the digits of any script for numbers; the service that reads the list does not.
    if not all(re.fullmatch(r"[0-9]{0,18}", part, re.ASCII) for part in parts):
        raise DefinitionError(
            f"{table}.eids of tag {tag} is {eids!r}, expected point ids separated by commas. It is unknown which "
            "points the tag serves: correct the row, then run again."
        )
    return frozenset(int(part) for part in parts if part)
