"""What a check, a task or a deadline says about one condition: the monitor makes it, the alerts act on it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Priority(enum.StrEnum):
    """P0 is announced at once, P1 within 15 minutes, P2 in the daily digest."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"


@dataclass(frozen=True)
class Observation:
    """What a check, a task or a deadline says about one condition now.

    ``firing`` None means that nothing could be observed: the alert stays as it is. ``explained_by`` are key patterns of
    alerts that would be the cause of this one.
    """

    key: str
    firing: bool | None
    priority: Priority
    detail: str
    explained_by: tuple[str, ...] = ()
