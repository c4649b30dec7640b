"""The Hive side of the push: facts about a flow's result, and its rows as a stream. Works on a PyHive connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from math import ceil
from typing import Any, NamedTuple

import sqlparse

from drawsguard.points.telemetry.config import Flow
from drawsguard.points.telemetry.push_guard import Facts, Stamp
from drawsguard.refusal import RefusedError
from drawsguard.sql import Identifiers, render

#: The tables that the flows empty, or whose partitions they drop to build them again (schema/points_tables.sql).
BUILT_TABLES = (
    "base_evt", "evt_rejected", "base_evt_ts", "base_evt_day", "evt_day_quality", "ads_evt_ops_status",
    "ads_evt_ops_build",
)  # fmt: skip

#: The stamp of rows that are being built. It is written and not removed: Hive 2.3 cannot overwrite what it only forgot.
NO_WINDOW = {"first": "", "last": ""}


class KeptFilesError(RefusedError, ValueError):
    """A table would keep the files of what is removed from it: what is built again could be there twice."""


def statements(path: str, **identifiers: Identifiers) -> list[str]:
    """Return the statements in ``include/sql/hive/<path>``, one by one, without comments and semicolons.

    HiveServer2 takes one statement at a time, without a semicolon, and a SET only when nothing precedes it.
    """
    text = sqlparse.format(render(f"hive/{path}", **identifiers), strip_comments=True)
    return [statement for statement in sqlparse.split(text, strip_semicolon=True) if statement]


def fetch(
    connection: Any, path: str, values: Mapping[str, Any] | None = None, **identifiers: Identifiers
) -> list[tuple[Any, ...]]:
    """Return all rows of a query file."""
    (query,) = statements(path, **identifiers)
    with closing(connection.cursor()) as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def run(connection: Any, path: str, values: Mapping[str, Any] | None = None) -> None:
    """Run the statements of a file in one session, in order."""
    with closing(connection.cursor()) as cursor:
        for statement in statements(path):
            cursor.execute(statement, values)


def refuse_kept_files(connection: Any) -> None:
    """Refuse to work on `BUILT_TABLES` that are external without external.table.purge.

    :raises KeptFilesError: naming them, and what to do.
    """
    kept = []
    for table in BUILT_TABLES:
        shown = fetch(connection, "telemetry/guard/table_properties.sql", table=table)
        properties = {name: str(value).strip().lower() for name, value, *_ in shown}
        if properties.get("EXTERNAL") == "true" and properties.get("external.table.purge") != "true":
            kept.append(f"cma.{table}")
    if kept:
        raise KeptFilesError(
            f"Hive keeps the files of {', '.join(kept)} when rows are removed (external, without "
            "external.table.purge), so that a day that is built again can be there twice. Nothing was changed. For "
            f"each, run ALTER TABLE {kept[0]} SET TBLPROPERTIES ('external.table.purge' = 'true'), then run again."
        )


class Chunk(NamedTuple):
    """A part of the rows: its size by Hive's count, and the rows as tab-separated lines (UTF-8)."""

    facts: Facts
    lines: bytes


class HiveSource:
    """One flow's ``cma.ads_evt_ops_status`` on HiveServer2."""

    def __init__(self, connection: Any, flow: Flow) -> None:
        self._connection = connection
        self._flow = {"flow": flow}

    def refuse_kept_files(self) -> None:
        """Refuse tables that would keep their files when they are emptied (`refuse_kept_files`)."""
        refuse_kept_files(self._connection)

    def facts(self) -> Facts:
        """Return what the table holds now."""
        return Facts(
            *(int(value) for value in fetch(self._connection, "telemetry/push/source_facts.sql", self._flow)[0])
        )

    def stamp(self) -> Stamp | None:
        """Return which window the table was built from, or None when it never was."""
        for first, last, *facts in fetch(self._connection, "telemetry/push/build_stamp.sql", self._flow):
            if first == NO_WINDOW["first"]:
                return None
            return Stamp(first, last, Facts(*(int(value) for value in facts)))
        return None

    def columns(self) -> list[tuple[str, str]]:
        """Return the table's columns, in order; partition columns once, at the end."""
        described = fetch(self._connection, "telemetry/push/describe_source.sql")
        columns = [(name.strip(), kind.strip()) for name, kind, *_ in described if name and not name.startswith("#")]
        return list(dict.fromkeys(columns))

    def chunks(self, chunk_rows: int) -> Iterator[Chunk]:
        """Yield the rows, many at a time, from one read of the table; one chunk is in memory at a time.

        :param chunk_rows: about how many rows a chunk has: they are spread by the hash of their key.
        """
        (query,) = statements("telemetry/push/read_chunks.sql")
        stamp = self.stamp()
        row_count = (stamp.facts if stamp else self.facts()).row_count
        chunk_count = max(1, ceil(row_count / chunk_rows))
        with closing(self._connection.cursor(arraysize=1)) as cursor:
            cursor.execute(query, self._flow | {"chunk_count": chunk_count})
            while rows := cursor.fetchmany(1):
                *facts, lines = rows[0]
                yield Chunk(Facts(*(int(value) for value in facts)), lines.encode() + b"\n")

    def truncate(self) -> None:
        """Empty this flow's part of ads_evt_ops_status, then of base_evt."""
        for path in ("telemetry/push/empty_ads_evt_ops_status.sql", "telemetry/push/empty_base_evt.sql"):
            run(self._connection, path, self._flow)
