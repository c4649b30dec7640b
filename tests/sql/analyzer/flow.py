"""The draws of two days in the source, the target and the features, as they are listed without a query.

What carries draws on is a statement: it lets the table that it writes have what the table before it has. What the tasks
remember outlives them, as in production.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from functools import cache
from typing import Any
from unittest import mock

from drawsguard.draws.cadence import Cadence
from drawsguard.draws.collect.feed import Answer
from drawsguard.draws.model import Draw
from drawsguard.draws.recent.memory import Notes
from drawsguard.settings import get_settings
from tests.sql.analyzer import drives
from tests.sql.analyzer.recording import Recorder, Row

#: Draws that one answer of the feed shows.
SHOWN = 10
#: The last period of the days before.
OLDER = 100_000
#: Answers about the older days: they are whole, and their features right.
OLDER_DAYS = [{"highest": OLDER, "before_cut": OLDER - 8000}]


@cache
def draws() -> tuple[Draw, ...]:
    """Return the draws of yesterday and today (UTC), up to the drives' present."""
    cadence = Cadence.from_settings(get_settings())
    at = drives.NOW.replace(hour=0, minute=0) - timedelta(days=1)
    found: list[Draw] = []
    while (at := cadence.next_expected(at)) < drives.NOW - timedelta(seconds=20):
        found.append(Draw.derive(OLDER + 1 + len(found), at, (8, 8, 4), created_at=at))
    return tuple(found)


@cache
def draws_a_day() -> int:
    """Return how many draws a day has."""
    return sum(draw.timestamp.date() < drives.NOW.date() for draw in draws())


class Flow:
    """The three tables, each with some of the draws, and the answers of a recorder that follow from that.

    :param listed: whether rows can be listed without a query.
    """

    def __init__(self, recorder: Recorder, *, listed: bool = True) -> None:
        self.recorder = recorder
        self.notes = Notes()
        self.held = dict.fromkeys(("source", "target", "features"), len(draws()))
        recorder.lists = listed
        recorder.answers |= {
            "recent/rest": OLDER_DAYS,
            "collect/insert_draws": self._carries("source"),
            "sync/merge_draws": self._carries("target"),
            "features/merge_features": self._carries("features"),
        }
        self.show()

    def lose(self, *tables: str) -> None:
        """Let these tables not have the newest draw yet."""
        self.held |= dict.fromkeys(tables, len(draws()) - 1)
        self.show()

    def show(self) -> None:
        """Let the recorder list what the tables hold."""
        settings = get_settings()
        source, target = settings.source_dataset, settings.target_dataset
        logged = {"interval_end": drives.BEGIN, "mode": "interval", "status": "success"}
        self.recorder.partitions |= {
            f"{source}.draws": self._days("source", lambda draw: asdict(draw) | {"ingested_at": draw.timestamp}),
            f"{target}.draws": self._days("target", asdict),
            f"{target}.draws_14w": self._days("features", _features),
            f"{settings.monitor_dataset}.sync_log": {f"{drives.BEGIN:%Y%m%d}": [logged]},
        }

    def _days(self, table: str, row: Callable[[Draw], Row]) -> dict[str, list[Row]]:
        days: dict[str, list[Row]] = {"20260301": []}
        for draw in draws()[: self.held[table]]:
            days.setdefault(f"{draw.timestamp:%Y%m%d}", []).append(row(draw))
        return days

    def _carries(self, table: str) -> Callable[[dict[str, Any]], list[Row]]:
        def carry(_values: dict[str, Any]) -> list[Row]:
            self.held[table] = len(draws())
            self.show()
            return []

        return carry

    def context(self, **params: Any) -> dict[str, Any]:
        """Return what a task sees of its run, with what the tasks remember."""
        from hooks.asset_memory import DRAWS

        store = mock.Mock(get=self.notes.recall, set=self.notes.keep)
        return drives.context(**params) | {"asset_state_store": {DRAWS: store}, "outlet_events": mock.MagicMock()}

    @staticmethod
    def answer() -> Answer:
        """Return what the feed shows."""
        return Answer(drives.NOW, draws()[-SHOWN:], (), SHOWN)


def _features(draw: Draw) -> Row:
    names = dict(zip("abc", draw.numbers, strict=True))
    return {"issue": draw.period, "ts_utc": draw.timestamp, "sum": draw.sum_value, **names}
