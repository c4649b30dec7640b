"""The monitor in a history: the real views, checks and life cycle of alerts, asked at whole minutes of its clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from google.cloud.bigquery import Client, QueryJobConfig

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.state import Board, Event, Kind, fold, observe
from drawsguard.monitoring.checks import judge, load_checks
from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.settings import get_settings
from drawsguard.warehouse.parameters import bind

#: Views that a history fills; those of logs and of Google's control plane stay out.
VIEWS = ("cloud_freshness_v", "collection_quality_v")


class Monitor:
    """Rounds of the monitor; what fired since the last `forget`, and when.

    :param client: of the warehouse, without faults.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._checks = [check for check in load_checks().checks if check.view in VIEWS]
        self._policy = load_alert_config().policy
        self._signals: dict[str, Observation] = {}
        self._events: list[Event] = []
        self.rounds = 0

    def signal(self, key: str, firing: bool, detail: str) -> None:
        """Hear what a task reports of itself: that it failed for good, or succeeded again."""
        self._signals[key] = Observation(key, firing, Priority.P0, detail)

    def round(self, now: datetime) -> dict[str, str]:
        """Judge everything as it is at ``now``; return what fires, with its detail."""
        seen = [*self._observed(now), *self._signals.values()]
        self._events += observe(self._board(), seen, now, self._policy)
        self.rounds += 1
        return {one.key: one.detail for one in seen if one.firing}

    def fired_at(self, key: str) -> datetime | None:
        """Return when an alert whose key begins so fired."""
        fired = [e.event_at for e in self._events if e.kind is Kind.FIRED and e.alert_key.startswith(key)]
        return min(fired, default=None)

    def fired(self) -> set[str]:
        """Return the keys of all alerts that fired."""
        return {event.alert_key for event in self._events if event.kind is Kind.FIRED}

    def forget(self) -> None:
        """Begin with no alerts: those of the last episode are over."""
        self._events, self._signals = [], {}

    def _board(self) -> Board:
        return fold(self._events)

    def _observed(self, now: datetime) -> Iterable[Observation]:
        for view in VIEWS:
            rows = self._rows(view, now)
            for check in self._checks:
                if check.view == view:
                    yield from (outcome.observation() for outcome in judge(check, rows))

    def _rows(self, view: str, now: datetime) -> list[dict[str, Any]]:
        function = get_settings().table("monitor", f"{view.removesuffix('_v')}_at")
        parameters = QueryJobConfig(query_parameters=bind(as_of=now))
        answer = self._client.query(f"SELECT * FROM {function}(@as_of)", job_config=parameters).result()  # noqa: S608
        return [dict(row.items()) for row in answer]
