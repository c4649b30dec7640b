"""Which part of the history is looked at today, changed or not: the whole comes round, at a cost that does not grow."""

from __future__ import annotations

from datetime import datetime, timedelta

from drawsguard.draws.retention import EARLIEST
from drawsguard.draws.window import Window
from drawsguard.warehouse.runner import StatementRunner

_DAY = timedelta(days=1)

#: Days with draws that a review looks at: ten years of them are reviewed within 40 days.
REVIEW_DAYS = 100


def review_window(statements: StatementRunner, today: datetime) -> Window | None:
    """Return the part of the history that is reviewed today: `REVIEW_DAYS` days with draws, other ones each day.

    Syncs, repairs and refreshes see what has changed. A row that is wrong although nothing has changed (left by an
    earlier release, or written by somebody else) is seen by looking at it again: `draw_reconcile` compares this part
    with the source, `feature_review` computes its features again.

    :returns: None when there are no draws.
    """
    days = [row["day"] for row in statements.rows("sync/draw_days.sql", earliest=EARLIEST)]
    if not days:
        return None
    parts = -(-len(days) // REVIEW_DAYS)
    first = (today - EARLIEST).days % parts * REVIEW_DAYS
    return Window(days[first], days[first : first + REVIEW_DAYS][-1] + _DAY)
