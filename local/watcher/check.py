"""One check of the watcher: what is expected, what came, and what state that is; time is given, nothing waits here.

States and their rules are those of healthchecks.io: new, up, grace (late, nobody is told yet), down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Check:
    """A check and its pings; times are aware.

    :param period: expected time between two pings.
    :param grace: how late a ping may be, and how long may pass from a start signal to its success.
    :param last_ping: last success.
    :param last_start: start signal that no success followed.
    :param failed_at: fail signal that no success followed.
    """

    period: timedelta
    grace: timedelta
    pings: int = 0
    last_ping: datetime | None = None
    last_start: datetime | None = None
    failed_at: datetime | None = None

    def after(self, signal: str, now: datetime) -> Check:
        """Return the check after a ping: ``success``, ``start``, ``fail`` or ``log``."""
        counted = replace(self, pings=self.pings + 1)
        if signal == "success":
            return replace(counted, last_ping=now, last_start=None, failed_at=None)
        if signal == "start":
            return replace(counted, last_start=self.last_start or now)
        return replace(counted, failed_at=now) if signal == "fail" else counted

    @property
    def expected_at(self) -> datetime | None:
        """When the next ping is due; None before the first."""
        return self.last_ping + self.period if self.last_ping else None

    @property
    def down_from(self) -> datetime | None:
        """From when on people are told, unless a success comes before; None: never."""
        ends = [self.failed_at] if self.failed_at else []
        ends += [self.last_start + self.grace] if self.last_start else []
        ends += [self.expected_at + self.grace] if self.expected_at else []
        return min(ends, default=None)

    def status(self, now: datetime) -> str:
        """Return the state: new, up, grace or down."""
        if self.down_from is not None and now >= self.down_from:
            return "down"
        if self.expected_at is None:
            return "new"
        return "grace" if now >= self.expected_at else "up"

    def to_json(self, name: str, now: datetime) -> dict[str, Any]:
        """Return the check as the management API shows it."""
        return {
            "name": name,
            "status": self.status(now),
            "started": self.last_start is not None,
            "n_pings": self.pings,
            "last_ping": self.last_ping.isoformat() if self.last_ping else None,
            "next_ping": self.expected_at.isoformat() if self.expected_at else None,
            "timeout": round(self.period.total_seconds()),
            "grace": round(self.grace.total_seconds()),
        }
