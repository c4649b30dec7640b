"""The page of one batch: its candidates, plans with their differences, rows by state, and how far the cleanup is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from drawsguard.points.database import fetch
from drawsguard.points.environments import ENVIRONMENTS

#: Differences that the page lists; the workbook of the run has them all.
MOST_DIFFERENCES = 300


class CandidateGroup(NamedTuple):
    """Candidates that are alike; without a decision nobody has read the workbook yet."""

    point_class: str
    cluster: str
    owner: str
    decision: str | None
    candidates: int


class Difference(NamedTuple):
    """A point or tag that a plan leaves out, or that differs between the environments, with the reason."""

    kind: str
    number: int
    table: str
    reason: str


class PlanView(NamedTuple):
    """A plan; the time is naive UTC."""

    environment: str
    action: str
    row_count: int
    differences: tuple[Difference, ...]
    made_at: datetime


class TicketView(NamedTuple):
    """A ticket of the cleanup; times are naive UTC, ``deleted`` counts keys and fields."""

    ticket_id: str
    cluster: str
    point_class: str
    executor: str
    state: str
    points: int
    estimated_keys: int | None
    passes: int
    started_at: datetime | None
    finished_at: datetime | None
    deleted: int
    updated_at: datetime | None

    @property
    def rate(self) -> float | None:
        """Keys and fields a second, from its start to what was recorded last; None while nothing can be said."""
        end = self.finished_at or self.updated_at
        if not self.started_at or not end or end <= self.started_at or not self.deleted:
            return None
        return self.deleted / (end - self.started_at).total_seconds()

    @property
    def left(self) -> timedelta | None:
        """Time left at that rate while it runs; None while nothing can be said: an estimate is an estimate."""
        if self.state != "running" or not self.rate or self.estimated_keys is None:
            return None
        return timedelta(seconds=max(0, self.estimated_keys - self.deleted) / self.rate)


class RestorableRows(NamedTuple):
    """Rows of a definition table that are at −80 because of the batch (``downlined``), or not any more (``restored``).

    :param ids: points or tags that they belong to; :param old_status: what they had, and get back.
    """

    environment: str
    kind: str
    table: str
    cluster: str
    old_status: int
    state: str
    row_count: int
    ids: int


@dataclass(frozen=True)
class Restore:
    """What a restore would bring back in one environment."""

    environment: str
    rows: tuple[RestorableRows, ...]

    @property
    def back(self) -> tuple[RestorableRows, ...]:
        """The rows that would come back."""
        return tuple(one for one in self.rows if one.state == "downlined")

    @property
    def row_count(self) -> int:
        """How many rows would come back."""
        return sum(one.row_count for one in self.back)

    @property
    def restored(self) -> int:
        """How many rows came back before."""
        return sum(one.row_count for one in self.rows if one.state == "restored")


@dataclass(frozen=True)
class BatchView:
    """What the page shows.

    :param rows: (environment, state) → rows of definition tables.
    :param restorable: what its downline has changed, by what a restore would give back.
    """

    batch_id: str
    groups: tuple[CandidateGroup, ...]
    plans: tuple[PlanView, ...]
    rows: dict[tuple[str, str], int]
    tickets: tuple[TicketView, ...]
    restorable: tuple[RestorableRows, ...]

    @property
    def candidates(self) -> int:
        """How many there are."""
        return sum(group.candidates for group in self.groups)

    def by(self, field: str) -> list[tuple[str, int, int]]:
        """Return (value, candidates, of which go) of a field of the groups, the most first."""
        found, going = Counter[str](), Counter[str]()
        for group in self.groups:
            found[getattr(group, field)] += group.candidates
            if group.decision == "downline":
                going[getattr(group, field)] += group.candidates
        return [(value, count, going[value]) for value, count in found.most_common()]

    @property
    def newest_plans(self) -> list[PlanView]:
        """The newest plan of each environment and action."""
        seen: dict[tuple[str, str], PlanView] = {}
        for plan in self.plans:
            seen.setdefault((plan.environment, plan.action), plan)
        return [plan for environment in ENVIRONMENTS for plan in seen.values() if plan.environment == environment]

    @property
    def restores(self) -> list[Restore]:
        """What a restore would bring back, in each environment that the batch has changed."""
        found = [
            Restore(name, tuple(one for one in self.restorable if one.environment == name)) for name in ENVIRONMENTS
        ]
        return [one for one in found if one.rows]

    @property
    def cleaned(self) -> int:
        """Keys and fields that the cleanup has deleted; a restore does not bring them back."""
        return sum(one.deleted for one in self.tickets)


def read_batch(connection: Any, batch_id: str) -> BatchView:
    """Read a batch; one that is not known has no candidates.

    :param connection: a prepared connection to the governance server.
    """
    values = {"batch_id": batch_id}
    groups = [CandidateGroup(*row) for row in fetch(connection, "pages/batch_candidates.sql", values)]
    plans = [
        PlanView(environment, action, int(count), _differences(text), made_at)
        for environment, action, count, text, made_at in fetch(connection, "pages/batch_plans.sql", values)
    ]
    rows = fetch(connection, "pages/rows_by_state.sql", {"batches": (batch_id,)})
    tickets = [
        TicketView._make((*known, int(deleted or 0), updated_at))
        for *known, deleted, updated_at in fetch(connection, "pages/batch_tickets.sql", values)
    ]
    restorable = [
        RestorableRows._make((*known, int(count), int(ids)))
        for *known, count, ids in fetch(connection, "pages/batch_restorable.sql", values)
    ]
    connection.rollback()
    states = {(environment, state): int(count) for _, environment, state, count in rows}
    return BatchView(batch_id, tuple(groups), tuple(plans), states, tuple(tickets), tuple(restorable))


def _differences(text: str) -> tuple[Difference, ...]:
    found: Sequence[Sequence[Any]] = json.loads(text)
    return tuple(Difference(*one) for one in found)
