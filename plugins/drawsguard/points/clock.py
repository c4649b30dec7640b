"""The time now, as repositories take it: a test gives another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time now, aware."""
    return datetime.now(UTC)
