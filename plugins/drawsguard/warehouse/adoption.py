"""Tables from before this repository: which still have their old layout, and which step comes next.

A table that existed before the migrations is left as it is by ``CREATE TABLE IF NOT EXISTS``. It is unpartitioned and
has no column for the time of writing, so no view can be made on it. The order is therefore: versioned migrations and
functions, the cut-over of both sides (``draw_history_migration``), then the views.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import StatementError

log = logging.getLogger(__name__)

#: An empty range of draw times: BigQuery checks names and reads no partition.
_NOWHERE = datetime(2000, 1, 1, tzinfo=UTC)


class Statements(Protocol):
    """What runs statements: a `drawsguard.warehouse.runner.StatementRunner`."""

    def plain(self) -> Statements:
        """Return the same without explanations."""

    def run(self, statement: str, identifiers: dict[str, Any] | None = None, /, **values: Any) -> Any:
        """Run a statement."""


class Layout(StrEnum):
    """Which layout a table has."""

    MISSING = "missing"
    LEGACY = "legacy"
    PRESENT = "present"


@dataclass(frozen=True)
class AdoptedTable:
    """A table that may be older than its migration.

    :param side: whose cut-over brings it into the present layout: ``source`` or ``target``.
    :param stamp: column with the time of writing.
    :param drawn_at: column with the draw's time, by whose day the table is partitioned.
    """

    side: str
    name: str
    stamp: str
    drawn_at: str

    @property
    def dataset(self) -> str:
        """The dataset of its side."""
        name: str = getattr(get_settings(), f"{self.side}_dataset")
        return name

    @property
    def full_name(self) -> str:
        """``project.dataset.table``."""
        return f"{get_settings().project}.{self.dataset}.{self.name}"

    @property
    def retired_name(self) -> str:
        """The name that the legacy table keeps after the cut-over."""
        return f"{self.name}_unpartitioned"


SOURCE_DRAWS = AdoptedTable("source", "draws", "ingested_at", "timestamp")
TARGET_DRAWS = AdoptedTable("target", "draws", "synced_at", "timestamp")
FEATURES = AdoptedTable("target", "draws_14w", "computed_at", "ts_utc")
ADOPTED = (SOURCE_DRAWS, TARGET_DRAWS, FEATURES)


class CutOverAwaitedError(StatementError):
    """A statement was refused because a table that it names still has its old layout."""


def layout_of(statements: Statements, adopted: AdoptedTable, name: str) -> Layout:
    """Return the layout of the table ``name`` in the dataset of ``adopted``, told by the column of the time of writing.

    :raises StatementError: when BigQuery does not answer.
    """
    names = {"dataset": adopted.dataset, "adopted": name, "stamp": adopted.stamp, "drawn_at": adopted.drawn_at}
    try:
        statements.plain().run("history/probe.sql", names, nowhere=_NOWHERE)
    except StatementError as error:
        if error.not_found:
            return Layout.MISSING
        if error.permanent and error.reason == "BadRequest":
            return Layout.LEGACY
        raise
    return Layout.PRESENT


def awaits_cut_over(statements: Statements, adopted: AdoptedTable) -> bool:
    """Return whether a table has its old layout, or a cut-over ended between its two names.

    :raises StatementError: when BigQuery does not answer.
    """
    layout = layout_of(statements, adopted, adopted.name)
    if layout is Layout.MISSING:
        return layout_of(statements, adopted, adopted.retired_name) is not Layout.MISSING
    return layout is Layout.LEGACY


def awaited_tables(statements: Statements) -> tuple[AdoptedTable, ...]:
    """Return the tables whose cut-over is awaited; none on a warehouse that the migrations made.

    :raises StatementError: when BigQuery does not answer.
    """
    return tuple(adopted for adopted in ADOPTED if awaits_cut_over(statements, adopted))


def next_step(awaited: Iterable[AdoptedTable]) -> str:
    """Return what is to be done next, for people."""
    tables = list(awaited)
    names = ", ".join(f"{table.dataset}.{table.name}" for table in tables)
    return (
        f"The cut-over is awaited: still in the layout from before this repository: {names}. Next: trigger "
        f"draw_history_migration with side={tables[0].side}, then again with cut_over, which another person approves; "
        "at the end trigger warehouse_schema again (docs/adoption.md)."
    )


def explained(statements: Statements, error: StatementError, tables: Iterable[str]) -> StatementError:
    """Return ``error``, or, when a table that the statement names awaits its cut-over, an error that says so.

    :param tables: full names.
    """
    named = set(tables)
    try:
        awaited = [one for one in ADOPTED if one.full_name in named and awaits_cut_over(statements, one)]
    except StatementError as failure:
        log.warning("Whether a cut-over is awaited could not be found out: %s", failure)
        return error
    if not awaited:
        return error
    return CutOverAwaitedError(
        f"{next_step(awaited)} BigQuery's answer: {error}",
        statement=error.statement,
        job_id=error.job_id,
        reason=error.reason,
        permanent=True,
        not_found=error.not_found,
    )
