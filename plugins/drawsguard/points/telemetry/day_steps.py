"""The steps that build days of the window flow, in their order: what each replaces and from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from drawsguard.points.telemetry.config import PointsConfig
from drawsguard.points.telemetry.hive_source import statements
from drawsguard.points.telemetry.oper_type import hive_pattern

_DROP_DAYS, _DROP_FLOW_DAYS = "telemetry/window/drop_days.sql", "telemetry/window/drop_flow_days.sql"


@dataclass(frozen=True)
class DayStep:
    """One step: an insert for a list of days, after their partitions were dropped.

    :param name: the table that the step fills.
    :param drops: table → file below include/sql/hive that drops the days from it.
    """

    name: str
    drops: Mapping[str, str]
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def insert(self) -> list[str]:
        """Return the statements that fill the table; their parameter ``days`` is the list."""
        return statements(f"telemetry/window/{self.name}.sql")

    def statements(self, days: Sequence[str]) -> list[str]:
        """Return all statements of the step for these days."""
        names = list(_named(days))
        drops = [statements(file, table=table, days=names) for table, file in self.drops.items()]
        return [*chain.from_iterable(drops), *self.insert]

    def parameters(self, days: Sequence[str]) -> dict[str, Any]:
        """Return the bound values of `statements`."""
        return {**self.values, **_named(days), "days": list(days)}


def day_steps(config: PointsConfig) -> tuple[DayStep, ...]:
    """Return the steps in their order: a day's quality record is dropped first and written last, to complete it."""
    rules = {"pattern": hive_pattern(config.oper_type_pattern), "max_count": config.telemetry.largest_count}
    return (
        DayStep(
            "base_evt",
            {"evt_day_quality": _DROP_FLOW_DAYS, "base_evt": _DROP_FLOW_DAYS, "evt_rejected": _DROP_FLOW_DAYS},
            rules,
        ),
        DayStep("base_evt_ts", {"base_evt_ts": _DROP_DAYS}),
        DayStep("base_evt_day", {"base_evt_day": _DROP_DAYS}),
        DayStep("evt_day_quality", {"evt_day_quality": _DROP_FLOW_DAYS}),
    )


def _named(days: Sequence[str]) -> dict[str, str]:
    return {f"day_{index}": day for index, day in enumerate(days)}
