"""Whether the telemetry of a window is complete and was filtered without loss: each finding names its days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from drawsguard.points.telemetry.config import QualityRules
from drawsguard.refusal import RefusedError

_DAYS_SHOWN = 20
#: The reason in cma.evt_rejected of a record that is counted already, from another upload.
DUPLICATE = "duplicate_upload"


class DayQuality(NamedTuple):
    """What one day (yyyy-MM-dd) was built from, and the result; the columns of cma.evt_day_quality.

    :param rejected: rejected records by reason, from cma.evt_rejected.
    """

    day: str
    raw_rows: int
    evt_rows: int
    base_rows: int
    rejected_rows: int
    ts_rows: int
    metrics: int
    minutes: int
    base_eid: int
    ts_eid: int
    rejected: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Assessment:
    """The verdict on a window. ``findings`` maps the name of each failed check to the days that failed it."""

    days: tuple[DayQuality, ...]
    findings: dict[str, list[str]]

    @property
    def accepted(self) -> bool:
        return not self.findings

    @property
    def raw_rows(self) -> int:
        return sum(day.raw_rows for day in self.days)

    @property
    def rejected_rows(self) -> int:
        return sum(day.rejected_rows for day in self.days)

    @property
    def expansion(self) -> float | None:
        """base_evt rows per EVT source row, over the whole window; None without source rows."""
        evt_rows = sum(day.evt_rows for day in self.days)
        return sum(day.base_rows for day in self.days) / evt_rows if evt_rows else None


class EvidenceIncompleteError(RefusedError, ValueError):
    """The telemetry of the window cannot be relied on; nobody may conclude non-use from it."""


#: What to do about a failed check, by its name.
_REMEDIES = {
    "days_are_present": "ask CMA to deliver these days, then run points_hive_aggregation again; a known outage is "
    "allowed by quality.missing_days_allowed",
    "minutes_are_complete": "ask CMA to deliver the missing minutes, then run again",
    "filter_does_not_expand": "base_evt holds more rows than its source: something appended or joined rows. Run again "
    "with rebuild, and do not push before this passes",
    "every_record_is_accounted_for": "rows were lost or changed between the steps (was base_evt emptied meanwhile?): "
    "run again, these days are rebuilt",
    "instances_sum_up": "base_evt_ts does not hold the counts of base_evt: run again, these days are rebuilt",
    "few_records_are_rejected": "see cma.evt_rejected for the records; a new kind of oper_type belongs in "
    "oper_type_pattern in include/config/points.yaml, then run again with rebuild; anything else is CMA's to correct",
}


def assess(expected_days: Sequence[str], days: Sequence[DayQuality], rules: QualityRules) -> Assessment:
    """Judge the days of a window.

    :param expected_days: every day the window should have, yyyy-MM-dd.
    :param days: the days that exist.
    """
    least_minutes = rules.minutes_a_day - rules.minutes_tolerance
    present = {day.day for day in days if day.minutes > 0}
    missing = [day for day in expected_days if day not in present]
    checks = {
        "days_are_present": missing if len(missing) > rules.missing_days_allowed else [],
        "minutes_are_complete": [
            f"{day.day} ({day.minutes} of {rules.minutes_a_day} min)" for day in days if 0 < day.minutes < least_minutes
        ],
        "filter_does_not_expand": [
            f"{day.day} ({day.base_rows} rows from {day.evt_rows})"
            for day in days
            if day.base_rows > rules.largest_expansion * day.evt_rows
        ],
        "every_record_is_accounted_for": [
            f"{day.day} ({day.evt_rows} read, {day.base_rows} counted, {day.rejected_rows} rejected)"
            for day in days
            if day.base_rows + day.rejected_rows != day.evt_rows
        ],
        "instances_sum_up": [
            f"{day.day} ({day.base_eid} by instance, {day.ts_eid} by minute)"
            for day in days
            if day.base_eid != day.ts_eid
        ],
        "few_records_are_rejected": [
            f"{day.day} ({reason} {number} of {day.evt_rows})"
            for day in days
            for reason, number in sorted(_rejected(day).items())
            if 100 * number > rules.largest_rejected_percent * day.evt_rows
        ],
    }
    return Assessment(tuple(days), {name: found for name, found in checks.items() if found})


def _rejected(day: DayQuality) -> dict[str, int]:
    """Return the records of a day that were not counted, by reason; a second upload of one that was is not among them.

    Records whose reason is not known are a reason of their own.
    """
    known = {reason: number for reason, number in day.rejected.items() if reason != DUPLICATE}
    if unexplained := day.rejected_rows - sum(day.rejected.values()):
        known["without_reason"] = abs(unexplained)
    return known


def refuse_unless_accepted(assessment: Assessment, window: str) -> None:
    """Raise when a check failed.

    :param window: the days that were judged, for the message.
    :raises EvidenceIncompleteError: naming each failed check, its days and what to do.
    """
    if assessment.accepted:
        return
    lines = [
        f"- {name}: {len(days)} day(s): {_listed(days)}. What to do: {_REMEDIES[name]}."
        for name, days in assessment.findings.items()
    ]
    raise EvidenceIncompleteError(
        f"The telemetry of {window} is refused; missing telemetry must not look like non-use:\n" + "\n".join(lines)
    )


def _listed(days: Sequence[str]) -> str:
    shown = ", ".join(days[:_DAYS_SHOWN])
    return f"{shown} and {len(days) - _DAYS_SHOWN} more" if len(days) > _DAYS_SHOWN else shown
