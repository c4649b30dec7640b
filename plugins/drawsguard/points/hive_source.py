"""The Hive side of the push: facts about a flow's result, and its rows as a stream. Works on a PyHive connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from math import ceil
from typing import Any, NamedTuple

import sqlparse

from drawsguard.points.push_guard import Facts, Stamp
from drawsguard.points.telemetry_config import Flow
from drawsguard.sql import Identifiers, render


def statements(path: str, **identifiers: Identifiers) -> list[str]:
    """Return the statements in ``include/sql/hive/<path>``, one by one and bare.

    HiveServer2 takes one statement at a time, without a semicolon, and a SET only when nothing stands before it.
    """
    text = sqlparse.format(render(f"hive/{path}", **identifiers), strip_comments=True)
    return [statement for statement in sqlparse.split(text, strip_semicolon=True) if statement]


def fetch(connection: Any, path: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """Return all rows of a query file."""
    (query,) = statements(path)
    with closing(connection.cursor()) as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


class Chunk(NamedTuple):
    """A part of the rows: what it holds by Hive's count, and the rows as tab-separated lines (UTF-8)."""

    facts: Facts
    lines: bytes


class HiveSource:
    """One flow's ``cma.ads_evt_ops_status`` on HiveServer2."""

    def __init__(self, connection: Any, flow: Flow) -> None:
        self._connection = connection
        self._flow = {"flow": flow}

    def facts(self) -> Facts:
        """Return what the table holds now."""
        return Facts(*(int(value) for value in fetch(self._connection, "push/source_facts.sql", self._flow)[0]))

    def stamp(self) -> Stamp | None:
        """Return which window the table was built from, or None when it never was."""
        for first, last, *facts in fetch(self._connection, "push/build_stamp.sql", self._flow):
            return Stamp(first, last, Facts(*(int(value) for value in facts)))
        return None

    def columns(self) -> list[tuple[str, str]]:
        """Return the table's columns, in order; partition columns once, at the end."""
        described = fetch(self._connection, "push/describe_source.sql")
        columns = [(name.strip(), kind.strip()) for name, kind, *_ in described if name and not name.startswith("#")]
        return list(dict.fromkeys(columns))

    def chunks(self, chunk_rows: int) -> Iterator[Chunk]:
        """Yield the rows, many at a time, from one read of the table; one chunk is held at once.

        :param chunk_rows: about how many rows a chunk has: they are spread by the hash of their key.
        """
        (query,) = statements("push/read_chunks.sql")
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
        for path in ("push/truncate_ads_evt_ops_status.sql", "push/truncate_base_evt.sql"):
            (statement,) = statements(path)
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(statement, self._flow)
