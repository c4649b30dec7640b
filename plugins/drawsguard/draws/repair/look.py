"""Whether any draw is missing, told without a query as long as the older days are what they were."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from drawsguard.draws.recent.memory import Memory
from drawsguard.draws.sync.look import Look
from drawsguard.settings import get_settings

#: The newest days are yesterday and today: at least so long.
_NEWEST_DAYS = timedelta(days=1)

#: What is kept when a search of the whole history has found no draw to repair.
_WHOLE = "no draw is missing"


@dataclass(frozen=True)
class Whole:
    """What such a search has found.

    :param older_days: stamps of source and target.
    :param waiting: draws that nobody has, and that the feed need not be asked for yet.
    :param until: when it has to be asked for the first of them again; None when there is none.
    """

    older_days: list[Any]
    waiting: frozenset[int]
    until: datetime | None


def older_days_of(looked: Look) -> list[Any]:
    """Return what changes when an older day of the source or the target does."""
    return [looked.source.stamp, looked.target.stamp]


def known_whole(looked: Look, memory: Memory, now: datetime) -> Whole | None:
    """Return what the last search has found; None when something older has changed since, or a draw is due again.

    None also where a draw of an older day may be under way: it is missing by time alone, without any change.
    """
    settings = get_settings()
    if timedelta(minutes=settings.sync_lookback_minutes, seconds=settings.repair_grace_seconds) >= _NEWEST_DAYS:
        return None
    kept = memory.recall(_WHOLE)
    if not kept or kept["older_days"] != older_days_of(looked):
        return None
    until = datetime.fromisoformat(kept["until"]) if kept["until"] else None
    return None if until and now >= until else Whole(kept["older_days"], frozenset(kept["waiting"]), until)


def remember_whole(whole: Whole, memory: Memory) -> None:
    """Remember what a search found that began after the look at these older days: nothing to be repaired."""
    memory.keep(
        _WHOLE,
        {
            "older_days": whole.older_days,
            "waiting": sorted(whole.waiting),
            "until": whole.until.isoformat() if whole.until else None,
        },
    )


def newest_are_whole(looked: Look, waiting: Collection[int], settled_before: datetime) -> bool:
    """Whether no draw is missing from the newest days of the target, nor between these and the older ones.

    False also when it cannot be told.

    :param waiting: draws that nobody has.
    :param settled_before: draws that were collected from then on, and are not older than what a scheduled sync looks
        back to, are still under way.
    """
    source = {row["period"]: row for row in looked.source.rows}
    target = {row["period"] for row in looked.target.rows}
    there = source.keys() | target
    if not there:
        return True
    if not looked.target.holds(min(there)) or any(period in source for period in waiting):
        return False
    first = looked.target.highest + 1 if looked.target.highest >= 0 else min(there)
    if max(there) + 1 - first > len(there) + len(waiting):
        return False  # the source lacks some, perhaps billions: a period may be anything that somebody has typed
    missing = set(range(first, max(there) + 1)) - target - set(waiting)
    synced_from = settled_before - timedelta(minutes=get_settings().sync_lookback_minutes)
    return all(
        period in source
        and source[period]["ingested_at"] >= settled_before
        and source[period]["timestamp"] >= synced_from
        for period in missing
    )
