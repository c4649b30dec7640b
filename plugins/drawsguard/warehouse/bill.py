"""The rules by which BigQuery bills queries on demand, and how much of each table a statement can read.

A query is billed for the bytes of the columns that it reads in the partitions that its bounds allow, rounded up to a
whole MB, at least 10 MB for each table that it references and at least 10 MB in all. An error and an answer from the
cache cost nothing. Free are the metadata of tables and partitions (`tables.get`), `tabledata.list`, load, copy and
export jobs, and dry runs; rows that are streamed have a price of their own.

A statement that references no table (a ping, an INSERT of bound rows) processes 0 bytes. That the minimum of 10 MB a
query does not hold for it is nowhere promised, so it is counted here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from drawsguard.settings import config_file
from drawsguard.warehouse.references import (
    MINIMUM_BYTES,
    Definition,
    reading_texts,
    referenced_tables,
    schema_definitions,
)

BILL_FILE = config_file("bill.yaml")

MB = 1024**2
GIB = 1024**3
#: Price of a TiB beyond the first of each month (US dollars).
DOLLARS_A_TIB = 6.25
#: What is free each month.
FREE_BYTES = 1024**4

#: `tabledata.insertAll`: a row counts as at least 1 KB, 200 MB cost one cent.
STREAMED_ROW_BYTES = 1024
DOLLARS_A_STREAMED_BYTE = 0.01 / (200 * MB)

#: What changed since the last refresh of a materialized view (every 30 minutes) lies in the days of this span.
VIEW_LAG = timedelta(days=2)

_INTERVALS = re.compile(r"\bINTERVAL\s+(\d+)\s+(SECOND|MINUTE|HOUR|DAY)\b", re.IGNORECASE)
_LITERALS = re.compile(r"\bTIMESTAMP\s+'(\d{4}-\d{2}-\d{2})[^']*'", re.IGNORECASE)
_PARAMETERS = re.compile(r"@(\w+)")
_UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400}


class Shares(BaseModel):
    """The content of include/config/bill.yaml: what the queries of each DAG may be billed for (GiB a month)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gib_a_month: dict[str, Annotated[float, Field(ge=0)]]

    def exceeded(self, billed_gib: Mapping[str, float]) -> dict[str, float]:
        """Return the DAGs that were billed for more than their share, each with the share (GiB a month).

        What has no share runs when a person wants it, and may cost what it costs.

        :param billed_gib: what a month is billed for (GiB) by DAG.
        """
        return {dag: share for dag, share in self.gib_a_month.items() if billed_gib.get(dag, 0.0) > share}


def load_shares(path: Path = BILL_FILE) -> Shares:
    """Read and validate the shares.

    :raises pydantic.ValidationError: when a share is no number of at least 0, or a key is unknown.
    """
    return Shares.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Reading:
    """What a statement reads of one table.

    :param columns: words of the texts that name the table; those that are columns are read.
    :param reach: how far back the bounds allow partitions; None when there are no bounds.
    """

    columns: frozenset[str]
    reach: timedelta | None


def billed_bytes(read: Iterable[int]) -> int:
    """Return what one query is billed for (bytes).

    :param read: bytes read of each table that it references.
    """
    tables = [max(MINIMUM_BYTES, -(-size // MB) * MB) for size in read]
    return max(MINIMUM_BYTES, sum(tables))


def streaming_dollars(row_sizes: Iterable[int]) -> float:
    """Return what streaming some rows costs (US dollars).

    :param row_sizes: bytes of each row.
    """
    return sum(max(STREAMED_ROW_BYTES, size) for size in row_sizes) * DOLLARS_A_STREAMED_BYTE


def readings(
    statement: str, values: Mapping[str, Any], now: datetime, known: Mapping[str, Definition] | None = None
) -> dict[str, Reading]:
    """Return what a rendered statement reads, by the full name of each table.

    The reach is the widest that any bound beside the table's name allows: intervals, literals, and times that are
    bound. That is a model, and one that says rather too much: a bound on another column counts like one on the
    partition's. Of a table that is read only through materialized views, which are partitioned by the same days, the
    days are read that have changed since their last refresh.

    :param values: the bound parameters.
    :param now: when it runs (aware).
    """
    found: dict[str, Reading] = {}
    known = schema_definitions() if known is None else known
    materialized = {definition.text for definition in known.values() if definition.materialized}
    texts = reading_texts(statement, known)
    names = {definition.text: name for name, definition in known.items()}

    def reach_of(text: str) -> timedelta | None:
        reach = _reach(text, values, now)
        if reach is None or text not in names or not text.startswith("("):
            return reach
        # A function counts from what it is called with.
        calls = [_reach(caller, values, now) for caller in texts if f"`{names[text]}`" in caller]
        return reach + max((call for call in calls if call is not None), default=timedelta())

    for table in referenced_tables(statement, known):
        naming = [text for text in texts if f"`{table.split('.INFORMATION_SCHEMA')[0]}`" in text]
        reaches = [reach_of(text) for text in naming]
        known_reaches = [reach for reach in reaches if reach is not None]
        reach = max(known_reaches) if known_reaches and len(known_reaches) == len(reaches) else None
        if naming and materialized.issuperset(naming):
            reach = VIEW_LAG
        found[table] = Reading(frozenset(word for text in naming for word in re.findall(r"\w+", text)), reach)
    return found


def _reach(text: str, values: Mapping[str, Any], now: datetime) -> timedelta | None:
    spans = [timedelta(seconds=int(count) * _UNITS[unit.upper()]) for count, unit in _INTERVALS.findall(text)]
    spans += [now - datetime.fromisoformat(day).replace(tzinfo=now.tzinfo) for day in _LITERALS.findall(text)]
    times = (values.get(name) for name in _PARAMETERS.findall(text))
    spans += [now - time for time in times if isinstance(time, datetime)]
    return max(spans) if spans else None
