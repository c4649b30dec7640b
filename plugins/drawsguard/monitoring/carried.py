"""Answers of monitoring views that are carried from round to round, as long as free evidence says that they hold.

What is carried is never the only copy of anything: without it, or with something unreadable in its place, every view is
read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from drawsguard.monitoring.checks import Check, Checks, fits, judge, lacking
from drawsguard.monitoring.news import (
    WATCHED,
    FreeSource,
    Judged,
    Row,
    Seen,
    ServiceError,
    Situation,
    TableName,
    Watched,
    behind,
)

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: An answer is not carried for longer, whatever the evidence says.
LONGEST = timedelta(hours=6)
#: While a check of the view fails: time alone can bring a recovery that no look sees.
LONGEST_FAILING = timedelta(hours=1)

#: While an expected subject has no row: nothing free tells when the view comes to know it.
LONGEST_LACKING = timedelta(minutes=5)

#: What stops a look, without stopping the monitor: the view is read then.
Failures = tuple[type[Exception], ...]


class CarriedAnswer(BaseModel):
    """A view's answer, and the evidence at the time of its reading.

    :param rows: those that a check judges.
    :param columns: what was read.
    :param facts: rows and time of the last change by table.
    :param judged: what was bad then.
    :param again: when to look again although nothing changed.
    """

    model_config = ConfigDict(extra="forbid")

    rows: list[dict[str, Any]]
    columns: list[str]
    read_at: datetime
    facts: dict[str, tuple[int, datetime]]
    judged: list[str]
    again: datetime | None
    note: dict[str, Any]


class Carried(BaseModel):
    """All answers after a round, and when that round began.

    :param form: of notes and names; a change of theirs changes it, and what was carried in another form counts as none.
    """

    model_config = ConfigDict(extra="forbid")

    form: Literal[2] = 2
    round_at: datetime | None = None
    answers: dict[str, CarriedAnswer] = {}


def load(text: object) -> Carried:
    """Return what a round left; nothing where that cannot be read."""
    try:
        return Carried.model_validate_json(text) if isinstance(text, str) else Carried()
    except ValidationError as error:
        log.warning("What the round before carried over cannot be read; every view is read: %s", error)
        return Carried()


class Evidence(FreeSource, Protocol):
    """The free source with the time of a table's last change."""

    def changed_at(self, table: TableName) -> datetime | None:
        """Return when a table changed last (aware); None when the engine does not say."""


class OneRound:
    """The free source as it was when first asked: all looks of a round, and a reading's, see the same."""

    def __init__(self, source: Evidence) -> None:
        self._source = source
        self._kept: dict[Any, Any] = {}

    def _once(self, key: object, ask: Callable[[], _T]) -> _T:
        if key not in self._kept:
            self._kept[key] = ask()
        kept: _T = self._kept[key]
        return kept

    def rows(self, table: TableName) -> int:
        """As of `FreeSource`."""
        return int(self._once(("rows", table), lambda: self._source.rows(table)))

    def changed_at(self, table: TableName) -> datetime | None:
        """As of `Evidence`."""
        return self._once(("changed", table), lambda: self._source.changed_at(table))

    def of_day(self, table: TableName, day: date, columns: Mapping[str, str]) -> Sequence[Row]:
        """As of `FreeSource`."""
        key = ("day", table, day, tuple(columns))
        return self._once(key, lambda: self._source.of_day(table, day, columns))

    def service_errors(self, since: datetime, services: frozenset[str]) -> Mapping[str, ServiceError] | None:
        """As of `FreeSource`."""
        return self._once(("errors", since, services), lambda: self._source.service_errors(since, services))


class Carrier:
    """Answers views in one round: from what was carried where that still holds, else by reading.

    :param read: reads the given columns of a view; rows, or why it cannot be read.
    :param failures: what the evidence raises when it cannot be had.
    :param kept: what the round before left.
    :param clock: tells the time (aware), better once the engine was asked for something.
    """

    def __init__(
        self,
        checks: Checks,
        evidence: Evidence,
        read: Callable[[str, Sequence[str]], list[Row] | str],
        surroundings: Mapping[str, Any],
        kept: Carried,
        clock: Callable[[], datetime],
        failures: Failures = (),
    ) -> None:
        self._checks, self._read, self._kept = checks, read, kept
        self._free, self._surroundings, self._failures = OneRound(evidence), surroundings, failures
        changes = self._changes()
        self._now = max([clock(), *changes])  # where our clock is behind, BigQuery's stamps say at least so much
        self.left = Carried(round_at=self._now)
        #: Views that were read in this round.
        self.read: list[str] = []

    def answer(self, view: str, columns: Sequence[str]) -> list[Row] | str:
        """Return the view's rows, or why it cannot be read."""
        watched = WATCHED.get(view)
        if watched is None:
            return self._read(view, columns)
        wanted = tuple(dict.fromkeys((*columns, *watched.columns)))
        facts = self._facts(watched)
        before = self._kept.answers.get(view)
        if before is not None and not set(wanted) <= set(before.columns):
            before = None
        after = self._still(view, watched, before, facts) if before is not None and facts is not None else None
        if after is not None:
            self.left.answers[view] = after
            return list(after.rows)
        self.read.append(view)
        if facts is not None:  # the evidence has to be older than the reading
            self._look(view, watched, [], self._now, {})
        rows = self._read(view, wanted)
        if isinstance(rows, str):
            return rows
        rows = [_plain(row) for row in rows if any(fits(check, row) for check in self._of(view))]
        seen = self._look(view, watched, rows, self._now, {}) if facts is not None else None
        if facts is not None and seen is not None and not self._disputed(view, rows, seen):
            self.left.answers[view] = CarriedAnswer(
                rows=rows,
                columns=list(wanted),
                read_at=self._now,
                facts=facts,
                judged=sorted(seen.now(self._now)),
                again=seen.until(self._now),
                note=dict(seen.note),
            )
        return rows

    def _still(
        self, view: str, watched: Watched, before: CarriedAnswer, facts: dict[str, tuple[int, datetime]]
    ) -> CarriedAnswer | None:
        """Return the answer to carry on, None when the view has to be read."""
        failing = bool(self._failing(view, before.rows))
        longest = LONGEST_FAILING if failing else LONGEST
        if any(lacking(check, before.rows) for check in self._of(view)):
            longest = LONGEST_LACKING
        # A clock that was set back must not make the answer hold for longer.
        young = timedelta() <= self._now - before.read_at < longest
        if not young or (failing and watched.blind):
            return None
        if facts == before.facts and (before.again is None or self._now < before.again):
            return before
        seen = self._look(view, watched, before.rows, before.read_at, before.note)
        if seen is None or seen.now(self._now) != frozenset(before.judged):
            return None
        return before.model_copy(update={"facts": facts, "again": seen.until(self._now)})

    def _disputed(self, view: str, rows: Sequence[Row], seen: Seen) -> bool:
        """Whether something is bad that fails a check, and the view does not say so.

        One of the two clocks is ahead, or one of the two is wrong: either way the view is asked until they agree.
        """
        failing = self._failing(view, rows)
        said = {seen.means[name] for name in seen.now(self._now) if name in seen.means}
        return any(
            check.column == column and (not check.expected or subject in check.expected)
            for column, subject in said - failing
            for check in self._of(view)
        )

    def behind(self) -> Mapping[str, int]:
        """Return how many draws each table is behind, free of charge; nothing where that cannot be had."""
        try:
            return behind(self._free, self._surroundings["cadence"], self._now)
        except self._failures as error:
            log.warning("How far the tables are behind cannot be had: %s", error)
            return {}

    def _changes(self) -> list[datetime]:
        """Return when the watched tables changed last, as far as that is known."""
        tables = {table for view in self._checks.views() if view in WATCHED for table in WATCHED[view].tables}
        try:
            return [at for table in tables if (at := self._free.changed_at(table)) is not None]
        except self._failures:
            return []  # whoever needs the metadata asks again, and says so

    def _facts(self, watched: Watched) -> dict[str, tuple[int, datetime]] | None:
        """Return the metadata of the view's tables, None when one of them is not known."""
        found = {}
        try:
            for table in watched.tables:
                changed_at = self._free.changed_at(table)
                if changed_at is None:
                    return None
                found[".".join(table)] = (self._free.rows(table), changed_at)
        except self._failures as error:
            log.warning("Metadata cannot be had, so the view is read: %s", error)
            return None
        return found

    def _look(
        self, view: str, watched: Watched, rows: Sequence[Row], read_at: datetime, note: Mapping[str, Any]
    ) -> Seen | None:
        limits = {check.column: float(check.value) for check in self._of(view)
                  if isinstance(check.value, int | float)}  # fmt: skip
        situation = Situation(self._now, rows, read_at, self._kept.round_at, limits, note=note, **self._surroundings)
        try:
            return watched.look(self._free, situation)
        except self._failures as error:
            log.warning("%s cannot be looked at free of charge, so it is read: %s", view, error)
        except Exception:  # what saves money must not stop the monitor
            log.exception("The look at %s failed, so the view is read", view)
        return None

    def _of(self, view: str) -> list[Check]:
        return [check for check in self._checks.checks if check.view == view]

    def _failing(self, view: str, rows: Sequence[Row]) -> set[Judged]:
        return {
            Judged(check.column, outcome.subject)
            for check in self._of(view)
            for outcome in judge(check, rows)
            if outcome.status != "pass"
        }


def _plain(row: Row) -> dict[str, Any]:
    """Return a row as it comes back from JSON."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}


def as_text(left: Carried) -> str:
    """Return what a round leaves for the next one."""
    return left.model_copy(update={"round_at": left.round_at and left.round_at.astimezone(UTC)}).model_dump_json()
