"""A look at the newest days of draws and features: the comparison of ``changed_draws.sql`` without a query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drawsguard.draws.recent.memory import Memory
from drawsguard.draws.recent.tables import FEATURES, TARGET, Recent, newest_versions, recent_rows
from drawsguard.draws.retention import LATEST
from drawsguard.warehouse.runner import StatementRunner

#: What is kept when a comparison of the whole history has found nothing: the stamps of both tables' older days.
_RIGHT = "features are right for"


@dataclass(frozen=True)
class Look:
    """The newest days of both tables."""

    draws: Recent
    features: Recent

    def changed(self) -> list[int] | None:
        """Return the issues whose row is missing, doubled, orphaned or computed from other values, in order.

        None: rows of these issues may lie in older days, so that the look says nothing.
        """
        draws = newest_versions(self.draws.rows)
        stored: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in self.features.rows:
            stored[row["issue"]].append(row)
        changed = [
            issue for issue in sorted(draws.keys() | stored.keys()) if not _right(draws.get(issue), stored[issue])
        ]
        if changed and not (self.draws.holds(changed[0]) and self.features.holds(changed[0])):
            return None
        return changed

    def bounds(self, lead_in: int, first: int) -> dict[str, Any] | None:
        """Return times that hold every draw from ``lead_in`` on and every feature from ``first`` on; None: not known.

        The same as ``span_bounds.sql`` gives, for issues of which the newest is among the newest days.
        """
        if lead_in <= self.draws.highest_before_cut or first <= self.features.highest_before_cut:
            return None
        newest = [row["period"] for row in self.draws.rows] + [row["issue"] for row in self.features.rows]
        return {
            "draws_from": self.draws.cut,
            "draws_to": LATEST,
            "features_from": self.features.cut,
            "features_to": LATEST,
            "newest_issue": max(newest, default=lead_in),
        }

    @property
    def older_days(self) -> list[Any]:
        return [self.draws.stamp, self.features.stamp]


def _right(draw: dict[str, Any] | None, rows: list[dict[str, Any]]) -> bool:
    if draw is None or len(rows) != 1:
        return False
    (row,) = rows
    return (row["ts_utc"], [row["a"], row["b"], row["c"]], row["sum"]) == (
        draw["timestamp"], list(draw["numbers"]), draw["sum_value"],
    )  # fmt: skip


def look(statements: StatementRunner, memory: Memory, now: datetime) -> Look | None:
    """Return a look at yesterday and today (UTC); None when it cannot be had for nothing (see `recent_rows`)."""
    draws = recent_rows(statements, memory, TARGET, now)
    features = draws and recent_rows(statements, memory, FEATURES, now)
    return Look(draws, features) if draws and features else None


def older_days_are_right(looked: Look, memory: Memory) -> bool:
    """Whether a comparison of the whole history has found nothing since the older days were changed last."""
    return bool(memory.recall(_RIGHT) == looked.older_days)


def remember_right(looked: Look, memory: Memory) -> None:
    """Remember that the whole history was right: it was compared after this look, and nothing had changed."""
    memory.keep(_RIGHT, looked.older_days)


def runs(issues: list[int], horizon: int, block: int) -> Iterator[list[int]]:
    """Yield the issues in runs: each at most ``horizon`` after the one before it, cut where a block begins.

    :param issues: in order.
    """
    run: list[int] = []
    for issue in issues:
        if run and (issue - run[-1] > horizon or issue // block != run[-1] // block):
            yield run
            run = []
        run.append(issue)
    if run:
        yield run
