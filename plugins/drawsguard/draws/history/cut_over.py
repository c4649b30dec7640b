"""What a cut-over of the history is approved for: the months that had ended, equal on both sides."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from drawsguard.draws.history.migration import RETIRED, HistoryMigration, month_window
from drawsguard.refusal import RefusedError


class CutOverRefusedError(RefusedError, ValueError):
    """A month that has ended is not the same on both sides; nothing was switched."""


class Month(NamedTuple):
    """A month that is equal on both sides: its versions, their digest, and rows that stay behind as invalid."""

    month: str
    versions: int
    digest: int | None
    invalid_rows: int


@dataclass(frozen=True)
class CutOver:
    """A side's cut-over.

    :param retired_features: the name that a legacy table of features gets; None when there is none.
    :param faults: legacy rows that are set aside, by fault; no part of the digest, since the writer goes on.
    :param done: the names were switched already.
    """

    side: str
    dataset: str
    months: tuple[Month, ...]
    retired_features: str | None
    faults: dict[str, int]
    done: bool

    @property
    def digest(self) -> str:
        """SHA-256 over the side, what was compared of each month that had ended, and the features that are retired."""
        content = [self.side, self.dataset, [list(month) for month in self.months], self.retired_features]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def plan_cut_over(migration: HistoryMigration, as_of: datetime) -> CutOver:
    """Return the cut-over as both tables are now; it reads only.

    The writer goes on while an approver reads the question, so the month that had not ended at ``as_of`` is left out
    of what is approved: it is copied and compared once more before the names are switched.

    :param as_of: when the run started (aware): the months stay the same as long as the run does.
    :raises CutOverRefusedError: when a month that had ended differs.
    """
    months, differing = [], []
    switched = migration.tables()[0] == RETIRED  # what was approved is judged by the legacy table alone from then on
    for month in migration.months():
        if month_window(month).end > as_of:
            continue
        figures = migration.compare(month)
        if not switched and (figures["legacy_versions"], figures["legacy_digest"]) != (
            figures["migrated_versions"],
            figures["migrated_digest"],
        ):
            differing.append(month)
        months.append(Month(month, figures["legacy_versions"], figures["legacy_digest"], figures["invalid_rows"]))
    if differing:
        raise CutOverRefusedError(
            f"These months differ between {migration.dataset}'s legacy and its partitioned table: "
            f"{', '.join(differing)}. Nothing was switched. Trigger draw_history_migration without cut_over, which "
            "copies them again, then with it."
        )
    return CutOver(
        migration.side,
        migration.dataset,
        tuple(months),
        migration.retired_features(),
        migration.faults(),
        migration.is_done(),
    )
