"""What a month's BigQuery bill is known to be: the daily inspections ask for it once, and their results are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from drawsguard.monitoring.inspection import MONTH_DAYS
from drawsguard.warehouse.bill import GIB

#: Where a daily inspection's result is found: its DAG, task, and the part of the result.
DAG_ID, TASK_ID, BILLED = "daily_inspection", "inspect", "billed"


class BilledPeriod(NamedTuple):
    """What all statements of a period (aware, half open) were billed for (bytes)."""

    start: datetime
    end: datetime
    bytes_billed: int


@dataclass(frozen=True)
class KnownBill:
    """The periods of a month whose bill is known, oldest first, without overlap."""

    periods: tuple[BilledPeriod, ...]

    @property
    def gib(self) -> float:
        """What they were billed for."""
        return sum(one.bytes_billed for one in self.periods) / GIB

    @property
    def days(self) -> float:
        """How many days they have."""
        return sum((one.end - one.start for one in self.periods), timedelta()) / timedelta(days=1)

    @property
    def until(self) -> datetime:
        """The end of the newest."""
        return self.periods[-1].end

    @property
    def month_gib(self) -> float:
        """What a whole month would be billed for at their rate."""
        return self.gib / self.days * MONTH_DAYS


def to_result(start: datetime, end: datetime, by_dag: Mapping[str, int]) -> dict[str, Any]:
    """Return the part of a result that holds what a period was billed for; nothing when that is not known."""
    if not by_dag:
        return {}
    return {BILLED: {"start": start.isoformat(), "end": end.isoformat(), "bytes": sum(by_dag.values())}}


def from_results(results: Iterable[Any]) -> list[BilledPeriod]:
    """Return the periods that results hold; those that hold none, as older versions left them, are skipped."""
    found = []
    for result in results:
        held = result.get(BILLED) if isinstance(result, dict) else None
        if held:
            start, end = (datetime.fromisoformat(held[name]) for name in ("start", "end"))
            found.append(BilledPeriod(start, end, int(held["bytes"])))
    return found


def known_bill(periods: Iterable[BilledPeriod], since: datetime) -> KnownBill | None:
    """Return what is known since a moment (aware), such as the month's first; None when nothing is.

    What overlaps a period that ends later is left out: an inspection that somebody ran again counts once.
    """
    kept: list[BilledPeriod] = []
    for one in sorted(periods, key=lambda each: each.end, reverse=True):
        if one.start >= since and one.start < one.end and (not kept or one.end <= kept[-1].start):
            kept.append(one)
    return KnownBill(tuple(reversed(kept))) if kept else None
