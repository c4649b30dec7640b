"""Where draws lie in time: found by their periods, over the whole history, at a cost that does not grow with it."""

from __future__ import annotations

from datetime import timedelta

from drawsguard.draws.retention import EARLIEST
from drawsguard.draws.window import Window
from drawsguard.warehouse.runner import StatementRunner

HOUR = timedelta(hours=1)


def period_hours(statements: StatementRunner, periods: range) -> Window | None:
    """Return a span of time that holds every row of these periods in source and target, None when there is no row.

    It consists of whole hours. A row whose time is far from those of its neighbours makes it wide for as long as that
    row is there; it is never too narrow.
    """
    (found,) = statements.rows(
        "sync/period_hours.sql", period_from=periods.start, period_until=periods.stop, earliest=EARLIEST
    )
    return None if found["first_hour"] is None else Window(found["first_hour"], found["end_hour"])
