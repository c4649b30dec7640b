"""Health of the draw pipeline: a status for each part, and one for the whole.

The detailed one (`assess`) asks BigQuery, which costs, and is for users who are signed in. The brief one (`last_known`)
is what the monitor found in its last round, from Airflow's database: anybody may ask for it, however often.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from drawsguard.monitoring.checks import Checks
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.monitoring_repository import MonitoringRepository

Status = Literal["healthy", "degraded", "unhealthy"]
_ORDER: dict[Status, int] = {"healthy": 0, "degraded": 1, "unhealthy": 2}

#: The monitor runs every minute; a longer gap means that it stopped.
SILENCE_SECONDS = 300
SYNC_MINUTES = 20
#: A failed P0 check of these views means that the data have stopped.
DATA_VIEWS = ("cloud_freshness_v", "sync_success_rate_v")
#: Draws older than this are not needed to judge health, and not read.
MEMORY = timedelta(days=30)


@dataclass(frozen=True)
class Part:
    """The health of one part, with what was seen."""

    name: str
    status: Status
    detail: str


@dataclass(frozen=True)
class Health:
    """All parts at one time. ``degraded`` still serves; only ``unhealthy`` is answered with 503."""

    checked_at: datetime
    parts: tuple[Part, ...]

    @property
    def status(self) -> Status:
        """The worst status of all parts."""
        return max((part.status for part in self.parts), key=_ORDER.__getitem__)

    @property
    def http_status(self) -> int:
        """200, or 503 when a part is unhealthy."""
        return 503 if self.status == "unhealthy" else 200

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "status": self.status,
            "checked_at": self.checked_at.isoformat(),
            "checks": {part.name: {"status": part.status, "detail": part.detail} for part in self.parts},
        }


@dataclass(frozen=True)
class Round:
    """The monitor's last whole round: when it ended (aware), and the names of the checks that failed."""

    ended_at: datetime
    failing: frozenset[str]


def last_known(last: Round | None, checks: Checks, now: datetime) -> Health:
    """Return the health that the monitor's last round shows; without a recent one nothing is known, which is unhealthy.

    :param now: the time to judge by (aware).
    """
    if last is None:
        return Health(now, (Part("monitor", "unhealthy", "no round among its newest runs"),))
    seconds = round((now - last.ended_at).total_seconds())
    silent = seconds > SILENCE_SECONDS
    parts = [Part("monitor", "unhealthy" if silent else "healthy", f"last round {seconds} s ago")]
    for check in checks.checks:
        if check.name in last.failing:
            stopped = check.view in DATA_VIEWS and check.priority is Priority.P0
            parts.append(Part(check.name, "unhealthy" if stopped else "degraded", check.message.en))
    return Health(now, tuple(parts))


def assess(repository: MonitoringRepository, now: datetime) -> Health:
    """Look at every part and return the whole; a part that cannot be looked at is unhealthy.

    :param now: the time to judge by (aware).
    """
    probes: dict[str, Callable[[], tuple[Status, str]]] = {
        "bigquery": lambda: _reachable(repository),
        "source_table": lambda: _readable(repository, "source_dataset", now),
        "target_table": lambda: _readable(repository, "target_dataset", now),
        "freshness": lambda: _freshness(repository),
        "last_sync": lambda: _last_sync(repository),
        "dead_letters": lambda: _dead_letters(repository),
        "monitor": lambda: _monitor(repository),
        "open_alerts": lambda: _open_alerts(repository),
    }
    parts = []
    for name, probe in probes.items():
        try:
            status, detail = probe()
        except StatementError as error:
            status, detail = "unhealthy", f"{type(error).__name__}: {error}"
        parts.append(Part(name, status, detail))
        if name == "bigquery" and status == "unhealthy":
            # Every further probe would wait for the same time-out.
            parts += [Part(other, "unhealthy", "not checked: BigQuery cannot be reached") for other in [*probes][1:]]
            break
    return Health(now, tuple(parts))


def _reachable(repository: MonitoringRepository) -> tuple[Status, str]:
    repository.query("monitoring/ping")
    return "healthy", "answers"


def _readable(repository: MonitoringRepository, dataset: str, now: datetime) -> tuple[Status, str]:
    name = getattr(get_settings(), dataset)
    (row,) = repository.query("monitoring/newest_draw", {"dataset": name}, since=now - MEMORY)
    newest = row["newest"]
    return ("healthy", f"newest draw {newest.isoformat()}") if newest else ("unhealthy", "no draws in 30 days")


def _view(repository: MonitoringRepository, view: str, *columns: str) -> list[dict[str, Any]]:
    return repository.read_view(view, columns)


def _freshness(repository: MonitoringRepository) -> tuple[Status, str]:
    rows = _view(repository, "cloud_freshness_v", "table_name", "overdue_draws", "status")
    by_status: dict[str, Status] = {"fresh": "healthy", "late": "degraded", "stale": "unhealthy", "empty": "unhealthy"}
    worst = max((by_status[row["status"]] for row in rows), key=_ORDER.__getitem__)
    detail = ", ".join(f"{row['table_name']} {row['status']} ({row['overdue_draws']} overdue)" for row in rows)
    return worst, detail


def _last_sync(repository: MonitoringRepository) -> tuple[Status, str]:
    rows = _view(repository, "sync_success_rate_v", "window_name", "minutes_since_success", "success_rate")
    day = next((row for row in rows if row["window_name"] == "24 h"), None)
    if day is None:
        return "unhealthy", "no interval is expected yet"
    minutes = day["minutes_since_success"]
    detail = f"{minutes:.0f} min ago; {day['success_rate']} % of the intervals of 24 h"
    return ("healthy" if minutes <= SYNC_MINUTES else "unhealthy"), detail


def _dead_letters(repository: MonitoringRepository) -> tuple[Status, str]:
    (row,) = _view(repository, "dead_letter_depth_v", "waiting", "set_aside")
    detail = f"{row['waiting']} waiting, {row['set_aside']} set aside"
    return ("degraded" if row["waiting"] or row["set_aside"] else "healthy"), detail


def _monitor(repository: MonitoringRepository) -> tuple[Status, str]:
    (row,) = _view(repository, "monitor_heartbeat_v", "seconds_ago", "rounds_last_hour")
    detail = f"last round {row['seconds_ago']} s ago, {row['rounds_last_hour']} in the last hour"
    return ("healthy" if row["seconds_ago"] <= SILENCE_SECONDS else "unhealthy"), detail


def _open_alerts(repository: MonitoringRepository) -> tuple[Status, str]:
    counts = {row["priority"]: row["alerts"] for row in repository.query("alerts/open_alerts")}
    detail = ", ".join(f"{number} {priority}" for priority, number in counts.items()) or "none"
    return ("degraded" if counts else "healthy"), detail


class CachedHealth:
    """Health that is assessed once in a while, however often it is requested: each assessment costs queries.

    :param look: makes a new assessment.
    """

    def __init__(self, look: Callable[[], Health], max_age: timedelta = timedelta(seconds=15)) -> None:
        self._look, self._max_age = look, max_age
        self._lock = threading.Lock()
        self._last: Health | None = None

    def get(self) -> Health:
        """Return the newest assessment, at most ``max_age`` old."""
        with self._lock:
            if self._last is None or datetime.now(UTC) - self._last.checked_at > self._max_age:
                self._last = self._look()
            return self._last
